//! `consent`: what people said, recorded, asked for, confirmed, proven; restriction and objection; the register of notices.

use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use event::{Instant, Span};
use house::{ConsentHistory, FourFacts, HistoryEntry, Identifier, Word};
use policy::{Order, Status};

use super::{Ctx, identifier, operator};
use crate::cli::Said;
use crate::command::data::user;
use crate::out::{self, Code};

/// `consent`
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub struct Consent {
    /// What else than to record or to list.
    #[command(subcommand)]
    what: Option<What>,
    /// The person, as TYPE=VALUE.
    #[arg(long, value_name = "TYPE=VALUE")]
    id: Option<String>,
    /// The purpose; without it, what the person said so far is shown.
    purpose: Option<String>,
    /// What was said.
    #[arg(value_enum, requires = "purpose")]
    status: Option<Said>,
    #[command(flatten)]
    shown: Shown,
}

/// What a person was shown, and where.
#[derive(Args, Debug)]
struct Shown {
    /// The version of the wording that was shown.
    #[arg(long, default_value = "")]
    notice: String,
    /// The language it was shown in, like `de`.
    #[arg(long, default_value = "")]
    locale: String,
    /// The channel it is about: email, phone, sms, post, …; without it, the purpose as a whole.
    #[arg(long, default_value = "")]
    channel: String,
    /// What proves it; kept sealed.
    #[arg(long)]
    evidence: Option<String>,
    /// When it was said, if not now.
    #[arg(long)]
    at: Option<Instant>,
    /// From when on a yes counts.
    #[arg(long)]
    valid_from: Option<Instant>,
    /// From when on it counts no longer.
    #[arg(long)]
    valid_until: Option<Instant>,
}

impl Shown {
    fn word(self, purpose: &str, status: Status) -> Word {
        Word {
            notice_version: self.notice,
            locale: self.locale,
            channel: self.channel,
            source: "command line".to_owned(),
            evidence: self.evidence,
            at: self.at,
            valid_from: self.valid_from,
            valid_until: self.valid_until,
            ..Word::new(purpose, status)
        }
    }
}

#[derive(Subcommand, Debug)]
enum What {
    /// The proof (Art. 7(1)): everything a person said, with wording, hash, language, channel, time, evidence, TC string,
    /// and its place in the audit log.
    ///
    /// Example: maschinenraum consent show email=anna@example.org
    Show {
        /// Who, as TYPE=VALUE.
        identifier: String,
        /// As of this instant.
        #[arg(long)]
        at: Option<Instant>,
    },
    /// Reads a table of consents given elsewhere; docs/consent.md lists its columns. Reading it twice changes nothing.
    ///
    /// Example: maschinenraum consent import consents.csv
    Import {
        /// CSV, JSON lines or Parquet.
        file: PathBuf,
    },
    /// The register of notices: every version of every wording, with its hash.
    Notices,
    /// Double opt-in, first half: records that a person was asked, and prints the token to send.
    ///
    /// Example: maschinenraum consent ask email=anna@example.org email_marketing --channel email --locale de
    Ask {
        /// Who, as TYPE=VALUE.
        identifier: String,
        /// The purpose.
        purpose: String,
        /// Days until the token answers nothing.
        #[arg(long, default_value_t = 7)]
        days: u32,
        #[command(flatten)]
        shown: Shown,
    },
    /// Double opt-in, second half: the token came back.
    Confirm {
        /// The token.
        token: String,
        /// What proves it; kept sealed.
        #[arg(long)]
        evidence: Option<String>,
    },
    /// Records what a consent tool says, as [consent] of the settings maps it to purposes.
    ///
    /// Example: maschinenraum consent signals user_id=u1 --tcf CQQD9w…
    Signals {
        /// Who, as TYPE=VALUE.
        identifier: String,
        /// A TC string.
        #[arg(long, required_unless_present = "google")]
        tcf: Option<String>,
        /// Consent Mode as JSON: signals, or the list of commands.
        #[arg(long)]
        google: Option<String>,
        /// The version of the wording that was shown.
        #[arg(long, default_value = "")]
        notice: String,
        /// When it was said, if not now.
        #[arg(long)]
        at: Option<Instant>,
    },
    /// What a TC string says; needs no project.
    Decode {
        /// The TC string.
        tc_string: String,
    },
    /// Restricts the processing of a person's data (Art. 18), or ends that.
    ///
    /// Example: maschinenraum consent restrict user_id=u1 --reason "accuracy contested" --reference R-17
    Restrict(Ordered),
    /// Records an objection to direct marketing (Art. 21), or takes it back.
    ///
    /// Example: maschinenraum consent object email=anna@example.org --reason "letter of 3 March" --reference R-18
    Object(Ordered),
    /// Records the four facts of UWG § 7(3); advertising by electronic mail without consent needs all of them.
    ///
    /// Example: maschinenraum consent soft-opt-in email=a@example.org news email --from-sale --similar-goods
    /// --not-objected --informed --source "order 4711"
    SoftOptIn {
        /// Who, as TYPE=VALUE.
        identifier: String,
        /// The purpose.
        purpose: String,
        /// The channel: email, sms, …
        channel: String,
        /// No. 1: the address came from the customer with a sale.
        #[arg(long)]
        from_sale: bool,
        /// No. 2: it is used for one's own similar goods or services.
        #[arg(long)]
        similar_goods: bool,
        /// No. 3: the customer has not objected.
        #[arg(long)]
        not_objected: bool,
        /// No. 4: the right to object was pointed out when the address was taken, and is at each use.
        #[arg(long)]
        informed: bool,
        /// Where these facts are on record.
        #[arg(long, default_value = "")]
        source: String,
    },
}

