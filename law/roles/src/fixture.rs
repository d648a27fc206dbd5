//! Tests of policies as files: who, what, for which purpose, on which class, and what must come of it.

use contract::{Finding, Severity};
use policy::{Action, Principal, Scope};
use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::classes::{self, Classes};
use crate::read::{finding, short};
use crate::roles::{Asked, Roles};
use crate::schema;

/// The file cannot be read, or a test does not hold.
const TEST: &str = "MR3404";
/// A role that is not there.
const ROLE: &str = "MR3405";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    tests: Vec<RawTest>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTest {
    #[serde(default)]
    test: Option<String>,
    #[serde(default = "somebody")]
    principal: String,
    #[serde(default)]
    role: Option<Spanned<String>>,
    #[serde(default)]
    roles: Vec<Spanned<String>>,
    #[serde(default)]
    action: Option<Spanned<String>>,
    #[serde(default)]
    purpose: Option<Spanned<String>>,
    #[serde(default)]
    class: Option<Spanned<String>>,
    #[serde(default)]
    door: Option<Spanned<String>>,
    expect: Spanned<String>,
}

/// Why a test cannot be asked: code, line and message.
type Wrong = (&'static str, u32, String);

fn somebody() -> String {
    "somebody".to_owned()
}

/// What running a file of tests found.
#[derive(Clone, Debug, Default)]
pub struct Tested {
    /// Questions that were asked.
    pub n_asked: usize,
    /// What is wrong; each an error.
    pub findings: Vec<Finding>,
}

impl Roles {
    /// Runs the tests of one file; `file` is for messages.
    pub fn test(&self, text: &str, file: &str) -> Tested {
        let mut tested = Tested::default();
        let raw: RawFile = match serde_saphyr::from_str(text) {
            Ok(raw) => raw,
            Err(error) => {
                let line = error.location().and_then(|l| u32::try_from(l.line()).ok()).unwrap_or(1);
                let message = error.without_snippet().to_string();
                tested.findings.push(finding(TEST, Severity::Error, file, line, message));
                return tested;
            }
        };
        for test in &raw.tests {
            match self.run(test) {
                Ok(None) => tested.n_asked += 1,
                Ok(Some((line, message))) => {
                    tested.n_asked += 1;
                    tested.findings.push(finding(TEST, Severity::Error, file, line, message));
                }
                Err((code, line, message)) => {
                    tested.findings.push(finding(code, Severity::Error, file, line, message));
                }
            }
        }
        tested
    }

    /// `Ok(None)`: it holds.
    fn run(&self, test: &RawTest) -> Result<Option<(u32, String)>, Wrong> {
        let expected = match test.expect.value.as_str() {
            "allow" => true,
            "deny" => false,
            other => {
                return Err(wrong(&test.expect, format!("`{}` is neither allow nor deny", short(other))));
            }
        };
        let mut roles = Vec::new();
        for role in test.role.iter().chain(&test.roles) {
            if !self.roles().contains(&role.value) {
                let known = self.roles().join(", ");
                let message = format!("`{}` is no role of this project; known: {known}", short(&role.value));
                return Err((ROLE, line(role), message));
            }
            roles.push(role.value.clone());
        }
        if roles.is_empty() {
            return Err(wrong(&test.expect, "a test needs `role:` or `roles:`".to_owned()));
        }
        let asked = self.asked(test)?;
        let who = Principal::new(test.principal.clone(), Scope::ALL).with_roles(roles);
        let decision = self.answer(&who, &asked);
        if decision.allowed == expected {
            return Ok(None);
        }
        let said = if decision.allowed { "allowed" } else { "denied" };
        let name = test.test.as_ref().map(|name| format!("{}: ", short(name))).unwrap_or_default();
        let message =
            format!("{name}{} is expected, but it is {said}: {}", test.expect.value, self.why(&decision));
        Ok(Some((line(&test.expect), message)))
    }

    fn asked(&self, test: &RawTest) -> Result<Asked, Wrong> {
        match (&test.door, &test.action) {
            (Some(door), None) if test.purpose.is_none() && test.class.is_none() => {
                let scope: Scope =
                    door.value.parse().map_err(|e: policy::UnknownScope| wrong(door, e.to_string()))?;
                Ok(Asked::Enter(scope))
            }
            (None, Some(action)) => {
                let Some(found) = schema::ACTIONS.into_iter().find(|known| known.as_str() == action.value)
                else {
                    let known = schema::ACTIONS.map(Action::as_str).join(", ");
                    let message = format!("`{}` is no action; known: {known}", short(&action.value));
                    return Err(wrong(action, message));
                };
                let (Some(purpose), Some(class)) = (&test.purpose, &test.class) else {
                    return Err(wrong(action, "an action needs `purpose:` and `class:`".to_owned()));
                };
                if self.purposes().basis(&purpose.value).is_none() {
                    let message = format!("`{}` is no purpose of this project", short(&purpose.value));
                    return Err(wrong(purpose, message));
                }
                let Some(class_) = classes::class(&class.value) else {
                    let message =
                        format!("`{}` is no class: public, internal, personal, special", short(&class.value));
                    return Err(wrong(class, message));
                };
                let classes = Classes::default().with(class_);
                Ok(Asked::Use { action: found, purpose: purpose.value.clone(), classes })
            }
            _ => Err(wrong(
                &test.expect,
                "a test asks for `action:`, `purpose:` and `class:`, or for `door:`".to_owned(),
            )),
        }
    }
}

fn wrong<T>(at: &Spanned<T>, message: String) -> Wrong {
    (TEST, line(at), message)
}

fn line<T>(of: &Spanned<T>) -> u32 {
    u32::try_from(of.referenced.line()).unwrap_or_default()
}
