//! `register`, `dpia`, `oversight`, `incident`: what the law wants written down, signed, stopped and told.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, Subcommand, ValueEnum};
use event::Instant;
use house::{House, IncidentAsked, Overseen};
use register::{Document, Harm, Incident, IncidentKind, Language, Verdict};

use super::Ctx;
use crate::out::{self, Code};

/// `register`
#[derive(Args, Debug)]
pub struct Register {
    /// Which register.
    #[arg(value_enum)]
    pub which: Which,
    /// A use case (dpia, annex-iv), a model (mlbom) or an incident (incidents: the draft of its notification).
    pub name: Option<String>,
    /// How it is written.
    #[arg(long, value_enum, default_value_t = Format::Md)]
    pub format: Format,
    /// In which language.
    #[arg(long, value_enum, default_value_t = crate::cli::Language::En)]
    pub lang: crate::cli::Language,
    /// risk: as of another day, like 2027-12-02.
    #[arg(long)]
    pub at: Option<Instant>,
    /// Write it here instead of to stdout.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// A register.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Which {
    /// The record of processing activities (GDPR article 30).
    Ropa,
    /// A use case's impact assessment (GDPR article 35); without a name, which are due.
    Dpia,
    /// Every use case's class under the AI Act, with reasons.
    Risk,
    /// A use case's technical documentation (AI Act annex IV).
    AnnexIv,
    /// Incidents with their clocks.
    Incidents,
    /// Models as a CycloneDX 1.7 bill of materials (JSON).
    Mlbom,
}

/// How a register is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Markdown.
    Md,
    /// One HTML page that needs nothing else.
    Html,
    /// PDF, A4.
    Pdf,
    /// JSON.
    Json,
}

/// `dpia`
#[derive(Subcommand, Debug)]
pub enum Dpia {
    /// Which use cases need an impact assessment, and who has signed; exit code 1 where a signature is missing.
    List,
    /// Signs the impact assessment of a use case as it is now.
    ///
    /// Example: maschinenraum dpia sign next_order --by "Dana Beispiel" --note "measures of annex 2 are in place"
    Sign {
        /// The use case.
        use_case: String,
        /// Who signs: a name of [registers] signatories.
        #[arg(long, env = "USER", default_value = "cli")]
        by: String,
        /// What they add.
        #[arg(long, default_value = "")]
        note: String,
    },
}

/// `oversight`
#[derive(Subcommand, Debug)]
pub enum Oversight {
    /// Every use case: class, impact assessment, whether it may decide; exit code 1 where one may not.
    List,
    /// Stops a use case: its next decision is refused, nothing of it is sent.
    ///
    /// Example: maschinenraum oversight stop next_order --reason "complaints since Monday"
    Stop(Act),
    /// Lets a stopped use case go on; where its class demands four eyes, a second person must say so too.
    Resume(Act),
    /// Approves a decision, so that its action may leave.
    Approve(OnDecision),
    /// Overrules a decision: its action never leaves.
    Overrule(OnDecision),
}

/// Who acts on a use case, and why.
#[derive(Args, Debug)]
pub struct Act {
    /// The use case.
    pub use_case: String,
    /// Why; it is kept.
    #[arg(long)]
    pub reason: String,
    /// Who.
    #[arg(long, env = "USER", default_value = "cli")]
    pub by: String,
}

/// Who acts on a decision, and why.
#[derive(Args, Debug)]
pub struct OnDecision {
    /// The decision's id.
    pub decision: String,
    /// Why; it is kept.
    #[arg(long)]
    pub reason: String,
    /// Who.
    #[arg(long, env = "USER", default_value = "cli")]
    pub by: String,
}

/// `incident`
#[derive(Subcommand, Debug)]
pub enum Incidents {
    /// Opens an incident: counts whom and what it concerns, starts its clocks, prints the draft of the notification.
    ///
    /// Example: maschinenraum incident open --what "export sent to a wrong address" --harm risk --stream orders
    Open(Open),
    /// Every incident and what is due; exit code 1 where a clock has run out.
    List,
    /// Notes that somebody was told: stops a clock.
    ///
    /// Example: maschinenraum incident tell 2026-0001 gdpr_33 --reference "LDA 2026/4711"
    Tell {
        /// The incident.
        id: String,
        /// The clock.
        clock: String,
        /// Under which reference.
        #[arg(long)]
        reference: String,
        /// By whom.
        #[arg(long, env = "USER", default_value = "cli")]
        by: String,
    },
    /// Closes an incident whose clocks are all stopped.
    Close {
        /// The incident.
        id: String,
        /// Why it is over.
        #[arg(long)]
        reason: String,
        /// By whom.
        #[arg(long, env = "USER", default_value = "cli")]
        by: String,
    },
}

