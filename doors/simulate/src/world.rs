//! The shop itself: customers and catalogue, made from a configuration.

use event::Instant;

use crate::Error;
use crate::config::Config;
use crate::customer::{Customer, user_id};
use crate::history::History;
use crate::product::Catalogue;

/// A synthetic shop with everything known about it.
pub struct World {
    config: Config,
    catalogue: Catalogue,
    customers: Vec<Customer>,
}

impl World {
    /// Makes the shop.
    ///
    /// # Errors
    /// [`Error::Config`] for a configuration out of bounds.
    pub fn new(config: Config) -> Result<Self, Error> {
        config.check()?;
        let catalogue = Catalogue::new(config.seed);
        let customers = (1..=config.n_customers).map(|number| Customer::new(&config, number)).collect();
        Ok(Self { config, catalogue, customers })
    }

    /// What it was made from.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its customers, `c00001` first.
    pub fn customers(&self) -> &[Customer] {
        &self.customers
    }

    /// One customer.
    ///
    /// # Errors
    /// [`Error::UnknownCustomer`] if there is no such account.
    pub fn customer(&self, id: &str) -> Result<&Customer, Error> {
        let number = id.strip_prefix('c').and_then(|digits| digits.parse::<u32>().ok());
        let index = number.and_then(|number| usize::try_from(number.checked_sub(1)?).ok());
        let found =
            index.and_then(|index| self.customers.get(index)).filter(|customer| customer.user_id == id);
        found.ok_or_else(|| Error::UnknownCustomer {
            user_id: id.chars().take(64).collect(),
            last: user_id(self.config.n_customers),
        })
    }

    /// The instant the history ends: decisions come after it.
    pub fn end(&self) -> Instant {
        self.config.end()
    }

    /// What the shop's systems recorded up to [`World::end`], as files, with the truth about their dirt.
    pub fn history(&self) -> History {
        History::of(self)
    }

    pub(crate) fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }
}
