//! Holding a project's policies against the schema.
//!
//! Three ways a policy can be wrong though it is Cedar: it names what there is not, it compares what is never equal, or
//! it cannot be evaluated. The first two are seen in its expressions; the third by asking it every question that there
//! can be — roles, actions, purposes, classes and doors are all enumerated, so that is a few thousand. A policy that
//! applies to none of them is told as well.

use cedar_policy_core::ast::{BinaryOp, Eid, EntityUID, Expr, ExprKind, Literal, Policy, PolicySet, Var};
use contract::{Finding, Severity};

use crate::classes;
use crate::evaluate::{Asker, Said};
use crate::read::{finding, line_of, quoted, short};
use crate::rule::Rule;
use crate::schema;
use crate::words::Words;

/// A policy that names what there is not, or compares what cannot be compared.
const MEANING: &str = "MR3403";

/// What may stand on the other side of a comparison.
#[derive(Clone, Copy)]
struct Side {
    shown: &'static str,
    equals: &'static [&'static str],
    lies_in: &'static [&'static str],
}

/// Judges one policy of a file.
pub(crate) fn judge(
    policy: &Policy,
    rule: &Rule,
    text: &str,
    words: &Words,
    roles: &[String],
    findings: &mut Vec<Finding>,
) {
    let mut callers = Vec::new();
    let mut wrong: Vec<(u32, String)> = Vec::new();
    let condition = policy.condition();
    for expr in condition.subexpressions() {
        let line = expr.source_loc().map_or(rule.line, line_of);
        match expr.expr_kind() {
            ExprKind::Lit(Literal::EntityUID(uid)) => {
                let line = uid.loc().map_or(line, line_of);
                wrong.extend(unknown(uid, words).map(|message| (line, message)));
                if uid.entity_type().to_string() == "Caller" {
                    callers.push(eid(uid));
                }
            }
            ExprKind::Is { entity_type, .. } if words.of_type(&entity_type.to_string()).is_none() => {
                wrong.push((line, no_type(&entity_type.to_string())));
            }
            ExprKind::GetAttr { expr, attr } | ExprKind::HasAttr { expr, attr } => {
                wrong.extend(no_attribute(expr, attr).map(|message| (line, message)));
            }
            ExprKind::BinaryApp { op, arg1, arg2 } => {
                for (a, b) in [(arg1, arg2), (arg2, arg1)] {
                    wrong.extend(never(*op, a, b, std::ptr::eq(a, arg1)).map(|message| (line, message)));
                }
            }
            _ => {}
        }
    }
    wrong.sort();
    wrong.dedup();
    let is_wrong = !wrong.is_empty();
    for (line, message) in wrong {
        findings.push(quoted(MEANING, &rule.file, text, line, message));
    }
    if !is_wrong {
        findings.extend(try_all(policy, rule, text, words, roles, callers));
    }
}

/// Asks the policy everything.
fn try_all(
    policy: &Policy,
    rule: &Rule,
    text: &str,
    words: &Words,
    roles: &[String],
    callers: Vec<String>,
) -> Option<Finding> {
    let mut alone = PolicySet::new();
    alone.add(policy.clone()).ok()?;
    let asker = Asker::new(&alone);
    let mut applies = false;
    let all: Vec<Box<str>> = roles.iter().map(|role| role.as_str().into()).collect();
    // Nobody that a policy names, in each role; and whoever it names, in all roles and in none.
    let anybody = all.iter().map(|role| ("somebody".to_owned(), vec![role.clone()]));
    let named = callers.into_iter().flat_map(|name| [(name.clone(), all.clone()), (name, Vec::new())]);
    for (name, roles) in anybody.chain(named) {
        let caller = words.caller(&name, &roles)?;
        let doors = policy::Scope::ALL.into_iter().filter_map(|door| words.to_enter(&caller, door));
        let uses = schema::ACTIONS.into_iter().flat_map(|action| {
            let caller = &caller;
            classes::ALL.into_iter().flat_map(move |class| {
                words.contexts().filter_map(move |context| words.to_use(caller, action, class, context))
            })
        });
        for request in doors.chain(uses) {
            match asker.ask(&caller, request) {
                Said::Failed(reason) => {
                    let reason =
                        reason.rsplit_once("`: ").map_or(reason.as_str(), |(_, reason)| reason).to_owned();
                    let message = format!("it cannot be evaluated: {reason}");
                    return Some(quoted(MEANING, &rule.file, text, rule.line, message));
                }
                Said::Allowed(by) | Said::Denied(by) => applies |= !by.is_empty(),
            }
        }
    }
    let message = "it applies to no question that there can be".to_owned();
    (!applies).then(|| finding(MEANING, Severity::Warning, &rule.file, rule.line, message))
}

