//! The tracking protocol: what Segment's clients send, as documents ready for their contracts.
//!
//! Pure: no clock, no contract, no key. Limits and answers follow Segment's HTTP API, so that its clients
//! deliver unmodified; where Segment drops silently we say so in the reply.

use std::sync::Arc;

use contract::Finding;
use event::Instant;
use serde_json::{Map, Value};

use crate::error::{Refusal, codes};
use crate::incoming::{Incoming, Origin, Said};
use crate::json;

/// The most bytes of one call, as compact JSON.
pub const MAX_EVENT_BYTES: usize = 32 * 1024;
/// The most bytes of a batch.
pub const MAX_BATCH_BYTES: usize = 500 * 1024;
/// The most calls in a batch.
pub const MAX_BATCH_EVENTS: usize = 2_500;
/// A message id is shorter than this.
pub const MAX_MESSAGE_ID: usize = 100;

/// What was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Who somebody is.
    Identify,
    /// What somebody did.
    Track,
    /// Which page somebody saw.
    Page,
    /// Which screen of an app somebody saw.
    Screen,
    /// What somebody belongs to.
    Group,
    /// Two names of one person.
    Alias,
}

impl Call {
    /// Every call.
    pub const ALL: [Call; 6] =
        [Self::Identify, Self::Track, Self::Page, Self::Screen, Self::Group, Self::Alias];

    /// The word of the protocol.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Identify => "identify",
            Self::Track => "track",
            Self::Page => "page",
            Self::Screen => "screen",
            Self::Group => "group",
            Self::Alias => "alias",
        }
    }

    /// Reads a word of the protocol, the one-letter names of browsers' paths included.
    pub fn read(word: &str) -> Option<Self> {
        let short = |call: &&Call| call.as_str() == word || call.as_str().get(..1) == Some(word);
        Self::ALL.iter().find(short).copied()
    }
}

/// Which door was used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `/v1/track` and the like.
    One(Call),
    /// `/v1/batch`
    Batch,
    /// `/v1/import`: the past, whose times are not corrected for the sender's clock.
    Import,
}

impl Endpoint {
    /// The endpoint of a path's last part: `track`, `t`, `batch`, `b`, `import`.
    pub fn read(word: &str) -> Option<Self> {
        match word {
            "batch" | "b" => Some(Self::Batch),
            "import" => Some(Self::Import),
            word => Call::read(word).map(Self::One),
        }
    }
}

/// What a request's body holds.
#[derive(Debug)]
pub struct Request {
    /// The key that was sent in the body, for callers without an `Authorization` header. It is in no item.
    pub write_key: Option<String>,
    /// When it was sent, by the sender's clock.
    pub sent_at: Option<Instant>,
    /// Each call in order, or why it is refused.
    pub items: Vec<Result<Incoming, Refusal>>,
}

/// Reads a request's body (after decompression).
///
/// # Errors
/// Those to be answered with status 400: MR2001 and MR2002 (no JSON), MR2003 (no object, no list `batch`),
/// MR2004 and MR2005 (too large). A batch of more than 2,500 calls is answered with 200, all its items refused
/// (MR2006), as Segment does.
pub fn read(endpoint: Endpoint, body: &[u8], received_at: Instant) -> Result<Request, Refusal> {
    match endpoint {
        Endpoint::One(call) => one(call, body, received_at),
        Endpoint::Batch | Endpoint::Import => batch(endpoint, body, received_at),
    }
}

fn one(call: Call, body: &[u8], received_at: Instant) -> Result<Request, Refusal> {
    // White space is not counted, but nobody sends twice the limit of it.
    if body.len() > 2 * MAX_EVENT_BYTES {
        return Err(too_large(body.len()));
    }
    let mut members = object(json::parse(body)?, "the body")?;
    let write_key = take_key(&mut members);
    members.insert("type".into(), call.as_str().into());
    let value = Value::Object(members);
    let size = if body.len() > MAX_EVENT_BYTES { json::size(&value, 2 * MAX_EVENT_BYTES) } else { 0 };
    if size > MAX_EVENT_BYTES {
        return Err(too_large(size));
    }
    let Value::Object(members) = value else { return Err(not_an_object("the body", &value)) };
    let sent_at = time_at(&members, "sentAt");
    let clock = Clock { sent_at, received_at, corrects: true };
    Ok(Request { write_key, sent_at, items: vec![item(members, &clock)] })
}

