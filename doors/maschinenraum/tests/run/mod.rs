//! The binary as a user runs it.
#![allow(clippy::unwrap_used, reason = "test code")]

use std::path::Path;
use std::process::Command;

/// Runs the binary, which must end with this code and print these texts; what it prints to stdout.
#[track_caller]
pub fn check(dir: &Path, args: &[&str], code: i32, texts: &[&str]) -> String {
    let ran = Command::new(env!("CARGO_BIN_EXE_maschinenraum"))
        .args(args)
        .current_dir(dir)
        .env_remove("MASCHINENRAUM_PROJECT")
        .env_remove("RUST_LOG")
        .env("USER", "mara")
        .output()
        .unwrap();
    let out = String::from_utf8_lossy(&ran.stdout).into_owned();
    let both = format!("{out}{}", String::from_utf8_lossy(&ran.stderr));
    assert_eq!(ran.status.code(), Some(code), "exit code of {args:?}:\n{both}");
    for text in texts {
        assert!(both.contains(text), "`{text}` is not in what {args:?} prints:\n{both}");
    }
    assert!(!both.contains("panicked"), "{args:?}:\n{both}");
    out
}
