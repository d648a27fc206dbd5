//! What somebody may have meant.

use contract::{Contract, Contracts};

/// At most 64 characters of what somebody wrote.
pub(crate) fn short(text: &str) -> String {
    match text.char_indices().nth(64) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A field of the contract that may have been meant.
pub(crate) fn nearest(contract: &Contract, name: &str) -> String {
    suggestion(contract.fields.iter().map(|field| field.name.as_str()), name)
}

/// A stream that may have been meant.
pub(crate) fn nearest_stream(contracts: &Contracts, name: &str) -> String {
    let streams: Vec<String> = contracts.iter().map(|contract| contract.stream.to_string()).collect();
    suggestion(streams.iter().map(String::as_str), name)
}

/// "; did you mean `total`?", or the names there are, where they are few.
pub(crate) fn suggestion<'n>(names: impl Iterator<Item = &'n str> + Clone, name: &str) -> String {
    let like = |other: &&str| {
        let (a, b) = (other.to_lowercase(), name.to_lowercase());
        a.starts_with(&b) || b.starts_with(&a) || differ_by_one(&a, &b)
    };
    if let Some(found) = names.clone().find(like) {
        return format!("; did you mean `{found}`?");
    }
    let known: Vec<String> = names.take(12).map(|name| format!("`{name}`")).collect();
    if known.is_empty() { String::new() } else { format!("; there is {}", known.join(", ")) }
}

/// One character more, less, other, or two neighbours swapped.
fn differ_by_one(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let same = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let (a, b) = (a.get(same..).unwrap_or_default(), b.get(same..).unwrap_or_default());
    let swapped = matches!((a, b), ([p, q, x @ ..], [r, s, y @ ..]) if p == s && q == r && x == y);
    swapped || a.get(1..) == b.get(1..) || a.get(1..) == Some(b) || Some(a) == b.get(1..)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(written: &str, meant: bool) {
        let text = suggestion(["total", "status"].into_iter(), written);
        assert_eq!(text.contains("did you mean `total`?"), meant, "{written}: {text}");
    }

    #[test]
    fn near_names_are_suggested() {
        for written in ["Total", "totl", "totaal", "tptal", "toatl", "tot", "totals"] {
            check(written, true);
        }
        for written in ["sum", "toxxl", "lato"] {
            check(written, false);
        }
        assert_eq!(short(&"é".repeat(80)), format!("{}…", "é".repeat(64)));
    }
}
