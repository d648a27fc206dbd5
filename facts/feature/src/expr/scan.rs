//! Expressions as tokens: names, literals, signs.

use super::{Value, short};

pub(super) const KEYWORDS: [&str; 9] =
    ["and", "or", "not", "in", "is", "missing", "true", "false", "consent"];

/// True for names that need no backticks.
pub fn is_plain_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && chars.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.')
        && !KEYWORDS.contains(&name)
}

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A bare word: a name or a keyword.
    Word(String),
    /// A name in backticks.
    Quoted(String),
    Literal(Value),
    Sign(&'static str),
}

impl Token {
    pub(super) fn shown(&self) -> String {
        match self {
            Token::Word(word) | Token::Quoted(word) => format!("`{}`", short(word)),
            Token::Literal(value) => value.to_string(),
            Token::Sign(sign) => format!("`{sign}`"),
        }
    }
}

const SIGNS: [&str; 18] =
    ["==", "!=", "<>", "<=", ">=", "&&", "||", "<", ">", "=", "(", ")", "[", "]", ",", "+", "*", "/"];

/// The tokens of an expression, or what is wrong with it.
pub(super) fn scan(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        if let Some(sign) = SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
            if *sign == "&&" || *sign == "||" {
                let word = if *sign == "&&" { "and" } else { "or" };
                return Err(format!("has `{sign}`; write `{word}`"));
            }
            tokens.push(Token::Sign(sign));
            rest = rest.get(sign.len()..).unwrap_or_default();
        } else if first == '-' && !begins_number(&tokens, rest) {
            tokens.push(Token::Sign("-"));
            rest = rest.get(1..).unwrap_or_default();
        } else if matches!(first, '\'' | '"' | '`') {
            let inner = rest.get(1..).unwrap_or_default();
            let Some((quoted, after)) = inner.split_once(first) else {
                return Err(format!("opens {first} and never closes it"));
            };
            tokens.push(match first {
                '`' => Token::Quoted(quoted.to_owned()),
                _ => Token::Literal(Value::Text(quoted.to_owned())),
            });
            rest = after;
        } else if first.is_ascii_digit() || first == '-' || first == '.' {
            let end = rest
                .char_indices()
                .skip(1)
                .find(|(at, c)| {
                    let exponent = rest.get(..*at).is_some_and(|r| r.ends_with(['e', 'E']));
                    !(c.is_ascii_alphanumeric()
                        || matches!(c, '.' | '_')
                        || (exponent && matches!(c, '-' | '+')))
                })
                .map_or(rest.len(), |(at, _)| at);
            let (word, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
            let number = word.parse::<f64>().ok().and_then(Value::number);
            tokens.push(Token::Literal(
                number.ok_or_else(|| format!("has `{}`, which is no number", short(word)))?,
            ));
            rest = after;
        } else if first.is_ascii_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.'));
            let (word, after) = rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or((rest, ""));
            tokens.push(match word {
                "true" => Token::Literal(Value::Flag(true)),
                "false" => Token::Literal(Value::Flag(false)),
                _ => Token::Word(word.to_owned()),
            });
            rest = after;
        } else {
            return Err(format!(
                "has `{}` where a name, a number or a 'text' is expected; other names go in backticks",
                short(&first.to_string())
            ));
        }
        rest = rest.trim_start();
    }
    Ok(tokens)
}

/// Whether a minus belongs to the number after it: not where a value stands before it.
fn begins_number(before: &[Token], rest: &str) -> bool {
    let after_value = match before.last() {
        Some(Token::Quoted(_) | Token::Literal(_) | Token::Sign(")" | "]")) => true,
        Some(Token::Word(word)) => !KEYWORDS.contains(&word.as_str()),
        _ => false,
    };
    let second = rest.chars().nth(1);
    !after_value && second.is_some_and(|c| c.is_ascii_digit() || c == '.')
}