/// `incident open`
#[derive(Args, Debug)]
pub struct Open {
    /// What happened; no names of those it concerns, for this text is not sealed.
    #[arg(long)]
    pub what: String,
    /// What kind.
    #[arg(long, value_enum, default_value_t = KindArg::Breach)]
    pub kind: KindArg,
    /// How bad.
    #[arg(long, value_enum)]
    pub harm: HarmArg,
    /// What was and will be done.
    #[arg(long, default_value = "")]
    pub measures: String,
    /// A stream it concerns; may be given often. Without one, the use case's; without both, all with personal fields.
    #[arg(long = "stream", value_name = "STREAM")]
    pub streams: Vec<String>,
    /// The use case it concerns.
    #[arg(long)]
    pub use_case: Option<String>,
    /// Only records known from here on.
    #[arg(long)]
    pub from: Option<Instant>,
    /// Only records known before.
    #[arg(long)]
    pub until: Option<Instant>,
    /// Since when it is known, if not now: the clocks begin here.
    #[arg(long)]
    pub aware: Option<Instant>,
    /// When it began.
    #[arg(long)]
    pub began: Option<Instant>,
    /// Who opens it.
    #[arg(long, env = "USER", default_value = "cli")]
    pub by: String,
}

/// A kind of incident.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum KindArg {
    /// A breach of personal data.
    Breach,
    /// A serious incident of an AI system of class high.
    AiIncident,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum HarmArg {
    /// No risk: written down, nobody is told.
    None,
    /// A risk to people.
    Risk,
    /// A high risk to people.
    HighRisk,
    /// A widespread infringement, or critical infrastructure disrupted.
    Widespread,
    /// Somebody died.
    Death,
}

/// Writes a register.
///
/// # Errors
/// Whatever the house says.
pub fn register(ctx: &Ctx, args: &Register) -> anyhow::Result<Code> {
    let house = ctx.open()?;
    let format = if ctx.json { Format::Json } else { args.format };
    let done = written(&house, args, format).and_then(|bytes| give(args, format, &bytes));
    house.close();
    done.map(|()| Code::Fine)
}

fn written(house: &House, args: &Register, format: Format) -> anyhow::Result<Vec<u8>> {
    let lang = language(args.lang);
    let name = || args.name.as_deref().context("name the use case: `maschinenraum register annex-iv NAME`");
    if args.at.is_some() && args.which != Which::Risk {
        bail!("--at is for `register risk`: only classes are asked for as of a day");
    }
    let data = |value: serde_json::Value| Ok(format!("{value:#}\n").into_bytes());
    let page = match (args.which, format) {
        (Which::Mlbom, Format::Json | Format::Md) => return data(house.ml_bom(args.name.as_deref())?),
        (Which::Mlbom, _) => {
            bail!("a bill of materials is JSON; `maschinenraum register annex-iv` is for people")
        }
        (Which::Ropa, Format::Json) => return data(serde_json::to_value(house.record_of_processing()?)?),
        (Which::Risk, Format::Json) => return data(serde_json::to_value(house.assessments(args.at)?)?),
        (Which::Ropa, _) => house.ropa(lang)?,
        (Which::Risk, _) => house.risk_register(args.at, lang)?,
        (Which::AnnexIv, _) => house.annex_iv(name()?, lang)?,
        (Which::Dpia, _) => match &args.name {
            Some(name) => house.impact_assessment(name, lang)?,
            None => dpia_overview(house, lang)?,
        },
        (Which::Incidents, _) => match &args.name {
            Some(id) => house.incident_notification(id, lang)?,
            None => house.incident_register(lang)?,
        },
    };
    render(&page, format)
}

fn render(page: &Document, format: Format) -> anyhow::Result<Vec<u8>> {
    Ok(match format {
        Format::Md => page.to_markdown().into_bytes(),
        Format::Html => page.to_html().into_bytes(),
        Format::Pdf => page.to_pdf().map_err(house::Error::from)?,
        Format::Json => format!("{:#}\n", page.to_json()).into_bytes(),
    })
}

fn give(args: &Register, format: Format, bytes: &[u8]) -> anyhow::Result<()> {
    if let Some(path) = &args.out {
        std::fs::write(path, bytes).with_context(|| format!("cannot write `{}`", path.display()))?;
        out::say(&format!("wrote {}", path.display()));
        return Ok(());
    }
    let mut stdout = std::io::stdout();
    if format == Format::Pdf && stdout.is_terminal() {
        bail!("a PDF is no text for a terminal: say --out FILE");
    }
    stdout.write_all(bytes).context("cannot write to stdout")
}

