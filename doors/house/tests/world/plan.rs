//! Which entities, streams and views there are in a world.

use super::views::{self, ViewOf};

/// Whose records there are: people, households, products.
#[derive(Clone, Copy, Debug)]
pub struct Entity {
    pub name: &'static str,
    /// Identifiers it goes by, the most trusted first.
    pub kinds: &'static [&'static str],
    /// The stream that is imported,
    pub history: &'static str,
    /// and the one that is posted while decisions are made.
    pub live: &'static str,
}

/// A project that parity is shown in.
#[derive(Clone, Debug)]
pub struct World {
    pub n_partitions: u16,
    pub entities: Vec<Entity>,
    pub views: Vec<ViewOf>,
}

impl World {
    /// Customers of a shop, two views.
    pub fn retail() -> Self {
        let customer = Entity { name: "user", kinds: &["user_id", "card"], history: "shop", live: "taps" };
        Self { n_partitions: 3, entities: vec![customer], views: views::retail() }
    }

    /// Shoppers, their households, and products: thirty views, a third of them added later.
    pub fn journey(n_partitions: u16) -> Self {
        let entities = vec![
            Entity { name: "user", kinds: &["user_id", "card"], history: "baskets", live: "taps" },
            Entity { name: "household", kinds: &["household"], history: "savings", live: "calls" },
            Entity { name: "product", kinds: &["product"], history: "sales", live: "shelf" },
        ];
        Self { n_partitions, entities, views: views::thirty() }
    }

    /// Views made of an entity's streams; without those that are added later where `with_new` is false.
    pub fn views_of(&self, entity: &Entity, with_new: bool) -> impl Iterator<Item = &ViewOf> {
        let streams = [entity.history, entity.live];
        self.views.iter().filter(move |view| streams.contains(&view.stream) && (with_new || !view.is_new))
    }

    /// `view.feature`, all of an entity.
    pub fn names(&self, entity: &Entity, with_new: bool) -> Vec<String> {
        self.views_of(entity, with_new).flat_map(ViewOf::names).collect()
    }

    pub fn has_new(&self) -> bool {
        self.views.iter().any(|view| view.is_new)
    }

    /// Whose record it is that lies in a stream.
    pub fn entity_of(&self, stream: &str) -> &Entity {
        self.entities.iter().find(|entity| [entity.history, entity.live].contains(&stream)).unwrap()
    }

    pub fn entity(&self, name: &str) -> &Entity {
        self.entities.iter().find(|entity| entity.name == name).unwrap()
    }
}
