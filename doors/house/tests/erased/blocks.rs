//! What lies compressed (LZ4) in the files of the databases, undone: the blocks of their tables, and large values of their
//! journals. Read from the bytes alone, so that rows which the database no longer shows are there too.
//!
//! ```text
//! table:   "LSM" 3 | kind u8 | checksum u128 | bytes on disk u32 | bytes u32 | checksum u32 | the block
//! journal: 2 | kind u8 | 1 = LZ4 | keyspace u64 | bytes of the key u16 | of the value u32 | on disk u32 | key | value
//! ```

const BLOCK: &[u8] = b"LSM\x03";
/// More than any block or value has here: what claims more is no such thing.
const MOST: usize = 64 << 20;

/// Everything compressed in a file, undone.
pub fn undone(bytes: &[u8]) -> Vec<Vec<u8>> {
    (0..bytes.len()).filter_map(|at| block(&bytes[at..]).or_else(|| value(&bytes[at..]))).collect()
}

fn number(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?) as usize)
}

fn block(bytes: &[u8]) -> Option<Vec<u8>> {
    if !bytes.starts_with(BLOCK) {
        return None;
    }
    let (on_disk, whole) = (number(bytes, 21)?, number(bytes, 25)?);
    decompressed(bytes.get(33..)?.get(..on_disk)?, whole)
}

fn value(bytes: &[u8]) -> Option<Vec<u8>> {
    let [2, 0..=4, 1, ..] = bytes else { return None };
    // Of some hundred keyspaces at most: six of the eight bytes are 0.
    if bytes.get(5..11)? != [0; 6] {
        return None;
    }
    let key = usize::from(u16::from_le_bytes(bytes.get(11..13)?.try_into().ok()?));
    let (whole, on_disk) = (number(bytes, 13)?, number(bytes, 17)?);
    decompressed(bytes.get(21 + key..)?.get(..on_disk)?, whole)
}

fn decompressed(bytes: &[u8], whole: usize) -> Option<Vec<u8>> {
    if bytes.is_empty() || whole == 0 || whole > MOST {
        return None;
    }
    lz4_flex::block::decompress(bytes, whole).ok().filter(|plain| plain.len() == whole)
}
