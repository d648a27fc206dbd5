//! The bytes of a segment, version 1. Pure: bytes in, values out.
//!
//! ```text
//! segment = header | frame | frame | … | zeros up to the end of the file
//! header  = "MRJOURNL" | format u16 = 1 | n_partitions u16 | number u64 | salt u64 | previous_len u64
//!         | first position per partition: n × u64 | crc u32 over all before
//! frame   = "MRFR" | n_blocks u32 | body_len u32 | crc u32 | table: n_blocks × block | body
//! block   = partition u16 | 0 u16 | n_records u32 | first position u64 | len u32 | crc u32 over its part of the body
//! body    = each block's records in order, each: len u32 | event::encode
//! ```
//! All numbers are little-endian, checksums are CRC-32 (IEEE). A frame's own checksum covers salt, offset in
//! the file, its head but the checksum, and the table; so no bytes that lie elsewhere, not even a copy of this
//! very segment inside a record, can pass for a frame. `previous_len` is how long the segment before this one
//! is, so that a shortened one is noticed.

/// The first bytes of every segment.
pub(crate) const MAGIC: [u8; 8] = *b"MRJOURNL";
/// The format that is written; it and every earlier one are read.
pub(crate) const FORMAT: u16 = 1;
/// The first bytes of every frame.
pub(crate) const FRAME_MAGIC: [u8; 4] = *b"MRFR";
/// Bytes of a frame before its table.
pub(crate) const FRAME_HEAD: usize = 16;
/// Bytes of a table's entry.
pub(crate) const BLOCK: usize = 24;
/// Bytes of a header before the positions.
const HEADER_HEAD: usize = 36;

/// What a segment says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub number: u64,
    pub salt: u64,
    pub previous_len: u64,
    /// The position of the next record of each partition where this segment begins.
    pub first: Vec<u64>,
}

/// Why bytes are no header.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    Newer(u16),
    Broken(&'static str),
}

impl Header {
    /// The length of the header of a segment with so many partitions.
    pub fn len_for(n_partitions: u16) -> usize {
        HEADER_HEAD + 8 * usize::from(n_partitions) + 4
    }

    /// The most bytes a header can have.
    pub const MAX_LEN: usize = HEADER_HEAD + 8 * u16::MAX as usize + 4;

    pub fn len(&self) -> u64 {
        (HEADER_HEAD + 8 * self.first.len() + 4) as u64
    }

    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER_HEAD + 8 * self.first.len() + 4);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&u16::try_from(self.first.len()).unwrap_or(u16::MAX).to_le_bytes());
        for word in [self.number, self.salt, self.previous_len] {
            out.extend_from_slice(&word.to_le_bytes());
        }
        for first in &self.first {
            out.extend_from_slice(&first.to_le_bytes());
        }
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    /// Reads a header from the start of `bytes`, which may go on.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderFault> {
        const SHORT: HeaderFault = HeaderFault::Broken("it ends within its header");
        let mut from = Fields(bytes);
        if from.array::<8>().ok_or(SHORT)? != MAGIC {
            return Err(HeaderFault::Broken("it does not begin as a journal file does"));
        }
        // Before the checksum: a newer format may have another one.
        let format = u16::from_le_bytes(from.array().ok_or(SHORT)?);
        if format > FORMAT {
            return Err(HeaderFault::Newer(format));
        }
        let n_partitions = u16::from_le_bytes(from.array().ok_or(SHORT)?);
        let len = Self::len_for(n_partitions);
        let covered = bytes.get(..len - 4).ok_or(SHORT)?;
        let mut after = Fields(bytes.get(len - 4..).ok_or(SHORT)?);
        if after.u32().ok_or(SHORT)? != crc32fast::hash(covered) {
            return Err(HeaderFault::Broken("the checksum of its header is wrong"));
        }
        let number = from.u64().ok_or(SHORT)?;
        let salt = from.u64().ok_or(SHORT)?;
        let previous_len = from.u64().ok_or(SHORT)?;
        let first = (0..n_partitions).map(|_| from.u64().ok_or(SHORT)).collect::<Result<_, _>>()?;
        Ok(Self { number, salt, previous_len, first })
    }
}

/// Consecutive records of one partition in a frame's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub partition: u16,
    pub n_records: u32,
    pub first: u64,
    pub len: u32,
    pub crc: u32,
}

/// The sizes a frame's head names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub n_blocks: u32,
    pub body_len: u32,
}

impl Head {
    /// Reads the head; `None` where the bytes are none. Its checksum is [`read_table`]'s business.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut from = Fields(bytes);
        if from.array::<4>()? != FRAME_MAGIC {
            return None;
        }
        Some(Self { n_blocks: from.u32()?, body_len: from.u32()? })
    }

    /// Bytes of head and table.
    pub fn table_end(self) -> u64 {
        FRAME_HEAD as u64 + BLOCK as u64 * u64::from(self.n_blocks)
    }

    /// Bytes of the frame.
    pub fn frame_len(self) -> u64 {
        self.table_end() + u64::from(self.body_len)
    }
}

