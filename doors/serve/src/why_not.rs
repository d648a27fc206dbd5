//! Why an action could not be done, as it stands on the wire: a word for programs and a detail for people.

use decide::{CapScope, WhyNot};
use serde::Serialize;
use utoipa::ToSchema;

/// One reason.
#[derive(Serialize, ToSchema)]
pub(crate) struct Reason {
    /// `held_out`, `not_eligible`, `no_consent`, `cap_reached`, …
    reason: &'static str,
    /// What it is about: the condition, the purpose, the cap, the amounts.
    detail: String,
}

impl From<WhyNot> for Reason {
    fn from(why: WhyNot) -> Self {
        let (reason, detail) = match why {
            WhyNot::HeldOut => ("held_out", String::new()),
            WhyNot::NotYetValid { from } => ("not_yet_valid", from.to_string()),
            WhyNot::NoLongerValid { until } => ("no_longer_valid", until.to_string()),
            WhyNot::NotEligible { condition, observed } => {
                let value =
                    |o: &decide::Observed| o.value.as_ref().map_or("nothing".to_owned(), ToString::to_string);
                let seen: Vec<String> =
                    observed.iter().map(|o| format!("{} = {}", o.name, value(o))).collect();
                ("not_eligible", format!("{condition}: {}", seen.join(", ")))
            }
            WhyNot::NoConsent { purpose } => ("no_consent", purpose),
            WhyNot::ChannelNotAllowed { purpose, channel } => {
                ("channel_not_allowed", format!("{purpose} by {channel}"))
            }
            WhyNot::CapReached { cap, count } => ("cap_reached", format!("{count}; {}", cap_text(&cap))),
            WhyNot::CapUnknown { cap } => ("cap_unknown", cap_text(&cap)),
            WhyNot::NoBudget { cost, allowed } => {
                ("no_budget", format!("costs {}, {} may be spent", cost.in_units(), allowed.in_units()))
            }
            WhyNot::NoScore { source } => match source {
                decide::ScoreSource::Constant(_) => ("no_score", "its constant is no number".to_owned()),
                decide::ScoreSource::Model(model) => ("no_score", format!("model {model}")),
                decide::ScoreSource::Input(input) => ("no_score", format!("input {input}")),
            },
        };
        Self { reason, detail }
    }
}

/// Which contacts count, and in how long.
pub(crate) fn cap_words(cap: &decide::Cap) -> (String, String) {
    let scope = match &cap.scope {
        CapScope::All => "all".to_owned(),
        CapScope::Channel(channel) => format!("channel {channel}"),
        CapScope::Action(action) => format!("action {action}"),
    };
    (scope, cap.window.to_string())
}

fn cap_text(cap: &decide::Cap) -> String {
    let (scope, window) = cap_words(cap);
    format!("at most {} in {window} ({scope})", cap.max)
}
