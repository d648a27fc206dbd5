//! What is destroyed stays destroyed, whatever is cut off, copied or read meanwhile.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64};

use super::*;

const N_STEPS: u32 = 8;

fn master() -> Master {
    Master::from_bytes([3; 32])
}

/// Subjects of a few buckets, many of them in bucket 1.
fn subject(n: u32) -> Subject {
    let mut bytes = [7; 16];
    bytes[4..8].copy_from_slice(&n.to_be_bytes());
    let bucket = if n < 40 { 1 } else { n % 5 } as u16;
    bytes[14..].copy_from_slice(&bucket.to_be_bytes());
    Subject::from_bytes(bytes)
}

fn act(n: u8) -> RecordId {
    RecordId::from_bytes([n; 16])
}

fn at(n: i64) -> Instant {
    Instant::from_micros(n)
}

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn vault(&self) -> std::path::PathBuf {
        self.dir.path().join("data/vault")
    }

    fn anchor(&self) -> std::path::PathBuf {
        self.dir.path().join("root.anchor")
    }

    fn master(&self) -> Master {
        master().anchored_at(&self.anchor())
    }

    fn create(&self) -> Vault {
        Vault::create(&self.vault(), &self.master()).unwrap()
    }

    fn open(&self) -> Result<Vault, Error> {
        Vault::open(&self.vault(), &self.master())
    }
}

fn code<T>(result: Result<T, Error>) -> Option<&'static str> {
    result.err().map(|error| error.code())
}

fn cells(vault: &Vault, n: u32) -> Vec<Vec<u8>> {
    let subjects: Vec<_> = (0..n).map(subject).collect();
    vault.ensure(&subjects).unwrap();
    subjects.iter().map(|s| vault.seal(*s, "/email", 1, s.to_string().as_bytes()).unwrap()).collect()
}

/// Whose cell opens.
fn readable(vault: &Vault, cells: &[Vec<u8>]) -> Vec<u32> {
    let opens = |n: &u32| {
        let opened = vault.unseal(subject(*n), "/email", 1, &cells[*n as usize]).unwrap();
        assert!(opened.as_ref().is_none_or(|plain| plain.as_slice() == subject(*n).to_string().as_bytes()));
        opened.is_some()
    };
    (0..cells.len() as u32).filter(opens).collect()
}

fn without(n: u32, gone: &[u32]) -> Vec<u32> {
    (0..n).filter(|n| !gone.contains(n)).collect()
}

#[test]
fn the_erased_are_gone_the_neighbours_stay() {
    let place = Place::new();
    let vault = place.create();
    let cells = cells(&vault, 100);
    let done = vault.erase(&[subject(3), subject(50)], at(5), act(1)).unwrap();
    assert_eq!((done.n_destroyed, done.n_buckets), (2, 2));
    assert_eq!(readable(&vault, &cells), without(100, &[3, 50]));
    let noted = vault.erasure_of(subject(3)).unwrap();
    assert_eq!(noted, Some(Erasure { epoch: 1, at: at(5), act: act(1) }));
    assert_eq!(vault.erasure_of(subject(4)).unwrap(), None);
    drop(vault);
    let vault = place.open().unwrap();
    assert_eq!(readable(&vault, &cells), without(100, &[3, 50]));
    // Who comes back begins anew; what was sealed before stays closed.
    vault.ensure(&[subject(3)]).unwrap();
    assert_eq!(vault.epoch(subject(3)), Some(2));
    assert_eq!(readable(&vault, &cells), without(100, &[3, 50]));
}

#[test]
fn erasing_again_and_erasing_nobody_renew_nothing() {
    let place = Place::new();
    let vault = place.create();
    let cells = cells(&vault, 10);
    let first = vault.erase(&[subject(3)], at(5), act(1)).unwrap();
    let again = vault.erase(&[subject(3), subject(999)], at(6), act(2)).unwrap();
    assert_eq!((again.n_destroyed, again.n_buckets, again.root_epoch), (0, 0, first.root_epoch));
    // Both are known of: a backup that is put back may hold records of either.
    assert_eq!(vault.erasure_of(subject(999)).unwrap().unwrap().epoch, 0);
    let mut all = Vec::new();
    vault.erasures(|subject, erasure| all.push((subject, erasure.epoch))).unwrap();
    assert_eq!(all, [(subject(3), 1), (subject(999), 0)]);
    assert_eq!(readable(&vault, &cells), without(10, &[3]));
}