fn batch(endpoint: Endpoint, body: &[u8], received_at: Instant) -> Result<Request, Refusal> {
    if body.len() > MAX_BATCH_BYTES {
        let message = format!("the batch has {} bytes; {MAX_BATCH_BYTES} are the most", body.len());
        return Err(Refusal::new(codes::BATCH_SIZE, message));
    }
    let mut members = object(json::parse(body)?, "the body")?;
    let write_key = take_key(&mut members);
    let calls = match members.remove("batch") {
        Some(Value::Array(calls)) => calls,
        Some(other) => {
            return Err(Refusal::new(codes::SHAPE, format!("`batch` must be a list, not {}", kind(&other))));
        }
        None => return Err(Refusal::new(codes::SHAPE, "the body has no list `batch`")),
    };
    if calls.len() > MAX_BATCH_EVENTS {
        let message = format!("the batch has {} calls; {MAX_BATCH_EVENTS} are the most", calls.len());
        let refusal = Refusal::new(codes::BATCH_COUNT, message);
        let items = calls.iter().map(|_| Err(refusal.clone())).collect();
        return Ok(Request { write_key, sent_at: None, items });
    }
    let sent_at = time_at(&members, "sentAt");
    let shared = [("context", members.remove("context")), ("integrations", members.remove("integrations"))];
    let corrects = endpoint == Endpoint::Batch;
    // A body that is no larger than one call holds none that is too large.
    let measure = body.len() > MAX_EVENT_BYTES;
    let items = calls.into_iter().map(|call| {
        let size = if measure { json::size(&call, 2 * MAX_EVENT_BYTES) } else { 0 };
        if size > MAX_EVENT_BYTES {
            return Err(too_large(size));
        }
        let mut members = object(call, "a call")?;
        take_key(&mut members);
        for (name, value) in &shared {
            if let Some(value) = value {
                merge_below(&mut members, name, value);
            }
        }
        let own = time_at(&members, "sentAt");
        item(members, &Clock { sent_at: own.or(sent_at), received_at, corrects })
    });
    Ok(Request { write_key, sent_at, items: items.collect() })
}

fn too_large(bytes: usize) -> Refusal {
    Refusal::new(codes::EVENT_SIZE, format!("the call has {bytes} bytes; {MAX_EVENT_BYTES} are the most"))
}

fn object(value: Value, what: &str) -> Result<Map<String, Value>, Refusal> {
    match value {
        Value::Object(members) => Ok(members),
        other => Err(not_an_object(what, &other)),
    }
}

