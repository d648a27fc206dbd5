//! The shop moved into the house: every line of its files is accepted, a duplicate, or quarantined, as the truth says.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use std::path::Path;

use house::{House, Project};
use simulate::{Config, World};

fn world() -> World {
    let mut config = Config { seed: 5, n_customers: 200, n_days: 240, n_campaigns: 4, ..Config::default() };
    let faults = &mut config.faults;
    faults.bad_encoding = 0.02;
    for rate in [
        &mut faults.duplicates,
        &mut faults.wrong_type,
        &mut faults.missing_field,
        &mut faults.not_a_number,
        &mut faults.out_of_range,
    ] {
        *rate = 0.02;
    }
    World::new(config).unwrap()
}

fn open(world: &World, dir: &Path) -> House {
    simulate::write(&world.project_files(), dir).unwrap();
    simulate::write(world.history().files(), &dir.join("shop")).unwrap();
    let (_, findings) = Project::read(dir).unwrap();
    let findings: Vec<_> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(findings, [""; 0]);
    House::open(Project::load(dir).unwrap()).unwrap()
}

#[test]
fn every_line_is_accepted_a_duplicate_or_quarantined() {
    let (world, folder) = (world(), tempfile::tempdir().unwrap());
    let house = open(&world, folder.path());
    let shop = folder.path().join("shop");
    let truth = world.history().truth().clone();
    for (stream, counts) in &truth.streams {
        let done = house.import(&shop.join(format!("{stream}.ndjson")), stream, |_| {}).unwrap();
        let found =
            (done.counts.n_rows, done.counts.n_accepted, done.counts.n_duplicates, done.counts.n_quarantined);
        let expected = (counts.lines, counts.good, counts.duplicates, counts.broken.all());
        assert_eq!(found, expected, "{stream}: rows, accepted, duplicates, quarantined: {:?}", done.reasons);
        assert!(counts.broken.not_a_number > 0);
    }
    for stream in ["customers", "campaigns"] {
        let done = house.import(&shop.join(format!("{stream}.csv")), stream, |_| {}).unwrap();
        assert_eq!(done.counts.n_rows, done.counts.n_accepted, "{stream}: {:?}", done.reasons);
    }
    let consents = house.import_consents(&shop.join("consents.csv")).unwrap();
    assert_eq!(consents.refused, []);
    assert!(consents.n_accepted > 1_000);
    house.close();
}
