//! Random histories, told to the house's fold and to the model; every answer compared.

use std::collections::{BTreeMap, BTreeSet};

use event::{Instant, Partition, Payload, Record, RecordId, StreamName, Subject, Version};
use policy::{
    Act, Action, AsOf, CONSENTS, ConsentFold, ConsentGiven, ConsentView, LegalBasis, Notice, Notices,
    Ordered, Principal, PurposeRule, Purposes, Scope, SoftOptIn, Standing, Status, Tables, authorize_many,
    authorize_on,
};
use store::{Emissions, Fold};

use super::model::{self, CHANNELS, Fact, NOTICES, PURPOSES, Question, Said};

/// People of a history.
const N_PEOPLE: u64 = 4;
/// The last instant of a history.
const END: i64 = 120;

/// What is lost on the way, to see that the comparison finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    None,
    /// A no that comes later than something said after it.
    LateNo,
    /// Restrictions.
    Restriction,
    /// Objections.
    Objection,
    /// Which channel a word names.
    Channel,
    /// Which notice was shown.
    Notice,
}

impl Fault {
    /// All that is something.
    pub const ALL: [Self; 5] =
        [Self::LateNo, Self::Restriction, Self::Objection, Self::Channel, Self::Notice];
}

/// What came out.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub struct Compared {
    /// Histories.
    pub n_histories: u64,
    /// Facts in them.
    pub n_facts: u64,
    /// Of these, known later than something said after them.
    pub n_late: u64,
    /// Questions asked.
    pub n_questions: u64,
    /// Allowed by both.
    pub n_allowed: u64,
    /// Allowed, though the model denies.
    pub n_wrongly_allowed: u64,
    /// Denied, though the model allows.
    pub n_wrongly_denied: u64,
    /// Answers that differ between one partition, seven, the standing as of, and the form for many.
    pub n_differ: u64,
}