/// LAW 4: at every step, dying leaves a vault whose next opening completes the erasure; neighbours are always there.
#[test]
fn cut_off_at_any_step_it_is_completed_by_the_next_opening() {
    for step in 1..=N_STEPS {
        let place = Place::new();
        let vault = place.create();
        let cells = cells(&vault, 100);
        let backup = place.dir.path().join("backup");
        vault.copy_to(&backup).unwrap();
        vault.stop_before(step);
        assert_eq!(
            code(vault.erase(&[subject(3), subject(50)], at(5), act(1))),
            Some("MR3305"),
            "step {step}"
        );
        // Whoever reads meanwhile is not disturbed.
        let left = readable(&vault, &cells);
        assert!(without(100, &[3, 50]).iter().all(|n| left.contains(n)), "step {step}");
        drop(vault);
        let vault = place.open().unwrap_or_else(|e| panic!("step {step}: {e}"));
        assert_eq!(readable(&vault, &cells), without(100, &[3, 50]), "step {step}");
        assert_eq!(vault.erasure_of(subject(50)).unwrap().map(|e| e.act), Some(act(1)), "step {step}");
        drop(vault);
        assert_eq!(code(Vault::open(&backup, &place.master())), Some("MR3301"), "step {step}");
        // And once more, with nothing left to do.
        assert_eq!(readable(&place.open().unwrap(), &cells), without(100, &[3, 50]), "step {step}");
    }
}

#[test]
fn cut_off_it_is_completed_by_the_next_erasure_too() {
    for step in 1..=N_STEPS {
        let place = Place::new();
        let vault = place.create();
        let cells = cells(&vault, 60);
        vault.stop_before(step);
        assert!(vault.erase(&[subject(3)], at(5), act(1)).is_err());
        vault.stop_before(0);
        vault.erase(&[subject(50)], at(6), act(2)).unwrap();
        assert_eq!(readable(&vault, &cells), without(60, &[3, 50]), "step {step}");
        drop(vault);
        assert_eq!(readable(&place.open().unwrap(), &cells), without(60, &[3, 50]), "step {step}");
    }
}

/// Whatever is put together of an older copy's files and what lies outside of it now: nothing opens.
#[test]
fn a_copy_from_before_opens_nothing_with_the_new_root() {
    let place = Place::new();
    let vault = place.create();
    let cells = cells(&vault, 30);
    let backup = place.dir.path().join("backup");
    vault.copy_to(&backup).unwrap();
    assert!(readable(&Vault::open(&backup, &place.master()).unwrap(), &cells).contains(&3));
    let old_anchor = std::fs::read(place.anchor()).unwrap();
    vault.erase(&[subject(3)], at(5), act(1)).unwrap();
    drop(vault);
    let stale = Vault::open(&backup, &place.master()).err().unwrap();
    assert_eq!(stale.code(), "MR3301");
    assert!(stale.to_string().contains("before an erasure"), "{stale}");
    // Without the anchor, and with the new root file over the old rows.
    assert_eq!(code(Vault::open(&backup, &master())), Some("MR3302"));
    let mixed = place.dir.path().join("mixed");
    copy_dir(&backup, &mixed);
    std::fs::copy(place.vault().join("root.key"), mixed.join("root.key")).unwrap();
    assert_eq!(code(Vault::open(&mixed, &place.master())), Some("MR3005"));
    // The old anchor is nowhere on the disk any more; with it the copy would open, which is why it is not kept.
    let now = std::fs::read(place.anchor()).unwrap();
    assert_ne!(now, old_anchor);
    // An old anchor beside the vault of today says so, too.
    std::fs::write(place.anchor(), old_anchor).unwrap();
    let error = place.open().err().unwrap();
    assert_eq!(error.code(), "MR3303");
    std::fs::remove_file(place.anchor()).unwrap();
    assert_eq!(code(place.open()), Some("MR3302"));
}