fn dpia_overview(house: &House, lang: Language) -> anyhow::Result<Document> {
    let title = lang.say("Impact assessments", "Datenschutz-Folgenabschätzungen");
    let mut page = Document::new(title.to_owned(), lang);
    let rows = house.use_case_standings()?.into_iter().map(|one| {
        let found = &one.assessment;
        let due: Vec<String> =
            found.dpia.triggers.iter().map(|t| format!("{}: {}", t.article, t.text.said(lang))).collect();
        let due =
            if due.is_empty() { lang.say("not due", "nicht nötig").to_owned() } else { due.join("; ") };
        let signed =
            one.state.dpia.iter().filter(|dpia| dpia.hash == found.hash).flat_map(|dpia| &dpia.signatures);
        let signed: Vec<&str> = signed.map(|signature| signature.by.as_str()).collect();
        vec![found.use_case.clone(), due, found.eyes().to_string(), signed.join(", ")]
    });
    page.table(
        &[
            lang.say("Use case", "Anwendungsfall"),
            lang.say("Due because of", "Nötig wegen"),
            lang.say("Must sign", "Müssen unterzeichnen"),
            lang.say("Signed", "Unterzeichnet"),
        ],
        rows.collect(),
    );
    Ok(page)
}

/// Impact assessments listed or signed.
///
/// # Errors
/// Whatever the house says.
pub fn dpia(ctx: &Ctx, args: &Dpia) -> anyhow::Result<Code> {
    let house = ctx.open()?;
    let done = match args {
        Dpia::List => listed(ctx, &house, |standing| standing.code == "MR3710"),
        Dpia::Sign { use_case, by, note } => house
            .sign_dpia(use_case, by, note)
            .map_err(Into::into)
            .and_then(|done| told(ctx, &done, "signed")),
    };
    house.close();
    done
}

/// Oversight over use cases and decisions.
///
/// # Errors
/// Whatever the house says.
pub fn oversight(ctx: &Ctx, args: &Oversight) -> anyhow::Result<Code> {
    let house = ctx.open()?;
    let review = |on: &OnDecision, verdict, what| {
        let decision =
            on.decision.parse().with_context(|| format!("`{}` is no decision's id", on.decision))?;
        told(ctx, &house.review_decision(decision, verdict, &on.by, &on.reason)?, what)
    };
    let done = match args {
        Oversight::List => listed(ctx, &house, |standing| !standing.may_decide),
        Oversight::Stop(act) => {
            let done = house.stop_use_case(&act.use_case, &act.by, &act.reason);
            if house.settings().registers.signatories.is_empty() {
                out::say(
                    "nobody may let it go on yet: name who may under [registers] signatories of maschinenraum.toml",
                );
            }
            done.map_err(Into::into).and_then(|done| told(ctx, &done, "stopped"))
        }
        Oversight::Resume(act) => {
            let done = house.resume_use_case(&act.use_case, &act.by, &act.reason);
            done.map_err(Into::into).and_then(|done| told(ctx, &done, "resumed"))
        }
        Oversight::Approve(on) => review(on, Verdict::Approve, "approved"),
        Oversight::Overrule(on) => review(on, Verdict::Overrule, "overruled"),
    };
    house.close();
    done
}

fn told(ctx: &Ctx, done: &Overseen, what: &str) -> anyhow::Result<Code> {
    if ctx.json {
        out::json(done)?;
        return Ok(Code::Fine);
    }
    let effect = match (done.in_effect, done.needed) {
        (true, _) => "in effect".to_owned(),
        (false, needed) => format!("not in effect yet: {} of {needed} have said so", done.said),
    };
    out::line(&format!("{}  {what}, {effect}", done.use_case));
    Ok(Code::Fine)
}

fn listed(ctx: &Ctx, house: &House, bad: impl Fn(&house::Standing) -> bool) -> anyhow::Result<Code> {
    let all = house.use_case_standings()?;
    let code = if all.iter().any(bad) { Code::Findings } else { Code::Fine };
    if ctx.json {
        out::json(&all)?;
        return Ok(code);
    }
    let rows = all.iter().map(|one| {
        let found = &one.assessment;
        let class = &found.classification;
        let coming =
            class.coming.map(|coming| format!(", {} from {}", coming.class, coming.from)).unwrap_or_default();
        let due = match (found.dpia.is_due(), one.state.signatures_on(&found.hash)) {
            (false, _) => "not due".to_owned(),
            (true, signed) => format!("{signed} of {} signed", found.eyes()),
        };
        let state =
            if one.may_decide { "may decide".to_owned() } else { format!("{} {}", one.code, one.why_not) };
        vec![found.use_case.clone(), format!("{}{coming}", class.class), due, state]
    });
    out::table(&["use case", "class", "impact assessment", "state"], &rows.collect::<Vec<_>>());
    Ok(code)
}