#[derive(Args, Debug)]
struct Ordered {
    /// Who, as TYPE=VALUE.
    identifier: String,
    /// End it instead.
    #[arg(long)]
    lift: bool,
    /// Why; no personal data, it lies open.
    #[arg(long)]
    reason: String,
    /// The request or file it belongs to.
    #[arg(long, default_value = "")]
    reference: String,
}

/// Runs it.
pub fn run(ctx: &Ctx, args: Consent) -> anyhow::Result<Code> {
    let Some(what) = args.what else {
        let id = args.id.context("who? --id TYPE=VALUE, or one of the subcommands")?;
        return said(ctx, &id, args.purpose.as_deref(), args.status, args.shown);
    };
    if let What::Decode { tc_string } = &what {
        return decode(ctx, tc_string);
    }
    let house = ctx.open()?;
    let by = user();
    match what {
        What::Decode { .. } => {}
        What::Show { identifier: id, at } => {
            let history = house.consent_history(&operator(&by), &identifier(&id)?, at)?;
            if ctx.json { out::json(&history)? } else { print(&history) }
        }
        What::Import { file } => {
            let done = house.import_consents(&file)?;
            for (row, reason) in done.refused.iter().take(20) {
                out::say(&format!("row {row}: {reason}"));
            }
            if ctx.json {
                out::json(&done)?;
            } else {
                out::line(&format!("{} consents, {} rows refused", done.n_accepted, done.refused.len()));
            }
        }
        What::Notices => {
            let notices = house.notices();
            if ctx.json {
                out::json(&notices)?;
            } else {
                let rows = notices.iter().flat_map(|notice| {
                    notice.hash.iter().map(|(locale, hash)| {
                        let material = if notice.material { "material" } else { "" };
                        let in_force = if notice.in_force { "in force" } else { "" };
                        let text = [&notice.notice, &notice.version, locale].map(String::as_str);
                        let from = notice.from.to_string();
                        let rest = [from.as_str(), material, in_force, &notice.purposes.join(" "), hash]
                            .map(str::to_owned);
                        text.map(str::to_owned).into_iter().chain(rest).collect::<Vec<_>>()
                    })
                });
                let head = ["notice", "version", "language", "from", "", "", "purposes", "sha256"];
                out::table(&head, &rows.collect::<Vec<_>>());
            }
        }
        What::Ask { identifier: id, purpose, days, shown } => {
            let word = shown.word(&purpose, Status::Granted);
            let asked =
                house.request_consent(&identifier(&id)?, word, Span::from_days(i64::from(days)), &by)?;
            out::say(&format!("valid until {}; it is shown once", asked.expires));
            if ctx.json {
                out::json(&serde_json::json!({
                    "record": asked.record, "token": *asked.token, "expires": asked.expires,
                }))?;
            } else {
                out::line(&asked.token);
            }
        }
        What::Confirm { token, evidence } => {
            let record = house.confirm_consent(&token, evidence.as_deref(), &by)?;
            out::line(&format!("confirmed: {record}"));
        }
        What::Signals { identifier: id, tcf, google, notice, at } => {
            let google =
                google.map(|text| serde_json::from_str(&text).context("--google is no JSON")).transpose()?;
            let (recorded, noticed) =
                house.record_signals(&identifier(&id)?, tcf.as_deref(), google.as_ref(), &notice, at, &by)?;
            noticed.iter().for_each(|odd| out::say(odd));
            if recorded.is_empty() {
                out::say(
                    "nothing is mapped to a purpose: [consent] of maschinenraum.toml says what signals mean",
                );
            }
            let rows: Vec<Vec<String>> = recorded
                .iter()
                .map(|(purpose, status, record)| {
                    vec![purpose.clone(), status.as_str().to_owned(), record.to_string()]
                })
                .collect();
            out::table(&["purpose", "status", "record"], &rows);
        }
        What::Restrict(ordered) => {
            let (id, order) = ordered.parts(&by)?;
            let records = if ordered.lift {
                house.lift_restriction(&id, &order)?
            } else {
                house.restrict(&id, &order)?
            };
            let what = if ordered.lift { "no longer restricted" } else { "restricted" };
            out::line(&format!("{what}: {}", out::count(records.len(), "record")));
        }
        What::Object(ordered) => {
            let (id, order) = ordered.parts(&by)?;
            let records =
                if ordered.lift { house.lift_objection(&id, &order)? } else { house.object(&id, &order)? };
            let what = if ordered.lift { "objection taken back" } else { "objection recorded" };
            out::line(&format!("{what}: {}", out::count(records.len(), "record")));
        }
        What::SoftOptIn {
            identifier: id,
            purpose,
            channel,
            from_sale,
            similar_goods,
            not_objected,
            informed,
            source,
        } => {
            let facts = FourFacts { from_sale, similar_goods, not_objected, informed };
            let record =
                house.record_soft_opt_in(&identifier(&id)?, &purpose, &channel, facts, &source, &by)?;
            let all = from_sale && similar_goods && not_objected && informed;
            let said = if all { "all four facts" } else { "not all four facts: it allows nothing" };
            out::line(&format!("recorded ({said}): {record}"));
        }
    }
    house.close();
    Ok(Code::Fine)
}

