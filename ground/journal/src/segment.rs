//! Segments on disk and the walk through their frames.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::disk::{Disk, File};
use crate::format::{Block, FRAME_HEAD, Head, Header, HeaderFault, read_table};
use crate::{Error, format};

/// How much of the log lies between two remembered places.
const MARK_BYTES: u64 = 1 << 20;

/// One file of the log.
pub(crate) struct Segment {
    pub path: PathBuf,
    pub header: Header,
    /// Places in the file from which a search may start, with each partition's next position there.
    marks: Mutex<Vec<(u64, Box<[u64]>)>>,
}

impl Segment {
    pub fn new(path: PathBuf, header: Header) -> Self {
        Self { path, header, marks: Mutex::default() }
    }

    /// Reads the header of a file that must be segment `number`.
    pub fn read(disk: &dyn Disk, dir: &Path, number: u64) -> Result<Self, Error> {
        let path = path_of(dir, number);
        let file = disk.open(&path).map_err(Error::opening(dir, "open", &path))?;
        // Most headers fit the first read; how long this one is stands in its first bytes.
        let mut bytes = vec![0; 4096];
        let mut header = Err(HeaderFault::Broken("it ends within its header"));
        for len in [4096, Header::MAX_LEN] {
            bytes.resize(len, 0);
            let n_read = file.read_at(&mut bytes, 0).map_err(Error::io("read", &path))?;
            header = Header::decode(bytes.get(..n_read).unwrap_or_default());
            if n_read < len || header.is_ok() {
                break;
            }
        }
        match header {
            Ok(header) if header.number == number => Ok(Self::new(path, header)),
            Ok(_) => Err(Error::corrupt(&path, 0, "it says it is another file of the journal")),
            Err(HeaderFault::Newer(found)) => {
                Err(Error::NewerFormat { file: path, found, known: format::FORMAT })
            }
            Err(HeaderFault::Broken(reason)) => Err(Error::corrupt(&path, 0, reason)),
        }
    }

    /// Remembers a place if the last one is far enough behind.
    pub fn mark(&self, offset: u64, next: &[u64]) {
        let mut marks = self.marks.lock();
        let last = marks.last().map_or(self.header.len(), |(offset, _)| *offset);
        if offset >= last + MARK_BYTES {
            marks.push((offset, next.into()));
        }
    }

    /// The latest known place at which `not_after` still holds of the positions there.
    pub fn start(&self, not_after: impl Fn(&[u64]) -> bool) -> (u64, Vec<u64>) {
        let marks = self.marks.lock();
        let n_before = marks.partition_point(|(_, next)| not_after(next));
        match n_before.checked_sub(1).and_then(|i| marks.get(i)) {
            Some((offset, next)) => (*offset, next.to_vec()),
            None => (self.header.len(), self.header.first.clone()),
        }
    }
}

/// The file of segment `number`.
pub(crate) fn path_of(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:020}.log"))
}

/// The number in a segment's file name.
pub(crate) fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".log")?;
    if digits.len() != 20 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok()
}

/// What lies at a place in a segment.
pub(crate) enum Step {
    /// A frame, now current; the walk stands behind it.
    Frame,
    /// The end of what may be read.
    End,
    /// No frame.
    Broken(&'static str),
}

/// A walk through a segment's frames, reading ahead.
pub(crate) struct Walk {
    pub segment: Arc<Segment>,
    /// Where the next frame begins.
    pub offset: u64,
    /// Each partition's next position there.
    pub next: Vec<u64>,
    /// The current frame's blocks.
    blocks: Vec<Block>,
    /// Where the current frame's body begins.
    body: u64,
    window: Window,
}

impl Walk {
    /// Starts at `offset`, where the next positions are `next`, and goes no further than `limit`.
    pub fn new(
        disk: &dyn Disk,
        segment: Arc<Segment>,
        (offset, next): (u64, Vec<u64>),
        limit: u64,
        ahead_bytes: usize,
    ) -> Result<Self, Error> {
        let file = disk.open(&segment.path).map_err(Error::io("open", &segment.path))?;
        let window = Window { file, limit, at: 0, filled: 0, bytes: Vec::new(), ahead_bytes };
        Ok(Self { segment, offset, next, blocks: Vec::new(), body: 0, window })
    }

