//! Finds the end of the log when it is opened, and cuts off what a crash tore.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::Error;
use crate::disk::{Disk, File};
use crate::format::{FRAME_HEAD, FRAME_MAGIC, Head, Header, read_table};
use crate::segment::{Segment, Step, Walk, number_of, path_of};

/// How much is read at once.
const AHEAD_BYTES: usize = 1 << 20;

/// What a crash left behind the last whole frame, now cut off. None of it was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// The file that was shortened.
    pub file: PathBuf,
    /// Where it ends now.
    pub offset: u64,
    /// How much was cut off.
    pub n_bytes: u64,
}

/// The log as found.
pub(crate) struct Found {
    /// Each segment and its length.
    pub segments: Vec<(Arc<Segment>, u64)>,
    /// The newest segment's file, and how long it is including zeros made ahead.
    pub file: Arc<dyn File>,
    pub allocated: u64,
    /// Each partition's next position.
    pub next: Vec<u64>,
    pub cut: Option<Cut>,
}

/// Finds the log in `dir`; makes it where there is none. The directory is locked by the caller.
pub(crate) fn recover(disk: &dyn Disk, dir: &Path, n_partitions: u16) -> Result<Found, Error> {
    let names = disk.list(dir).map_err(Error::opening(dir, "list", dir))?;
    for name in names.iter().filter(|name| name.ends_with(".new")) {
        // A segment whose making was interrupted: nothing was ever written to it.
        let path = dir.join(name);
        disk.remove(&path).map_err(Error::opening(dir, "remove", &path))?;
    }
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| number_of(name)).collect();
    numbers.sort_unstable();
    if numbers.is_empty() {
        let (segment, file) = create(disk, dir, 1, 0, vec![0; usize::from(n_partitions)], None)?;
        let len = segment.header.len();
        let next = segment.header.first.clone();
        return Ok(Found { segments: vec![(segment, len)], file, allocated: len, next, cut: None });
    }
    let mut segments: Vec<(Arc<Segment>, u64)> = Vec::with_capacity(numbers.len());
    for (expected, number) in (1..).zip(numbers) {
        if number != expected {
            return Err(Error::Missing { file: path_of(dir, expected) });
        }
        let segment = Segment::read(disk, dir, number)?;
        let stored = segment.header.first.len();
        if stored != usize::from(n_partitions) {
            let stored = u16::try_from(stored).unwrap_or(u16::MAX);
            return Err(Error::Partitions { dir: dir.to_owned(), stored, asked: n_partitions });
        }
        if let Some((previous, len)) = segments.last_mut() {
            *len = segment.header.previous_len;
            check_sealed(disk, previous, *len)?;
        }
        segments.push((Arc::new(segment), 0));
    }
    let Some((last, len)) = segments.last_mut() else { return Err(Error::Missing { file: path_of(dir, 1) }) };
    let end = find_end(disk, dir, last)?;
    *len = end.offset;
    Ok(Found { segments, file: end.file, allocated: end.allocated, next: end.next, cut: end.cut })
}

/// The file of a segment that has not got its name yet.
pub(crate) fn unnamed(dir: &Path, number: u64) -> PathBuf {
    path_of(dir, number).with_extension("new")
}

/// Makes a segment: whole and durable before it has its name. Only after [`Error::Failed`] may it have the name.
///
/// * `zeros`: the file of its [`unnamed`] path, filled with zeros, where there is one
pub(crate) fn create(
    disk: &dyn Disk,
    dir: &Path,
    number: u64,
    previous_len: u64,
    first: Vec<u64>,
    zeros: Option<Arc<dyn File>>,
) -> Result<(Arc<Segment>, Arc<dyn File>), Error> {
    // Random, so that no two segments' frames are alike: see `format`.
    let salt = RandomState::new().build_hasher().finish();
    let header = Header { number, salt, previous_len, first };
    let path = path_of(dir, number);
    let new = unnamed(dir, number);
    let make = || {
        let file = zeros.map_or_else(|| disk.create(&new), Ok)?;
        file.write_all_at(&header.encode(), 0)?;
        file.sync()?;
        Ok(file)
    };
    let file = make().map_err(Error::opening(dir, "make", &new))?;
    disk.rename(&new, &path).and_then(|()| disk.sync_dir(dir)).map_err(|source| Error::Failed {
        dir: dir.to_owned(),
        doing: "naming a new file",
        source: Arc::new(source),
    })?;
    Ok((Arc::new(Segment::new(path, header)), file))
}