impl Ordered {
    fn parts<'a>(&'a self, by: &'a str) -> anyhow::Result<(Identifier, Order<'a>)> {
        if self.reason.trim().is_empty() {
            bail!("--reason is empty");
        }
        Ok((identifier(&self.identifier)?, Order { by, reason: &self.reason, reference: &self.reference }))
    }
}

/// Records a consent or shows what was said.
fn said(
    ctx: &Ctx,
    id: &str,
    purpose: Option<&str>,
    status: Option<Said>,
    shown: Shown,
) -> anyhow::Result<Code> {
    let house = ctx.open()?;
    let person = identifier(id)?;
    if let (Some(purpose), Some(status)) = (purpose, status) {
        let status = match status {
            Said::Granted => Status::Granted,
            Said::Denied => Status::Denied,
            Said::Withdrawn => Status::Withdrawn,
        };
        house.record_consent(&person, shown.word(purpose, status), &user())?;
    }
    let said = house.consents(&person)?;
    let said: Vec<_> =
        said.into_iter().filter(|c| purpose.is_none_or(|wanted| wanted == c.purpose)).collect();
    if ctx.json {
        out::json(&said)?;
    } else {
        let rows: Vec<Vec<String>> = said
            .iter()
            .map(|c| {
                let status = c.status.as_str().to_owned();
                let text = [&c.purpose, &c.channel, &status].map(String::clone);
                let rest = [c.at.to_string(), c.notice_version.clone(), c.source.clone()];
                text.into_iter().chain(rest).collect()
            })
            .collect();
        out::table(&["purpose", "channel", "status", "since", "notice", "source"], &rows);
    }
    house.close();
    Ok(Code::Fine)
}

