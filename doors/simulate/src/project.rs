//! The project directory that fits the shop's files: contracts, feature views, use cases, settings.

use crate::calendar::stamp;
use crate::files::File;
use crate::world::World;

const FILES: [(&str, &str); 5] = [
    ("contracts/campaigns.yaml", include_str!("../project/contracts/campaigns.yaml")),
    ("contracts/customers.yaml", include_str!("../project/contracts/customers.yaml")),
    ("contracts/orders.yaml", include_str!("../project/contracts/orders.yaml")),
    ("contracts/responses.yaml", include_str!("../project/contracts/responses.yaml")),
    ("contracts/visits.yaml", include_str!("../project/contracts/visits.yaml")),
];

impl World {
    /// The project directory for this world's files. Its streams are live from [`World::end`] on: until then the
    /// imported past may say itself when it was known.
    pub fn project_files(&self) -> Vec<File> {
        let end = stamp(self.end());
        let fill =
            |(path, text): (&str, &str)| File::new(path, text.replace("{live_since}", &end).into_bytes());
        FILES.into_iter().map(fill).collect()
    }
}
