//! LAW 3: the attempts to read features without a grant. None may compile.

#[test]
fn features_are_read_under_a_grant_only() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
