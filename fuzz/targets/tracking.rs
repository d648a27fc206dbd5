//! The tracking protocol: no body panics.
#![no_main]

use intake::segment::{Endpoint, read};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((first, body)) = bytes.split_first() else { return };
    let word = ["identify", "track", "page", "screen", "group", "alias", "batch", "import"];
    let Some(endpoint) = word.get(usize::from(*first) % word.len()).and_then(|word| Endpoint::read(word)) else {
        return;
    };
    let _ = read(endpoint, body, event::Instant::from_micros(1_700_000_000_000_000));
});
