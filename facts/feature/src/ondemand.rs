//! Features that are computed when they are asked for, from the view's other features, what the request says, and the
//! segments that the person belongs to.

use std::cell::RefCell;

use crate::building::{Building, codes, line};
use crate::context::{ContextField, SEGMENT};
use crate::expr::{self, Problem};
use crate::suggest::{short, suggestion};
use crate::value::{Kind, Value};
use crate::view::{Feature, Formula};
use crate::yaml::{Agg, ContextKind, RawFeature, RawView};

/// Most values that requests say to one view.
const MAX_CONTEXT: usize = 64;

/// What stands for a feature until all others are known.
pub(crate) fn placeholder(raw: &RawFeature) -> (Feature, Formula) {
    let feature = Feature {
        name: raw.name.value.clone(),
        kind: Kind::Number,
        window: None,
        calendar: None,
        is_on_demand: true,
        default: Value::Missing,
        description: raw.description.clone(),
    };
    (feature, Formula::Ratio { numerator: 0, denominator: 0 })
}

fn expr_kind(kind: Kind) -> expr::Kind {
    match kind {
        Kind::Integer | Kind::Number => expr::Kind::Number,
        Kind::Text => expr::Kind::Text,
        Kind::Boolean => expr::Kind::Flag,
    }
}

impl Building<'_> {
    /// The values that requests say.
    pub(crate) fn context(&mut self, raw: &RawView) -> Vec<ContextField> {
        if raw.context.len() > MAX_CONTEXT {
            let message =
                format!("the view's context has {} values; {MAX_CONTEXT} are the most", raw.context.len());
            self.error(codes::LIMIT, line(&raw.view), None, message);
        }
        let mut context: Vec<ContextField> = Vec::new();
        for said in &raw.context {
            let name = &said.name.value;
            self.name(&said.name, Some(name));
            let is_taken = context.iter().any(|other| other.name == *name)
                || raw.features.iter().any(|feature| feature.name.value == *name);
            if is_taken {
                self.error(codes::FEATURE, line(&said.name), Some(name), "there are two of this name");
            }
            let kind = match said.kind {
                ContextKind::Number => expr::Kind::Number,
                ContextKind::Text => expr::Kind::Text,
                ContextKind::Boolean => expr::Kind::Flag,
            };
            self.remember_more(&format!("context {name} {}", kind.as_str()));
            context.push(ContextField { name: name.clone(), kind, description: said.description.clone() });
        }
        context
    }

    /// Reads the expressions, once everything they may name is known.
    pub(crate) fn on_demand(
        &mut self,
        all: &[RawFeature],
        context: &[ContextField],
        features: &mut [Feature],
        formulas: &mut [Formula],
    ) -> Vec<String> {
        let segments = RefCell::new(Vec::new());
        if features.len() != all.len() {
            return Vec::new(); // places would be wrong, and there are findings already
        }
        for (i, raw) in all.iter().enumerate().filter(|(_, raw)| raw.agg == Agg::Expr) {
            self.keys(raw);
            if let Some((kind, formula)) = self.expression(i, raw, all, context, features, &segments) {
                let default = self.default(raw, kind);
                if let (Some(feature), Some(place)) = (features.get_mut(i), formulas.get_mut(i)) {
                    feature.kind = kind;
                    feature.default = default;
                    *place = formula;
                }
            }
        }
        segments.into_inner()
    }

    #[allow(clippy::too_many_arguments, reason = "all that an expression may name")]
    fn expression(
        &mut self,
        at: usize,
        raw: &RawFeature,
        all: &[RawFeature],
        context: &[ContextField],
        features: &[Feature],
        segments: &RefCell<Vec<String>>,
    ) -> Option<(Kind, Formula)> {
        let text = raw.expr.as_ref()?;
        let name = Some(raw.name.value.as_str());
        // A feature computed on demand may name those that stand before it: there are no circles.
        let may_be_named =
            |place: usize| place < at || all.get(place).is_some_and(|feature| feature.agg != Agg::Expr);
        let slot = |wanted: &str| {
            if let Some(segment) = wanted.strip_prefix(SEGMENT).filter(|name| !name.is_empty()) {
                let mut segments = segments.borrow_mut();
                let known = segments.iter().position(|known| known == segment).unwrap_or_else(|| {
                    segments.push(segment.to_owned());
                    segments.len() - 1
                });
                return Some(all.len() + context.len() + known);
            }
            let feature = all.iter().position(|feature| feature.name.value == wanted);
            let said =
                || context.iter().position(|field| field.name == wanted).map(|place| all.len() + place);
            feature.filter(|place| may_be_named(*place)).or_else(said)
        };
        let refuse = |this: &mut Self, message: String| {
            this.error(
                codes::EXPRESSION,
                line(text),
                name,
                format!("`expr: {}` {message}", short(&text.value)),
            );
            None
        };
        let expr = match expr::parse(&text.value, slot) {
            Ok(expr) => expr,
            Err(Problem::Syntax(message)) => return refuse(self, message),
            Err(Problem::Undeclared(wanted)) => {
                let is_later = all.iter().any(|feature| feature.name.value == wanted);
                let message = if is_later {
                    format!("names `{}`, which must stand before it", short(&wanted))
                } else {
                    let names = all.iter().map(|feature| feature.name.value.as_str());
                    let names = names.chain(context.iter().map(|field| field.name.as_str()));
                    format!(
                        "names `{}`, which is neither a feature of this view nor in its `context` nor `segment.NAME`{}",
                        short(&wanted),
                        suggestion(names, &wanted)
                    )
                };
                return refuse(self, message);
            }
        };
        if !expr.purposes().is_empty() {
            return refuse(self, "asks for a consent; that is for eligibility, in use cases".to_owned());
        }
        let of = |slot: usize| match features.get(slot) {
            Some(feature) => Some(expr_kind(feature.kind)),
            None => match context.get(slot - features.len()) {
                Some(field) => Some(field.kind),
                None => Some(expr::Kind::Flag),
            },
        };
        let kind = match expr.kind(&of) {
            Ok(Some(expr::Kind::Number)) => Kind::Number,
            Ok(Some(expr::Kind::Text)) => Kind::Text,
            Ok(Some(expr::Kind::Flag)) => Kind::Boolean,
            Ok(None) => return refuse(self, "says nothing".to_owned()),
            Err(message) => return refuse(self, message),
        };
        self.remember(raw, kind, None, None);
        self.remember_more(&format!("expr {expr}"));
        let reads =
            expr.names().into_iter().map(|(slot, _)| slot).filter(|slot| *slot < features.len()).collect();
        Some((kind, Formula::Expr { expr, reads }))
    }
}
