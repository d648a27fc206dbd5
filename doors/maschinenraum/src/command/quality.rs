//! `quality`, `profile`, `quarantine`: how good the data is, what a file holds, and what was refused.

use anyhow::Context;
use event::{Instant, RecordId};
use house::{QualityAsked, Replayed, Shown, Which};
use watch::{By, ColumnReport, ProfileReport, Report, StreamReport};

use super::Ctx;
use crate::cli::{Profile, Quality, Quarantine};
use crate::out::{self, Code};

/// Changes printed, unless `--json` asks for all.
const MAX_CHANGES: usize = 20;
/// Eight heights of a bar in a terminal.
const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// How good the data is, what changed first.
pub fn quality(ctx: &Ctx, args: &Quality) -> anyhow::Result<Code> {
    let by = By::read(&args.by).with_context(|| format!("`{}` is no day, week or month", args.by))?;
    let instant = |text: &Option<String>| text.as_deref().map(str::parse::<Instant>).transpose();
    let asked =
        QualityAsked { stream: args.stream.clone(), by, from: instant(&args.from)?, to: instant(&args.to)? };
    let house = ctx.open()?;
    let report = house.quality(&asked)?;
    house.close();
    if ctx.json {
        out::json(&report)?;
    } else {
        print_report(&report, args);
    }
    let is_grave = report.changes.iter().any(|change| change.gravity >= 2);
    Ok(if args.fail && is_grave { Code::Findings } else { Code::Fine })
}

fn print_report(report: &Report, args: &Quality) {
    if report.streams.is_empty() {
        out::line("no records yet");
        return;
    }
    // What changed first is what the report says first.
    if report.changes.is_empty() {
        out::line("nothing left the range that earlier records lead one to expect");
    } else {
        out::line("what changed, the first first:");
    }
    for change in report.changes.iter().take(MAX_CHANGES) {
        let mark = match change.gravity {
            3 => "!!",
            2 => "! ",
            1 => "~ ",
            _ => "+ ",
        };
        let source = if change.source.is_empty() { String::new() } else { format!(" by {}", change.source) };
        let code = change.code.map(|code| format!(" ({code})")).unwrap_or_default();
        out::line(&format!("{mark} {}{source}: {}{code}", change.stream, change.message));
    }
    if report.changes.len() > MAX_CHANGES {
        out::line(&format!("   and {} more; --json has them all", report.changes.len() - MAX_CHANGES));
    }
    for stream in &report.streams {
        print_stream(stream, args);
    }
    for relation in &report.relations {
        let state = match &relation.not_judged {
            Some(why) => why.clone(),
            None => {
                format!("{} of {} values compared are not there", relation.n_orphans, relation.n_compared)
            }
        };
        out::line(&format!("\n{} in {}: {state}", relation.from, relation.to));
    }
}

fn print_stream(stream: &StreamReport, args: &Quality) {
    let owner = stream.owner.as_deref().map(|owner| format!(" (owner: {owner})")).unwrap_or_default();
    out::line(&format!(
        "\n{}{owner}: {} arrived = {} accepted + {} refused − {} mended + {} repeated",
        stream.stream,
        stream.n_arrived,
        stream.n_accepted,
        stream.n_refused,
        stream.n_mended,
        stream.n_repeated
    ));
    let rows: Vec<Vec<String>> = stream
        .dimensions
        .iter()
        .map(|one| {
            let score = one.score.map_or_else(|| "–".to_owned(), |score| format!("{:.2} %", score * 100.0));
            vec![one.name.to_owned(), score, one.says.clone()]
        })
        .collect();
    out::table(&["dimension", "score", "made of"], &rows);
    print_promises(stream);
    if !stream.refused.is_empty() {
        out::line("refused, by first finding:");
    }
    for (code, field, n) in stream.refused.iter().take(10) {
        out::line(&format!("  {n} × {code} {field}"));
    }
    if args.stream.is_some() {
        print_fields(stream);
    }
    print_buckets(stream);
}

