//! Reads a use case file: everything wrong with it at once, each with its line and what to write.

use event::{Instant, RecordId, Span, Version};
use feature::expr::{self, Expr, Problem};

use crate::finding::{Finding, code, nearest, short};
use crate::money::{Cents, Money};
use crate::period::Period;
use crate::policy::Policy;
use crate::usecase::{
    Action, Budget, Cap, CapScope, Declared, Goal, Holdout, MAX_WINDOW, NO_ACTION, ScoreSource, UseCase,
};
use crate::value::Origin;
use crate::yaml::{self, Findings, Kind, Node, Section};

const KEYS: [&str; 22] = [
    "name",
    "version",
    "description",
    "responsible",
    "goal",
    "inputs",
    "outputs",
    "sources",
    "purpose",
    "legal_basis",
    "security_level",
    "risk_class",
    "ai_act",
    "dpia",
    "latency_ms",
    "gold_set",
    "budget",
    "models",
    "exploration",
    "holdout",
    "caps",
    "actions",
];
const GOAL_KEYS: [&str; 6] = ["metric", "formula", "formula_version", "success", "within", "value"];
const INPUT_KEYS: [&str; 4] = ["features", "traits", "context", "segments"];
const ORIGINS: [Origin; 4] = [Origin::Feature, Origin::Trait, Origin::Context, Origin::Segment];
const BUDGET_KEYS: [&str; 3] = ["name", "total", "period"];
const HOLDOUT_KEYS: [&str; 2] = ["share", "salt"];
const CAP_KEYS: [&str; 5] = ["all", "channel", "action", "max", "window"];
const ACTION_KEYS: [&str; 11] = [
    "name",
    "channel",
    "creative",
    "offer",
    "cost",
    "valid_from",
    "valid_until",
    "eligible",
    "value",
    "purpose",
    "score",
];
/// More would not be decided within a request.
const MAX_ACTIONS: usize = 500;

pub(crate) fn use_case(text: &str, file: &str) -> Result<UseCase, Vec<Finding>> {
    let mut findings = Findings::new(file);
    let root = match yaml::parse(text) {
        Ok(root) => root,
        Err((line, message)) => {
            findings.add(code::UNREADABLE, line, format!("not readable as YAML: {message}"));
            return Err(findings.finish());
        }
    };
    let content = RecordId::external("mr.usecases", text.as_bytes()).to_string();
    let read = Reader { findings: &mut findings, currency: None }.root(&root, content);
    match read {
        Some(use_case) if findings.is_empty() => Ok(use_case),
        _ => Err(findings.finish()),
    }
}

struct Reader<'f> {
    findings: &'f mut Findings,
    /// The currency of the first amount; all others must have the same.
    currency: Option<String>,
}

