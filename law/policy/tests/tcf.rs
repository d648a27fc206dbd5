//! TC strings: as the reference decoder reads them, as another decoder reads them, and when they are broken on purpose.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "test code"
)]

use std::path::PathBuf;

use policy::tcf::{RestrictionKind, TcString};
use policy::{Signals, TcfRules};
use proptest::prelude::*;
use serde_json::Value;

/// The 1,200 strings that IAB Tech Lab's encoder made, with what its decoder says of each; `None` where there is no data.
fn reference() -> Option<Vec<Value>> {
    let root = std::env::var_os("MASCHINENRAUM_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let path = root.join("govern/tc_strings_v23_generated.jsonl");
    if !path.exists() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "no data at {}", path.display());
        eprintln!("SKIPPED tcf: no data");
        return None;
    }
    let text = std::fs::read_to_string(path).unwrap();
    Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

fn numbers(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(|n| n.as_u64().unwrap()).collect()
}

#[test]
fn every_string_reads_as_the_reference_decoder_reads_it() {
    let Some(lines) = reference() else { return };
    assert_eq!(lines.len(), 1_200);
    for line in lines {
        let said = TcString::read(line["tc"].as_str().unwrap()).unwrap();
        let purposes: Vec<u64> = said.purposes.iter().copied().map(u64::from).collect();
        let interests: Vec<u64> = said.legitimate_interests.iter().copied().map(u64::from).collect();
        // Since TCF 2.2 nobody may claim legitimate interest for purposes 1 and 3 to 6: the encoder does not write them.
        let mut wanted = numbers(&line["li"]);
        wanted.retain(|purpose| *purpose == 2 || *purpose >= 7);
        assert_eq!((purposes, interests), (numbers(&line["purposes"]), wanted));
        let head: Vec<u64> = said.vendors.iter().take(8).map(u64::from).collect();
        assert_eq!(head, numbers(&line["vendors_head"]));
        let counts = [said.vendors.len(), said.vendor_interests.len(), said.disclosed.unwrap().len()];
        let wanted =
            ["nVendors", "nVendorsLI", "nDisclosed"].map(|name| line[name].as_u64().unwrap() as usize);
        assert_eq!(counts, wanted);
        assert_eq!(said.created, line["created"].as_str().unwrap().parse().unwrap());
        assert_eq!(u64::from(said.policy_version), line["policyVersion"].as_u64().unwrap());
    }
}

#[test]
fn another_decoder_reads_the_same() {
    let Some(lines) = reference() else { return };
    for line in lines {
        let text = line["tc"].as_str().unwrap();
        let (ours, theirs) =
            (TcString::read(text).unwrap(), lib_tcstring::TcModelV2::try_from(text).unwrap());
        assert_eq!(ours.purposes, theirs.purposes_consent);
        assert_eq!(ours.legitimate_interests, theirs.purposes_li_transparency);
        assert!(ours.vendors.iter().eq(theirs.vendors_consent.iter().copied()));
        assert!(ours.vendor_interests.iter().eq(theirs.vendors_li_consent.iter().copied()));
        assert!(ours.disclosed.unwrap().iter().eq(theirs.disclosed_vendors.iter().copied()));
        assert_eq!((ours.cmp_id, ours.vendor_list_version), (theirs.cmp_id, theirs.vendor_list_version));
        assert_eq!(ours.publisher_country, theirs.publisher_country_code);
        // The file's `lang` is what the encoder was asked for; it writes the vendor list's language, EN.
        assert_eq!((ours.language.as_str(), theirs.consent_language.as_str()), ("EN", "EN"));
    }
}

/// Writes bits as a segment's letters.
#[derive(Default)]
struct Pen(Vec<bool>);

impl Pen {
    fn put(mut self, n: usize, number: u64) -> Self {
        self.0.extend((0..n).rev().map(|at| number >> at & 1 == 1));
        self
    }

    fn text(self) -> String {
        const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let letter = |bits: &[bool]| {
            let number =
                (0..6).fold(0, |sum, at| sum << 1 | usize::from(bits.get(at).copied().unwrap_or_default()));
            char::from(LETTERS[number])
        };
        self.0.chunks(6).map(letter).collect()
    }
}

const TODAY: u64 = 17_900_000_000; // 2026-09-22, in tenths of a second
const LAST_YEAR: u64 = 17_400_000_000; // 2025-02-19

/// A core with purposes 1 and 2, up to where vendors stand.
fn core(made: u64) -> Pen {
    let pen = Pen::default().put(6, 2).put(36, made).put(36, made).put(12, 300).put(12, 1).put(6, 1);
    let pen = pen.put(6, 3).put(6, 4).put(12, 17).put(6, 5).put(1, 1).put(1, 0).put(12, 0);
    pen.put(24, 0b11 << 22).put(24, 0).put(1, 0).put(6, 3).put(6, 4)
}

fn no_vendors(pen: Pen) -> Pen {
    pen.put(16, 0).put(1, 0).put(16, 0).put(1, 0).put(12, 0)
}

/// Vendors 2 to 4 and 9, as ranges.
fn with_vendors(pen: Pen) -> Pen {
    let pen = pen.put(16, 9).put(1, 1).put(12, 2).put(1, 1).put(16, 2).put(16, 4).put(1, 0).put(16, 9);
    pen.put(16, 0).put(1, 0)
}

fn disclosed(vendors: &[u64]) -> String {
    let pen = Pen::default().put(3, 1).put(16, 9).put(1, 1).put(12, vendors.len() as u64);
    vendors.iter().fold(pen, |pen, vendor| pen.put(1, 0).put(16, *vendor)).text()
}

