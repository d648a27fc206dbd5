//! The project directory that fits the shop's files: settings, contracts, feature views, model, use case, job, gold set.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::action::Action;
use crate::calendar::stamp;
use crate::files::File;
use crate::world::World;

macro_rules! project {
    ($($path:literal),* $(,)?) => { [$(($path, include_str!(concat!("../project/", $path)))),*] };
}

const FILES: [(&str, &str); 12] = project![
    "maschinenraum.toml",
    "contracts/campaigns.yaml",
    "contracts/customers.yaml",
    "contracts/orders.yaml",
    "contracts/responses.yaml",
    "contracts/visits.yaml",
    "features/orders.yaml",
    "features/responses.yaml",
    "features/visits.yaml",
    "jobs/nightly.yaml",
    "models/response.yaml",
    "usecases/next_order.yaml",
];
const N_GOLD: usize = 200;

/// One line of the gold set: what is true for a customer when the history ends.
#[derive(Serialize)]
struct Gold<'a> {
    identifier: Called<'a>,
    at: String,
    /// The true probability of an order under each action.
    worth: BTreeMap<String, f64>,
}

#[derive(Serialize)]
struct Called<'a> {
    kind: &'static str,
    value: &'a str,
}

impl World {
    /// The project directory for this world's files. Its streams are live, and its clock starts, at [`World::end`]:
    /// until then the imported past may say itself when it was known.
    pub fn project_files(&self) -> Vec<File> {
        let end = stamp(self.end());
        let fill =
            |(path, text): (&str, &str)| File::new(path, text.replace("{live_since}", &end).into_bytes());
        let mut files: Vec<_> = FILES.into_iter().map(fill).collect();
        files.push(File::new("goldsets/next_order.jsonl", self.gold_set()));
        files
    }

    /// Customers spread over the whole list, each with the true probability of an order under every action.
    fn gold_set(&self) -> Vec<u8> {
        let mut lines = Vec::new();
        let step = self.customers().len().div_ceil(N_GOLD);
        for customer in self.customers().iter().step_by(step) {
            let at = self.end();
            let probability = |action: Action| (action.id(), self.probability(customer, action, at));
            let line = Gold {
                identifier: Called { kind: "user_id", value: &customer.user_id },
                at: stamp(at),
                worth: Action::ALL.into_iter().map(probability).collect(),
            };
            lines.extend(serde_json::to_vec(&line).unwrap_or_default());
            lines.push(b'\n');
        }
        lines
    }
}
