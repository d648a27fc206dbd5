//! `request`: what people ask for under GDPR articles 15 to 21, and how it is answered.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use event::{Instant, RecordId};
use house::{Correction, RequestAsked, RequestStanding};
use register::{Right, State};

use super::{Ctx, identifier};
use crate::out::{self, Code};

/// `request`
#[derive(Subcommand, Debug)]
pub enum Requests {
    /// Writes a request down: its month begins. Check before that it is them who ask.
    ///
    /// Example: maschinenraum request open access --id email=ann@example.com --reference "letter of 3 March"
    Open(Open),
    /// Every request with its deadline, the most urgent first; exit code 1 where one is escalated or overdue.
    List,
    /// One request, with the signed receipts of what was done.
    Show {
        /// The request.
        id: String,
    },
    /// Hands over what a request for access or portability asks for: JSON and CSV, into an empty folder.
    ///
    /// Example: maschinenraum request fetch 2026-0001 --out for-ann
    Fetch {
        /// The request.
        id: String,
        /// The folder; it is made, for its owner alone.
        #[arg(long, value_name = "FOLDER")]
        out: PathBuf,
        /// By whom.
        #[arg(long, env = "USER", default_value = "cli")]
        by: String,
    },
    /// Does what a request for rectification, erasure, restriction or objection asks for. Done again it does nothing.
    ///
    /// Example: maschinenraum request fulfil 2026-0002 --stream customers --set 'city="Köln"'
    Fulfil(Fulfil),
    /// Gives a request one or two months more, with the reason that the person is told.
    Extend {
        /// The request.
        id: String,
        /// How many.
        #[arg(long, default_value_t = 2)]
        months: i8,
        /// Why.
        #[arg(long)]
        reason: String,
        /// By whom.
        #[arg(long, env = "USER", default_value = "cli")]
        by: String,
    },
    /// Refuses a request, with the reason that the person is told.
    Refuse {
        /// The request.
        id: String,
        /// Why.
        #[arg(long)]
        reason: String,
        /// By whom.
        #[arg(long, env = "USER", default_value = "cli")]
        by: String,
    },
    /// Notes that somebody who got the data was told of a rectification, erasure or restriction (article 19).
    ///
    /// Example: maschinenraum request tell 2026-0002 Mailer --reference "mail of 4 March"
    Tell {
        /// The request.
        id: String,
        /// Who was told.
        recipient: String,
        /// Under which reference.
        #[arg(long)]
        reference: String,
        /// By whom.
        #[arg(long, env = "USER", default_value = "cli")]
        by: String,
    },
}

/// `request open`
#[derive(Args, Debug)]
pub struct Open {
    /// access, rectification, erasure, restriction, portability or objection.
    #[arg(value_parser = right)]
    pub right: Right,
    /// Who asks, as TYPE=VALUE.
    #[arg(long, value_name = "TYPE=VALUE")]
    pub id: String,
    /// When it came, if not now.
    #[arg(long, value_name = "INSTANT")]
    pub received: Option<Instant>,
    /// A ticket's number or the like; no names of people.
    #[arg(long, default_value = "")]
    pub reference: String,
    /// Who writes it down.
    #[arg(long, env = "USER", default_value = "cli")]
    pub by: String,
}

/// `request fulfil`
#[derive(Args, Debug)]
pub struct Fulfil {
    /// The request.
    pub id: String,
    /// Rectification: the stream of the record that is wrong.
    #[arg(long, requires = "set")]
    pub stream: Option<String>,
    /// Rectification: the record, as `request fetch` of an access request lists it; without it the person's latest of a stream
    /// that says what people are like.
    #[arg(long, requires = "stream")]
    pub record: Option<RecordId>,
    /// Rectification: a field and its right value as JSON (a text may stand without quotes; null: there is none). May be
    /// repeated.
    #[arg(long, value_name = "FIELD=VALUE", requires = "stream")]
    pub set: Vec<String>,
    /// By whom.
    #[arg(long, env = "USER", default_value = "cli")]
    pub by: String,
}

fn right(text: &str) -> Result<Right, String> {
    text.parse::<Right>().map_err(|error| error.to_string())
}

/// Runs it.
///
/// # Errors
/// Whatever the house says; a folder that is not empty.
pub fn run(ctx: &Ctx, args: &Requests) -> anyhow::Result<Code> {
    let house = ctx.open()?;
    let done = match args {
        Requests::Open(open) => identifier(&open.id).and_then(|who| {
            let asked = RequestAsked {
                right: open.right,
                who,
                received_at: open.received,
                reference: open.reference.clone(),
            };
            shown(ctx, &house.open_request(&open.by, &asked)?)
        }),
        Requests::List => list(ctx, &house),
        Requests::Show { id } => house.request(id).map_err(Into::into).and_then(|one| shown(ctx, &one)),
        Requests::Fetch { id, out, by } => fetch(ctx, &house, id, out, by),
        Requests::Fulfil(fulfil) => corrections(fulfil)
            .and_then(|corrections| Ok(house.fulfil_request(&fulfil.id, &fulfil.by, &corrections)?))
            .and_then(|one| shown(ctx, &one)),
        Requests::Extend { id, months, reason, by } => {
            let done = house.extend_request(id, *months, by, reason);
            done.map_err(Into::into).and_then(|one| shown(ctx, &one))
        }
        Requests::Refuse { id, reason, by } => {
            let done = house.refuse_request(id, by, reason);
            done.map_err(Into::into).and_then(|one| shown(ctx, &one))
        }
        Requests::Tell { id, recipient, reference, by } => {
            let done = house.tell_recipient(id, recipient, by, reference);
            done.map_err(Into::into).and_then(|one| shown(ctx, &one))
        }
    };
    house.close();
    done
}

