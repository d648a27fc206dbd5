//! The law as a child would tell it: every word is told in the order it was said, and a blackboard per person and channel
//! says who agreed to what. Written without looking at the house's own rules; slow, and obviously right.

use std::collections::{BTreeMap, BTreeSet};

/// Channels a word may name; the empty one is the purpose as a whole.
pub const CHANNELS: [&str; 5] = ["", "email", "phone", "post", "sms"];
/// (purpose, rests on consent, is direct marketing, channels a general yes covers, must be confirmed)
pub const PURPOSES: [(&str, bool, bool, &[&str], bool); 5] = [
    ("ads", true, true, &["", "email", "post", "sms"], false),
    ("analytics", true, false, &["", "email", "post", "sms"], false),
    ("calls", true, true, &["", "phone"], false),
    ("letters", false, true, &["", "email", "post", "sms"], false),
    ("news", true, true, &["", "email", "post", "sms"], true),
];
/// Versions of the one notice, which is about all purposes but `letters`: (version, since, changes what people agree to)
pub const NOTICES: [(&str, i64, bool); 4] =
    [("v1", 0, false), ("v2", 40, true), ("v3", 60, false), ("v4", 90, true)];

/// What was said.
#[derive(Clone, Debug)]
pub enum Said {
    /// Yes or no to a purpose.
    Word {
        purpose: usize,
        channel: usize,
        yes: bool,
        /// A version, or none.
        notice: Option<usize>,
        from: Option<i64>,
        until: Option<i64>,
        confirmed: bool,
    },
    /// The four facts of UWG § 7(3), all of them or not.
    Facts { purpose: usize, channel: usize, complete: bool },
    /// Restriction, or its end.
    Restricted(bool),
    /// Objection to direct marketing, or its end.
    Objected(bool),
}

/// A fact of a history.
#[derive(Clone, Debug)]
pub struct Fact {
    /// Who.
    pub who: u8,
    /// When it was said, as its sender has it.
    pub said_at: i64,
    /// When it became known.
    pub known_at: i64,
    /// What orders two that were said at the same instant.
    pub name: [u8; 16],
    /// What.
    pub said: Said,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// The people held to be one.
    pub members: BTreeSet<u8>,
    /// Which purpose.
    pub purpose: usize,
    /// Which channel; `None`: the purpose as a whole.
    pub channel: Option<usize>,
    /// Whether it is only to keep or prove.
    pub claims: bool,
    /// When.
    pub now: i64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Chalk {
    Yes(usize),
    No,
}

/// Whether the law allows it, from all that was known by then.
pub fn allows(history: &[Fact], question: &Question) -> bool {
    if question.claims {
        return true;
    }
    let mut known: Vec<&Fact> = history.iter().filter(|fact| fact.known_at <= question.now).collect();
    // Nobody can have said something after we heard it.
    known.sort_by_key(|fact| (fact.said_at.min(fact.known_at), fact.name));
    let (purpose, on_consent, marketing, covers, must_confirm) = PURPOSES[question.purpose];
    let mut restricted = BTreeSet::new();
    let mut objected = BTreeSet::new();
    let mut facts = BTreeMap::new();
    let mut board: BTreeMap<(u8, &str), Chalk> = BTreeMap::new();
    for (n, fact) in known.iter().enumerate() {
        match &fact.said {
            Said::Restricted(true) => drop(restricted.insert(fact.who)),
            Said::Restricted(false) => drop(restricted.remove(&fact.who)),
            Said::Objected(true) => drop(objected.insert(fact.who)),
            Said::Objected(false) => drop(objected.remove(&fact.who)),
            Said::Facts { purpose, channel, complete } if *purpose == question.purpose => {
                facts.insert((fact.who, *channel), *complete);
            }
            Said::Word { purpose, channel, yes, .. } if *purpose == question.purpose => {
                let reached: Vec<&str> = match (CHANNELS[*channel], yes) {
                    ("", false) => CHANNELS.to_vec(),
                    ("", true) => covers.to_vec(),
                    (one, _) => vec![one],
                };
                for channel in reached {
                    board.insert((fact.who, channel), if *yes { Chalk::Yes(n) } else { Chalk::No });
                }
            }
            _ => {}
        }
    }
    let anyone = |set: &BTreeSet<u8>| question.members.iter().any(|member| set.contains(member));
    if anyone(&restricted) || (marketing && anyone(&objected)) {
        return false;
    }
    let counts = |n: usize| {
        let Said::Word { notice, from, until, confirmed, .. } = &known[n].said else { return false };
        let shown = notice.map_or(-1, |n| n as i64);
        let changed = NOTICES
            .iter()
            .enumerate()
            .any(|(n, (_, since, material))| *material && *since <= question.now && n as i64 > shown);
        (purpose == "letters" || !changed)
            && from.is_none_or(|from| from <= question.now)
            && until.is_none_or(|until| question.now < until)
            && (!must_confirm || *confirmed)
    };
    // What all members say on a channel: no, yes, or nothing.
    let together = |channel: &str| -> Option<bool> {
        let said: Vec<Chalk> =
            question.members.iter().filter_map(|member| board.get(&(*member, channel)).copied()).collect();
        if said.contains(&Chalk::No) {
            return Some(false);
        }
        said.iter().any(|chalk| matches!(chalk, Chalk::Yes(n) if counts(*n))).then_some(true)
    };
    let Some(channel) = question.channel.map(|channel| CHANNELS[channel]) else {
        let some_yes = CHANNELS.iter().any(|channel| together(channel) == Some(true));
        return some_yes || (!on_consent && together("") != Some(false));
    };
    let mail = channel == "email" || channel == "sms";
    let complete = question
        .members
        .iter()
        .any(|member| facts.get(&(*member, question.channel.unwrap_or(0))) == Some(&true));
    match together(channel) {
        Some(word) => word,
        None if marketing && mail && complete => true,
        None if on_consent => false,
        None => !(marketing && (mail || channel == "phone")),
    }
}
