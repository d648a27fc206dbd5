//! What one arrival is: which contract speaks, whose it is, when it happened, and what is wrong with it.

use std::sync::Arc;

use contract::{Contract, Contracts, Finding, Severity};
use event::{Instant, RecordId, Span, StreamName, Subject};
use policy::Signals;
use profile::Rules;
use serde_json::Value;
use vault::Vault;

use crate::Arrival;
use crate::error::codes;
use crate::incoming::{Incoming, Origin, Said, finding};
use crate::segment::without_people;

/// The stream under which arrivals that no contract takes are counted. Their own names come from outside and
/// have no end.
pub const UNKNOWN: &str = "unknown";

/// How far a sender's clock may run ahead before its events count as lying in the future.
const TOLERANCE: Span = Span::from_days(1);

/// One arrival, judged and not yet sealed.
pub(crate) struct Judged {
    pub(crate) id: RecordId,
    pub(crate) contract: Option<Arc<Contract>>,
    pub(crate) origin: Origin,
    pub(crate) raw: Value,
    pub(crate) subject: Subject,
    pub(crate) occurred_at: Instant,
    pub(crate) known_at: Instant,
    pub(crate) findings: Vec<Finding>,
    /// Every identifier it carries, as (type, pseudonym), in the order of its contract.
    pub(crate) ids: Vec<(String, Subject)>,
    pub(crate) consents: Vec<Said>,
    /// What names it whatever its contract says; kept when it is refused, so that it has the same name once mended.
    pub(crate) own_key: Option<String>,
}

impl Judged {
    pub(crate) fn passes(&self) -> bool {
        self.contract.is_some() && !self.findings.iter().any(Finding::is_error)
    }

    pub(crate) fn stream(&self) -> StreamName {
        self.contract.as_ref().map_or_else(|| StreamName::new(UNKNOWN), |contract| contract.stream.clone())
    }
}

/// What judging needs besides the arrival.
pub(crate) struct Bench<'a> {
    pub(crate) vault: &'a Vault,
    pub(crate) rules: &'a Rules,
    pub(crate) contracts: &'a Contracts,
    pub(crate) arrival: &'a Arrival,
    pub(crate) signals: &'a Signals,
}