/// A sealed segment may have zeros behind its end, but not lack a part.
fn check_sealed(disk: &dyn Disk, segment: &Segment, len: u64) -> Result<(), Error> {
    let file = disk.open(&segment.path).map_err(Error::io("open", &segment.path))?;
    let found = file.len().map_err(Error::io("read", &segment.path))?;
    if found < len {
        return Err(Error::corrupt(&segment.path, found, "its end is missing"));
    }
    Ok(())
}

struct End {
    file: Arc<dyn File>,
    offset: u64,
    allocated: u64,
    next: Vec<u64>,
    cut: Option<Cut>,
}

fn find_end(disk: &dyn Disk, dir: &Path, segment: &Arc<Segment>) -> Result<End, Error> {
    let path = &segment.path;
    let file = disk.open(path).map_err(Error::opening(dir, "open", path))?;
    let file_len = file.len().map_err(Error::io("read", path))?;
    let place = (segment.header.len(), segment.header.first.clone());
    let mut walk = Walk::new(disk, segment.clone(), place, file_len, AHEAD_BYTES)?;
    let mut last_frame = walk.offset;
    let (offset, next, broken) = loop {
        let (before, next) = (walk.offset, walk.next.clone());
        match walk.step()? {
            Step::End => break (before, next, None),
            Step::Broken(reason) => break (before, next, Some(reason)),
            Step::Frame => {}
        }
        if !walk.each_block(|_| true, |_, _, _| Ok(()))? {
            break (before, next, Some("the checksum of a frame's records is wrong"));
        }
        last_frame = before;
        segment.mark(walk.offset, &walk.next);
    };
    let mut allocated = file_len;
    let mut cut = None;
    if let Some(reason) = broken
        && !is_zero(&mut walk, offset, file_len)?
    {
        // LAW 1: a frame is written only once the one before it is durable. So a whole frame behind a broken
        // one says that the broken one was acknowledged, and it must not be dropped.
        if has_frame(&mut walk, offset + 1, file_len)? {
            return Err(Error::corrupt(path, offset, reason));
        }
        file.set_len(offset).map_err(Error::opening(dir, "shorten", path))?;
        cut = Some(Cut { file: path.clone(), offset, n_bytes: file_len - offset });
        allocated = offset;
    }
    // The process that wrote the last frame may have ended before the frame was durable, or been told that it
    // cannot be: then the system may hold it in memory, believing it is on disk. Written once more, it gets there.
    let n_bytes = usize::try_from(offset - last_frame).unwrap_or(usize::MAX);
    let bytes = walk.bytes(last_frame, n_bytes)?.to_vec();
    file.write_all_at(&bytes, last_frame).map_err(Error::opening(dir, "write", path))?;
    file.sync().map_err(Error::opening(dir, "sync", path))?;
    Ok(End { file, offset, allocated, next, cut })
}

/// True where there is nothing but zeros.
fn is_zero(walk: &mut Walk, mut from: u64, to: u64) -> Result<bool, Error> {
    while from < to {
        let bytes = walk.bytes(from, AHEAD_BYTES)?;
        if bytes.iter().any(|byte| *byte != 0) {
            return Ok(false);
        }
        // Nothing read where the file says there is something: it became shorter meanwhile.
        from += bytes.len().max(1) as u64;
    }
    Ok(true)
}

/// True where a frame with a right table begins anywhere in the range.
fn has_frame(walk: &mut Walk, mut from: u64, to: u64) -> Result<bool, Error> {
    let salt = walk.segment.header.salt;
    let mut blocks = Vec::new();
    while from < to {
        let bytes = walk.bytes(from, AHEAD_BYTES)?;
        let n_bytes = bytes.len();
        if n_bytes < FRAME_HEAD {
            return Ok(false);
        }
        let places = bytes.windows(FRAME_MAGIC.len()).enumerate().filter(|(_, w)| *w == FRAME_MAGIC);
        let places: Vec<u64> = places.map(|(i, _)| from + i as u64).collect();
        for place in places {
            let Some(head) = Head::decode(walk.bytes(place, FRAME_HEAD)?) else { continue };
            if place + head.table_end() <= to {
                let len = usize::try_from(head.table_end()).unwrap_or(usize::MAX);
                if read_table(salt, place, walk.bytes(place, len)?, &mut blocks) {
                    return Ok(true);
                }
            }
        }
        // The next look begins where a magic number may have been cut in two.
        from += (n_bytes - FRAME_MAGIC.len() + 1) as u64;
    }
    Ok(false)
}
