//! What people say, folded: signatures, stops, reviews, incidents.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use event::{Instant, Partition, Payload, Record, RecordId, StreamName, Subject, Version};
use register::{
    Assessment, Class, Classification, Clearance, DpiaNeed, Event, REGISTERS, Reason, Refused, RegisterFold,
    Said, Tables, Text, Trigger, Verdict, clearance,
};
use store::{Emissions, Fold as _, Scope};

struct Desk {
    tables: Tables,
    n: u64,
}

impl Desk {
    fn new() -> Self {
        Self { tables: Tables::open(&Scope::memory(Partition(0))), n: 0 }
    }

    fn say(&mut self, event: &Event) {
        self.n += 1;
        let at = Instant::from_micros(1_790_000_000_000_000 + i64::try_from(self.n).unwrap());
        let payload = event.to_payload();
        let record = Record {
            id: RecordId::external(REGISTERS, &[payload.as_slice(), &self.n.to_be_bytes()].concat()),
            stream: StreamName::new(REGISTERS),
            contract: Version::new(1, 0, 0),
            subject: Subject::NONE,
            occurred_at: at,
            known_at: at,
            batch: None,
            cause: None,
            source: None,
            key_epoch: 0,
            payload: Payload { open: payload.into(), cells: Vec::new() },
        };
        RegisterFold.fold(&mut self.tables, &record, &mut Emissions::default()).unwrap();
    }

    fn may(&self, assessment: &Assessment) -> Clearance {
        clearance(assessment, self.tables.use_case("offers").unwrap().as_deref())
    }
}

fn said(by: &str) -> Said {
    Said { by: by.to_owned(), reason: "because".to_owned() }
}

fn assessment(class: Class, dpia_due: bool) -> Assessment {
    let reason = Reason {
        rule: "r".to_owned(),
        article: "Art. 1".to_owned(),
        class,
        applies_from: "2026-01-01".parse().unwrap(),
        in_force: true,
        text: Text::new("a", "b"),
        because_of: "u".to_owned(),
        open: false,
    };
    let trigger = Trigger { rule: "t".to_owned(), article: "Art. 35".to_owned(), text: Text::new("a", "b") };
    Assessment {
        use_case: "offers".to_owned(),
        version: "1.0.0".to_owned(),
        hash: "h1".to_owned(),
        classification: Classification { class, reasons: vec![reason], ..Classification::default() },
        dpia: DpiaNeed { triggers: dpia_due.then_some(trigger).into_iter().collect(), ..DpiaNeed::default() },
        missing: Vec::new(),
    }
}

fn sign(desk: &mut Desk, by: &str, hash: &str) {
    desk.say(&Event::DpiaSigned { use_case: "offers".to_owned(), hash: hash.to_owned(), said: said(by) });
}

#[test]
fn art_35_nothing_begins_until_a_person_has_signed_and_what_changed_is_signed_anew() {
    let mut desk = Desk::new();
    let due = assessment(Class::Minimal, true);
    assert!(matches!(desk.may(&due), Err(Refused::Unsigned { eyes: 1, signed: 0, .. })));
    sign(&mut desk, "Dana", "h1");
    assert_eq!(desk.may(&due), Ok(()));
    let changed = Assessment { hash: "h2".to_owned(), ..due.clone() };
    assert!(matches!(desk.may(&changed), Err(Refused::Unsigned { signed: 0, .. })));
    sign(&mut desk, "Dana", "h2");
    assert_eq!(desk.may(&changed), Ok(()));
    assert!(desk.may(&due).is_err(), "what was signed before was something else");
    assert_eq!(desk.may(&assessment(Class::Minimal, false)), Ok(()));
}

#[test]
fn art_35_what_runs_goes_on_where_only_the_number_of_people_grew_and_the_next_change_waits() {
    let mut desk = Desk::new();
    let before = assessment(Class::Minimal, false);
    assert_eq!(desk.may(&before), Ok(()));
    desk.say(&Event::Activated { use_case: "offers".to_owned(), hash: "h1".to_owned() });
    let grown = assessment(Class::Minimal, true);
    assert_eq!(desk.may(&grown), Ok(()));
    let state = desk.tables.use_case("offers").unwrap();
    assert!(register::activation(&grown, state.as_deref()).is_err(), "no new version of a model goes live");
    let changed = Assessment { hash: "h2".to_owned(), ..grown };
    assert!(matches!(desk.may(&changed), Err(Refused::Unsigned { .. })));
}

#[test]
fn ai_act_14_four_eyes_are_two_people() {
    let mut desk = Desk::new();
    let high = assessment(Class::High, true);
    sign(&mut desk, "Dana", "h1");
    sign(&mut desk, "Dana", "h1");
    assert!(matches!(desk.may(&high), Err(Refused::Unsigned { eyes: 2, signed: 1, .. })));
    sign(&mut desk, "Emil", "h1");
    assert_eq!(desk.may(&high), Ok(()));
    let stop = |by: &str| Event::Stopped { use_case: "offers".to_owned(), said: said(by) };
    desk.say(&stop("Ann"));
    desk.say(&stop("Bo"));
    assert!(matches!(desk.may(&high), Err(Refused::Stopped { by, .. }) if by == "Ann"));
    let resume = |by: &str, eyes| Event::Resumed { use_case: "offers".to_owned(), said: said(by), eyes };
    desk.say(&resume("Ann", 2));
    desk.say(&resume("Ann", 2));
    assert!(matches!(desk.may(&high), Err(Refused::Stopped { .. })));
    desk.say(&resume("Bo", 2));
    assert_eq!(desk.may(&high), Ok(()));
}

#[test]
fn ai_act_14_a_decision_is_overruled_by_one_and_approved_by_enough() {
    let mut desk = Desk::new();
    let decision = RecordId::external("d", b"1");
    let review = |verdict, by: &str, eyes| Event::Reviewed {
        decision,
        use_case: "offers".to_owned(),
        verdict,
        said: said(by),
        eyes,
    };
    desk.say(&review(Verdict::Approve, "Ann", 2));
    desk.say(&review(Verdict::Approve, "Ann", 2));
    assert_eq!(desk.tables.review(decision).unwrap().unwrap().verdict(), None);
    desk.say(&review(Verdict::Approve, "Bo", 2));
    assert_eq!(desk.tables.review(decision).unwrap().unwrap().verdict(), Some(Verdict::Approve));
    desk.say(&review(Verdict::Overrule, "Cem", 2));
    assert_eq!(desk.tables.review(decision).unwrap().unwrap().verdict(), Some(Verdict::Overrule));
}

#[test]
fn ai_act_5_what_is_prohibited_cannot_be_signed_into_being() {
    let mut desk = Desk::new();
    let banned = assessment(Class::Prohibited, true);
    sign(&mut desk, "Dana", "h1");
    sign(&mut desk, "Emil", "h1");
    assert!(matches!(desk.may(&banned), Err(Refused::Prohibited { .. })));
}

#[test]
fn assessments_are_kept_with_those_before() {
    let mut desk = Desk::new();
    for class in [Class::Minimal, Class::Limited, Class::High] {
        desk.say(&Event::Assessed(Box::new(assessment(class, false))));
    }
    let state = desk.tables.use_case("offers").unwrap().unwrap();
    let before: Vec<Class> = state.earlier.iter().map(|one| one.class).collect();
    assert_eq!(before, [Class::Minimal, Class::Limited]);
    assert_eq!(state.assessed.as_ref().unwrap().1.classification.class, Class::High);
}
