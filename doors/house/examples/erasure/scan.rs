//! One person among neighbours, erased in every way, and looked for in every byte.

use std::path::Path;
use std::process::Command;

use event::Position;
use house::House;
use serde_json::json;

use crate::erased::*;

const N_STEPS: u32 = 8;

/// Ends without a word at a step of the erasure, as a machine does that loses its power.
pub fn die(dir: &Path, step: u32) {
    let house = open(dir).unwrap();
    house.vault().stop_before(step);
    let done = house.erase_people(&[user("zoe")], "show", "show law 2");
    assert!(done.is_err_and(|error| error.code() == "MR3305"), "it did not stop before step {step}");
    std::process::abort();
}

pub fn scan(dir: &Path) {
    let at = dir.join("shop");
    project(&at, 4);
    let house = open(&at).unwrap();
    people(&house);
    let backup = dir.join("backup");
    house.backup(&backup).unwrap();
    house.close();
    drop(house);

    let program = std::env::current_exe().unwrap();
    let (mut n_completed, mut searched) = (0, Searched::default());
    for step in 1..=N_STEPS {
        let trial = dir.join(format!("trial-{step}"));
        copy_dir(&at, &trial);
        let ended = Command::new(&program).arg("die").arg(&trial).arg(step.to_string()).output().unwrap();
        assert!(!ended.status.success(), "step {step}: it was to die");
        let house = open(&trial).unwrap();
        let (act, _) = house.erasures().unwrap().remove(0);
        n_completed += u32::from(house.erasure(act).unwrap().complete);
        zoe_is_nowhere(&house);
        neighbours_are_there(&house);
        house.close();
        drop(house);
        searched += search(&trial);
        std::fs::remove_dir_all(&trial).unwrap();
    }

    let house = open(&at).unwrap();
    let receipts = house.erase_people(&[id("email", PLANTED[0])], "show", "show law 2").unwrap();
    assert!(receipts.complete, "{receipts:?}");
    zoe_is_nowhere(&house);
    neighbours_are_there(&house);
    let opened = cells(&house);
    house.copy_keys(&dir.join("keys"), "show").unwrap();
    house.close();
    drop(house);
    searched += search(&at);
    let n_values = stored(&at);

    let again = dir.join("again");
    house::restore(&backup, &again).unwrap();
    for outside in ["master.key", "root.anchor"] {
        std::fs::copy(at.join(outside), again.join(outside)).unwrap();
    }
    let stale = open(&again).err().map(|error| error.code());
    assert_eq!(stale, Some("MR3301"), "the keys of the backup");
    house::restore_keys(&dir.join("keys"), &again).unwrap();
    let house = open(&again).unwrap();
    zoe_is_nowhere(&house);
    neighbours_are_there(&house);
    let from_backup = cells(&house);
    house.close();
    drop(house);
    searched += search(&again);
    searched += search(&backup);
    let n_values = n_values + stored(&again);
    let needles: usize = PLANTED.iter().map(|text| disguises(text).len()).sum();
    println!(
        "{}",
        json!({
            "n_files": searched.n_files, "n_blocks": searched.n_blocks, "n_values": n_values, "n_needles": needles, "n_steps": N_STEPS, "n_completed": n_completed,
            "n_cells_of_erased_opened": opened.0 + from_backup.0, "n_cells_of_neighbours": opened.2 + from_backup.2,
            "n_cells_of_neighbours_opened": opened.1 + from_backup.1, "logical_ms": receipts.logical_ms,
        })
    );
}

/// Sealed cells of the journal that open: the erased person's, the neighbours', and how many the neighbours have.
fn cells(house: &House) -> (u64, u64, u64) {
    let mut erased = Vec::new();
    for who in [user("zoe"), id("email", PLANTED[0]), id("anonymous_id", "dz")] {
        erased.push(house.subject(&who).unwrap());
    }
    let (mut gone, mut there, mut all) = (0, 0, 0);
    let from = vec![Position(0); usize::from(house.n_partitions())];
    let visited = house.engine().journal().scan(&from, |_, _, record| {
        if record.subject.is_none() {
            return Ok(());
        }
        for cell in &record.payload.cells {
            let major = record.contract.major;
            let opened = house.vault().unseal(record.subject, &cell.column, major, &cell.sealed);
            let opens = matches!(opened, Ok(Some(_)));
            if erased.contains(&record.subject) {
                gone += u64::from(opens);
            } else {
                all += 1;
                there += u64::from(opens);
            }
        }
        Ok(())
    });
    visited.unwrap();
    (gone, there, all)
}

/// Searches every stored value of the state as the database gives it, its compressed blocks undone.
fn stored(at: &Path) -> u64 {
    let needles: Vec<Vec<u8>> =
        PLANTED.iter().flat_map(|text| disguises(text)).map(|(_, needle)| needle).collect();
    let db = store::Database::open(&at.join("data/state"), 8 << 20).unwrap();
    let mut n = 0;
    let visited = db.prefix(&[], |key, value| {
        n += 1;
        for needle in &needles {
            let lies = |bytes: &[u8]| bytes.windows(needle.len()).any(|window| window == needle.as_slice());
            assert!(!lies(key) && !lies(value), "planted text in the state");
        }
        Ok(())
    });
    visited.unwrap();
    n
}
