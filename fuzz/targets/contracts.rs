//! Contract files: no YAML panics, and a contract that was read judges any document.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (yaml, document) = text.split_once("\u{0}").unwrap_or((text, "{}"));
    if let Ok(parsed) = contract::Contract::parse(yaml, "fuzz.yaml")
        && let Ok(raw) = serde_json::from_str(document)
    {
        let bound = parsed.contract.bind(&raw);
        let _ = (parsed.contract.check(&bound), parsed.contract.validate());
        let split = parsed.contract.split(raw.clone());
        assert_eq!(contract::join(split.open, split.sealed), raw);
    }
});
