//! A version's life, and attempts to serve without a gate.

use event::{Instant, Partition, Payload, Record, RecordId, StreamName, Subject, Version};
use learn::metric::Estimate;
use proptest::prelude::*;
use store::{Digest, Emissions, Fold, Scope};

use super::*;
use crate::gate::tests::report;
use crate::{
    About, Card, ContentHash, DatasetManifest, GateReport, Manifest, Move, Registration, Role, Segment,
    Share, Stage, VersionNumber, route,
};

fn name() -> ModelName {
    "response".parse().unwrap()
}

fn artefact(n: u8) -> ContentHash {
    ContentHash::of(&[n])
}

fn registered(n: u8) -> ReleaseEvent {
    let report = report(0.5, Role::Challenger);
    let dataset = DatasetManifest {
        journal: vec![crate::JournalRange {
            partition: Partition(0),
            from: event::Position(0),
            until: event::Position(99),
        }],
        features: vec![crate::FeatureVersion { view: "orders".into(), version: 1, fingerprint: "f".into() }],
        purpose: "personalisation".into(),
        consent_epoch: 3,
        seed: 1,
        columns: vec!["orders.n".into()],
        n_rows: 2_000,
        n_positives: 300,
        earliest: Instant::from_micros(1),
        latest: Instant::from_micros(2),
        rows: ContentHash::of(b"rows"),
    };
    ReleaseEvent::Registered(Box::new(Registration {
        model: name(),
        role: Role::Challenger,
        about: About {
            what: "who answers".into(),
            owner: "Ada".into(),
            intended_use: "offers".into(),
            limits: "not for credit".into(),
            method: "boosted trees".into(),
        },
        manifest: Manifest { dataset, code: "0.1.0".into(), parameters: "{}".into(), artefact: artefact(n) },
        metrics: report.metrics.clone(),
        segments: vec![Segment { name: "channel = [x](javascript:1)|<b>".into(), metrics: report.metrics }],
        by: "train".into(),
    }))
}

fn judged(version: u32, n: u8, edge: f64) -> ReleaseEvent {
    let report = GateReport { artefact: artefact(n), ..report(edge, Role::Challenger) };
    ReleaseEvent::Judged {
        model: name(),
        version: VersionNumber(version),
        report: Box::new(report),
        by: "train".into(),
    }
}

fn moved(version: u32, to: Move) -> ReleaseEvent {
    ReleaseEvent::Moved {
        model: name(),
        version: VersionNumber(version),
        to,
        by: "Ada".into(),
        reason: "because".into(),
    }
}

fn rolled_back() -> ReleaseEvent {
    ReleaseEvent::RolledBack { model: name(), by: "Ada".into(), reason: "complaints".into() }
}

fn canary() -> Move {
    Move::Canary(Share::from_percent(10.0).unwrap())
}

struct House {
    tables: Tables,
    n_records: u32,
}

impl House {
    fn new() -> Self {
        Self { tables: Tables::open(&Scope::memory(Partition::CONTROL)), n_records: 0 }
    }

    fn fold_payload(&mut self, payload: Vec<u8>) {
        self.n_records += 1;
        let at = Instant::from_micros(i64::from(self.n_records) * 1_000_000);
        let record = Record {
            id: RecordId::external(RELEASES, &self.n_records.to_le_bytes()),
            stream: StreamName::new(RELEASES),
            contract: Version::new(1, 0, 0),
            subject: Subject::NONE,
            occurred_at: at,
            known_at: at,
            batch: None,
            cause: None,
            source: None,
            key_epoch: 0,
            payload: Payload { open: payload.into(), cells: vec![] },
        };
        ReleaseFold.fold(&mut self.tables, &record, &mut Emissions::default()).unwrap();
    }

    /// Folds an event and says why it was refused; the check beforehand must say the same.
    fn fold(&mut self, event: &ReleaseEvent) -> Result<(), String> {
        let at = Instant::from_micros(i64::from(self.n_records + 1) * 1_000_000);
        let said = self.tables.check(event, at).map_err(|e| e.to_string());
        let before = self.tables.refusals().unwrap().len();
        self.fold_payload(event.to_payload().unwrap());
        let refusals = self.tables.refusals().unwrap();
        let refused = refusals.len() > before;
        assert_eq!(said.is_err(), refused, "{event:?}: {said:?}");
        said
    }

    fn all(&mut self, events: &[ReleaseEvent]) -> &mut Self {
        for event in events {
            self.fold(event).unwrap();
        }
        self
    }

