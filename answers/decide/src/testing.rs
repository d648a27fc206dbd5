//! One use case and one situation that the tests of this room share.

use event::{Instant, RecordId, Span, Subject};

use crate::situation::{Allowance, Arm, Consent, Score, Situation};
use crate::usecase::UseCase;
use crate::value::{Input, Origin, Value};
use crate::{Cents, choose, record};

pub(crate) const USE_CASE: &str = include_str!("../testdata/spring.yaml");

pub(crate) fn use_case() -> UseCase {
    UseCase::parse(USE_CASE, "spring.yaml").unwrap_or_else(|findings| panic!("{findings:#?}"))
}

pub(crate) fn subject(n: u8) -> Subject {
    Subject::from_bytes([n; 16])
}

pub(crate) fn now() -> Instant {
    "2026-03-10T12:00:00Z".parse().unwrap()
}

/// Everything is allowed, known and affordable.
pub(crate) fn situation() -> Situation {
    let input = |name: &str, origin, value, personal| Input {
        name: name.into(),
        origin,
        value: Some(value),
        version: "1.0.0".into(),
        personal,
    };
    let score = |action: &str, score| Score {
        action: action.into(),
        model: "spring_response".into(),
        version: "3".into(),
        release: "live".into(),
        score,
    };
    let consent = |purpose: &str| Consent {
        purpose: purpose.into(),
        channel: String::new(),
        allowed: true,
        reason: "granted".into(),
        notice_version: Some("2026-01".into()),
        since: Some("2026-01-05".parse().unwrap()),
    };
    Situation {
        subject: subject(1),
        profile: "p1".into(),
        members: vec![subject(1), subject(2)],
        at: now(),
        inputs: vec![
            input("orders_30d", Origin::Feature, Value::Number(2.0), false),
            input("total_value_1y", Origin::Feature, Value::Number(120.5), true),
            input("country", Origin::Trait, Value::from("DE"), false),
        ],
        scores: vec![score("mail_10", 0.08), score("card", 0.1), score("mail_free_shipping", 0.02)],
        consents: vec![consent("personalisation"), consent("email_marketing")],
        consent_epoch: 4,
        cap_counts: vec![0, 0, 0],
        allowance: Some(Allowance {
            grant: RecordId::external("grant", b"1"),
            account: "spring@2026-03".into(),
            amount: Cents::new(100),
            expires: now() + Span::from_days(1),
        }),
        holdout: Arm { held_out: false, since: None },
        reserve_for: Span::from_days(1),
    }
}

pub(crate) fn decide(situation: Situation, seed: u64) -> record::DecisionRecord {
    let use_case = use_case();
    let decision = choose(&use_case, &situation, seed);
    record::DecisionRecord::new(&use_case, situation, decision, 17)
}
