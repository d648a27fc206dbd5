//! `people`: the identity graph explained and mended by hand; households and accounts.

use clap::{Args, Subcommand};
use event::Instant;
use house::{Acted, Held};

use super::{Ctx, identifier, operator};
use crate::command::data::user;
use crate::out::{self, Code};

/// `people`
#[derive(Subcommand, Debug)]
pub enum People {
    /// What is known of somebody: each trait with the stream, the record and the time it comes from, and what others say.
    Show {
        /// Who, as TYPE=VALUE.
        id: String,
        /// For what it is read.
        #[arg(long)]
        purpose: String,
    },
    /// Why somebody's profile is as it is: the links, what hands did, what is shared.
    Explain {
        /// Who, as TYPE=VALUE.
        id: String,
        /// For what it is read.
        #[arg(long)]
        purpose: String,
        /// As of this instant, like 2026-03-01T00:00:00Z.
        #[arg(long)]
        at: Option<Instant>,
    },
    /// Two identifiers are one person, whatever links and limits say.
    Merge(Pair),
    /// Takes a merge back: both are as if it had never been.
    Unmerge(Pair),
    /// Takes an identifier out of its profile: a shared device, a switchboard's number.
    Split(One),
    /// Lets an identifier back in that was taken out.
    Rejoin(One),
    /// Somebody belongs to a household, an account; or no longer.
    Belongs {
        /// Who, as TYPE=VALUE.
        id: String,
        /// To what, as TYPE=VALUE: household=h1.
        to: String,
        /// As what.
        #[arg(long)]
        role: Option<String>,
        /// No longer.
        #[arg(long)]
        left: bool,
        /// Since when; now, where it is not said.
        #[arg(long)]
        at: Option<Instant>,
    },
    /// Who belongs to a household, an account; with views, the features of all of them together.
    Members {
        /// What, as TYPE=VALUE: household=h1.
        entity: String,
        /// For what it is read: who said no is counted and not named.
        #[arg(long)]
        purpose: String,
        /// As of this instant.
        #[arg(long)]
        at: Option<Instant>,
        /// A feature view; may be repeated.
        #[arg(long)]
        view: Vec<String>,
    },
}

/// Two identifiers.
#[derive(Args, Debug)]
pub struct Pair {
    /// One, as TYPE=VALUE.
    pub a: String,
    /// The other.
    pub b: String,
    /// A ticket's number or the like; no names of people.
    #[arg(long, default_value = "")]
    pub reference: String,
}

/// One identifier.
#[derive(Args, Debug)]
pub struct One {
    /// Which, as TYPE=VALUE.
    pub id: String,
    /// A ticket's number or the like; no names of people.
    #[arg(long, default_value = "")]
    pub reference: String,
}

/// Does what is asked.
///
/// # Errors
/// Whatever the house says.
pub fn run(ctx: &Ctx, args: &People) -> anyhow::Result<Code> {
    let house = ctx.open()?;
    let by = user();
    let done = match args {
        People::Show { id, purpose } => show(ctx, &house, id, purpose),
        People::Explain { id, purpose, at } => explain(ctx, &house, id, purpose, *at),
        People::Merge(pair) => {
            let acted = house.merge(&identifier(&pair.a)?, &identifier(&pair.b)?, &by, &pair.reference)?;
            told(ctx, &acted, "are one profile now")
        }
        People::Unmerge(pair) => {
            let acted = house.unmerge(&identifier(&pair.a)?, &identifier(&pair.b)?, &by, &pair.reference)?;
            let what =
                if acted.together { "are still one profile by something else" } else { "are two again" };
            told(ctx, &acted, what)
        }
        People::Split(one) => told(
            ctx,
            &house.split(&identifier(&one.id)?, &by, &one.reference)?,
            "the identifier stands alone now",
        ),
        People::Rejoin(one) => {
            told(ctx, &house.rejoin(&identifier(&one.id)?, &by, &one.reference)?, "the identifier is back")
        }
        People::Belongs { id, to, role, left, at } => {
            let record = house.belongs(&identifier(to)?, &identifier(id)?, !left, role.as_deref(), *at)?;
            if ctx.json {
                out::json(&serde_json::json!({ "record": record }))?;
            } else {
                out::line(&record.to_string());
            }
            Ok(Code::Fine)
        }
        People::Members { entity, purpose, at, view } => members(ctx, &house, entity, purpose, *at, view),
    };
    house.close();
    done
}

fn told(ctx: &Ctx, acted: &Acted, what: &str) -> anyhow::Result<Code> {
    if ctx.json {
        out::json(acted)?;
        return Ok(Code::Fine);
    }
    out::say(what);
    out::line(&format!("{}  {} members, by record {}", acted.profile, acted.members.len(), acted.record));
    Ok(Code::Fine)
}

