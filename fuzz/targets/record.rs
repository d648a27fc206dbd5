//! The wire form of records: no bytes panic, and what is read is written back the same.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(record) = event::decode(bytes) {
        assert_eq!(event::encode(&record).as_deref(), Ok(bytes));
    }
});
