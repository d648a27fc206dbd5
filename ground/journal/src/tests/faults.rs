//! LAW 1 on a disk that runs full, fails its syncs and forgets what was not synced.

use std::path::Path;

use proptest::prelude::*;

use super::damage::{sorted, three};
use super::{DIR, Numbers, append, contents, open};
use crate::Error;
use crate::faulty::{Faults, Faulty};
use crate::segment::path_of;

#[test]
fn a_full_disk_refuses_and_takes_again() {
    let disk = Faulty::default();
    let journal = open(&disk).unwrap();
    let mut kept = append(&journal, 0..4).unwrap();
    let mut n_refused = 0;
    let mut number = 4;
    // Room grows from nothing to enough for a new segment and more.
    for room_bytes in (0..6000).step_by(100) {
        disk.set(Faults { room_bytes: Some(room_bytes), ..Faults::default() });
        match append(&journal, number..number + 7) {
            Ok(more) => kept.extend(more),
            Err(error) => {
                assert!(matches!(error, Error::Full { .. }), "{error}");
                assert!(error.retry_helps());
                n_refused += 1;
            }
        }
        number += 7;
        assert_eq!(contents(&journal), sorted(&[&kept]), "with room for {room_bytes}");
    }
    assert!(n_refused > 5, "{n_refused}");
    disk.set(Faults::default());
    kept.extend(append(&journal, number..number + 7).unwrap());
    journal.close();
    assert_eq!(contents(&open(&disk).unwrap()), sorted(&[&kept]));
}

#[test]
fn no_room_for_the_next_file_refuses_and_takes_again() {
    let disk = Faulty::default();
    let journal = open(&disk).unwrap();
    let mut kept = Numbers::new();
    let mut number = 0;
    while journal.files().len() < 4 {
        // Too large for zeros made ahead, so that without room nothing is taken, not even a file is begun.
        for room_bytes in [Some(0), None] {
            disk.set(Faults { room_bytes, ..Faults::default() });
            match append(&journal, number..number + 5) {
                Ok(more) => kept.extend(more),
                Err(error) => assert!(room_bytes.is_some() && error.retry_helps(), "{error}"),
            }
            number += 5;
        }
    }
    journal.close();
    assert_eq!(contents(&open(&disk).unwrap()), sorted(&[&kept]));
}

#[test]
fn after_a_failed_sync_nothing_is_taken_until_reopened() {
    let disk = Faulty::default();
    let journal = open(&disk).unwrap();
    let kept = sorted(&[&append(&journal, 0..4).unwrap()]);
    for fault in
        [Faults { fail_sync: true, ..Faults::default() }, Faults { fail_write: true, ..Faults::default() }]
    {
        let disk = disk.after_power_loss(1, || false);
        let journal = open(&disk).unwrap();
        disk.set(fault);
        let error = append(&journal, 4..8).unwrap_err();
        assert!(matches!(error, Error::Failed { .. }), "{error}");
        assert!(error.to_string().contains("restart") && !error.retry_helps());
        let again = append(&journal, 8..12).unwrap_err();
        assert_eq!(again.to_string(), error.to_string(), "it is not tried again");
        assert!(journal.failure().is_some());
        assert_eq!(contents(&journal), kept, "what is durable can still be read");
        journal.close();
        let journal = open(&disk).unwrap();
        assert_eq!(contents(&journal), kept);
        let more = append(&journal, 12..16).unwrap();
        drop(journal);
        let disk = disk.after_power_loss(1, || false);
        assert_eq!(contents(&open(&disk).unwrap()), sorted(&[&kept, &more]));
    }
}

