//! LAW 3: the attempts to come by a grant without `authorize`. None may compile.

#[test]
fn a_grant_cannot_be_forged() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
