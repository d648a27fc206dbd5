//! What an ID token must say (OpenID Connect Core 1.0, section 3.1.3.7).

use serde_json::{Map, Value};

use super::refused::Refused;

/// How old a token may be: it was made for this login, a moment ago.
const MAX_AGE_SECONDS: i64 = 600;

/// What is expected of a token.
pub(crate) struct Expected<'e> {
    pub issuer: &'e str,
    pub client: &'e str,
    /// What this login sent along.
    pub nonce: &'e str,
    /// How far the provider's clock may be off.
    pub skew: i64,
    /// Seconds since 1970.
    pub now: i64,
}

/// Claims that passed.
#[derive(Debug)]
pub(crate) struct Claims {
    pub subject: String,
    pub exp: i64,
    all: Map<String, Value>,
}

impl Claims {
    /// Checks the claims of a token whose signature holds.
    pub(crate) fn check(payload: &[u8], expected: &Expected<'_>) -> Result<Self, Refused> {
        let refused = |reason: String| Refused::Token { reason };
        let all: Map<String, Value> = serde_json::from_slice(payload)
            .map_err(|e| refused(format!("its claims cannot be read: {e}")))?;
        let text = |name: &str| all.get(name).and_then(Value::as_str);
        if text("iss") != Some(expected.issuer) {
            return Err(refused(format!("`{}` issued it", shown(text("iss")))));
        }
        let audiences: Vec<&str> = match all.get("aud") {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if !audiences.contains(&expected.client) {
            return Err(refused(format!("it is made for `{}`", shown(audiences.first().copied()))));
        }
        // One that several may use says who asked for it.
        let azp = text("azp");
        if (audiences.len() > 1 || azp.is_some()) && azp != Some(expected.client) {
            return Err(refused(format!("`{}` asked for it", shown(azp))));
        }
        let time = |name: &str| {
            let value = all.get(name)?;
            value.as_i64().or_else(|| value.as_f64().filter(|t| t.abs() < 1e12).map(|t| t as i64))
        };
        let exp = time("exp").ok_or_else(|| refused("it has no end (`exp`)".to_owned()))?;
        if expected.now >= exp.saturating_add(expected.skew) {
            return Err(refused(format!("it expired {} s ago", expected.now - exp)));
        }
        let iat = time("iat").ok_or_else(|| refused("it has no beginning (`iat`)".to_owned()))?;
        for (name, since) in [("iat", Some(iat)), ("nbf", time("nbf"))] {
            if since.is_some_and(|since| since > expected.now.saturating_add(expected.skew)) {
                return Err(refused(format!("it is of the future (`{name}`)")));
            }
        }
        if expected.now - iat > MAX_AGE_SECONDS + expected.skew {
            return Err(refused(format!("it was made {} s ago, for another login", expected.now - iat)));
        }
        let same = text("nonce").is_some_and(|nonce| nonce == expected.nonce);
        if !same {
            return Err(refused("its nonce is not this login's: it was made for another".to_owned()));
        }
        let subject = text("sub").filter(|sub| !sub.is_empty() && sub.len() <= 255);
        let subject = subject.ok_or_else(|| refused("it names nobody (`sub`)".to_owned()))?.to_owned();
        Ok(Self { subject, exp, all })
    }

    /// A claim's text, without what is no text; `None` where there is none.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let text = self.all.get(name)?.as_str()?;
        let text: String = text.chars().filter(|c| !c.is_control()).take(128).collect();
        (!text.is_empty()).then_some(text)
    }

    /// A claim's texts: a list, or one alone.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        match self.all.get(name) {
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        }
    }
}

fn shown(text: Option<&str>) -> String {
    text.unwrap_or("nobody").chars().filter(|c| !c.is_control()).take(100).collect()
}