    fn stages(&self) -> Vec<Stage> {
        self.tables.model(&name()).unwrap().versions.iter().map(|v| v.stage).collect()
    }
}

fn check(house: &mut House, event: &ReleaseEvent, code: &str) {
    let reason = house.fold(event).unwrap_err();
    assert!(reason.starts_with(code), "{reason}");
}

#[test]
fn a_version_goes_live_and_back() {
    let mut house = House::new();
    house.all(&[registered(1), judged(1, 1, 0.5), moved(1, canary()), moved(1, Move::Live)]);
    house.all(&[registered(2), judged(2, 2, 0.5), moved(2, canary())]);
    let state = house.tables.model(&name()).unwrap();
    let release = state.release(&name());
    let served: Vec<_> = (0..200_u8).map(|i| route(&release, Subject::from_bytes([i; 16]))).collect();
    assert!(served.contains(&Some(VersionNumber(1))) && served.contains(&Some(VersionNumber(2))));
    house.all(&[moved(2, Move::Live)]);
    assert_eq!(house.stages(), [Stage::Retired, Stage::Live]);
    house.all(&[rolled_back()]);
    assert_eq!(house.stages(), [Stage::Live, Stage::Retired]);
    check(&mut house, &rolled_back(), "MR4536");
    check(&mut house, &moved(2, Move::Live), "MR4534");
    assert_eq!(house.tables.model(&name()).unwrap().history.len(), 9, "history is kept");
}

#[test]
fn a_rollback_ends_a_canary_first() {
    let mut house = House::new();
    house.all(&[registered(1), judged(1, 1, 0.5), moved(1, canary()), moved(1, Move::Live)]);
    house.all(&[registered(2), judged(2, 2, 0.5), moved(2, canary()), rolled_back()]);
    assert_eq!(house.stages(), [Stage::Live, Stage::Dark]);
    assert!(house.tables.model(&name()).unwrap().canary.is_none());
}

/// LAW 8, attempts: no judgement, a refusing gate, a gate of other bytes, a gate without rules, straight to live.
#[test]
fn nothing_serves_ungated() {
    let mut house = House::new();
    house.all(&[registered(1)]);
    check(&mut house, &moved(1, canary()), "MR4535");
    check(&mut house, &moved(1, Move::Live), "MR4534");
    house.all(&[judged(1, 1, -0.5)]);
    let reason = house.fold(&moved(1, canary())).unwrap_err();
    assert!(reason.contains("the baseline is better: AUC 0."), "{reason}");
    check(&mut house, &judged(1, 9, 0.5), "MR4539");
    let ReleaseEvent::Judged { report, model, version, by } = judged(1, 1, 0.5) else { panic!() };
    let empty = GateReport { gate: crate::Gate { rules: vec![] }, ..*report };
    check(&mut house, &ReleaseEvent::Judged { model, version, by, report: Box::new(empty) }, "MR4545");
    assert_eq!(house.stages(), [Stage::Dark]);
    // judged anew and refused: what passed before no longer counts
    house.all(&[judged(1, 1, 0.5), moved(1, canary()), judged(1, 1, -0.5)]);
    check(&mut house, &moved(1, Move::Live), "MR4535");
}

#[test]
fn every_move_has_a_person_and_a_rule() {
    let mut house = House::new();
    check(&mut house, &moved(1, canary()), "MR4532");
    house.all(&[registered(1), judged(1, 1, 0.5)]);
    check(&mut house, &moved(7, canary()), "MR4533");
    let ReleaseEvent::Moved { model, version, to, reason, .. } = moved(1, canary()) else { panic!() };
    check(&mut house, &ReleaseEvent::Moved { model, version, to, reason, by: " ".into() }, "MR4537");
    house.all(&[moved(1, canary()), registered(2), judged(2, 2, 0.5)]);
    check(&mut house, &moved(2, canary()), "MR4534");
    house.all(&[
        moved(1, Move::Canary(Share::from_percent(50.0).unwrap())),
        moved(1, Move::Dark),
        moved(2, canary()),
    ]);
    house.all(&[moved(1, Move::Retired)]);
    check(&mut house, &moved(1, canary()), "MR4534");
    assert_eq!(house.stages(), [Stage::Retired, Stage::Canary]);
}

#[test]
fn the_same_artefact_is_the_same_version() {
    let mut house = House::new();
    house.all(&[registered(1), registered(2), registered(1)]);
    assert_eq!(house.stages().len(), 2);
    assert_eq!(
        house.tables.model(&name()).unwrap().by_artefact(&artefact(2)).unwrap().number,
        VersionNumber(2)
    );
}

