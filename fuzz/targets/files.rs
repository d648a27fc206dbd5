//! Tables in any encoding: no file panics, and every row is either a document or a finding.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let path = std::env::temp_dir().join(format!("fuzz-{}", std::process::id()));
    if std::fs::write(&path, bytes).is_err() {
        return;
    }
    if let Ok(file) = intake::file::inspect(&path, |_| {})
        && let Ok(rows) = file.rows(0)
    {
        for row in rows {
            if row.is_err() {
                break;
            }
        }
    }
});