fn corrections(fulfil: &Fulfil) -> anyhow::Result<Vec<Correction>> {
    let Some(stream) = &fulfil.stream else { return Ok(Vec::new()) };
    let mut values = BTreeMap::new();
    for set in &fulfil.set {
        let (field, value) =
            set.split_once('=').with_context(|| format!("`{set}` is no correction: FIELD=VALUE is one"))?;
        let value =
            serde_json::from_str(value).unwrap_or_else(|_| serde_json::Value::String(value.to_owned()));
        values.insert(field.to_owned(), value);
    }
    Ok(vec![Correction { stream: stream.clone(), record: fulfil.record, values }])
}

fn shown(ctx: &Ctx, one: &RequestStanding) -> anyhow::Result<Code> {
    if ctx.json {
        out::json(one)?;
        return Ok(Code::Fine);
    }
    let request = &one.request;
    out::line(&format!(
        "request {} · {} (GDPR article {}) · {}",
        request.id,
        request.right.as_str(),
        request.right.article(),
        one.state.as_str()
    ));
    out::line(&format!(
        "came {}, written down by {}{}",
        request.received_at,
        request.by,
        if request.reference.is_empty() { String::new() } else { format!(" ({})", request.reference) }
    ));
    if one.state.is_open() {
        out::line(&format!("due {}; told of from {} on", one.due, one.escalates));
    }
    if let Some(more) = &request.extension {
        out::line(&format!("extended by {} month(s) by {}: {}", more.months, more.said.by, more.said.note));
    }
    if let Some(refused) = &request.refused {
        out::line(&format!("refused by {} at {}: {}", refused.by, refused.at, refused.note));
    }
    if let Some(done) = &request.fulfilled {
        out::line(&format!("done by {} at {}", done.by, done.at));
        let rows = done.stores.iter().map(|one| vec![one.store.clone(), one.n.to_string(), one.what.clone()]);
        out::table(&["store", "n", "what"], &rows.collect::<Vec<_>>());
    }
    for told in &request.told {
        out::line(&format!("told {} at {} by {}: {}", told.clock, told.at, told.by, told.reference));
    }
    if !one.to_tell.is_empty() {
        out::say(&format!("still to be told: {} (`maschinenraum request tell`)", one.to_tell.join(", ")));
    }
    Ok(Code::Fine)
}

fn list(ctx: &Ctx, house: &house::House) -> anyhow::Result<Code> {
    let all = house.requests()?;
    let is_late = |one: &RequestStanding| matches!(one.state, State::Escalated | State::Overdue);
    let code = if all.iter().any(is_late) { Code::Findings } else { Code::Fine };
    if ctx.json {
        out::json(&all)?;
        return Ok(code);
    }
    if all.is_empty() {
        out::line("nobody has asked for anything yet: `maschinenraum request open` writes a request down");
    }
    let rows = all.iter().map(|one| {
        let request = &one.request;
        let due = if one.state.is_open() { one.due.to_string() } else { "–".to_owned() };
        let state =
            if is_late(one) { one.state.as_str().to_uppercase() } else { one.state.as_str().to_owned() };
        let came = request.received_at.to_string();
        vec![
            request.id.clone(),
            request.right.as_str().to_owned(),
            state,
            came,
            due,
            request.reference.clone(),
        ]
    });
    if !all.is_empty() {
        out::table(&["request", "right", "state", "came", "due", "reference"], &rows.collect::<Vec<_>>());
    }
    Ok(code)
}

fn fetch(ctx: &Ctx, house: &house::House, id: &str, folder: &Path, by: &str) -> anyhow::Result<Code> {
    let shown = folder.display();
    if folder.read_dir().is_ok_and(|mut files| files.next().is_some()) {
        bail!("`{shown}` is not empty: name a folder that is, or one that is not there yet");
    }
    let handed = house.hand_over(id, by)?;
    std::fs::create_dir_all(folder).with_context(|| format!("`{shown}` cannot be made"))?;
    #[cfg(unix)]
    std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .with_context(|| format!("`{shown}` cannot be kept for its owner alone"))?;
    for (name, content) in &handed.files {
        let path = folder.join(name);
        let told = || format!("`{}` cannot be written", path.display());
        std::fs::File::create_new(&path)
            .and_then(|mut file| file.write_all(content.as_bytes()))
            .with_context(told)?;
    }
    let is_theirs = |name: &str| {
        name.starts_with("records.") && !["records.mr.audit.csv", "records.mr.registers.csv"].contains(&name)
    };
    let is_known = handed.files.iter().any(|(name, _)| is_theirs(name) || name.ends_with(".ndjson"));
    if ctx.json {
        let files = handed
            .files
            .iter()
            .map(|(name, content)| serde_json::json!({ "name": name, "n_bytes": content.len() }));
        out::json(&serde_json::json!({
            "request": handed.request, "sha256": handed.sha256, "files": files.collect::<Vec<_>>(),
        }))?;
        return Ok(Code::Fine);
    }
    let rows = handed.files.iter().map(|(name, content)| vec![name.clone(), content.len().to_string()]);
    out::table(&["file", "bytes"], &rows.collect::<Vec<_>>());
    if !is_known {
        out::say("nothing was known of them: is the identifier spelt as it came in?");
    }
    out::say(&format!(
        "written to `{shown}`, for its owner alone; hand it over by a safe way and delete it then"
    ));
    self::shown(ctx, &handed.request)
}
