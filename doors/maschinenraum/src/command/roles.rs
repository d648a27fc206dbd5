//! `roles`: the policies in force, what they say to a question, and their tests.

use anyhow::{Context, bail};
use clap::Subcommand;
use house::{Finding, Project};
use policy::{Principal, Scope};
use roles::{Asked, Roles as Policies};
use serde_json::json;

use super::Ctx;
use crate::out::{self, Code};

/// `roles`
#[derive(Subcommand, Debug)]
pub enum Roles {
    /// Every policy in force, with file and line: the built-in ones and the project's own.
    ///
    /// Example: maschinenraum roles show --role marketer
    Show {
        /// Only what one role is named in.
        #[arg(long)]
        role: Option<String>,
        /// The words that policies are made of, as a Cedar schema, instead.
        #[arg(long, conflicts_with = "role")]
        schema: bool,
    },
    /// What the policies say to a question, and which of them; exit code 1 where it is denied.
    ///
    /// Example: maschinenraum roles ask --role marketer export --purpose email_marketing --class special
    Ask {
        /// The role; may be given often.
        #[arg(long = "role", required = true)]
        roles: Vec<String>,
        /// Who, for policies about one caller.
        #[arg(long, default_value = "somebody")]
        principal: String,
        /// read_features, read_profile, decide, train, send, export
        #[arg(required_unless_present = "door", requires = "purpose")]
        action: Option<String>,
        /// For which purpose.
        #[arg(long)]
        purpose: Option<String>,
        /// public, internal, personal, special; may be given often.
        #[arg(long = "class")]
        classes: Vec<String>,
        /// A door instead: track, consent, read, decide, train, send, export, jobs, protect, admin.
        #[arg(long, conflicts_with_all = ["action", "purpose", "classes"])]
        door: Option<String>,
    },
    /// Runs policies/tests/*.yaml; exit code 1 where one does not hold. `maschinenraum check` does so too.
    ///
    /// Example: maschinenraum roles test
    Test,
}

/// Runs a command about roles. None of them opens the instance: they work beside a running server.
pub fn run(ctx: &Ctx, args: &Roles) -> anyhow::Result<Code> {
    let (project, findings) = Project::read(&ctx.project)?;
    let broken: Vec<&Finding> = findings
        .iter()
        .filter(|finding| finding.is_error() && finding.code.starts_with("MR34") && finding.code < "MR3406")
        .collect();
    if !broken.is_empty() {
        broken.iter().for_each(|finding| out::say(&finding.to_string()));
        out::say("the policies cannot be used; the built-in ones alone would be in force");
        return Ok(Code::Findings);
    }
    match args {
        Roles::Show { schema: true, .. } => out::line(project.roles.schema().trim_end()),
        Roles::Show { role, .. } => show(ctx, &project.roles, role.as_deref())?,
        Roles::Ask { roles, principal, action, purpose, classes, door } => {
            let asked = match (action, purpose, door) {
                (Some(action), Some(purpose), None) => {
                    if project.roles.purposes().basis(purpose).is_none() {
                        bail!("`{purpose}` is no purpose of this project");
                    }
                    Asked::use_of(action, purpose, classes).map_err(anyhow::Error::msg)?
                }
                (None, None, Some(door)) => Asked::Enter(door.parse::<Scope>().context("--door")?),
                _ => bail!("either an action with --purpose and --class is asked for, or a --door"),
            };
            return ask(ctx, &project.roles, roles, principal, &asked);
        }
        Roles::Test => {
            let (n_files, n_asked, wrong) = project.test_policies();
            if ctx.json {
                out::json(&json!({"n_files": n_files, "n_asked": n_asked, "findings": wrong}))?;
            } else {
                wrong.iter().for_each(|finding| out::line(&finding.to_string()));
                out::line(&format!(
                    "{} in {}, {} not as expected",
                    out::count(n_asked, "question"),
                    out::count(n_files, "file"),
                    wrong.len()
                ));
            }
            return Ok(if wrong.is_empty() { Code::Fine } else { Code::Findings });
        }
    }
    Ok(Code::Fine)
}

fn show(ctx: &Ctx, roles: &Policies, role: Option<&str>) -> anyhow::Result<()> {
    if let Some(role) = role
        && !roles.roles().iter().any(|known| known == role)
    {
        bail!("`{role}` is no role of this project; known: {}", roles.roles().join(", "));
    }
    let names = |text: &str| role.is_none_or(|role| text.contains(&format!("\"{role}\"")));
    let rules: Vec<_> = roles.rules().filter(|rule| names(&rule.text)).collect();
    if ctx.json {
        let rules: Vec<_> = rules
            .iter()
            .map(|rule| {
                json!({
                    "file": rule.file, "line": rule.line, "name": rule.name,
                    "effect": if rule.permits { "permit" } else { "forbid" }, "text": rule.text,
                })
            })
            .collect();
        return out::json(&json!({"version": roles.version(), "roles": roles.roles(), "policies": rules}));
    }
    for rule in &rules {
        out::line(&format!("// {}:{}", rule.file, rule.line));
        out::line(rule.text.trim());
        out::line("");
    }
    out::say(&format!(
        "{} of version {}; what none of them permits is denied, and a forbid wins",
        out::count(rules.len(), "policy").replace("policys", "policies"),
        roles.version()
    ));
    Ok(())
}

fn ask(
    ctx: &Ctx,
    policies: &Policies,
    roles: &[String],
    principal: &str,
    asked: &Asked,
) -> anyhow::Result<Code> {
    if let Some(odd) = roles.iter().find(|role| !policies.roles().contains(role)) {
        bail!("`{odd}` is no role of this project; known: {}", policies.roles().join(", "));
    }
    let who = Principal::new(principal, Scope::ALL).with_roles(roles.iter().cloned());
    let decision = policies.answer(&who, asked);
    let (allowed, why) = (decision.allowed, policies.why(&decision));
    if ctx.json {
        out::json(&json!({"allowed": allowed, "why": why, "version": policies.version()}))?;
    } else {
        out::line(&format!("{}: {why}", if allowed { "allowed" } else { "denied" }));
    }
    Ok(if allowed { Code::Fine } else { Code::Findings })
}