/// Incidents.
///
/// # Errors
/// Whatever the house says.
pub fn incidents(ctx: &Ctx, args: &Incidents) -> anyhow::Result<Code> {
    let house = ctx.open()?;
    let done = match args {
        Incidents::Open(open) => open_incident(ctx, &house, open),
        Incidents::List => list_incidents(ctx, &house),
        Incidents::Tell { id, clock, reference, by } => {
            let done = house.tell_incident(id, clock, by, reference);
            done.map_err(Into::into).and_then(|incident| shown(ctx, &incident, "told"))
        }
        Incidents::Close { id, reason, by } => {
            let done = house.close_incident(id, by, reason);
            done.map_err(Into::into).and_then(|incident| shown(ctx, &incident, "closed"))
        }
    };
    house.close();
    done
}

fn open_incident(ctx: &Ctx, house: &House, open: &Open) -> anyhow::Result<Code> {
    let asked = IncidentAsked {
        kind: match open.kind {
            KindArg::Breach => IncidentKind::Breach,
            KindArg::AiIncident => IncidentKind::AiIncident,
        },
        harm: match open.harm {
            HarmArg::None => Harm::None,
            HarmArg::Risk => Harm::Risk,
            HarmArg::HighRisk => Harm::HighRisk,
            HarmArg::Widespread => Harm::Widespread,
            HarmArg::Death => Harm::Death,
        },
        what: open.what.clone(),
        measures: open.measures.clone(),
        streams: open.streams.clone(),
        use_case: open.use_case.clone(),
        from: open.from,
        until: open.until,
        aware_at: open.aware,
        began_at: open.began,
    };
    let incident = house.open_incident(&open.by, asked)?;
    if ctx.json {
        out::json(&incident)?;
        return Ok(Code::Fine);
    }
    out::say(&format!(
        "incident {}: {} people, {} records",
        incident.id, incident.affected.n_subjects, incident.affected.n_records
    ));
    out::line(house.incident_notification(&incident.id, Language::En)?.to_markdown().trim_end());
    Ok(Code::Fine)
}

fn list_incidents(ctx: &Ctx, house: &House) -> anyhow::Result<Code> {
    let all = house.incidents(Language::En)?;
    let late = all.iter().any(|(incident, due)| incident.closed.is_none() && due.iter().any(|one| one.late));
    let code = if late { Code::Findings } else { Code::Fine };
    if ctx.json {
        let all: Vec<BTreeMap<&str, serde_json::Value>> = all
            .iter()
            .map(|(incident, due)| {
                [("incident", serde_json::json!(incident)), ("clocks", serde_json::json!(due))].into()
            })
            .collect();
        out::json(&all)?;
        return Ok(code);
    }
    let rows = all.iter().map(|(incident, due)| {
        let clocks = due.iter().filter(|one| !one.proposed).map(|one| {
            let until = one.until.map_or_else(|| "without delay".to_owned(), |until| until.to_string());
            match (one.told_at, one.late) {
                (Some(_), _) => format!("{} told", one.clock),
                (None, true) => format!("{} OVERDUE since {until}", one.clock),
                (None, false) => format!("{} until {until}", one.clock),
            }
        });
        vec![
            incident.id.clone(),
            incident.aware_at.to_string(),
            if incident.closed.is_some() { "closed" } else { "open" }.to_owned(),
            incident.affected.n_subjects.to_string(),
            clocks.collect::<Vec<_>>().join(", "),
            incident.what.chars().take(60).collect(),
        ]
    });
    out::table(&["incident", "known since", "state", "people", "clocks", "what"], &rows.collect::<Vec<_>>());
    Ok(code)
}

fn shown(ctx: &Ctx, incident: &Incident, what: &str) -> anyhow::Result<Code> {
    if ctx.json {
        out::json(incident)?
    } else {
        out::line(&format!("{}  {what}", incident.id))
    }
    Ok(Code::Fine)
}

fn language(language: crate::cli::Language) -> Language {
    match language {
        crate::cli::Language::En => Language::En,
        crate::cli::Language::De => Language::De,
    }
}