#[test]
fn a_copy_with_its_anchor_is_all_it_takes_until_the_next_erasure() {
    let place = Place::new();
    let vault = place.create();
    let cells = cells(&vault, 30);
    vault.erase(&[subject(3)], at(5), act(1)).unwrap();
    let elsewhere = Place::new();
    vault.copy_with_anchor(&elsewhere.vault(), &elsewhere.anchor()).unwrap();
    let copy = elsewhere.open().unwrap();
    assert_eq!(readable(&copy, &cells), without(30, &[3]));
    assert_eq!(copy.erasure_of(subject(3)).unwrap().map(|e| e.epoch), Some(1));
}

#[test]
fn no_new_vault_is_made_over_the_anchor_of_another() {
    let place = Place::new();
    drop(place.create());
    let before = std::fs::read(place.anchor()).unwrap();
    std::fs::rename(place.vault(), place.dir.path().join("unmounted")).unwrap();
    assert_eq!(code(Vault::create(&place.vault(), &place.master())), Some("MR3307"));
    assert_eq!(std::fs::read(place.anchor()).unwrap(), before);
    // One whose making was cut off is made anew.
    std::fs::create_dir_all(place.vault().join("db")).unwrap();
    assert!(Vault::create(&place.vault(), &place.master()).is_ok());
    assert!(place.open().is_ok());
}

#[test]
fn a_vault_without_an_anchor_gets_one_when_it_is_opened() {
    let place = Place::new();
    let cells = {
        let vault = Vault::create(&place.vault(), &master()).unwrap();
        vault.secret("receipts").unwrap();
        cells(&vault, 10)
    };
    let vault = place.open().unwrap();
    assert_eq!(readable(&vault, &cells).len(), 10);
    drop(vault);
    assert_eq!(code(Vault::open(&place.vault(), &master())), Some("MR3302"));
    assert!(place.open().is_ok());
}

#[test]
fn while_a_subject_is_being_erased_nothing_is_sealed_for_it_but_state_is() {
    let place = Place::new();
    let vault = place.create();
    vault.ensure(&[subject(1)]).unwrap();
    let two = (vault.begin_erasing(&[subject(1)]), vault.begin_erasing(&[subject(1)]));
    assert_eq!(code(vault.ensure(&[subject(1)])), Some("MR3304"));
    assert_eq!(code(vault.seal(subject(1), "", 1, b"x")), Some("MR3304"));
    assert!(vault.ensure(&[subject(2)]).is_ok());
    let seal: &dyn store::Seal = &vault;
    assert!(seal.seal(subject(1), "traits", b"x").is_ok());
    drop(two.0);
    assert_eq!(code(vault.ensure(&[subject(1)])), Some("MR3304"));
    drop(two.1);
    assert!(vault.seal(subject(1), "", 1, b"x").is_ok());
}