    /// Lets the walk go on to a later limit.
    pub fn extend(&mut self, limit: u64) {
        self.window.limit = limit;
    }

    /// Goes to the next frame. Only its table is checked; blocks are when they are read.
    pub fn step(&mut self) -> Result<Step, Error> {
        self.blocks.clear();
        let failed = Error::io("read", &self.segment.path);
        let left = self.window.limit.saturating_sub(self.offset);
        if left == 0 {
            return Ok(Step::End);
        }
        let Some(head) = self.window.get(self.offset, FRAME_HEAD).map_err(failed)? else {
            return Ok(Step::Broken("it ends within a frame"));
        };
        let Some(head) = Head::decode(head) else {
            return Ok(Step::Broken("there is no frame where one should begin"));
        };
        if head.frame_len() > left {
            return Ok(Step::Broken("it ends within a frame"));
        }
        let failed = Error::io("read", &self.segment.path);
        let table_len = usize::try_from(head.table_end()).unwrap_or(usize::MAX);
        let Some(table) = self.window.get(self.offset, table_len).map_err(failed)? else {
            return Ok(Step::Broken("it ends within a frame"));
        };
        if !read_table(self.segment.header.salt, self.offset, table, &mut self.blocks) {
            self.blocks.clear();
            return Ok(Step::Broken("the checksum of a frame is wrong"));
        }
        for block in &self.blocks {
            match self.next.get_mut(usize::from(block.partition)) {
                Some(next) if *next == block.first => *next += u64::from(block.n_records),
                _ => return Ok(Step::Broken("a frame does not continue the one before it")),
            }
        }
        self.body = self.offset + head.table_end();
        self.offset += head.frame_len();
        Ok(Step::Frame)
    }

    /// Calls `f` with each wanted block of the current frame and its checked bytes; false where one is broken.
    pub fn each_block(
        &mut self,
        want: impl Fn(&Block) -> bool,
        mut f: impl FnMut(&Segment, &Block, &[u8]) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let mut at = self.body;
        for block in &self.blocks {
            if want(block) {
                let bytes = self.window.get(at, block.len as usize);
                let Some(bytes) = bytes.map_err(Error::io("read", &self.segment.path))? else {
                    return Ok(false);
                };
                if crc32fast::hash(bytes) != block.crc {
                    return Ok(false);
                }
                f(&self.segment, block, bytes)?;
            }
            at += u64::from(block.len);
        }
        Ok(true)
    }

    /// Where the current frame's body begins.
    pub fn body(&self) -> u64 {
        self.body
    }

    /// The bytes from `offset`, as many as there are up to `len`.
    pub fn bytes(&mut self, offset: u64, len: usize) -> Result<&[u8], Error> {
        let left = usize::try_from(self.window.limit.saturating_sub(offset)).unwrap_or(usize::MAX);
        let bytes = self.window.get(offset, len.min(left));
        Ok(bytes.map_err(Error::io("read", &self.segment.path))?.unwrap_or_default())
    }
}

/// A part of a file in memory that moves along.
struct Window {
    file: Arc<dyn File>,
    limit: u64,
    at: u64,
    filled: usize,
    bytes: Vec<u8>,
    ahead_bytes: usize,
}

impl Window {
    /// `len` bytes at `offset`; `None` where the file or the limit ends before.
    fn get(&mut self, offset: u64, len: usize) -> std::io::Result<Option<&[u8]>> {
        if offset.checked_add(len as u64).is_none_or(|end| end > self.limit) {
            return Ok(None);
        }
        let inside = offset.checked_sub(self.at).and_then(|start| usize::try_from(start).ok());
        let inside = inside.filter(|start| start.saturating_add(len) <= self.filled);
        let start = match inside {
            Some(start) => start,
            None => {
                let left = usize::try_from(self.limit - offset).unwrap_or(usize::MAX);
                let n_wanted = len.max(self.ahead_bytes).min(left);
                if self.bytes.len() < n_wanted {
                    self.bytes.resize(n_wanted, 0);
                }
                self.filled = 0;
                self.at = offset;
                let room = self.bytes.get_mut(..n_wanted).unwrap_or_default();
                self.filled = self.file.read_at(room, offset)?;
                0
            }
        };
        Ok(self.bytes.get(..self.filled).and_then(|filled| filled.get(start..start + len)))
    }
}