fn not_an_object(what: &str, value: &Value) -> Refusal {
    Refusal::new(codes::SHAPE, format!("{what} must be an object, not {}", kind(value)))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A key is a secret of the sender and belongs in no record.
fn take_key(members: &mut Map<String, Value>) -> Option<String> {
    match members.remove("writeKey") {
        Some(Value::String(key)) => Some(key),
        _ => None,
    }
}

/// What the batch says counts where the call says nothing.
fn merge_below(members: &mut Map<String, Value>, name: &str, below: &Value) {
    match (members.get_mut(name), below) {
        (None | Some(Value::Null), _) => {
            members.insert(name.to_owned(), below.clone());
        }
        (Some(Value::Object(own)), Value::Object(below)) => {
            for (name, value) in below {
                merge_below(own, name, value);
            }
        }
        (Some(_), _) => {}
    }
}

/// What is known about the sender's clock.
struct Clock {
    sent_at: Option<Instant>,
    received_at: Instant,
    corrects: bool,
}

fn time_at(members: &Map<String, Value>, name: &str) -> Option<Instant> {
    members.get(name)?.as_str()?.parse().ok()
}

impl Clock {
    /// `receivedAt − (sentAt − originalTimestamp)`: what a clock that runs wrong meant.
    fn when(&self, members: &Map<String, Value>) -> Result<Instant, String> {
        let Some(said) = ["originalTimestamp", "timestamp"].iter().find_map(|name| members.get(*name)) else {
            return Ok(self.received_at);
        };
        let original: Instant = match said {
            Value::Null => return Ok(self.received_at),
            Value::String(text) => {
                text.parse().map_err(|error: event::ParseInstantError| error.to_string())?
            }
            other => {
                return Err(format!(
                    "`timestamp` must be a text like `2026-01-31T12:00:00Z`, not {}",
                    kind(other)
                ));
            }
        };
        let Some(sent_at) = self.sent_at.filter(|_| self.corrects) else { return Ok(original) };
        let corrected = self.received_at - (sent_at - original);
        Instant::try_from_micros(corrected.micros()).map_err(in_words)
    }
}

/// The value is not quoted: no contract has said yet that it may lie open.
fn in_words(error: event::ParseInstantError) -> String {
    match error {
        event::ParseInstantError::Unreadable { .. } => {
            "`timestamp` must be a time like `2026-01-31T12:00:00Z`".to_owned()
        }
        event::ParseInstantError::OutOfRange { .. } => {
            "`timestamp` lies outside the years 1900 to 2199".to_owned()
        }
    }
}

/// A name that came from outside, as it may lie open: names are words of the sender's programme, but some put
/// people into them.
pub(crate) fn without_people(name: &str) -> String {
    let mut n_digits = 0;
    let digits_in_a_row = name.chars().any(|c| {
        n_digits = if c.is_numeric() { n_digits + 1 } else { 0 };
        n_digits >= 6
    });
    if !name.contains('@') && !digits_in_a_row && name.chars().count() <= 100 {
        return name.chars().flat_map(char::escape_debug).collect();
    }
    let call = name.split_once(':').map_or("", |(call, _)| call);
    if Call::ALL.iter().any(|c| c.as_str() == call) { format!("{call}:…") } else { "…".to_owned() }
}

fn item(members: Map<String, Value>, clock: &Clock) -> Result<Incoming, Refusal> {
    let call = call_of(&members)?;
    let message_id = message_id(&members)?;
    let source = source_key(call, &members)?;
    let occurred_at = clock.when(&members).map(Some);
    let (consents, notes) = consents(&members);
    Ok(Incoming {
        origin: Origin::Call(source),
        key: message_id.map(String::into_bytes),
        names_itself: false,
        occurred_at,
        named: named(&members),
        consents,
        notes,
        raw: Value::Object(members),
    })
}

/// Whose call it is by the protocol itself.
fn named(members: &Map<String, Value>) -> Vec<(String, String)> {
    let mut out = Vec::new();
    for (kind, member) in [("user_id", "userId"), ("anonymous_id", "anonymousId")] {
        if let Some(text) = members.get(member).and_then(text_or_number) {
            out.push((kind.to_owned(), text));
        }
    }
    out
}

fn text_or_number(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn call_of(members: &Map<String, Value>) -> Result<Call, Refusal> {
    let known = || Call::ALL.map(Call::as_str).join(", ");
    match members.get("type") {
        Some(Value::String(word)) => Call::ALL.into_iter().find(|c| c.as_str() == word).ok_or_else(|| {
            Refusal::new(codes::CALL, format!("`type` is {}; known are {}", shortened(word), known()))
        }),
        Some(other) => {
            Err(Refusal::new(codes::CALL, format!("`type` must be one of {}, not {}", known(), kind(other))))
        }
        // Old clients leave it out; what has an event is a track call.
        None if members.contains_key("event") => Ok(Call::Track),
        None => Err(Refusal::new(codes::CALL, format!("the call has no `type`; known are {}", known()))),
    }
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(64).flat_map(char::escape_debug).collect();
    if text.chars().nth(64).is_some() {
        short.push('…');
    }
    format!("`{short}`")
}

fn message_id(members: &Map<String, Value>) -> Result<Option<String>, Refusal> {
    match members.get("messageId") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(id)) if id.is_empty() => Ok(None),
        Some(Value::String(id)) if id.chars().count() < MAX_MESSAGE_ID => Ok(Some(id.clone())),
        Some(Value::String(id)) => {
            let n = id.chars().count();
            let message = format!("`messageId` has {n} characters; fewer than {MAX_MESSAGE_ID} are allowed");
            Err(Refusal::new(codes::MESSAGE_ID, message))
        }
        Some(other) => {
            Err(Refusal::new(codes::MESSAGE_ID, format!("`messageId` must be a text, not {}", kind(other))))
        }
    }
}

