//! Subjects and grants for the tests.

use std::sync::Arc;

use event::{Instant, Subject};
use policy::{Action, Grant, LegalBasis, Principal, Purposes, Scope};

struct Nobody;

impl policy::ConsentView for Nobody {
    fn standing(&self, _: Subject) -> Result<Option<Arc<policy::Standing>>, store::Error> {
        Ok(None)
    }
}

pub fn subject(n: u32) -> Subject {
    let mut bytes = [1; 16];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    Subject::from_bytes(bytes)
}

/// A grant over the first `n` subjects.
pub fn grant(action: Action, n: u32) -> Grant {
    let principal = Principal::new("test", [Scope::Admin]);
    let purposes = Purposes::new([("analytics", LegalBasis::NotPersonal)]);
    let subjects: Vec<Subject> = (0..n).map(subject).collect();
    policy::authorize(&principal, action, "analytics", &subjects, &Nobody, &purposes, Instant::from_micros(0))
        .unwrap()
}
