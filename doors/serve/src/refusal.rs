//! What the door itself refuses, before the house is asked. Each refusal quotes what was sent, in the caller's words.

use std::time::Duration;

use axum::http::StatusCode;

/// A request that does not get past the door.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// MR7010, explained in docs/errors/MR7010.md
    #[error("there is nothing at `{path}`; /openapi.json lists what there is")]
    NoRoute {
        /// The path asked for, shortened.
        path: String,
    },
    /// MR7011, explained in docs/errors/MR7011.md
    #[error("`{path}` does not take {method}; /openapi.json says what it takes")]
    WrongMethod {
        /// The path asked for.
        path: String,
        /// The method used.
        method: String,
    },
    /// MR7012, explained in docs/errors/MR7012.md
    #[error("the body is larger than the {limit_bytes} bytes taken here; send smaller parts")]
    TooLarge {
        /// The limit.
        limit_bytes: usize,
    },
    /// MR7013, explained in docs/errors/MR7013.md
    #[error("the content type `{given}` is not taken here; send `Content-Type: {expected}`")]
    MediaType {
        /// What was sent.
        given: String,
        /// What is taken.
        expected: &'static str,
    },
    /// MR7014, explained in docs/errors/MR7014.md
    #[error("the content encoding `{given}` is not taken; send the body plain or as gzip")]
    Encoding {
        /// What was sent.
        given: String,
    },
    /// MR7015, explained in docs/errors/MR7015.md
    #[error("the body says it is gzip and is not: {reason}")]
    Gzip {
        /// What the decoder said.
        reason: String,
    },
    /// MR7016, explained in docs/errors/MR7016.md
    #[error("the gzip body of {packed_bytes} bytes unpacks to more than the {limit_bytes} bytes taken here")]
    GzipBomb {
        /// Its size as sent.
        packed_bytes: usize,
        /// The limit.
        limit_bytes: usize,
    },
    /// MR7017, explained in docs/errors/MR7017.md
    #[error("the body is not UTF-8: {reason}")]
    NotUtf8 {
        /// Where, and what it looks like instead.
        reason: String,
    },
    /// MR7018, explained in docs/errors/MR7018.md
    #[error("the body is not JSON: {reason}")]
    NotJson {
        /// What the parser said, and the text there.
        reason: String,
    },
    /// MR7019, explained in docs/errors/MR7019.md
    #[error("the JSON is nested deeper than 127 levels, at line {line} column {column}")]
    TooDeep {
        /// Counted from 1.
        line: usize,
        /// Counted from 1.
        column: usize,
    },
    /// MR7020, explained in docs/errors/MR7020.md
    #[error("the JSON does not have the shape taken here: {reason}")]
    WrongShape {
        /// What the parser said.
        reason: String,
    },
    /// MR7021, explained in docs/errors/MR7021.md
    #[error("an API key is needed: send it as `Authorization: Bearer mr_…` or as the user name of Basic")]
    NoKey,
    /// MR7022, explained in docs/errors/MR7022.md
    #[error("the header `Authorization` cannot be read: {reason}")]
    Authorization {
        /// Why; never the header's value.
        reason: &'static str,
    },
    /// MR7023, explained in docs/errors/MR7023.md
    #[error("the API key `{name}` may not do this: it needs the scope `{scope}`")]
    Scope {
        /// Whose key it is.
        name: String,
        /// What is missing.
        scope: &'static str,
    },
    /// MR7024, explained in docs/errors/MR7024.md
    #[error("the API key `{name}` sent more than {per_second} requests per second; wait {wait_s} s")]
    TooMany {
        /// Whose key it is.
        name: String,
        /// The mean that is allowed.
        per_second: u32,
        /// Seconds until one more is taken.
        wait_s: u64,
    },
    /// MR7025, explained in docs/errors/MR7025.md
    #[error("{limit} requests are under way already; ask again in a second")]
    Busy {
        /// How many may be.
        limit: usize,
    },
    /// MR7026, explained in docs/errors/MR7026.md
    #[error("the body did not arrive whole: {reason}")]
    BodyBroken {
        /// What happened.
        reason: String,
    },
    /// MR7027, explained in docs/errors/MR7027.md
    #[error(
        "no answer within {limit_ms} ms; what was sent may have been taken; events with a messageId can be sent again safely"
    )]
    TimedOut {
        /// The limit.
        limit_ms: u64,
    },
    /// MR7028, explained in docs/errors/MR7028.md
    #[error(
        "the headers have {n_headers} fields and {n_bytes} bytes; {max_headers} and {max_bytes} are taken"
    )]
    Headers {
        /// How many there are.
        n_headers: usize,
        /// Their names and values together.
        n_bytes: usize,
        /// How many are taken.
        max_headers: usize,
        /// How many bytes are taken.
        max_bytes: usize,
    },
    /// MR7029, explained in docs/errors/MR7029.md
    #[error("the URL has {n_bytes} bytes; {max_bytes} are taken")]
    Url {
        /// Its length.
        n_bytes: usize,
        /// The limit.
        max_bytes: usize,
    },
    /// MR7030, explained in docs/errors/MR7030.md
    #[error("browsers on `{origin}` may not send here: `browser_origins` in the settings does not name it")]
    Origin {
        /// Where the browser said it is.
        origin: String,
    },
    /// MR7031, explained in docs/errors/MR7031.md
    #[error("the query is not understood: {reason}")]
    Query {
        /// What is missing or wrong.
        reason: String,
    },
    /// MR7032, explained in docs/errors/MR7032.md
    #[error("`{given}` in the URL is not understood: {reason}")]
    Path {
        /// The part of the path.
        given: String,
        /// What is wrong with it.
        reason: String,
    },
    /// MR7033, explained in docs/errors/MR7033.md
    #[error("the house is shutting down; ask again when it is back")]
    Closing,
    /// MR7034, explained in docs/errors/MR7034.md
    #[error("something went wrong inside; the request id {request_id} is in the log")]
    Inside {
        /// Names the request in the log.
        request_id: String,
    },
    /// MR7035, explained in docs/errors/MR7035.md
    #[error("there is no {kind} `{name}`")]
    NotFound {
        /// What sort of thing.
        kind: &'static str,
        /// The name asked for.
        name: String,
    },
}