/// What a contract's `source` is compared with: `track:Order Completed`, `page:Home`, `identify`.
fn source_key(call: Call, members: &Map<String, Value>) -> Result<String, Refusal> {
    let text =
        |name: &str| members.get(name).and_then(Value::as_str).map(str::trim).filter(|t| !t.is_empty());
    let lacks = |name: &str, what: &str| {
        Refusal::new(codes::INCOMPLETE, format!("the call `{}` needs `{name}`: {what}", call.as_str()))
    };
    match call {
        Call::Track => {
            let event = text("event").ok_or_else(|| lacks("event", "the name of what happened"))?;
            Ok(format!("track:{event}"))
        }
        Call::Page | Call::Screen => {
            Ok(text("name")
                .map_or_else(|| call.as_str().to_owned(), |name| format!("{}:{name}", call.as_str())))
        }
        Call::Group if members.get("groupId").and_then(text_or_number).is_none() => {
            Err(lacks("groupId", "what somebody belongs to"))
        }
        Call::Alias if members.get("previousId").and_then(text_or_number).is_none() => {
            Err(lacks("previousId", "the name the person had before"))
        }
        Call::Identify | Call::Group | Call::Alias => Ok(call.as_str().to_owned()),
    }
}

/// What `context.consent.categoryPreferences` says; a category is a purpose.
fn consents(members: &Map<String, Value>) -> (Vec<Said>, Vec<Finding>) {
    let consent = members.get("context").and_then(|c| c.get("consent"));
    let Some(preferences) = consent.and_then(|c| c.get("categoryPreferences")) else {
        return (Vec::new(), Vec::new());
    };
    let mut said = Vec::new();
    let mut notes = Vec::new();
    let Value::Object(preferences) = preferences else {
        notes.push(crate::incoming::note(
            "`categoryPreferences` must be an object; no consent is read from it",
        ));
        return (said, notes);
    };
    let version = consent.and_then(|c| c.get("noticeVersion").or_else(|| c.get("version")));
    let notice_version = version.and_then(text_or_number).unwrap_or_default();
    let text = |name: &str| consent.and_then(|c| c.get(name)).and_then(Value::as_str).unwrap_or_default();
    let (channel, locale) = (text("channel"), text("locale"));
    let source: Arc<str> = "tracking".into();
    for (purpose, granted) in preferences {
        match granted {
            Value::Bool(granted) => {
                said.push(Said {
                    purpose: purpose.clone(),
                    granted: *granted,
                    notice_version: notice_version.clone(),
                    channel: channel.chars().take(32).collect(),
                    locale: locale.chars().take(35).collect(),
                    source: source.clone(),
                    tc_string: None,
                });
            }
            other => {
                let message =
                    format!("consent for {} must be true or false, not {}", shortened(purpose), kind(other));
                notes.push(crate::incoming::note(&message));
            }
        }
    }
    (said, notes)
}

/// A call taken out of quarantine, to be judged anew.
pub(crate) fn again(document: Value) -> Incoming {
    let unknown = Origin::Call("unknown".to_owned());
    let Value::Object(members) = document else {
        return Incoming { origin: unknown, ..Incoming::for_stream("unknown".into(), document) };
    };
    let source = call_of(&members).and_then(|call| source_key(call, &members));
    let (consents, notes) = consents(&members);
    let clock = Clock { sent_at: None, received_at: Instant::default(), corrects: false };
    Incoming {
        origin: source.map_or(unknown, Origin::Call),
        key: message_id(&members).ok().flatten().map(String::into_bytes),
        names_itself: false,
        occurred_at: clock.when(&members).map(Some),
        named: named(&members),
        consents,
        notes,
        raw: Value::Object(members),
    }
}