/// Keys are renewed, rotated and destroyed while others read, write and come new: no read fails.
#[test]
fn nothing_fails_under_load() {
    let place = Place::new();
    let vault = place.create();
    let cells = cells(&vault, 400);
    let (stop, n_reads) = (AtomicBool::new(false), AtomicU64::new(0));
    let gone: Vec<u32> = (0..30).map(|n| n * 7).collect();
    std::thread::scope(|scope| {
        let (vault, cells, stop, n_reads, gone) = (&vault, &cells, &stop, &n_reads, &gone);
        for shift in 0..3_u32 {
            scope.spawn(move || {
                let mut n = shift * 100;
                while !stop.load(Ordering::Acquire) {
                    n = (n + 1) % 400;
                    // Past the cache every time.
                    vault.cache.forget(&[subject(n)]);
                    let opened = vault.unseal(subject(n), "/email", 1, &cells[n as usize]).unwrap();
                    assert!(opened.is_some() || gone.contains(&n), "{n}");
                    n_reads.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        scope.spawn(move || {
            for n in 1_000..1_200 {
                vault.ensure(&[subject(n)]).unwrap();
                let cell = vault.seal(subject(n), "", 1, b"x").unwrap();
                vault.cache.forget(&[subject(n)]);
                assert!(vault.unseal(subject(n), "", 1, &cell).unwrap().is_some(), "{n}");
            }
        });
        for (round, n) in gone.iter().enumerate() {
            vault.erase(&[subject(*n)], at(1), act(1)).unwrap();
            match round % 10 {
                3 => drop(vault.rotate_root(true).unwrap()),
                5 => drop(vault.rotate_root(false).unwrap()),
                7 => vault.rotate_master(&Master::from_bytes([round as u8; 32])).unwrap(),
                _ => {}
            }
        }
        stop.store(true, Ordering::Release);
    });
    assert!(n_reads.load(Ordering::Relaxed) > 400);
    assert_eq!(readable(&vault, &cells), without(400, &gone));
}

#[test]
fn after_a_rotation_the_old_master_opens_nothing() {
    let place = Place::new();
    let vault = place.create();
    let cells = cells(&vault, 10);
    let secret = vault.secret("receipts").unwrap();
    let new = || Master::from_bytes([9; 32]).anchored_at(&place.anchor());
    vault.rotate_master(&new()).unwrap();
    drop(vault);
    assert_eq!(code(place.open()), Some("MR3001"));
    let vault = Vault::open(&place.vault(), &new()).unwrap();
    vault.rotate_root(true).unwrap();
    assert_eq!(readable(&vault, &cells).len(), 10);
    drop(vault);
    let vault = Vault::open(&place.vault(), &new()).unwrap();
    assert_eq!(readable(&vault, &cells).len(), 10);
    assert_eq!(*vault.secret("receipts").unwrap(), *secret);
    let inside = place.vault().join("master.key");
    let inside = Master::create_file(&inside).unwrap();
    assert_eq!(code(vault.rotate_master(&inside)), Some("MR3009"));
    vault.compact().unwrap();
    assert_eq!(readable(&vault, &cells).len(), 10);
}

#[test]
fn purposes_are_linked_only_with_a_logged_right() {
    let place = Place::new();
    let vault = place.create();
    cells(&vault, 20);
    let (ads, stats) = (vault.pseudonyms("ads").unwrap(), vault.pseudonyms("analytics").unwrap());
    assert_ne!(ads.of(subject(1)), stats.of(subject(1)));
    assert_eq!(ads.of(subject(1)), vault.pseudonyms("ads").unwrap().of(subject(1)));
    assert_eq!(ads.of(subject(1)).to_string().parse(), Ok(ads.of(subject(1))));
    let refused = LinkRight::logged("ads", "analytics", || Err("the log is full"));
    assert_eq!(refused.err(), Some("the log is full"));
    let right = LinkRight::logged("ads", "analytics", || Ok::<_, Error>(())).unwrap();
    let asked = [ads.of(subject(1)), ads.of(subject(999)), stats.of(subject(2)), ads.of(subject(3))];
    let expected = [Some(stats.of(subject(1))), None, None, Some(stats.of(subject(3)))];
    assert_eq!(vault.link(&right, &asked).unwrap(), expected);
    vault.erase(&[subject(3)], at(1), act(1)).unwrap();
    assert_eq!(vault.link(&right, &asked).unwrap()[3], None);
}

/// No file of the vault, and none of an older copy, holds a key's bytes: they are wrapped, all of them.
#[test]
fn no_key_lies_open_on_the_disk() {
    let place = Place::new();
    let vault = place.create();
    cells(&vault, 50);
    let keys = vault.tree.keys(subject(3)).unwrap().unwrap();
    let (_, key) = keys.sealing().unwrap();
    let root = *vault.tree.keeper.lock().root.key.bytes();
    vault.erase(&[subject(3)], at(1), act(1)).unwrap();
    vault.compact().unwrap();
    let mut n_files = 0;
    each_file(place.dir.path(), &mut |path, bytes| {
        n_files += 1;
        for needle in [key.bytes(), &root] {
            assert!(!bytes.windows(32).any(|window| window == needle), "{}", path.display());
        }
    });
    assert!(n_files > 3);
}

fn each_file(dir: &Path, visit: &mut dyn FnMut(&Path, &[u8])) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            each_file(&path, visit);
        } else {
            visit(&path, &std::fs::read(&path).unwrap());
        }
    }
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