impl Bench<'_> {
    pub(crate) fn judge(&self, mut incoming: Incoming) -> Judged {
        crate::signals::hear(self.signals, &mut incoming);
        let contract = match &incoming.origin {
            Origin::Call(key) => self.contracts.for_source(key),
            Origin::Stream(stream) => self.contracts.newest(stream),
        };
        match contract {
            Some(contract) => self.by_contract(Arc::clone(contract), incoming),
            None => self.without_contract(incoming),
        }
    }

    fn by_contract(&self, contract: Arc<Contract>, incoming: Incoming) -> Judged {
        let stream = contract.stream.as_str();
        let own_key = own_key(&incoming);
        let mut findings = incoming.notes;
        findings.iter_mut().for_each(|f| f.stream = stream.to_owned());
        let mut error = |code: &'static str, message: String| {
            findings.push(finding(code, Severity::Error, stream, message));
        };
        if !incoming.raw.is_object() {
            error(codes::NO_OBJECT, format!("a record must be an object, not {}", kind(&incoming.raw)));
        }
        findings.extend(contract.check_limits(&incoming.raw));
        // What breaks a limit is not looked at any closer.
        let bound =
            if findings.iter().any(Finding::is_error) { Value::Null } else { contract.bind(&incoming.raw) };
        if !bound.is_null() {
            findings.extend(contract.judge(&incoming.raw, &bound));
        }
        let admitted = |ids: Vec<(String, String)>| -> Vec<(String, String)> {
            ids.into_iter().filter(|(kind, value)| self.rules.admits(kind, value)).collect()
        };
        let named = admitted(contract.subject_candidates(&bound));
        self.blocked(&contract, &named, &mut findings);
        let is_call = matches!(incoming.origin, Origin::Call(_));
        let when = self.when(&contract, &bound, is_call, &incoming.occurred_at, &mut findings);
        let ids: Vec<(String, Subject)> = admitted(contract.identifiers(&bound))
            .into_iter()
            .map(|(kind, value)| {
                let subject = self.vault.pseudonym(&kind, &value);
                (kind, subject)
            })
            .collect();
        let subject = match ids.first().filter(|_| !named.is_empty()) {
            // Those of the subject key come first.
            Some((_, subject)) => *subject,
            // Even what is refused belongs to somebody, if the protocol says to whom.
            None if findings.iter().any(Finding::is_error) => self.fallback(&incoming.named),
            None => Subject::NONE,
        };
        let failed = findings.iter().any(Finding::is_error);
        let known_at = if failed { self.arrival.received_at } else { self.known_at(&contract, &bound, when) };
        let key = match contract.dedup_key(&bound) {
            Some(key) if !failed && own_key.is_none() => {
                Key::Declared { key, sealed: contract.dedup_key_is_sealed() }
            }
            _ => incoming.key.map_or(Key::Content, Key::Sender),
        };
        let id = self.id(if failed { QUARANTINE } else { stream }, stream, key, &incoming.raw);
        let origin = incoming.origin;
        let (raw, consents) = (incoming.raw, incoming.consents);
        let contract = Some(contract);
        let occurred_at = when;
        Judged { id, contract, origin, raw, subject, occurred_at, known_at, findings, ids, consents, own_key }
    }

    fn without_contract(&self, incoming: Incoming) -> Judged {
        let own_key = own_key(&incoming);
        let mut findings = incoming.notes;
        findings.iter_mut().for_each(|f| f.stream = UNKNOWN.to_owned());
        let place = match &incoming.origin {
            Origin::Call(_) => "no contract has the source",
            Origin::Stream(_) => "there is no contract for the stream",
        };
        let name = match &incoming.origin {
            Origin::Call(key) => without_people(key),
            Origin::Stream(stream) => without_people(stream.as_str()),
        };
        findings.push(finding(codes::NO_CONTRACT, Severity::Error, UNKNOWN, format!("{place} `{name}`")));
        let received_at = self.arrival.received_at;
        let key = incoming.key.map_or(Key::Content, Key::Sender);
        Judged {
            id: self.id(QUARANTINE, UNKNOWN, key, &incoming.raw),
            contract: None,
            subject: self.fallback(&incoming.named),
            occurred_at: incoming.occurred_at.ok().flatten().unwrap_or(received_at),
            known_at: received_at,
            findings,
            ids: Vec::new(),
            consents: incoming.consents,
            origin: incoming.origin,
            raw: incoming.raw,
            own_key,
        }
    }

    fn fallback(&self, named: &[(String, String)]) -> Subject {
        let admitted = named.iter().find(|(kind, value)| self.rules.admits(kind, value));
        admitted.map_or(Subject::NONE, |(kind, value)| self.vault.pseudonym(kind, value))
    }

    /// The contract found an identifier, but the project's rules say that its value names nobody.
    fn blocked(&self, contract: &Contract, named: &[(String, String)], findings: &mut Vec<Finding>) {
        let key = &contract.subject_key;
        let wants_one = !key.fields.is_empty() && !key.or_none;
        if wants_one && named.is_empty() && !findings.iter().any(Finding::is_error) {
            let message = "nobody is named: every identifier is blocked by the project's rules".to_owned();
            findings.push(finding(codes::SUBJECT, Severity::Error, contract.stream.as_str(), message));
        }
    }

    /// When it happened: by the contract's field, else by the protocol, else now.
    fn when(
        &self,
        contract: &Contract,
        bound: &Value,
        is_call: bool,
        protocol: &Result<Option<Instant>, String>,
        findings: &mut Vec<Finding>,
    ) -> Instant {
        let stream = contract.stream.as_str();
        let corrected = protocol.as_ref().ok().copied().flatten();
        // A call's own `timestamp` is meant as the protocol corrects it for the sender's clock.
        let is_protocols = is_call && contract.event_time_pointer().is_some_and(|p| p == "/timestamp");
        let (first, second) = match contract.event_time(bound) {
            declared if is_protocols => (corrected, declared),
            declared => (declared, corrected),
        };
        let when = first.or(second).unwrap_or(self.arrival.received_at);
        // If the contract reads the same text, it has said so already.
        if let (Err(why), None) = (protocol, &contract.event_time) {
            let message = format!("the time of the call cannot be read: {why}");
            findings.push(finding(codes::TIME, Severity::Error, stream, message));
        }
        if when > self.arrival.received_at + TOLERANCE && !contract.allow_future {
            let message = format!("event time `{when}` lies more than a day after the record arrived");
            findings.push(finding(codes::FUTURE, Severity::Error, stream, message));
        }
        when
    }

    /// When it was known. Only an import may say "before now", and only of the time before its stream went live:
    /// afterwards a late record is late, and no training may pretend otherwise.
    fn known_at(&self, contract: &Contract, bound: &Value, occurred_at: Instant) -> Instant {
        let now = self.arrival.received_at;
        if self.arrival.batch.is_none() {
            return now;
        }
        let said = contract.known_time(bound).unwrap_or(occurred_at);
        match contract.live_since {
            Some(live_since) if said < live_since => said.min(now),
            _ => now,
        }
    }

    /// The name of a record for ever. What may hold personal values goes in under the vault's key only: a bare
    /// hash of an e-mail address can be found by trying.
    fn id(&self, id_stream: &str, stream: &str, key: Key, raw: &Value) -> RecordId {
        let keyed = |kind: &str, bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes);
            *self.vault.pseudonym(kind, &text).as_bytes()
        };
        let mut bytes = match key {
            Key::Declared { key, sealed: false } | Key::Sender(key) => key,
            Key::Declared { key, sealed: true } => keyed("mr.key", &key).to_vec(),
            Key::Content => keyed("mr.content", raw.to_string().as_bytes()).to_vec(),
        };
        if id_stream != stream {
            bytes.splice(0..0, stream.bytes().chain([0]));
        }
        RecordId::external(id_stream, &bytes)
    }
}

fn own_key(incoming: &Incoming) -> Option<String> {
    let key = incoming.key.as_ref().filter(|_| incoming.names_itself)?;
    Some(String::from_utf8_lossy(key).into_owned())
}

/// The stream of what was refused.
pub const QUARANTINE: &str = "mr.quarantine";

/// What names a record.
enum Key {
    /// The contract's dedup key.
    Declared { key: Vec<u8>, sealed: bool },
    /// The sender's message id.
    Sender(Vec<u8>),
    /// Nothing but what is in it.
    Content,
}

fn kind(value: &Value) -> String {
    match value {
        Value::Null => "nothing".into(),
        Value::Bool(_) => "a truth value".into(),
        Value::Number(_) => "a number".into(),
        Value::String(_) => "a text".into(),
        Value::Array(items) => format!("a list of {}", items.len()),
        Value::Object(_) => "an object".into(),
    }
}
