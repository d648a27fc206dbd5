//! What roles denied, and which policies are in force, for the audit log (LAW 10).
//!
//! A denial is noted where a grant is asked for, which may be anywhere, and told with the chores: the same one again is
//! counted and not told again, so that nobody fills the log by asking.

use std::collections::BTreeMap;

use audit::Act;
use parking_lot::Mutex;
use policy::Principal;
use serde_json::json;

use crate::Error;
use crate::house::House;
use crate::layout::write_durably;

/// Different denials kept until they are told; others count together.
const MOST: usize = 1_000;

/// Who, what, for which purpose, and which class or door was denied.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Denial {
    who: String,
    what: String,
    purpose: Option<String>,
    reason: String,
}

/// Denials that wait to be told.
#[derive(Default)]
pub(crate) struct Desk(Mutex<BTreeMap<Denial, u64>>);

impl House {
    /// Notes a denial; it is told with the next chores, or when the house is closed.
    pub(super) fn note_denial(
        &self,
        who: &Principal,
        what: &str,
        purpose: Option<&str>,
        denied: &roles::Error,
    ) {
        let short = |text: &str| text.chars().take(64).collect::<String>();
        let mut denial = Denial {
            who: short(who.name()),
            what: short(what),
            purpose: purpose.map(short),
            reason: denied.to_string(),
        };
        let mut waiting = self.role_desk.0.lock();
        if waiting.len() >= MOST && !waiting.contains_key(&denial) {
            let others = "others".to_owned();
            denial = Denial { who: others.clone(), what: others.clone(), purpose: None, reason: others };
        }
        *waiting.entry(denial).or_default() += 1;
    }

    /// Tells the audit log what was denied since it was told last.
    ///
    /// # Errors
    /// As [`House::audit`]; what could not be told waits.
    pub(crate) fn tell_denials(&self) -> Result<(), Error> {
        let told = std::mem::take(&mut *self.role_desk.0.lock());
        if told.is_empty() {
            return Ok(());
        }
        let acts: Vec<Act<'_>> = told
            .iter()
            .map(|(denial, n)| Act {
                what: "role.deny",
                by: &denial.who,
                purpose: denial.purpose.as_deref(),
                subject: None,
                detail: json!({ "asked": denial.what, "times": n, "reason": denial.reason }),
            })
            .collect();
        if let Err(error) = self.audit_all(&acts) {
            let mut waiting = self.role_desk.0.lock();
            for (denial, n) in told {
                *waiting.entry(denial).or_default() += n;
            }
            return Err(error);
        }
        Ok(())
    }

    /// Tells the audit log where other policies are in force than when the house was open last.
    ///
    /// # Errors
    /// As [`House::audit`]; [`Error::Directory`]
    pub(crate) fn settle_policies(&self) -> Result<(), Error> {
        let path = self.layout().root().join("policies.version");
        let (before, now) = (std::fs::read_to_string(&path).unwrap_or_default(), self.roles().version());
        if before == now {
            return Ok(());
        }
        let files: std::collections::BTreeSet<&str> = self
            .roles()
            .rules()
            .map(|rule| rule.file.as_str())
            .filter(|file| !file.starts_with("built-in/"))
            .collect();
        // A new house with nothing but what is built in has changed nothing.
        if !before.is_empty() || !files.is_empty() {
            let detail = json!({ "from": before, "to": now, "files": files });
            let act = Act { what: "policy.change", by: "project", purpose: None, subject: None, detail };
            self.audit(&act)?;
        }
        write_durably(&path, now.as_bytes())
    }
}
