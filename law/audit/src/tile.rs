//! Where the parts of a log lie: tiles of 256 hashes, bundles of 256 entries.
//!
//! # Source
//! c2sp.org/tlog-tiles

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// Hashes of a whole tile, entries of a whole bundle.
pub const WIDTH: u64 = 256;
/// Levels of nodes within one level of tiles.
pub(crate) const HEIGHT: u8 = 8;

/// One tile or bundle, as its path names it: `tile/0/x001/067`, `tile/entries/000.p/17`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tile {
    /// The level of a tile of hashes; `None` for a bundle of entries.
    pub level: Option<u8>,
    /// Which one on its level.
    pub index: u64,
    /// How many hashes or entries it holds, 1 to 256.
    pub width: u16,
}

impl Tile {
    /// All tiles and bundles of a tree of this size, the whole ones and the last of each level.
    pub fn of_size(size: u64) -> impl Iterator<Item = Self> {
        let levels = (0..8_u8).map(Some).map(move |level| (level, size >> (8 * level.unwrap_or(0))));
        let all = std::iter::once((None, size)).chain(levels);
        all.take_while(|(_, n)| *n > 0).flat_map(|(level, n)| {
            (0..n.div_ceil(WIDTH)).map(move |index| Self { level, index, width: width(n, index) })
        })
    }

    /// The same with another width.
    pub(crate) fn of_width(self, width: u16) -> Self {
        Self { width, ..self }
    }
}

/// How many of `n` lie in the one at `index`.
pub(crate) fn width(n: u64, index: u64) -> u16 {
    n.saturating_sub(index.saturating_mul(WIDTH)).min(WIDTH) as u16
}

impl fmt::Display for Tile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.level {
            Some(level) => write!(f, "tile/{level}/")?,
            None => f.write_str("tile/entries/")?,
        }
        let mut above = 1_u64;
        while self.index / above >= 1_000 {
            above *= 1_000;
        }
        while above > 1 {
            write!(f, "x{:03}/", self.index / above % 1_000)?;
            above /= 1_000;
        }
        write!(f, "{:03}", self.index % 1_000)?;
        if u64::from(self.width) < WIDTH { write!(f, ".p/{}", self.width) } else { Ok(()) }
    }
}

impl FromStr for Tile {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).ok_or_else(|| {
            let why = "like tile/0/x001/067, tile/entries/000 or tile/1/000.p/17 it must be";
            Error::text("path of a tile", text, why)
        })
    }
}

fn parse(text: &str) -> Option<Tile> {
    let (level, rest) = text.strip_prefix("tile/")?.split_once('/')?;
    let level = match level {
        "entries" => None,
        level => Some(crate::checkpoint::decimal(level).filter(|level| *level < 8)? as u8),
    };
    let (rest, width) = match rest.split_once(".p/") {
        Some((rest, width)) => (rest, crate::checkpoint::decimal(width).filter(|w| (1..WIDTH).contains(w))?),
        None => (rest, WIDTH),
    };
    let mut index = 0_u64;
    let mut parts = rest.split('/').peekable();
    while let Some(part) = parts.next() {
        let digits = if parts.peek().is_some() { part.strip_prefix('x')? } else { part };
        if digits.len() != 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        index = index.checked_mul(1_000)?.checked_add(digits.parse().ok()?)?;
    }
    let tile = Tile { level, index, width: width as u16 };
    // One spelling each: no leading `x000`.
    (tile.to_string() == text).then_some(tile)
}

/// Adds an entry to a bundle's bytes.
///
/// # Errors
/// [`Error::TooLarge`] beyond 65,535 bytes.
pub fn push_entry(bundle: &mut Vec<u8>, entry: &[u8]) -> Result<(), Error> {
    let most = usize::from(u16::MAX);
    let len = u16::try_from(entry.len()).map_err(|_| Error::TooLarge { n_bytes: entry.len(), most })?;
    bundle.extend_from_slice(&len.to_be_bytes());
    bundle.extend_from_slice(entry);
    Ok(())
}

