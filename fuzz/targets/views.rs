//! Feature views and their filters: no YAML panics.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = feature::View::parse(text, "fuzz.yaml", &contract::Contracts::new());
    }
});