fn show(ctx: &Ctx, house: &house::House, id: &str, purpose: &str) -> anyhow::Result<Code> {
    let found = house.profile(&operator(&user()), &identifier(id)?, purpose)?;
    if ctx.json {
        out::json(&found)?;
        return Ok(Code::Fine);
    }
    out::line(&format!("profile {} of {} identifiers", found.id, found.members.len()));
    let mut rows = Vec::new();
    for (name, said) in &found.traits {
        let row = |name: &str, value: &serde_json::Value, stream: String, at: Instant, record: String| {
            vec![name.to_owned(), value.to_string(), stream, at.to_string(), record]
        };
        rows.push(row(name, &said.value, said.stream.to_string(), said.at, said.record.to_string()));
        for word in &said.others {
            rows.push(row("  or", &word.value, word.stream.to_string(), word.at, word.record.to_string()));
        }
    }
    out::table(&["trait", "value", "stream", "said at", "by record"], &rows);
    Ok(Code::Fine)
}

fn explain(
    ctx: &Ctx,
    house: &house::House,
    id: &str,
    purpose: &str,
    at: Option<Instant>,
) -> anyhow::Result<Code> {
    let found = house.explain_profile(&operator(&user()), &identifier(id)?, purpose, at)?;
    if ctx.json {
        out::json(&found)?;
        return Ok(Code::Fine);
    }
    let of = at.map_or_else(|| "now".to_owned(), |at| at.to_string());
    out::line(&format!("profile {} as of {of}", found.profile));
    let row = |held: &Held| {
        let since = held.links.iter().map(|link| link.known_at).max();
        let by = held.links.last().map(|link| link.record.to_string());
        let hands = held.by_hand.iter().map(|done| {
            let what = if done.other.is_some() { "merged" } else { "taken out" };
            let until = done.until.map(|until| format!(" until {until}")).unwrap_or_default();
            format!("{what} by {} at {}{until} {}", done.by, done.since, done.reference).trim_end().to_owned()
        });
        vec![
            held.member.subject.to_string(),
            held.member.kind.clone().unwrap_or_default(),
            held.links.len().to_string(),
            since.map(|since| since.to_string()).unwrap_or_default(),
            by.unwrap_or_default(),
            match held.shared.n_left_out {
                0 => String::new(),
                n => format!("left out of {n} links"),
            },
            hands.collect::<Vec<_>>().join("; "),
        ]
    };
    let rows: Vec<Vec<String>> = found.members.iter().map(row).collect();
    out::table(&["member", "type", "links", "together since", "by record", "shared", "by hand"], &rows);
    for place in &found.belongs_to {
        let role = place.role.as_deref().map(|role| format!(" as {role}")).unwrap_or_default();
        out::line(&format!("belongs to {} {}{role} since {}", place.kind, place.subject, place.since));
    }
    Ok(Code::Fine)
}

fn members(
    ctx: &Ctx,
    house: &house::House,
    entity: &str,
    purpose: &str,
    at: Option<Instant>,
    views: &[String],
) -> anyhow::Result<Code> {
    let entity = identifier(entity)?;
    if !views.is_empty() {
        let (at, values) = together(house, &entity, purpose, at, views)?;
        let mut rows = Vec::new();
        let mut all = serde_json::Map::new();
        for (name, value) in values {
            let text = value.as_expr().map(|value| value.to_string()).unwrap_or_default();
            all.insert(name.clone(), serde_json::to_value(&value)?);
            rows.push(vec![name, text]);
        }
        if ctx.json {
            out::json(&serde_json::json!({ "at": at, "values": all }))?;
        } else {
            out::table(&["feature", "value"], &rows);
        }
        return Ok(Code::Fine);
    }
    let found = house.members_of(&operator(&user()), &entity, purpose, at)?;
    if ctx.json {
        out::json(&found)?;
        return Ok(Code::Fine);
    }
    if found.n_withheld > 0 {
        out::say(&format!("{} more may not be read for `{purpose}`", found.n_withheld));
    }
    if found.n_left_out > 0 {
        out::say(&format!("{} times somebody was left out for want of room", found.n_left_out));
    }
    let rows = found.members.iter().map(|place| {
        vec![place.subject.to_string(), place.role.clone().unwrap_or_default(), place.since.to_string()]
    });
    out::table(&["member", "role", "since"], &rows.collect::<Vec<_>>());
    Ok(Code::Fine)
}

/// The features of everybody who belongs to an entity, by name, and the instant they are of.
fn together(
    house: &house::House,
    entity: &house::Identifier,
    purpose: &str,
    at: Option<Instant>,
    views: &[String],
) -> anyhow::Result<(Instant, Vec<(String, feature::Value)>)> {
    let me = operator(&user());
    let named =
        |view: &feature::View, feature: &feature::Feature| format!("{}.{}", view.name(), feature.name());
    let mut all = Vec::new();
    let Some(at) = at else {
        let (at, found) = house.entity_features(&me, entity, purpose, views)?;
        for values in &found {
            all.extend(values.iter().map(|(feature, value)| (named(values.view(), feature), value.clone())));
        }
        return Ok((at, all));
    };
    for matrix in house.entity_features_as_of(&me, purpose, views, &[(entity.clone(), at)])? {
        for (feature, column) in matrix.view().features().iter().zip(matrix.columns()) {
            all.push((named(matrix.view(), feature), column.value(0)));
        }
    }
    Ok((at, all))
}