/// splitmix64: the same histories on every machine.
pub struct Dice(pub u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// Tells one history to both and compares every answer.
pub fn compare(seed: u64, fault: Fault, compared: &mut Compared) {
    let mut dice = Dice(seed);
    let history = history(&mut dice);
    compared.n_histories += 1;
    compared.n_facts += history.len() as u64;
    let purposes = purposes();
    let (mut one, mut seven) = (Parts::new(1), Parts::new(7));
    let (mut told, mut latest) = (0, i64::MIN);
    // Profiles come together and part again: who is asked about changes as time goes by.
    let mut merged: BTreeMap<u8, u8> = BTreeMap::new();
    for now in 0..=END {
        while let Some(fact) = history.get(told).filter(|fact| fact.known_at <= now) {
            told += 1;
            let is_late = fact.said_at < latest;
            compared.n_late += u64::from(is_late);
            latest = latest.max(fact.said_at.min(fact.known_at));
            if let Some(record) = record(fact, fault, is_late) {
                one.fold(&record);
                seven.fold(&record);
            }
        }
        match dice.below(12) {
            0 => drop(merged.insert(dice.below(N_PEOPLE) as u8, dice.below(N_PEOPLE) as u8)),
            1 => drop(merged.remove(&(dice.below(N_PEOPLE) as u8))),
            _ => {}
        }
        for _ in 0..3 {
            let question = question(&mut dice, &merged, now);
            let expected = model::allows(&history, &question);
            let answer = ask(&question, &one, &purposes);
            compared.n_questions += 1;
            compared.n_allowed += u64::from(expected && answer);
            compared.n_wrongly_allowed += u64::from(answer && !expected);
            compared.n_wrongly_denied += u64::from(!answer && expected);
            let differs = answer != ask(&question, &seven, &purposes)
                || (question.channel.is_none() && answer != ask_many(&question, &seven, &purposes));
            compared.n_differ += u64::from(differs);
        }
    }
    // The same questions about the past, once all is known.
    for now in [0, 30, 59, 60, 91, END] {
        let mut as_of = AsOf::new(Instant::from_micros(now));
        for fact in &history {
            if let Some(record) = record(fact, fault, false) {
                as_of.hear(&record);
            }
        }
        let question = question(&mut dice, &merged, now);
        let wrong =
            fault == Fault::None && ask(&question, &as_of, &purposes) != model::allows(&history, &question);
        compared.n_differ += u64::from(wrong);
    }
}

/// A history in the order in which it becomes known.
fn history(dice: &mut Dice) -> Vec<Fact> {
    let n = 1 + dice.below(14);
    let mut history: Vec<Fact> = (0..n)
        .map(|n| {
            let known_at = dice.below(END as u64) as i64;
            // Most are heard as they are said; some late, some dated into the future.
            let said_at = match dice.below(4) {
                0 => known_at - dice.below(60) as i64,
                1 if dice.one_in(4) => known_at + dice.below(60) as i64,
                _ => known_at,
            };
            let name = *RecordId::external(CONSENTS, &n.to_le_bytes()).as_bytes();
            Fact { who: dice.below(N_PEOPLE) as u8, said_at, known_at, name, said: said(dice) }
        })
        .collect();
    history.sort_by_key(|fact| fact.known_at);
    history
}

fn said(dice: &mut Dice) -> Said {
    let purpose = dice.below(PURPOSES.len() as u64) as usize;
    let channel = if dice.one_in(2) { 0 } else { dice.below(CHANNELS.len() as u64) as usize };
    match dice.below(12) {
        0 => Said::Restricted(!dice.one_in(3)),
        1 => Said::Objected(!dice.one_in(3)),
        2 => Said::Facts { purpose, channel: 1 + dice.below(4) as usize, complete: !dice.one_in(3) },
        _ => Said::Word {
            purpose,
            channel,
            yes: !dice.one_in(3),
            notice: if dice.one_in(4) { None } else { Some(dice.below(NOTICES.len() as u64) as usize) },
            from: dice.one_in(8).then(|| dice.below(END as u64) as i64),
            until: dice.one_in(8).then(|| dice.below(END as u64) as i64),
            confirmed: !dice.one_in(3),
        },
    }
}

fn question(dice: &mut Dice, merged: &BTreeMap<u8, u8>, now: i64) -> Question {
    let one = dice.below(N_PEOPLE) as u8;
    let mut members = BTreeSet::from([one]);
    // Whoever hangs together by the merges so far.
    for _ in 0..N_PEOPLE {
        for (a, b) in merged {
            if members.contains(a) || members.contains(b) {
                members.extend([*a, *b]);
            }
        }
    }
    Question {
        members,
        purpose: dice.below(PURPOSES.len() as u64) as usize,
        channel: dice.one_in(2).then(|| 1 + dice.below(4) as usize),
        claims: dice.one_in(40),
        now,
    }
}

fn subject(who: u8) -> Subject {
    Subject::from_bytes([who + 1; 16])
}

fn record(fact: &Fact, fault: Fault, is_late: bool) -> Option<Record> {
    let at = Instant::from_micros;
    let ordered = Ordered::default();
    let payload = match &fact.said {
        Said::Restricted(_) if fault == Fault::Restriction => return None,
        Said::Objected(_) if fault == Fault::Objection => return None,
        Said::Word { yes: false, .. } if fault == Fault::LateNo && is_late => return None,
        Said::Restricted(true) => Act::Restricted(ordered).to_payload(),
        Said::Restricted(false) => Act::RestrictionLifted(ordered).to_payload(),
        Said::Objected(true) => Act::Objected(ordered).to_payload(),
        Said::Objected(false) => Act::ObjectionLifted(ordered).to_payload(),
        Said::Facts { purpose, channel, complete } => Act::SoftOptIn(SoftOptIn {
            purpose: PURPOSES[*purpose].0.into(),
            channel: CHANNELS[*channel].into(),
            from_sale: true,
            similar_goods: true,
            not_objected: *complete,
            informed: true,
            source: String::new(),
        })
        .to_payload(),
        Said::Word { purpose, channel, yes, notice, from, until, confirmed } => {
            let status = if *yes { Status::Granted } else { Status::Withdrawn };
            let channel = if fault == Fault::Channel { 0 } else { *channel };
            let notice = if fault == Fault::Notice { Some(NOTICES.len() - 1) } else { *notice };
            ConsentGiven {
                channel: CHANNELS[channel].into(),
                notice_version: notice.map_or(String::new(), |n| NOTICES[n].0.to_owned()),
                valid_from: from.map(at),
                valid_until: until.map(at),
                confirmed_at: confirmed.then_some(at(fact.said_at)),
                ..ConsentGiven::new(PURPOSES[*purpose].0, status)
            }
            .to_payload()
        }
    };
    Some(Record {
        id: RecordId::from_bytes(fact.name),
        stream: StreamName::new(CONSENTS),
        contract: Version::new(1, 0, 0),
        subject: subject(fact.who),
        occurred_at: at(fact.said_at),
        known_at: at(fact.known_at),
        batch: None,
        cause: None,
        source: None,
        key_epoch: 0,
        payload: Payload { open: payload.into(), cells: Vec::new() },
    })
}

fn purposes() -> Purposes {
    let rules = PURPOSES.map(|(name, on_consent, marketing, covers, double_opt_in)| {
        let basis = if on_consent { LegalBasis::Consent } else { LegalBasis::LegitimateInterest };
        // `calls` declares its channels; the others leave it to the law.
        let channels = if name == "calls" {
            covers.iter().skip(1).map(|c| (*c).to_owned()).collect()
        } else {
            Vec::new()
        };
        (
            name,
            PurposeRule {
                direct_marketing: Some(marketing),
                channels,
                double_opt_in,
                ..PurposeRule::new(basis)
            },
        )
    });
    let notices = NOTICES.map(|(version, since, material)| Notice {
        name: "notice".into(),
        version: version.into(),
        purposes: PURPOSES
            .iter()
            .map(|purpose| purpose.0)
            .filter(|name| *name != "letters")
            .map(str::to_owned)
            .collect(),
        material,
        from: Instant::from_micros(since),
        texts: BTreeMap::new(),
    });
    Purposes::of(rules, Notices::new(notices.to_vec()))
}

/// The fold's tables, by partition.
struct Parts(Vec<Tables>);

impl Parts {
    fn new(n: u16) -> Self {
        Self((0..n).map(|p| Tables::open(&store::Scope::memory(Partition(p)))).collect())
    }

    fn fold(&mut self, record: &Record) {
        let at = usize::from(record.subject.partition(self.0.len() as u16).0);
        ConsentFold.fold(&mut self.0[at], record, &mut Emissions::default()).expect("memory does not fail");
    }
}

impl ConsentView for Parts {
    fn standing(&self, subject: Subject) -> Result<Option<std::sync::Arc<Standing>>, store::Error> {
        self.0[usize::from(subject.partition(self.0.len() as u16).0)].standing(subject)
    }
}

fn asked(question: &Question) -> (Principal, Action, Vec<Subject>, Option<&'static str>) {
    let action = match (question.claims, question.now % 4) {
        (true, _) => Action::Claims,
        (false, 0) => Action::ReadProfile,
        (false, 1) => Action::Decide,
        (false, 2) => Action::Send,
        (false, _) => Action::Export,
    };
    let members = question.members.iter().map(|who| subject(*who)).collect();
    (
        Principal::new("asker", [Scope::Admin]),
        action,
        members,
        question.channel.map(|channel| CHANNELS[channel]),
    )
}

fn ask(question: &Question, view: &dyn ConsentView, purposes: &Purposes) -> bool {
    let (principal, action, members, channel) = asked(question);
    let (purpose, now) = (PURPOSES[question.purpose].0, Instant::from_micros(question.now));
    authorize_on(&principal, action, purpose, channel, &members, view, purposes, now).is_ok()
}

fn ask_many(question: &Question, view: &dyn ConsentView, purposes: &Purposes) -> bool {
    let (principal, action, members, _) = asked(question);
    let (purpose, now) = (PURPOSES[question.purpose].0, Instant::from_micros(question.now));
    let bulk = authorize_many(&principal, action, purpose, [&members], view, purposes, now);
    bulk.is_ok_and(|bulk| !bulk.grant.subjects().is_empty())
}
