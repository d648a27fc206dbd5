//! What a crash tears is cut off; what is damaged elsewhere is never passed over.

use std::path::Path;
use std::sync::Arc;

use event::{Partition, Position};

use super::{DIR, Numbers, append, contents, open};
use crate::conformance::sample;
use crate::faulty::Faulty;
use crate::format::{Block, Header, write_table};
use crate::segment::path_of;
use crate::{Error, Journal};

/// Three appends in one segment; what they acknowledged, and where the last begins and ends.
pub(super) fn three(disk: &Faulty) -> ([Numbers; 3], u64, u64) {
    let journal = open(disk).unwrap();
    let len = |journal: &Journal| journal.files()[0].1;
    let (a, b) = (append(&journal, 0..3).unwrap(), append(&journal, 3..6).unwrap());
    let start = len(&journal);
    let c = append(&journal, 6..9).unwrap();
    let end = len(&journal);
    journal.close();
    ([a, b, c], start, end)
}

pub(super) fn sorted(parts: &[&Numbers]) -> Numbers {
    let mut all: Numbers = parts.iter().flat_map(|part| part.iter().copied()).collect();
    all.sort_unstable();
    all
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_off() {
    let disk = Faulty::default();
    let ([a, b, c], start, end) = three(&disk);
    let path = path_of(Path::new(DIR), 1);
    for keep in start..=end {
        for zeros in [false, true] {
            let torn = disk.copy();
            torn.edit(&path, |bytes| {
                let len = bytes.len();
                bytes.truncate(keep as usize);
                if zeros {
                    bytes.resize(len, 0);
                }
            });
            let journal = open(&torn).unwrap();
            // A record without cells ends with two zeros, which zeros replace well.
            let expected = if keep == end || contents(&journal).len() == 9 {
                assert!(keep + 2 >= end);
                sorted(&[&a, &b, &c])
            } else {
                sorted(&[&a, &b])
            };
            assert_eq!(contents(&journal), expected, "kept {keep} of {end}");
            let n_cut = journal.cut().map_or(0, |cut| cut.n_bytes);
            assert_eq!(n_cut > 0, keep != start && expected.len() == 6, "kept {keep} of {end}");
            let d = append(&journal, 100..103).unwrap();
            let expected = sorted(&[&expected, &d]);
            assert_eq!(contents(&journal), expected);
            journal.close();
            assert_eq!(contents(&open(&torn).unwrap()), expected);
        }
    }
}

#[test]
fn a_flipped_bit_is_cut_off_at_the_tail_and_refused_before() {
    let disk = Faulty::default();
    let ([a, b, _], start, end) = three(&disk);
    let path = path_of(Path::new(DIR), 1);
    for at in 0..end {
        let damaged = disk.copy();
        damaged.edit(&path, |bytes| bytes[at as usize] ^= 1 << (at % 8));
        match open(&damaged) {
            Ok(journal) => {
                assert!(at >= start, "damage at byte {at} is not noticed");
                assert_eq!(contents(&journal), sorted(&[&a, &b]));
            }
            Err(error @ Error::Corrupt { offset, .. }) => {
                assert!(at < start && offset <= at, "{error} for {at}");
                let unchanged = damaged.copy();
                unchanged.edit(&path, |bytes| bytes[at as usize] ^= 1 << (at % 8));
                assert_eq!(contents(&open(&unchanged).unwrap()).len(), 9, "a refusal changes nothing");
            }
            Err(Error::NewerFormat { .. }) => assert!((8..10).contains(&at)),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn damage_in_an_older_file_is_never_skipped() {
    let disk = Faulty::default();
    let journal = open(&disk).unwrap();
    while journal.files().len() < 3 {
        append(&journal, 0..10).unwrap();
    }
    let (path, len) = journal.files()[1].clone();
    journal.close();
    disk.edit(&path, |bytes| bytes[len as usize - 1] ^= 1);
    let journal = open(&disk).unwrap();
    let scan = journal.scan(&[], |_, _, _| Ok(()));
    assert!(matches!(&scan, Err(Error::Corrupt { file, .. }) if *file == path), "{scan:?}");
    // The damaged block is partition 1's, as it comes last; partition 0 can still be read.
    let mut tail = journal.tail(Partition(1), Position(0));
    let error = loop {
        match tail.next(1, None) {
            Ok(records) => assert!(!records.is_empty(), "the damage was passed over"),
            Err(error) => break error,
        }
    };
    assert!(matches!(&error, Error::Corrupt { file, .. } if *file == path), "{error}");
}

/// Every checksum is right, but records before it are gone.
#[test]
fn a_frame_that_does_not_continue_the_one_before_is_refused() {
    let disk = Faulty::default();
    let (_, start, _) = three(&disk);
    let path = path_of(Path::new(DIR), 1);
    disk.edit(&path, |bytes| {
        let salt = Header::decode(bytes).unwrap().salt;
        bytes.truncate(start as usize);
        for first in [9, 10] {
            let offset = bytes.len() as u64;
            let block = Block { partition: 0, n_records: 1, first, len: 0, crc: 0 };
            write_table(salt, offset, &[block], bytes);
        }
    });
    let error = open(&disk).err().unwrap();
    assert!(matches!(error, Error::Corrupt { offset, .. } if offset == start), "{error}");
}

/// A record may hold the bytes of a journal, even of this one.
#[test]
fn a_journal_inside_a_record_is_no_journal() {
    let disk = Faulty::default();
    let ([a, b, _], start, end) = three(&disk);
    let path = path_of(Path::new(DIR), 1);
    let mut inner = Vec::new();
    disk.edit(&path, |bytes| inner = bytes[..end as usize].to_vec());
    let outer = disk.copy();
    outer.edit(&path, |bytes| bytes.truncate(start as usize));
    let journal = open(&outer).unwrap();
    let mut record = (*sample(0, 0)).clone();
    record.payload.open = inner.into();
    journal.append(vec![(Partition(0), Arc::new(record))]).unwrap();
    let end = journal.files()[0].1;
    journal.close();
    outer.edit(&path, |bytes| bytes[end as usize - 1] ^= 1);
    assert_eq!(contents(&open(&outer).unwrap()), sorted(&[&a, &b]), "the torn record is cut off");
}