/// What the contract promises of time and of many records, and whether it is kept.
fn print_promises(stream: &StreamReport) {
    let word = |holds: Option<bool>| match holds {
        Some(true) => "kept",
        Some(false) => "broken",
        None => "–",
    };
    let mut rows: Vec<Vec<String>> = stream
        .promises
        .iter()
        .map(|one| vec![word(one.holds).to_owned(), one.promised.clone(), one.says.clone()])
        .collect();
    rows.extend(stream.rules.iter().map(|one| {
        let unit = if one.unit == contract::metric::Unit::Percent { " %" } else { "" };
        let about = if one.exact { "" } else { "~" };
        let figure = one.figure.map_or_else(String::new, |figure| format!("{about}{}{unit}", short(figure)));
        let since = one.since.as_ref().map(|since| format!(", not since {since}")).unwrap_or_default();
        let says = match &one.not_judged {
            Some(why) => why.clone(),
            None => format!("is {figure}, must be {}{unit}{since}", one.must_be),
        };
        vec![word(one.holds).to_owned(), format!("{} ({})", one.rule, one.version), says]
    }));
    if !rows.is_empty() {
        out::table(&["", "promised", "is"], &rows);
    }
}

fn print_fields(stream: &StreamReport) {
    let rows: Vec<Vec<String>> = stream
        .fields
        .iter()
        .map(|field| {
            let about = if field.exact { "" } else { "~" };
            let distinct = field.n_distinct.map_or_else(String::new, |n| format!("{about}{n}"));
            let spread = field.spread.map_or_else(String::new, |(low, middle, high)| {
                format!("{} · {} · {}", short(low), short(middle), short(high))
            });
            let top: Vec<_> = field.top.iter().take(3).map(|(text, n)| format!("{text} ({n})")).collect();
            vec![
                field.field.clone(),
                if field.sealed { "sealed".to_owned() } else { field.kind.to_owned() },
                format!("{:.2} %", field.completeness * 100.0),
                field.n_refused.to_string(),
                field.n_broken.to_string(),
                distinct,
                spread,
                top.join(", "),
            ]
        })
        .collect();
    out::table(
        &["field", "type", "there", "refused", "broken", "distinct", "least · median · greatest", "most"],
        &rows,
    );
}

fn print_buckets(stream: &StreamReport) {
    let counts: Vec<u64> = stream.buckets.iter().map(|bucket| bucket.n_accepted + bucket.n_refused).collect();
    if stream.buckets.len() > 40 {
        let (first, last) = (stream.buckets.first(), stream.buckets.last());
        if let (Some(first), Some(last)) = (first, last) {
            out::line(&format!("{} {} {}", first.label, bars(&counts, 60), last.label));
        }
        return;
    }
    let rows: Vec<Vec<String>> = stream
        .buckets
        .iter()
        .map(|bucket| {
            let mut findings: Vec<_> = bucket.findings.iter().collect();
            findings.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
            let most: Vec<_> = findings.iter().take(3).map(|(why, n)| format!("{why} × {n}")).collect();
            vec![
                bucket.label.clone(),
                bucket.n_accepted.to_string(),
                bucket.n_refused.to_string(),
                bucket.n_repeated.to_string(),
                most.join(", "),
            ]
        })
        .collect();
    out::table(&["when", "accepted", "refused", "repeated", "most findings"], &rows);
}

/// Looks through a file.
pub fn profile(ctx: &Ctx, args: &Profile) -> anyhow::Result<Code> {
    let bar = out::bar(std::fs::metadata(&args.file).map_or(0, |meta| meta.len()), "profile");
    let report = house::profile_file(&args.file, |read, _| bar.set_position(read))?;
    bar.finish_and_clear();
    if let Some(to) = &args.html {
        let writing = || format!("`{}` cannot be written", to.display());
        std::fs::write(to, watch::page(&report)).with_context(writing)?;
        out::say(&format!("wrote {}", to.display()));
    }
    if ctx.json {
        out::json(&report)?;
    } else {
        print_profile(&report);
    }
    Ok(Code::Fine)
}

