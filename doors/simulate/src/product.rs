//! What the shop sells, and what lies in a basket.

use crate::draws::{Draws, Topic};

/// The categories; a customer's taste has one weight for each.
pub(crate) const CATEGORIES: [&str; 6] = ["garden", "kitchen", "outdoor", "books", "toys", "fashion"];
const PER_CATEGORY: u32 = 20;
/// Lowest and highest price in cents, by category.
const PRICES: [(f64, f64); 6] = [
    (1_500.0, 9_000.0),
    (1_200.0, 12_000.0),
    (2_500.0, 20_000.0),
    (990.0, 3_000.0),
    (990.0, 6_000.0),
    (1_900.0, 11_000.0),
];
const SECOND_ITEM: f64 = 0.4;
const THIRD_ITEM: f64 = 0.15;
const PAIR: f64 = 0.2;

/// One thing for sale.
pub(crate) struct Product {
    pub(crate) sku: String,
    pub(crate) category: &'static str,
    pub(crate) price_cents: u64,
}

/// Everything for sale, by category.
pub(crate) struct Catalogue(Vec<Vec<Product>>);

/// One line of a basket.
pub(crate) struct Item<'a> {
    pub(crate) product: &'a Product,
    pub(crate) quantity: u64,
}

impl Catalogue {
    pub(crate) fn new(seed: u64) -> Self {
        let mut draws = Draws::of(seed, Topic::Products, 0, 0);
        let shelf = |(category, (low, high)): (&'static str, (f64, f64))| {
            let product = |number| Product {
                sku: format!("{category}-{number:02}"),
                category,
                price_cents: draws.between(low, high) as u64,
            };
            (1..=PER_CATEGORY).map(product).collect()
        };
        Self(CATEGORIES.into_iter().zip(PRICES).map(shelf).collect())
    }

    /// A product to somebody's taste.
    pub(crate) fn pick(&self, taste: &[f64], draws: &mut Draws) -> Option<&Product> {
        let shelf = self.0.get(draws.weighted(taste))?;
        draws.one(shelf)
    }

    /// A basket to somebody's taste: one to three lines.
    pub(crate) fn basket(&self, taste: &[f64], draws: &mut Draws) -> Vec<Item<'_>> {
        let n_items = 1 + usize::from(draws.chance(SECOND_ITEM)) + usize::from(draws.chance(THIRD_ITEM));
        let item =
            |_| Some(Item { product: self.pick(taste, draws)?, quantity: 1 + u64::from(draws.chance(PAIR)) });
        (0..n_items).filter_map(item).collect()
    }

    /// What such a basket is worth on average, in cents.
    pub(crate) fn mean_basket_cents(&self, taste: &[f64]) -> f64 {
        let mean = |shelf: &Vec<Product>| {
            shelf.iter().map(|product| product.price_cents as f64).sum::<f64>() / shelf.len() as f64
        };
        let weighted: f64 = self.0.iter().zip(taste).map(|(shelf, weight)| weight * mean(shelf)).sum();
        weighted / taste.iter().sum::<f64>() * (1.0 + SECOND_ITEM + THIRD_ITEM) * (1.0 + PAIR)
    }
}

/// What a basket costs.
pub(crate) fn total_cents(basket: &[Item<'_>]) -> u64 {
    basket.iter().map(|item| item.product.price_cents * item.quantity).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_basket_is_what_baskets_average_to() {
        let catalogue = Catalogue::new(3);
        let taste = [0.4, 0.1, 0.1, 0.2, 0.1, 0.1];
        let mut draws = Draws::of(3, Topic::Basket, 0, 0);
        let n = 20_000;
        let sum: u64 = (0..n).map(|_| total_cents(&catalogue.basket(&taste, &mut draws))).sum();
        let (found, expected) = (sum as f64 / f64::from(n), catalogue.mean_basket_cents(&taste));
        assert!((found / expected - 1.0).abs() < 0.02, "{found} {expected}");
    }
}
