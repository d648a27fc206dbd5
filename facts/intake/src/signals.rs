//! What consent tools say in tracking calls: TC strings and Google Consent Mode, by the project's mapping.
//!
//! Both stand in `context.consent`: `tcf` holds a TC string, `google` the signals or the commands. What cannot be read is
//! noted and says nothing: no consent is made of it, and the call is taken all the same.

use policy::{Signalled, Signals};
use serde_json::Value;

use crate::incoming::{Incoming, Origin, Said, finding};
use contract::Severity;

/// The most words that one call's signals may say.
const MAX_WORDS: usize = 64;

/// Adds what a call's signals say to what it says about consent.
pub(crate) fn hear(signals: &Signals, incoming: &mut Incoming) {
    if signals.is_empty() || !matches!(incoming.origin, Origin::Call(_)) {
        return;
    }
    let Some(consent) = incoming.raw.get("context").and_then(|context| context.get("consent")) else {
        return;
    };
    let (mut words, mut notes): (Vec<Signalled>, Vec<(&'static str, String)>) = (Vec::new(), Vec::new());
    match consent.get("tcf") {
        None | Some(Value::Null) => {}
        Some(Value::String(text)) => match signals.tcf(text) {
            Ok(said) => words.extend(said),
            Err(error) => notes.push((error.code(), error.to_string())),
        },
        Some(_) => notes.push(("MR3510", "MR3510: `context.consent.tcf` must be a text".to_owned())),
    }
    match consent.get("google") {
        None | Some(Value::Null) => {}
        Some(value) => match signals.google(value) {
            Ok((said, noticed)) => {
                words.extend(said);
                notes.extend(noticed.into_iter().map(|what| ("MR3514", format!("MR3514: {what}"))));
            }
            Err(what) => notes.push(("MR3514", format!("MR3514: `context.consent.google`: {what}"))),
        },
    }
    let version = consent.get("noticeVersion").or_else(|| consent.get("version"));
    let notice_version = match version {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let said = words.into_iter().take(MAX_WORDS).map(|word| Said {
        purpose: word.purpose,
        granted: word.granted,
        notice_version: notice_version.clone(),
        channel: String::new(),
        locale: word.locale,
        source: word.source.into(),
        tc_string: word.tc_string,
    });
    let said: Vec<Said> = said.collect();
    // What a category says by name, and what two tools say, is heard together: one no is a no.
    for word in said {
        match incoming
            .consents
            .iter_mut()
            .find(|known| known.purpose == word.purpose && known.channel.is_empty())
        {
            Some(known) if known.granted && !word.granted => *known = word,
            Some(known) if known.granted == word.granted && known.tc_string.is_none() => *known = word,
            Some(_) => {}
            None => incoming.consents.push(word),
        }
    }
    let stream = incoming.origin.to_string();
    incoming
        .notes
        .extend(notes.into_iter().map(|(code, what)| finding(code, Severity::Warning, &stream, what)));
}