/// The entries of a bundle; `None` where its bytes end in the middle of one.
pub fn entries_of_bundle(bundle: &[u8]) -> Option<Vec<&[u8]>> {
    let mut entries = Vec::new();
    let mut rest = bundle;
    while !rest.is_empty() {
        let (len, after) = rest.split_first_chunk::<2>()?;
        let (entry, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        entries.push(entry);
        rest = after;
    }
    Some(entries)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_are_those_of_the_specification() {
        let path = |level, index, width| Tile { level, index, width }.to_string();
        assert_eq!(path(Some(0), 1_234_067, 256), "tile/0/x001/x234/067");
        assert_eq!(path(Some(2), 0, 1), "tile/2/000.p/1");
        assert_eq!(path(None, 273, 112), "tile/entries/273.p/112");
        assert_eq!(path(None, 1_000, 256), "tile/entries/x001/000");
    }

    /// The specification's example: a tree of 70,000.
    #[test]
    fn a_tree_of_70_000_lies_in_these_tiles() {
        let all: Vec<Tile> = Tile::of_size(70_000).collect();
        let of = |level| all.iter().filter(move |tile| tile.level == level).copied().collect::<Vec<_>>();
        assert_eq!(of(Some(0)).len(), 274);
        assert_eq!(of(None).len(), 274);
        assert_eq!(of(Some(0)).last().unwrap().width, 112);
        assert_eq!(of(Some(1)).iter().map(|tile| tile.width).collect::<Vec<_>>(), [256, 17]);
        assert_eq!(of(Some(2)).iter().map(|tile| tile.width).collect::<Vec<_>>(), [1]);
        assert_eq!(
            Tile::of_size(256).map(|tile| tile.to_string()).collect::<Vec<_>>(),
            ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]
        );
        assert_eq!(Tile::of_size(0).count(), 0);
    }

    #[test]
    fn other_paths_are_refused() {
        for bad in [
            "",
            "tile",
            "tile/0",
            "tile/0/",
            "tile/0/1",
            "tile/0/0001",
            "tile/8/000",
            "tile/00/000",
            "tile/0/x000/001",
            "tile/0/001/002",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/../000",
            "tile/a/000",
            "tile/0/x999/x999/x999/x999/x999/x999/x999/999",
            "tile/entries/000.p/",
            "tile/0/000/",
        ] {
            assert_eq!(bad.parse::<Tile>().map_err(|e| e.code()), Err("MR3210"), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn paths_read_back(level in prop::option::of(0..8_u8), index in 0..u64::MAX / 1_000, width in 1..=256_u16) {
            let tile = Tile { level, index, width };
            prop_assert_eq!(tile.to_string().parse::<Tile>().unwrap(), tile);
        }

        #[test]
        fn bundles_read_back(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..20)) {
            let mut bundle = Vec::new();
            for entry in &entries {
                push_entry(&mut bundle, entry).unwrap();
            }
            prop_assert_eq!(entries_of_bundle(&bundle).unwrap(), entries.clone());
            bundle.pop();
            let cut = entries_of_bundle(&bundle);
            prop_assert!(entries.is_empty() || cut.is_none() || cut.unwrap().len() < entries.len());
        }

        #[test]
        fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..100), text in ".{0,60}") {
            let _ = entries_of_bundle(&bytes);
            let _ = format!("tile/{text}").parse::<Tile>();
        }
    }

    #[test]
    fn the_largest_entry_fits_and_one_more_byte_does_not() {
        let mut bundle = Vec::new();
        push_entry(&mut bundle, &vec![1; 65_535]).unwrap();
        assert_eq!(push_entry(&mut bundle, &vec![1; 65_536]).unwrap_err().code(), "MR3207");
        assert_eq!(entries_of_bundle(&bundle).unwrap().len(), 1);
    }
}