fn print_profile(report: &ProfileReport) {
    out::line(&format!(
        "{}: {} rows, {} columns, {} bytes",
        report.file,
        report.n_rows,
        report.columns.len(),
        report.n_bytes
    ));
    for finding in &report.findings {
        out::line(&format!("! {finding}"));
    }
    let rows: Vec<Vec<String>> =
        report.columns.iter().map(|column| profile_row(column, report.n_rows)).collect();
    out::table(
        &[
            "column",
            "looks like",
            "there",
            "distinct",
            "picture",
            "least · median · greatest, or most frequent",
        ],
        &rows,
    );
}

fn profile_row(column: &ColumnReport, n_rows: u64) -> Vec<String> {
    let about = if column.exact { "" } else { "~" };
    let (picture, text) = if column.bars.iter().any(|n| *n > 0) {
        let at = |i: usize| column.quantiles.get(i).cloned().unwrap_or_default();
        (bars(&column.bars, column.bars.len()), format!("{} · {} · {}", at(0), at(3), at(6)))
    } else {
        let counts: Vec<u64> = column.top.iter().map(|(_, n)| *n).collect();
        let top: Vec<_> = column.top.iter().take(3).map(|(text, n)| format!("{text} ({n})")).collect();
        let patterns = || {
            column.patterns.iter().take(2).map(|(text, n)| format!("like {text} ({n})")).collect::<Vec<_>>()
        };
        (bars(&counts, counts.len()), if top.is_empty() { patterns() } else { top }.join(", "))
    };
    vec![
        column.name.clone(),
        column.shape.map_or("nothing", watch::Shape::words).to_owned(),
        format!("{:.1} %", column.n_present as f64 * 100.0 / n_rows.max(1) as f64),
        format!("{about}{}", column.n_distinct),
        picture,
        text,
    ]
}

/// Counts as bars of text, squeezed into `width`.
fn bars(counts: &[u64], width: usize) -> String {
    let per = counts.len().div_ceil(width.max(1)).max(1);
    let sums: Vec<u64> = counts.chunks(per).map(|chunk| chunk.iter().sum()).collect();
    let most = sums.iter().max().copied().unwrap_or(0).max(1);
    let bar = |n: &u64| {
        // Little is not nothing.
        let at = (*n as f64 * 7.0 / most as f64).ceil() as usize;
        if *n == 0 { ' ' } else { BLOCKS.get(at.min(7)).copied().unwrap_or('█') }
    };
    sums.iter().map(bar).collect()
}