impl Reader<'_> {
    fn root(mut self, root: &Node, content: String) -> Option<UseCase> {
        let all = Section::of(root, "the use case", &KEYS, self.findings)?;
        let name = self.name(&all, "name", "spring_mail");
        let version = all.parsed::<Version>("version", "1.0.0", self.findings);
        let description =
            all.maybe_text("description", "what it is about", self.findings).unwrap_or_default();
        let responsible = all.text("responsible", "Ann Example <ann@example.com>", self.findings);
        let budget = self.budget(&all, name.as_deref());
        let goal = self.goal(&all);
        let inputs = self.inputs(&all);
        let f = &mut *self.findings;
        let outputs = lines_off(all.texts("outputs", "[action, propensity]", true, f));
        let sources = lines_off(all.texts("sources", "[orders]", true, f));
        let purpose = all.text("purpose", "personalisation", f);
        let legal_basis = all.parsed("legal_basis", "consent", f);
        let security_level = all.parsed("security_level", "internal", f);
        let risk_class = all.parsed("risk_class", "limited", f);
        let duties = crate::duties::read(&all, f);
        let latency_ms = all.whole("latency_ms", "50", (1, 600_000), f);
        let gold_set = all.text("gold_set", "goldsets/spring_mail.jsonl", f);
        let models = lines_off(all.texts("models", "[spring_response]", false, f));
        let exploration = all.number("exploration", "0.05", (0.0, 1.0), f);
        let holdout = holdout(&all, f);
        let actions = self.actions(&all, &inputs, &models, goal.as_ref(), purpose.as_deref());
        let caps = self.caps(&all, &actions);
        Some(UseCase {
            name: name?,
            version: version?,
            content,
            description,
            responsible: responsible?,
            goal: goal?,
            inputs,
            outputs,
            sources,
            purpose: purpose?,
            legal_basis: legal_basis?,
            security_level: security_level?,
            risk_class: risk_class?,
            duties,
            latency_ms: latency_ms?,
            gold_set: gold_set?,
            budget: budget?,
            models,
            policy: Policy::EpsilonGreedy { epsilon: exploration? },
            holdout: holdout?,
            caps,
            actions,
        })
    }

    /// A name that may stand in files, addresses and tables.
    fn name(&mut self, section: &Section, key: &str, example: &str) -> Option<String> {
        let name = section.text(key, example, self.findings)?;
        let fine = name.len() <= 64
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
        if fine {
            return Some(name);
        }
        let line = section.find(key).map_or(section.line(), |node| node.line);
        self.findings.add(
            code::BAD_VALUE,
            line,
            format!(
                "`{}` is no name: up to 64 letters, digits, `_`, `-` and `.` are expected, like `{example}`",
                short(&name)
            ),
        );
        None
    }

    fn money(&mut self, section: &Section, key: &str, example: &str, required: bool) -> Option<Cents> {
        let money: Money = if required {
            section.parsed(key, example, self.findings)?
        } else {
            section.maybe_parsed(key, example, self.findings)?
        };
        let currency = self.currency.get_or_insert_with(|| money.currency.clone());
        if *currency != money.currency {
            let message = format!(
                "`{key}` is in {}, but the budget is in {currency}; a use case has one currency",
                money.currency
            );
            let line = section.find(key).map_or(section.line(), |node| node.line);
            self.findings.add(code::CONFLICT, line, message);
            return None;
        }
        Some(money.amount)
    }

    fn budget(&mut self, all: &Section, use_case: Option<&str>) -> Option<Budget> {
        let node = all.need("budget", "{total: 5000 EUR, period: month}", self.findings)?;
        let section = Section::of(node, "`budget`", &BUDGET_KEYS, self.findings)?;
        let total = self.money(&section, "total", "5000 EUR", true);
        let period = section.parsed::<Period>("period", "month", self.findings);
        let name = match section.find("name") {
            Some(_) => self.name(&section, "name", "spring"),
            None => use_case.map(str::to_owned),
        };
        let currency = self.currency.clone();
        Some(Budget { name: name?, total: total?, currency: currency?, period: period? })
    }

    fn goal(&mut self, all: &Section) -> Option<Goal> {
        let example = "{metric: redemption_rate, formula: redeemed / decided, formula_version: 1.0.0, success: [redeem], within: 30d, value: 8 EUR}";
        let node = all.need("goal", example, self.findings)?;
        let section = Section::of(node, "`goal`", &GOAL_KEYS, self.findings)?;
        let metric = section.text("metric", "redemption_rate", self.findings);
        let formula = section.text("formula", "redeemed / decided", self.findings);
        let formula_version = section.parsed("formula_version", "1.0.0", self.findings);
        let success = lines_off(section.texts("success", "[redeem]", true, self.findings));
        let within = self.span(&section, "within", "30d", Span::from_days(3_660));
        let value = self.money(&section, "value", "8 EUR", true);
        Some(Goal {
            metric: metric?,
            formula: formula?,
            formula_version: formula_version?,
            success,
            within: within?,
            value: value?,
        })
    }

    fn span(&mut self, section: &Section, key: &str, example: &str, most: Span) -> Option<Span> {
        let span: Span = section.parsed(key, example, self.findings)?;
        if span > Span::ZERO && span <= most {
            return Some(span);
        }
        let line = section.find(key).map_or(section.line(), |node| node.line);
        self.findings.add(
            code::BAD_VALUE,
            line,
            format!(
                "`{key}` is {span}; more than nothing and at most {most} is expected, like `{key}: {example}`"
            ),
        );
        None
    }

    fn inputs(&mut self, all: &Section) -> Vec<Declared> {
        let Some(node) = all.need("inputs", "{features: [orders_30d], traits: [country]}", self.findings)
        else {
            return Vec::new();
        };
        let Some(section) = Section::of(node, "`inputs`", &INPUT_KEYS, self.findings) else {
            return Vec::new();
        };
        let mut inputs: Vec<Declared> = Vec::new();
        for (key, origin) in INPUT_KEYS.into_iter().zip(ORIGINS) {
            for (line, name) in section.texts(key, "[orders_30d]", false, self.findings) {
                // Wherever a segment is named in an expression, it is named so.
                let name =
                    if origin == Origin::Segment { format!("{}{name}", feature::SEGMENT) } else { name };
                if inputs.iter().any(|known| known.name == name) {
                    self.findings.add(
                        code::CONFLICT,
                        line,
                        format!("input `{}` is declared twice; names must differ across features, traits, context and segments", short(&name)),
                    );
                } else {
                    inputs.push(Declared { name, origin });
                }
            }
        }
        inputs
    }

    fn actions(
        &mut self,
        all: &Section,
        inputs: &[Declared],
        models: &[String],
        goal: Option<&Goal>,
        purpose: Option<&str>,
    ) -> Vec<Action> {
        let example = "{name: mail_10, channel: email, creative: spring, offer: ten_percent, cost: 0.12 EUR}";
        let nodes = all.items("actions", example, true, self.findings);
        if nodes.len() > MAX_ACTIONS {
            let message = format!("there are {} actions; {MAX_ACTIONS} are the most", nodes.len());
            self.findings.add(code::BAD_VALUE, all.line(), message);
        }
        let mut actions: Vec<Action> = Vec::new();
        for node in nodes.iter().take(MAX_ACTIONS) {
            let what = match &node.kind {
                Kind::Map(members) => members
                    .iter()
                    .find(|(key, _)| key.text() == Some("name"))
                    .and_then(|(_, name)| name.text())
                    .map(|name| format!("action `{}`", short(name))),
                _ => None,
            };
            let what = what.unwrap_or_else(|| "an action".to_owned());
            let Some(section) = Section::of(node, &what, &ACTION_KEYS, self.findings) else { continue };
            let Some(action) = self.action(&section, inputs, models, goal, purpose) else { continue };
            if action.name == NO_ACTION {
                let message = format!("`{NO_ACTION}` is the name of doing nothing, which is always there");
                self.findings.add(code::CONFLICT, node.line, message);
            } else if actions.iter().any(|known| known.name == action.name) {
                self.findings.add(
                    code::CONFLICT,
                    node.line,
                    format!("there are two actions `{}`", action.name),
                );
            }
            actions.push(action);
        }
        actions
    }

    fn action(
        &mut self,
        section: &Section,
        inputs: &[Declared],
        models: &[String],
        goal: Option<&Goal>,
        purpose: Option<&str>,
    ) -> Option<Action> {
        let name = self.name(section, "name", "mail_10");
        let channel = self.name(section, "channel", "email");
        let creative = section.text("creative", "spring", self.findings);
        let offer = section.text("offer", "ten_percent", self.findings);
        let cost = self.money(section, "cost", "0.12 EUR", true);
        let valid_from = section.maybe_parsed::<Instant>("valid_from", "2026-01-01", self.findings);
        let valid_until = section.maybe_parsed::<Instant>("valid_until", "2026-12-31", self.findings);
        if let (Some(from), Some(until)) = (valid_from, valid_until)
            && from >= until
        {
            let message = format!("it is valid from {from} and until {until}: it would never be");
            self.findings.add(code::CONFLICT, section.line(), message);
        }
        let eligible = self.eligible(section, inputs);
        let value = match section.find("value") {
            Some(_) => self.money(section, "value", "8 EUR", false),
            None => goal.map(|goal| goal.value),
        };
        let own = section.maybe_text("purpose", "email_marketing", self.findings);
        let score = self.score(section, inputs, models);
        Some(Action {
            name: name?,
            channel: channel?,
            creative: creative?,
            offer: offer?,
            cost: cost?,
            valid_from,
            valid_until,
            eligible,
            value: value?,
            purpose: own.or_else(|| purpose.map(str::to_owned))?,
            score: score?,
        })
    }

    fn eligible(&mut self, section: &Section, inputs: &[Declared]) -> Option<Expr> {
        let text = section.maybe_text("eligible", "orders_30d >= 1", self.findings)?;
        let line = section.find("eligible").map_or(section.line(), |node| node.line);
        let slot = |name: &str| inputs.iter().position(|input| input.name == name);
        match expr::parse(&text, slot) {
            Ok(expr) => return Some(expr),
            Err(Problem::Syntax(message)) => {
                self.findings.add(code::EXPRESSION, line, format!("`eligible: {}` {message}", short(&text)));
            }
            Err(Problem::Undeclared(name)) => self.undeclared("`eligible`", &name, line, inputs),
        }
        None
    }

    fn undeclared(&mut self, what: &str, name: &str, line: u32, inputs: &[Declared]) {
        let hint = match nearest(name, inputs.iter().map(|input| input.name.as_str())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => "declare it under `inputs`".to_owned(),
        };
        self.findings.add(
            code::UNDECLARED,
            line,
            format!("{what} names `{}`, which is no input; {hint}", short(name)),
        );
    }

    fn score(&mut self, section: &Section, inputs: &[Declared], models: &[String]) -> Option<ScoreSource> {
        let example = "{model: spring_response}";
        let Some(node) = section.find("score") else {
            // One model needs no naming.
            return match models {
                [model] => Some(ScoreSource::Model(model.clone())),
                _ => {
                    section.need("score", example, self.findings);
                    None
                }
            };
        };
        match &node.kind {
            Kind::Int(_) | Kind::Float(_) => {
                section.number("score", "0.02", (0.0, 1_000_000.0), self.findings).map(ScoreSource::Constant)
            }
            Kind::Map(_) => {
                let inner = Section::of(node, "`score`", &["model", "input"], self.findings)?;
                let model = inner.maybe_text("model", "spring_response", self.findings);
                let input = inner.maybe_text("input", "response_rate", self.findings);
                match (model, input) {
                    (Some(model), None) if models.contains(&model) => Some(ScoreSource::Model(model)),
                    (Some(model), None) => {
                        let message =
                            format!("`score` names the model `{}`; list it under `models`", short(&model));
                        self.findings.add(code::UNDECLARED, node.line, message);
                        None
                    }
                    (None, Some(input)) if inputs.iter().any(|known| known.name == input) => {
                        Some(ScoreSource::Input(input))
                    }
                    (None, Some(input)) => {
                        self.undeclared("`score`", &input, node.line, inputs);
                        None
                    }
                    _ => {
                        let message =
                            format!("`score` wants one of `model` and `input`, like `score: {example}`");
                        self.findings.add(code::BAD_VALUE, node.line, message);
                        None
                    }
                }
            }
            _ => {
                let message = format!("`score` is {}; write a number or `score: {example}`", node.shown());
                self.findings.add(code::BAD_VALUE, node.line, message);
                None
            }
        }
    }

    fn caps(&mut self, all: &Section, actions: &[Action]) -> Vec<Cap> {
        let example = "{channel: email, max: 2, window: 7d}";
        let mut caps: Vec<Cap> = Vec::new();
        // An empty list is an answer, silence is none.
        all.need("caps", &format!("[{example}]"), self.findings);
        for node in all.items("caps", example, false, self.findings) {
            let Some(section) = Section::of(node, "a cap", &CAP_KEYS, self.findings) else { continue };
            let scope = self.cap_scope(&section, node.line, actions);
            let max = section.whole("max", "2", (0, 10_000), self.findings);
            let window = self.span(&section, "window", "7d", MAX_WINDOW);
            let (Some(scope), Some(max), Some(window)) = (scope, max, window) else { continue };
            let cap = Cap { scope, max, window };
            if caps.iter().any(|known| known.scope == cap.scope && known.window == cap.window) {
                self.findings.add(
                    code::CONFLICT,
                    node.line,
                    format!("there is another cap like `{cap}` above"),
                );
            }
            caps.push(cap);
        }
        caps
    }

    fn cap_scope(&mut self, section: &Section, line: u32, actions: &[Action]) -> Option<CapScope> {
        let all = section.find("all").map(|node| match node.kind {
            Kind::Bool(true) => true,
            _ => {
                let message = format!("`all` of a cap is {}; write `all: true`", node.shown());
                self.findings.add(code::BAD_VALUE, node.line, message);
                false
            }
        });
        let channel = section.maybe_text("channel", "email", self.findings);
        let action = section.maybe_text("action", "mail_10", self.findings);
        let (kind, name, fine, scope) = match (all, channel, action) {
            (Some(all), None, None) => return all.then_some(CapScope::All),
            (None, Some(name), None) => {
                let fine = actions.iter().any(|a| a.channel == name);
                ("channel", name.clone(), fine, CapScope::Channel(name))
            }
            (None, None, Some(name)) => {
                let fine = actions.iter().any(|a| a.name == name);
                ("action", name.clone(), fine, CapScope::Action(name))
            }
            _ => {
                let message = "a cap wants one of `all: true`, `channel` and `action`";
                self.findings.add(code::BAD_VALUE, line, message);
                return None;
            }
        };
        if fine {
            return Some(scope);
        }
        let names =
            actions.iter().map(|a| if kind == "channel" { a.channel.as_str() } else { a.name.as_str() });
        let hint = nearest(&name, names).map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        let message = format!("a cap limits the {kind} `{}`, which no action has{hint}", short(&name));
        self.findings.add(code::UNDECLARED, line, message);
        None
    }
}

fn holdout(all: &Section, findings: &mut Findings) -> Option<Holdout> {
    let node = all.need("holdout", "{share: 0.1, salt: spring}", findings)?;
    let section = Section::of(node, "`holdout`", &HOLDOUT_KEYS, findings)?;
    let share = section.number("share", "0.1", (0.0, 1.0), findings);
    let salt = section.text("salt", "spring", findings);
    Some(Holdout { share: share?, salt: salt? })
}

fn lines_off(texts: Vec<(u32, String)>) -> Vec<String> {
    texts.into_iter().map(|(_, text)| text).collect()
}
