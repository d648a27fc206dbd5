//! What the shop can do: three channels, three offers, or nothing.

use serde::{Deserialize, Serialize};

use crate::Error;

/// How a message reaches a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// 1 cent.
    Email,
    /// 1 cent.
    Push,
    /// 7 cents.
    Sms,
}

/// What the message offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Offer {
    /// News, nothing off.
    News,
    /// 10 % off.
    Discount10,
    /// No shipping costs (490 cents).
    FreeShipping,
}

/// One thing the shop can do for one customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Action {
    /// Do nothing.
    None,
    /// Send this offer through this channel.
    Send(Channel, Offer),
}

impl Channel {
    /// Every channel.
    pub const ALL: [Self; 3] = [Self::Email, Self::Push, Self::Sms];

    /// What one message costs.
    pub const fn cost_cents(self) -> u32 {
        match self {
            Self::Email | Self::Push => 1,
            Self::Sms => 7,
        }
    }

    /// The purpose a customer must have consented to.
    pub const fn purpose(self) -> &'static str {
        match self {
            Self::Email => "email_marketing",
            Self::Push => "push_marketing",
            Self::Sms => "sms_marketing",
        }
    }

    /// The channel's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Push => "push",
            Self::Sms => "sms",
        }
    }
}

impl Offer {
    /// The offer's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::News => "news",
            Self::Discount10 => "discount10",
            Self::FreeShipping => "freeship",
        }
    }

    /// What an order of this much is worth to the shop under the offer.
    pub const fn value_cents(self, total_cents: u64) -> u64 {
        match self {
            Self::News => total_cents,
            Self::Discount10 => total_cents - total_cents / 10,
            Self::FreeShipping => total_cents.saturating_sub(490),
        }
    }
}

impl Action {
    /// Every action, doing nothing first.
    pub const ALL: [Self; 10] = {
        use Channel::{Email, Push, Sms};
        use Offer::{Discount10, FreeShipping, News};
        [
            Self::None,
            Self::Send(Email, News),
            Self::Send(Email, Discount10),
            Self::Send(Email, FreeShipping),
            Self::Send(Push, News),
            Self::Send(Push, Discount10),
            Self::Send(Push, FreeShipping),
            Self::Send(Sms, News),
            Self::Send(Sms, Discount10),
            Self::Send(Sms, FreeShipping),
        ]
    };

    /// The action's id: `no_action`, `email_discount10`, …
    pub fn id(self) -> String {
        match self {
            Self::None => "no_action".to_owned(),
            Self::Send(channel, offer) => format!("{}_{}", channel.name(), offer.name()),
        }
    }

    /// The action of this id.
    ///
    /// # Errors
    /// [`Error::UnknownAction`] if there is none.
    pub fn from_id(id: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|action| action.id() == id).ok_or_else(|| Error::UnknownAction {
            id: id.chars().take(64).collect(),
            known: Self::ALL.map(Self::id).join(", "),
        })
    }

    /// Its channel, if it has one.
    pub const fn channel(self) -> Option<Channel> {
        match self {
            Self::None => None,
            Self::Send(channel, _) => Some(channel),
        }
    }

    /// What it costs.
    pub const fn cost_cents(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Send(channel, _) => channel.cost_cents(),
        }
    }

    /// What an order of this much is worth to the shop after this action.
    pub const fn value_cents(self, total_cents: u64) -> u64 {
        match self {
            Self::None => total_cents,
            Self::Send(_, offer) => offer.value_cents(total_cents),
        }
    }
}

impl From<Action> for String {
    fn from(action: Action) -> Self {
        action.id()
    }
}

impl TryFrom<String> for Action {
    type Error = Error;

    fn try_from(id: String) -> Result<Self, Error> {
        Self::from_id(&id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_name_one_action_each() {
        for action in Action::ALL {
            assert_eq!(Action::from_id(&action.id()).unwrap(), action);
        }
        let error = Action::from_id("fax_news").unwrap_err().to_string();
        assert!(error.starts_with(
            "MR7092: the synthetic shop knows no action `fax_news`; it knows no_action, email_news"
        ));
    }
}