fn check(text: &str, code: &str, words: &str) {
    let error = TcString::read(text).unwrap_err();
    let said = error.to_string();
    assert!(error.code() == code && said.contains(words) && said.len() < 300, "{said}");
}

#[test]
fn strings_broken_on_purpose_say_what_is_wrong() {
    let fine = format!("{}.{}", no_vendors(core(TODAY)).text(), disclosed(&[3]));
    assert!(TcString::read(&fine).is_ok());
    check("", "MR3510", "ends within its version");
    check("CP=x", "MR3510", "`=` at letter 3");
    check("CP🦀", "MR3510", "base64url does not have");
    check("BOEFEAyOEFEAyAHABDENAI4AAAB9vABAASA", "MR3511", "version 1");
    check("_AAA", "MR3511", "version 63");
    check(&"A".repeat(40_000), "MR3510", "40000 letters");
    check("CQQD9wAQQD9wAE", "MR3510", "ends within");
    check(&no_vendors(core(TODAY)).text(), "MR3512", "since 2026-02-28");
    // Made before the segment was mandatory, it needs none.
    assert!(TcString::read(&no_vendors(core(LAST_YEAR)).text()).is_ok());
    check(&format!("{fine}.{}", disclosed(&[3])), "MR3510", "two segments");
    check(&format!("{fine}.{}", Pen::default().put(3, 7).text()), "MR3510", "type 7");
    check(&format!("{fine}."), "MR3510", "ends within its type");
    let core_with = |pen: Pen| format!("{}.{}", pen.text(), disclosed(&[3]));
    check(&core_with(core(TODAY).put(16, 9).put(1, 1).put(12, 4_095)), "MR3510", "ends within vendors");
    check(&core_with(core(TODAY).put(16, 60_000).put(1, 0)), "MR3510", "ends within vendors");
    let range =
        |first, last| core(TODAY).put(16, 65_535).put(1, 1).put(12, 1).put(1, 1).put(16, first).put(16, last);
    check(&core_with(range(9, 4)), "MR3510", "range 9 to 4");
    check(&core_with(range(0, 4)), "MR3510", "range 0 to 4");
    // All 65,535 vendors, restricted 300 times over: read, and no larger than it is.
    let mut bomb = range(1, 65_535).put(16, 0).put(1, 0).put(12, 300);
    for _ in 0..300 {
        bomb = bomb.put(6, 1).put(2, 0).put(12, 1).put(1, 1).put(16, 1).put(16, 65_535);
    }
    let said = TcString::read(&core_with(bomb)).unwrap();
    assert_eq!((said.vendors.len(), said.restrictions.len()), (65_535, 300));
    assert!(!said.consents(3, 1));
}

#[test]
fn a_vendor_needs_consent_disclosure_and_no_restriction() {
    let rules = |vendor| TcfRules {
        vendor,
        purposes: [("ads".to_owned(), vec![1, 2])].into(),
        ..TcfRules::default()
    };
    let says = |vendor, text: &str| {
        let signals = Signals { tcf: rules(vendor), ..Signals::default() };
        let words = signals.tcf(text).unwrap();
        assert!(words.iter().all(|word| word.purpose == "ads" && word.locale == "de"));
        words[0].granted
    };
    let plain = format!("{}.{}", with_vendors(core(TODAY)).put(12, 0).text(), disclosed(&[3, 8]));
    assert!(says(None, &plain) && says(Some(3), &plain));
    assert!(!says(Some(4), &plain), "consented to, not disclosed");
    assert!(!says(Some(8), &plain), "disclosed, not consented to");
    for (kind, granted) in [(0, false), (1, true), (2, false)] {
        let pen = with_vendors(core(TODAY)).put(12, 1).put(6, 2).put(2, kind).put(12, 1).put(1, 0).put(16, 3);
        let text = format!("{}.{}", pen.text(), disclosed(&[3]));
        assert_eq!(says(Some(3), &text), granted, "restriction {kind}");
        assert_eq!(
            TcString::read(&text).unwrap().restrictions[0].kind == RestrictionKind::RequireConsent,
            granted
        );
    }
    let publisher =
        Pen::default().put(3, 3).put(24, 0b11 << 22).put(24, 0).put(6, 2).put(2, 3).put(2, 0).text();
    let own = Signals { tcf: TcfRules { publisher: true, ..rules(None) }, ..Signals::default() };
    assert!(own.tcf(&format!("{plain}.{publisher}")).unwrap()[0].granted);
    assert!(!own.tcf(&plain).unwrap()[0].granted, "no segment of the publisher, no consent");
}

proptest! {
    #[test]
    fn noise_is_an_error_and_never_a_panic(text in "C[A-Za-z0-9_.-]{0,300}") {
        if let Err(error) = TcString::read(&text) {
            prop_assert!(error.code().starts_with("MR351"), "{}", error);
        }
    }

    /// A real string, cut off or with letters changed.
    #[test]
    fn a_broken_string_never_panics(cut in 0_usize..400, at in 0_usize..400, letter in "[A-Za-z0-9_.-]") {
        let text = format!("{}.{}", with_vendors(core(TODAY)).put(12, 0).text(), disclosed(&[3, 8]));
        let _ = TcString::read(&text[..cut.min(text.len())]);
        let mut changed = text.clone();
        let at = at % text.len();
        changed.replace_range(at..=at, &letter);
        let _ = TcString::read(&changed);
    }
}