fn eid(uid: &EntityUID) -> String {
    let eid: &Eid = uid.eid();
    match eid {
        Eid::Eid(text) => text.to_string(),
    }
}

/// A name that there is not.
fn unknown(uid: &EntityUID, words: &Words) -> Option<String> {
    let (kind, id) = (uid.entity_type().to_string(), eid(uid));
    let Some(names) = words.of_type(&kind) else { return Some(no_type(&kind)) };
    if kind == "Caller" || names.contains(&id) {
        return None;
    }
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    Some(format!("there is no `{kind}::\"{}\"`; known: {}", short(&id), known.join(", ")))
}

fn no_type(kind: &str) -> String {
    format!("there is no `{}`; known: Action, Basis, Caller, Class, Door, Purpose, Role", short(kind))
}

/// Only the context has attributes, and two of them.
fn no_attribute(of: &Expr, attr: &str) -> Option<String> {
    match of.expr_kind() {
        ExprKind::Var(Var::Context) if matches!(attr, "purpose" | "basis") => None,
        ExprKind::Var(Var::Context) => {
            Some(format!("the context has no `{}`; it has purpose and basis", short(attr)))
        }
        // Of a record that the policy writes itself.
        ExprKind::Record(_) => None,
        _ => Some(format!("nothing but the context has attributes, so there is no `{}`", short(attr))),
    }
}

fn side(expr: &Expr) -> Option<Side> {
    let side = |shown, equals, lies_in| Some(Side { shown, equals, lies_in });
    match expr.expr_kind() {
        ExprKind::Var(Var::Principal) => side("principal", &["Caller"], &["Role", "Caller"]),
        ExprKind::Var(Var::Action) => side("action", &["Action"], &["Action"]),
        ExprKind::Var(Var::Resource) => side("resource", &["Class", "Door"], &["Class", "Door"]),
        ExprKind::GetAttr { expr, attr } if matches!(expr.expr_kind(), ExprKind::Var(Var::Context)) => {
            match attr.as_str() {
                "purpose" => side("context.purpose", &["Purpose"], &["Purpose"]),
                "basis" => side("context.basis", &["Basis"], &["Basis"]),
                _ => None,
            }
        }
        _ => None,
    }
}

/// A comparison that never holds.
fn never(op: BinaryOp, one: &Expr, other: &Expr, is_left: bool) -> Option<String> {
    let side = side(one)?;
    let wanted = match op {
        BinaryOp::Eq => side.equals,
        BinaryOp::In if is_left => side.lies_in,
        // `[…].contains(principal)`
        BinaryOp::Contains if !is_left => side.equals,
        _ => return None,
    };
    let literals: Vec<&Expr> = match other.expr_kind() {
        ExprKind::Lit(_) => vec![other],
        ExprKind::Set(items) => items.iter().collect(),
        _ => Vec::new(),
    };
    let odd = literals.into_iter().find_map(|literal| match literal.expr_kind() {
        ExprKind::Lit(Literal::EntityUID(uid)) => {
            let kind = uid.entity_type().to_string();
            (!wanted.contains(&kind.as_str())).then(|| uid.to_string())
        }
        ExprKind::Lit(other) => Some(other.to_string()),
        _ => None,
    })?;
    let wanted = wanted.join(" or ");
    Some(format!("`{}` is a {wanted} and never {}", side.shown, short(&odd)))
}
