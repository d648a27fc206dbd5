//! LAW 3: the attempts to read a profile without a grant. None may compile.

#[test]
fn no_profile_is_read_without_a_grant() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