/// Killed after a sync had failed: the frame stands in the system's memory as if it were on disk.
#[test]
fn a_frame_only_the_system_remembers_is_made_durable_on_opening() {
    let disk = Faulty::default();
    let ([a, b, c], start, end) = three(&disk);
    let path = path_of(Path::new(DIR), 1);
    let mut frame = Vec::new();
    disk.edit(&path, |bytes| frame = bytes[start as usize..end as usize].to_vec());
    let torn = disk.copy();
    torn.edit(&path, |bytes| bytes[start as usize..].fill(0));
    let file = crate::disk::Disk::open(&torn, &path).unwrap();
    file.write_all_at(&frame, start).unwrap();
    torn.set(Faults { fail_sync: true, ..Faults::default() });
    file.sync().unwrap_err();
    let killed = torn.copy();
    let journal = open(&killed).unwrap();
    assert_eq!(contents(&journal), sorted(&[&a, &b, &c]));
    drop(journal);
    let lost = killed.after_power_loss(1, || false);
    assert_eq!(contents(&open(&lost).unwrap()), sorted(&[&a, &b, &c]), "what was shown is durable");
}

#[derive(Clone, Debug)]
enum Act {
    Append(u64),
    Reopen,
    Kill,
    PowerLoss(Vec<bool>),
    Full(u64),
    FailSync,
    FailWrite,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (1..20_u64).prop_map(Act::Append),
        1 => Just(Act::Reopen),
        1 => Just(Act::Kill),
        2 => prop::collection::vec(any::<bool>(), 1..40).prop_map(Act::PowerLoss),
        1 => (0..3000_u64).prop_map(Act::Full),
        1 => Just(Act::FailSync),
        1 => Just(Act::FailWrite),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// LAW 1: whatever happens, what was acknowledged is there exactly once, where it was said to be.
    #[test]
    fn nothing_acknowledged_is_lost(acts in prop::collection::vec(act(), 1..40)) {
        prop_assert_eq!(perform(acts, &Faults::default()), Ok(()));
    }
}

/// The test above would notice a log that acknowledges without syncing.
#[test]
fn a_log_that_does_not_sync_is_found_out() {
    let lying = Faults { lying_sync: true, ..Faults::default() };
    let acts = vec![Act::Append(3), Act::PowerLoss(vec![false])];
    let verdict = std::panic::catch_unwind(|| perform(acts, &lying));
    assert!(!matches!(verdict, Ok(Ok(()))), "{verdict:?}");
}

/// Performs the acts on a disk with the given standing faults, and says what was lost or doubled.
fn perform(acts: Vec<Act>, standing: &Faults) -> Result<(), String> {
    let mut disk = Faulty::default();
    let mut journal = open(&disk).unwrap();
    disk.set(standing.clone());
    let mut kept = Numbers::new();
    let mut number = 0;
    for act in acts {
        match act {
            Act::Append(n) => {
                if let Ok(more) = append(&journal, number..number + n) {
                    kept.extend(more);
                }
                number += n;
                disk.set(standing.clone());
                continue;
            }
            Act::Full(room) => {
                disk.set(Faults { room_bytes: Some(room), ..standing.clone() });
                continue;
            }
            Act::FailSync => {
                disk.set(Faults { fail_sync: true, ..standing.clone() });
                continue;
            }
            Act::FailWrite => {
                disk.set(Faults { fail_write: true, ..standing.clone() });
                continue;
            }
            Act::Reopen => journal.close(),
            Act::Kill => {
                // The copy is the disk as the killed process leaves it; its own end no longer matters.
                let killed = disk.copy();
                drop(journal);
                disk = killed;
            }
            Act::PowerLoss(survivors) => {
                let mut survivors = survivors.into_iter().cycle();
                let lost = disk.after_power_loss(64, || survivors.next().unwrap());
                drop(journal);
                disk = lost;
            }
        }
        disk.set(standing.clone());
        journal = open(&disk).map_err(|error| error.to_string())?;
        let found = contents(&journal);
        if let Some(record) = kept.iter().find(|record| !found.contains(record)) {
            return Err(format!("{record:?} is lost"));
        }
        let mut numbers: Vec<_> = found.iter().map(|(_, _, number)| *number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        if numbers.len() != found.len() {
            return Err("something is there twice".to_owned());
        }
        // What was never acknowledged but is there now has been shown, and must stay.
        kept = found;
    }
    Ok(())
}