fn short(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Shows what was refused, or judges it anew.
pub fn quarantine(ctx: &Ctx, args: &Quarantine) -> anyhow::Result<Code> {
    let id = |text: &String| text.parse::<RecordId>().with_context(|| format!("`{text}` is no record id"));
    let which = Which {
        stream: args.stream.clone(),
        code: args.code.clone(),
        field: args.field.clone(),
        batch: args
            .batch
            .as_ref()
            .map(|b| b.parse())
            .transpose()
            .context("--batch takes a batch as `import --list` shows it")?,
        mended: args.mended || args.no_filter(),
    };
    let house = ctx.open()?;
    if let Some(text) = &args.replay {
        let id = id(text)?;
        let detail = serde_json::json!({ "record": id });
        house.audit(&::audit::Act {
            detail,
            ..::audit::Act::new("quarantine.replay", &super::data::user())
        })?;
        print_outcome(id, &house.requeue(id)?);
    } else if args.replay_all || args.test {
        if !args.test {
            house.audit(&::audit::Act::new("quarantine.replay", &super::data::user()))?;
        }
        let done = house.replay_quarantine(&which, args.test)?;
        print_replayed(ctx, &done, args.test)?;
    } else if args.totals {
        print_totals(ctx, &house)?;
    } else if !args.show.is_empty() || args.sample.is_some() {
        let ids: Vec<RecordId> = match args.sample {
            Some(n) => house.sample_quarantine(&which, n)?.into_iter().map(|(id, _)| id).collect(),
            None => args.show.iter().map(id).collect::<Result<_, _>>()?,
        };
        print_shown(ctx, &house.show_refused(&ids)?)?;
    } else {
        let refused = house.browse_quarantine(&which, None, args.most)?;
        if ctx.json {
            out::json(&refused)?;
        } else {
            print_refused(&refused);
        }
    }
    house.close();
    Ok(Code::Fine)
}

fn print_refused(refused: &[(RecordId, house::Refused)]) {
    let rows: Vec<Vec<String>> = refused
        .iter()
        .map(|(id, one)| {
            let first = one.reasons.first();
            vec![
                id.to_string(),
                one.stream.clone(),
                first.map(|reason| reason.code.clone()).unwrap_or_default(),
                if one.mended { "mended" } else { "waiting" }.to_owned(),
                first.map(|reason| reason.message.clone()).unwrap_or_default(),
            ]
        })
        .collect();
    out::table(&["record", "stream", "code", "state", "why"], &rows);
}

fn print_totals(ctx: &Ctx, house: &house::House) -> anyhow::Result<()> {
    let totals = house.quarantine_totals()?;
    if ctx.json {
        return out::json(&totals);
    }
    for (stream, total) in &totals {
        out::line(&format!(
            "{stream}: {} refused = {} waiting + {} mended",
            total.refused, total.waiting, total.mended
        ));
        let mut reasons: Vec<_> = total.by_reason.iter().collect();
        reasons.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        for (reason, n) in reasons {
            out::line(&format!("  {n} × {reason}"));
        }
    }
    Ok(())
}

fn print_shown(ctx: &Ctx, shown: &[Shown]) -> anyhow::Result<()> {
    if ctx.json {
        return out::json(&shown);
    }
    for one in shown {
        let state = if one.refused.mended { "mended" } else { "waiting" };
        out::line(&format!("{} {} of {} ({state})", one.record, one.refused.stream, one.refused.at));
        for reason in &one.refused.reasons {
            out::line(&format!("  {}: {}", reason.code, reason.message));
        }
        match &one.open {
            Some(open) => out::line(&format!("  {open}")),
            None => out::line("  nothing of it may be shown"),
        }
        if !one.hidden.is_empty() {
            out::line(&format!("  hidden: {}", one.hidden.join(", ")));
        }
    }
    Ok(())
}

fn print_replayed(ctx: &Ctx, done: &Replayed, dry: bool) -> anyhow::Result<()> {
    if ctx.json {
        return out::json(done);
    }
    let would = if dry { "would be " } else { "" };
    out::line(&format!(
        "{} judged = {} {would}accepted now + {} repeated + {} still refused + {} erased",
        done.n_judged, done.n_accepted, done.n_repeated, done.n_refused, done.n_erased
    ));
    for (reason, (n, example)) in &done.reasons {
        out::line(&format!("  {reason} × {n}, for example: {example}"));
    }
    Ok(())
}

fn print_outcome(id: RecordId, outcome: &intake::Outcome) {
    match outcome {
        intake::Outcome::Accepted { record, .. } => {
            out::line(&format!("{id} is accepted now, as record {}", record.id));
        }
        intake::Outcome::Quarantined { findings, .. } => {
            out::line(&format!("{id} is still refused:"));
            findings.iter().for_each(|finding| out::line(&format!("  {finding}")));
        }
        intake::Outcome::Duplicate { .. } => out::line(&format!("{id} repeats a record that is there")),
        intake::Outcome::Refused(refusal) => out::line(&format!("{id} is refused: {refusal}")),
    }
}

impl Quarantine {
    /// Whoever asks for nothing in particular sees everything, as it was.
    fn no_filter(&self) -> bool {
        self.stream.is_none()
            && self.code.is_none()
            && self.field.is_none()
            && self.batch.is_none()
            && self.sample.is_none()
    }
}