/// Appends a frame's head and table to `out`; the body follows.
pub(crate) fn write_table(salt: u64, offset: u64, blocks: &[Block], out: &mut Vec<u8>) {
    let start = out.len();
    let body_len: u32 = blocks.iter().map(|block| block.len).sum();
    out.extend_from_slice(&FRAME_MAGIC);
    out.extend_from_slice(&u32::try_from(blocks.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(&body_len.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    for block in blocks {
        out.extend_from_slice(&block.partition.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&block.n_records.to_le_bytes());
        out.extend_from_slice(&block.first.to_le_bytes());
        out.extend_from_slice(&block.len.to_le_bytes());
        out.extend_from_slice(&block.crc.to_le_bytes());
    }
    let crc = out.get(start..).and_then(|bytes| table_crc(salt, offset, bytes)).unwrap_or_default();
    if let Some(place) = out.get_mut(start + 12..start + 16) {
        place.copy_from_slice(&crc.to_le_bytes());
    }
}

/// Reads a frame's table from the bytes of head and table into `blocks`; false where the checksum is wrong or
/// the sizes do not add up.
pub(crate) fn read_table(salt: u64, offset: u64, bytes: &[u8], blocks: &mut Vec<Block>) -> bool {
    blocks.clear();
    let (Some(head), Some(crc)) = (Head::decode(bytes), table_crc(salt, offset, bytes)) else { return false };
    let stored = bytes.get(12..16).and_then(|b| b.try_into().ok()).map(u32::from_le_bytes);
    if stored != Some(crc) {
        return false;
    }
    let Some((entries, _)) = bytes.get(FRAME_HEAD..).map(|table| table.as_chunks::<BLOCK>()) else {
        return false;
    };
    blocks.extend(entries.iter().filter_map(|entry| {
        let mut from = Fields(entry);
        let partition = u16::from_le_bytes(from.array()?);
        from.array::<2>()?;
        Some(Block {
            partition,
            n_records: from.u32()?,
            first: from.u64()?,
            len: from.u32()?,
            crc: from.u32()?,
        })
    }));
    let body_len: u64 = blocks.iter().map(|block| u64::from(block.len)).sum();
    body_len == u64::from(head.body_len) && blocks.len() as u64 == u64::from(head.n_blocks)
}

fn table_crc(salt: u64, offset: u64, bytes: &[u8]) -> Option<u32> {
    let mut hash = crc32fast::Hasher::new();
    hash.update(&salt.to_le_bytes());
    hash.update(&offset.to_le_bytes());
    hash.update(bytes.get(..12)?);
    hash.update(bytes.get(FRAME_HEAD..)?);
    Some(hash.finalize())
}

/// The records of a block's part of the body; a last `Err` where the bytes do not divide into records.
pub(crate) fn records(bytes: &[u8]) -> impl Iterator<Item = Result<&[u8], ()>> {
    let mut from = Fields(bytes);
    std::iter::from_fn(move || {
        if from.0.is_empty() {
            return None;
        }
        let record = from.u32().and_then(|len| from.take(len as usize));
        if record.is_none() {
            from.0 = &[];
        }
        Some(record.ok_or(()))
    })
}

struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(n)?;
        self.0 = tail;
        Some(head)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, tail) = self.0.split_first_chunk::<N>()?;
        self.0 = tail;
        Some(*head)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn header(n: usize) -> Header {
        Header { number: 3, salt: 99, previous_len: 1234, first: (0..n as u64).collect() }
    }

    fn frame(offset: u64) -> Vec<u8> {
        let block = |partition, len| Block { partition, n_records: 2, first: 5, len, crc: 77 };
        let mut out = Vec::new();
        write_table(99, offset, &[block(0, 10), block(3, 20)], &mut out);
        out
    }

    #[test]
    fn a_header_reads_back() {
        for n in [1, 7, 64] {
            assert_eq!(Header::decode(&header(n).encode()), Ok(header(n)));
            assert_eq!(header(n).encode().len() as u64, header(n).len());
        }
    }

    #[test]
    fn a_newer_format_is_named_as_such() {
        let mut bytes = header(2).encode();
        bytes[8] = 2;
        assert_eq!(Header::decode(&bytes), Err(HeaderFault::Newer(2)));
    }

    #[test]
    fn a_frame_is_valid_only_where_it_was_written() {
        let bytes = frame(100);
        let mut blocks = Vec::new();
        assert!(read_table(99, 100, &bytes, &mut blocks));
        assert_eq!(blocks.len(), 2);
        assert!(!read_table(99, 101, &bytes, &mut blocks), "another place");
        assert!(!read_table(98, 100, &bytes, &mut blocks), "another segment");
    }

    proptest! {
        #[test]
        fn one_flipped_bit_is_noticed(bit in any::<prop::sample::Index>()) {
            let mut bytes = header(3).encode();
            let at = bit.index(bytes.len() * 8);
            bytes[at / 8] ^= 1 << (at % 8);
            prop_assert!(Header::decode(&bytes).is_err());
            let mut bytes = frame(7);
            let at = bit.index(bytes.len() * 8);
            bytes[at / 8] ^= 1 << (at % 8);
            prop_assert!(!read_table(99, 7, &bytes, &mut Vec::new()));
        }

        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Header::decode(&bytes);
            let _ = Head::decode(&bytes);
            let _ = read_table(0, 0, &bytes, &mut Vec::new());
            let _ = records(&bytes).count();
        }
    }
}