fn decode(ctx: &Ctx, text: &str) -> anyhow::Result<Code> {
    let said = policy::tcf::TcString::read(text)?;
    let disclosed = said.disclosed.as_ref().map(policy::tcf::VendorSet::len);
    if ctx.json {
        out::json(&serde_json::json!({
            "created": said.created, "updated": said.updated, "cmp_id": said.cmp_id, "language": said.language,
            "vendor_list_version": said.vendor_list_version, "policy_version": said.policy_version,
            "purposes": said.purposes, "legitimate_interests": said.legitimate_interests,
            "special_features": said.special_features, "publisher_country": said.publisher_country,
            "vendors": said.vendors.iter().collect::<Vec<_>>(), "n_disclosed": disclosed,
            "publisher_purposes": said.publisher_purposes,
        }))?;
    } else {
        out::line(&format!(
            "made {}, changed {}, by platform {} in {}, vendor list {}, policies {}",
            said.created,
            said.updated,
            said.cmp_id,
            said.language,
            said.vendor_list_version,
            said.policy_version
        ));
        out::line(&format!("purposes on consent: {:?}", said.purposes));
        out::line(&format!("purposes under legitimate interest: {:?}", said.legitimate_interests));
        let disclosed = disclosed.map_or_else(|| "not said".to_owned(), |n| n.to_string());
        out::line(&format!("vendors: {} consented to, {disclosed} disclosed", said.vendors.len()));
    }
    Ok(Code::Fine)
}

fn print(history: &ConsentHistory) {
    out::line(&format!(
        "profile {} ({}), as of {}",
        history.profile,
        out::count(history.members.len(), "identifier"),
        history.at
    ));
    for (name, mark) in
        [("restricted (Art. 18)", &history.restricted), ("objects (Art. 21)", &history.objected)]
    {
        if let Some(mark) = mark {
            let ordered = &mark.ordered;
            out::line(&format!("{name} since {}: {} {}", mark.at, ordered.reason, ordered.reference));
        }
    }
    for (purpose, word) in &history.allowed {
        out::line(&format!("  {purpose}: {word}"));
    }
    for entry in &history.entries {
        entry_lines(entry).iter().for_each(|line| out::line(line));
    }
    for proof in &history.proofs {
        let what = proof.used_by.as_ref().map_or_else(|| "given".to_owned(), |by| format!("used by {by}"));
        out::line(&format!("proof (UWG § 7a): {what}, kept until {}", proof.keep_until));
    }
}

fn entry_lines(entry: &HistoryEntry) -> Vec<String> {
    let by = if entry.channel.is_empty() { String::new() } else { format!(" by {}", entry.channel) };
    let mut lines = vec![format!("{}  {} {}{by}", entry.at, entry.what, entry.purpose)];
    let mut add = |name: &str, value: &str| {
        if !value.is_empty() {
            lines.push(format!("    {name}: {value}"));
        }
    };
    add("record", &entry.record.map(|record| record.to_string()).unwrap_or_default());
    add("source", &entry.source);
    let language = if entry.locale.is_empty() { String::new() } else { format!(" ({})", entry.locale) };
    add(
        "notice",
        &if entry.notice_version.is_empty() {
            language
        } else {
            format!("{}{language}", entry.notice_version)
        },
    );
    add("sha256", &entry.notice_hash);
    add("wording", entry.notice_text.as_deref().map(str::trim).unwrap_or_default());
    add("basis", entry.basis.map(|basis| basis.as_str()).unwrap_or_default());
    let instants = [
        ("known", Some(entry.known_at).filter(|known| *known != entry.at)),
        ("confirmed", entry.confirmed_at),
        ("valid from", entry.valid_from),
        ("valid until", entry.valid_until),
        ("token expires", entry.expires),
    ];
    for (name, at) in instants {
        add(name, &at.map(|at| at.to_string()).unwrap_or_default());
    }
    add("evidence", entry.evidence.as_deref().unwrap_or_default());
    add("tc string", entry.tc_string.as_deref().unwrap_or_default());
    if let Some(tcf) = &entry.tcf {
        add(
            "tcf",
            &format!(
                "purposes {:?}, platform {}, list {}",
                tcf.purposes, tcf.cmp_id, tcf.vendor_list_version
            ),
        );
    }
    if let Some(ordered) = &entry.ordered {
        add("ordered by", &format!("{}: {} {}", ordered.by, ordered.reason, ordered.reference));
    }
    if let Some(missing) = &entry.missing_facts {
        add("missing facts", &missing.join(", "));
    }
    add(
        "audit log",
        &entry.in_log.as_ref().map(|place| format!("entry {}", place.index)).unwrap_or_default(),
    );
    lines
}
