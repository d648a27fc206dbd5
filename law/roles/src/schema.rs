//! The words that policies are made of, as a Cedar schema: every role, purpose, class, door and action there is.
//!
//! They are enumerated, so that a policy that names a role, a purpose or a class that is not there is an error of the
//! policy and not a rule that never applies.

use policy::{Action, LegalBasis, Purposes, Scope};

use crate::classes;

/// What may be done with data.
pub(crate) const ACTIONS: [Action; 7] = [
    Action::ReadFeatures,
    Action::ReadProfile,
    Action::Decide,
    Action::Train,
    Action::Send,
    Action::Export,
    Action::Claims,
];

/// The action of coming in by a door.
pub(crate) const ENTER: &str = "enter";

/// The schema of a project with these roles and purposes.
pub(crate) fn text(roles: &[String], purposes: &Purposes) -> String {
    let purposes: Vec<&str> = purposes.names().collect();
    // An enumeration cannot be empty.
    let purposes = if purposes.is_empty() { vec!["-"] } else { purposes };
    let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
    let actions: Vec<&str> = ACTIONS.into_iter().map(Action::as_str).collect();
    format!(
        "// What a caller may have. Roles of your own: `[policies] roles` in maschinenraum.toml.\n\
         entity Role enum [{}];\n\
         // Whoever asks: an API key by its name, a person by their name at the identity provider, the operator.\n\
         entity Caller in [Role];\n\
         // What a field is, by its contract.\n\
         entity Class enum [{}];\n\
         // `[purposes]` of maschinenraum.toml, and what each rests on.\n\
         entity Purpose enum [{}];\n\
         entity Basis enum [{}];\n\
         // The doors are the scopes of API keys: a route, or a command, is behind one of them.\n\
         entity Door enum [{}];\n\
         \n\
         // What is done with data.\n\
         action {} appliesTo {{\n  principal: [Caller],\n  resource: [Class],\n  \
         context: {{ purpose: Purpose, basis: Basis }}\n}};\n\
         // Coming in at all.\n\
         action \"{ENTER}\" appliesTo {{\n  principal: [Caller],\n  resource: [Door],\n  context: {{}}\n}};\n",
        list(&roles),
        list(&classes::ALL.map(contract::Classification::as_str)),
        list(&purposes),
        list(&LegalBasis::ALL.map(LegalBasis::as_str)),
        list(&Scope::ALL.map(Scope::as_str)),
        list(&actions),
    )
}

/// `"a", "b"`, escaped as Cedar wants it.
fn list(words: &[&str]) -> String {
    let quoted = |word: &&str| {
        let escaped: String = word.chars().flat_map(char::escape_default).collect();
        format!("\"{escaped}\"")
    };
    words.iter().map(quoted).collect::<Vec<_>>().join(", ")
}