impl Refusal {
    /// The code under which `docs/errors` explains it.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoRoute { .. } => "MR7010",
            Self::WrongMethod { .. } => "MR7011",
            Self::TooLarge { .. } => "MR7012",
            Self::MediaType { .. } => "MR7013",
            Self::Encoding { .. } => "MR7014",
            Self::Gzip { .. } => "MR7015",
            Self::GzipBomb { .. } => "MR7016",
            Self::NotUtf8 { .. } => "MR7017",
            Self::NotJson { .. } => "MR7018",
            Self::TooDeep { .. } => "MR7019",
            Self::WrongShape { .. } => "MR7020",
            Self::NoKey => "MR7021",
            Self::Authorization { .. } => "MR7022",
            Self::Scope { .. } => "MR7023",
            Self::TooMany { .. } => "MR7024",
            Self::Busy { .. } => "MR7025",
            Self::BodyBroken { .. } => "MR7026",
            Self::TimedOut { .. } => "MR7027",
            Self::Headers { .. } => "MR7028",
            Self::Url { .. } => "MR7029",
            Self::Origin { .. } => "MR7030",
            Self::Query { .. } => "MR7031",
            Self::Path { .. } => "MR7032",
            Self::Closing => "MR7033",
            Self::Inside { .. } => "MR7034",
            Self::NotFound { .. } => "MR7035",
        }
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NoRoute { .. } | Self::NotFound { .. } => StatusCode::NOT_FOUND,
            Self::WrongMethod { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::TooLarge { .. } | Self::GzipBomb { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::MediaType { .. } | Self::Encoding { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Gzip { .. }
            | Self::NotUtf8 { .. }
            | Self::NotJson { .. }
            | Self::TooDeep { .. }
            | Self::WrongShape { .. }
            | Self::BodyBroken { .. }
            | Self::Query { .. }
            | Self::Path { .. } => StatusCode::BAD_REQUEST,
            Self::NoKey | Self::Authorization { .. } => StatusCode::UNAUTHORIZED,
            Self::Scope { .. } | Self::Origin { .. } => StatusCode::FORBIDDEN,
            Self::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            // Not 408 and not 504: both Segment clients repeat a 503.
            Self::Busy { .. } | Self::TimedOut { .. } | Self::Closing => StatusCode::SERVICE_UNAVAILABLE,
            Self::Headers { .. } => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Url { .. } => StatusCode::URI_TOO_LONG,
            Self::Inside { .. } => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// How long to wait before the same request is worth sending again; `None` where it never is.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooMany { wait_s, .. } => Some(Duration::from_secs(*wait_s)),
            Self::Busy { .. } | Self::TimedOut { .. } => Some(Duration::from_secs(1)),
            Self::Closing => Some(Duration::from_secs(5)),
            Self::BodyBroken { .. } | Self::Inside { .. } => Some(Duration::ZERO),
            _ => None,
        }
    }
}

/// The first `n` characters of what somebody sent, without control characters.
pub(crate) fn short(text: &str, n: usize) -> String {
    let mut short: String = text.chars().take(n).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(n).is_some() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_short_and_printable() {
        assert_eq!(short("shop", 8), "shop");
        assert_eq!(short("a\r\nb\u{1b}[2J", 40), "a  b [2J");
        assert_eq!(short("🙂🙂🙂", 2), "🙂🙂…");
    }
}