#[test]
fn what_cannot_be_read_is_noted() {
    let mut house = House::new();
    for payload in ["", "{}", "[[[[", r#"{"moved":{"model":"X Y"}}"#, "\u{202e}😀"] {
        house.fold_payload(payload.into());
    }
    assert_eq!(house.tables.refusals().unwrap().len(), 5);
    assert!(house.tables.models().unwrap().is_empty());
    let mut event = registered(1);
    if let ReleaseEvent::Registered(r) = &mut event {
        r.metrics.auc = Estimate { value: f64::NAN, low: 0.0, high: 1.0 };
    }
    assert_eq!(event.to_payload().unwrap_err().code(), "MR4544");
}

#[test]
fn the_card_says_it_all_and_escapes_what_others_wrote() {
    let mut house = House::new();
    house.all(&[registered(1), judged(1, 1, 0.5), moved(1, canary())]);
    let state = house.tables.model(&name()).unwrap();
    let card = Card::of(&name(), &state, VersionNumber(1)).unwrap();
    let text = card.to_markdown();
    for due in [
        "# response v1",
        "canary, 10 % of the profiles",
        "Ada",
        "not for credit",
        "2000, 300 with outcome yes",
        "passed:",
        "personalisation, consent epoch 3",
        "because",
    ] {
        assert!(text.contains(due), "{due} is not in\n{text}");
    }
    assert!(!text.contains("[x](") && !text.contains("<b>"), "{text}");
    let json = serde_json::to_value(&card).unwrap();
    assert_eq!(json["gates"][0]["passed"], true);
    assert!(
        Card::of(&name(), &state, VersionNumber(2)).is_err()
            && Card::of(&name(), &state, VersionNumber(0)).is_err()
    );
}

fn any_event() -> impl Strategy<Value = ReleaseEvent> {
    let (v, edge) = (1_u32..4, prop_oneof![Just(0.5), Just(-0.5)]);
    prop_oneof![
        (1_u8..4).prop_map(registered),
        (v.clone(), edge).prop_map(|(v, edge)| judged(v, v as u8, edge)),
        (v, prop_oneof![Just(canary()), Just(Move::Live), Just(Move::Dark), Just(Move::Retired)])
            .prop_map(|(v, to)| moved(v, to)),
        Just(rolled_back()),
    ]
}

/// What LAW 8 says of a state: whoever serves has once passed the gate, at most one version is live and one the
/// canary, and the stages agree with that.
fn holds(state: &ModelState) -> bool {
    let at =
        |stage| -> Vec<&crate::VersionState> { state.versions.iter().filter(|v| v.stage == stage).collect() };
    let numbers = |stage| at(stage).iter().map(|v| v.number).collect::<Vec<_>>();
    let passed = |v: &&crate::VersionState| v.judgements.iter().any(|j| j.report.passed());
    numbers(Stage::Live) == state.live.into_iter().collect::<Vec<_>>()
        && numbers(Stage::Canary) == state.canary.map(|c| c.version).into_iter().collect::<Vec<_>>()
        && at(Stage::Live).iter().all(passed)
        && at(Stage::Canary).iter().all(passed)
}

/// The property below would notice a fold that lets an ungated version serve.
#[test]
fn a_mutant_that_serves_ungated_is_found_out() {
    let mut house = House::new();
    house.all(&[registered(1), judged(1, 1, -0.5)]);
    let mut state = ModelState::clone(&house.tables.model(&name()).unwrap());
    assert!(holds(&state));
    state.versions[0].stage = Stage::Live;
    assert!(!holds(&state));
    state.live = Some(VersionNumber(1));
    assert!(!holds(&state));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes in whatever order: whoever serves has passed, at most one is live and one the canary, the
    /// stages agree with them, and folding again gives the same digest.
    #[test]
    fn whatever_comes_nothing_serves_ungated(events in prop::collection::vec(any_event(), 1..25)) {
        let (mut first, mut second) = (House::new(), House::new());
        for event in &events {
            let _ = first.fold(event);
            second.fold_payload(event.to_payload().unwrap());
            if let Ok(state) = first.tables.model(&name()) {
                prop_assert!(holds(&state), "{state:?}");
            }
        }
        let digest = |house: &mut House| {
            let mut digest = Digest::default();
            for table in house.tables.stored() {
                table.digest(&mut digest).unwrap();
            }
            format!("{digest:?}")
        };
        prop_assert_eq!(digest(&mut first), digest(&mut second));
    }
}
