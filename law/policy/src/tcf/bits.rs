//! Bits of one segment, read front to back, and sets of vendors.

/// The letters of base64url, six bits each.
fn letter(byte: u8) -> Option<u64> {
    Some(u64::from(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    }))
}

/// The bits of one segment.
pub(crate) struct Bits<'t> {
    letters: &'t [u8],
    at: usize,
    segment: &'static str,
}

impl<'t> Bits<'t> {
    /// The bits of a segment's letters.
    pub(crate) fn new(text: &'t str, segment: &'static str) -> Result<Self, String> {
        let letters = text.as_bytes();
        if let Some(at) = letters.iter().position(|byte| letter(*byte).is_none()) {
            let odd: String =
                text.get(at..).unwrap_or("…").chars().take(1).flat_map(char::escape_debug).collect();
            return Err(format!("{segment} has `{odd}` at letter {}, which base64url does not have", at + 1));
        }
        Ok(Self { letters, at: 0, segment })
    }

    /// Names the segment once it has said what it is.
    pub(crate) fn is(&mut self, segment: &'static str) {
        self.segment = segment;
    }

    fn left(&self) -> usize {
        (self.letters.len() * 6).saturating_sub(self.at)
    }

    /// The next `n` bits as a number; at most 36.
    pub(crate) fn take(&mut self, n: usize, what: &'static str) -> Result<u64, String> {
        if n > self.left() {
            return Err(format!("{} ends within {what}", self.segment));
        }
        let mut number = 0;
        for _ in 0..n {
            let bits = self.letters.get(self.at / 6).copied().and_then(letter).unwrap_or_default();
            number = number << 1 | bits >> (5 - self.at % 6) & 1;
            self.at += 1;
        }
        Ok(number)
    }

    pub(crate) fn flag(&mut self, what: &'static str) -> Result<bool, String> {
        Ok(self.take(1, what)? == 1)
    }

    /// The numbers, counted from 1, of the next `n` bits that are set.
    pub(crate) fn numbers(&mut self, n: u8, what: &'static str) -> Result<Vec<u8>, String> {
        let mut set = Vec::new();
        for number in 1..=n {
            if self.flag(what)? {
                set.push(number);
            }
        }
        Ok(set)
    }

    /// Two letters of the alphabet.
    pub(crate) fn letters(&mut self, what: &'static str) -> Result<String, String> {
        let mut text = String::with_capacity(2);
        for _ in 0..2 {
            let place = u8::try_from(self.take(6, what)?).unwrap_or(u8::MAX);
            if place > 25 {
                return Err(format!("{what} of {} is no pair of letters", self.segment));
            }
            text.push(char::from(b'A' + place));
        }
        Ok(text)
    }

    /// A set of vendors: one bit each, or ranges.
    pub(crate) fn vendors(&mut self, what: &'static str) -> Result<VendorSet, String> {
        let most = self.id(what)?;
        if self.flag(what)? {
            return self.ranges(Some(most), what);
        }
        if usize::from(most) > self.left() {
            return Err(format!("{} ends within {what}", self.segment));
        }
        let mut set = VendorSet::default();
        for id in 1..=most {
            if self.flag(what)? {
                set.insert(id, id);
            }
        }
        Ok(set.settle())
    }

    /// A set of vendors as ranges; none of them beyond `most`.
    pub(crate) fn ranges(&mut self, most: Option<u16>, what: &'static str) -> Result<VendorSet, String> {
        let n = self.take(12, what)?;
        let mut set = VendorSet::default();
        for _ in 0..n {
            let is_range = self.flag(what)?;
            let first = self.id(what)?;
            let last = if is_range { self.id(what)? } else { first };
            if first == 0 || last < first || most.is_some_and(|most| last > most) {
                return Err(format!("{what} of {} has the range {first} to {last}", self.segment));
            }
            set.insert(first, last);
        }
        Ok(set.settle())
    }

    fn id(&mut self, what: &'static str) -> Result<u16, String> {
        Ok(u16::try_from(self.take(16, what)?).unwrap_or(u16::MAX))
    }
}

/// A set of vendors by their numbers, as ranges: never larger than what it was read from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VendorSet(Vec<(u16, u16)>);

impl VendorSet {
    /// Adds the vendors from `first` to `last`.
    fn insert(&mut self, first: u16, last: u16) {
        match self.0.last_mut() {
            Some(before) if before.0 <= first && first <= before.1.saturating_add(1) => {
                before.1 = before.1.max(last)
            }
            _ => self.0.push((first, last)),
        }
    }

    /// Brings ranges into order, each vendor in one.
    fn settle(mut self) -> Self {
        if self.0.is_sorted_by(|a, b| a.1 < b.0) {
            return self;
        }
        let mut ranges = std::mem::take(&mut self.0);
        ranges.sort_unstable();
        ranges.into_iter().for_each(|(first, last)| self.insert(first, last));
        self
    }

    /// Whether a vendor is in it.
    pub fn contains(&self, vendor: u16) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < vendor);
        self.0.get(at).is_some_and(|(first, _)| *first <= vendor)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.iter().map(|(first, last)| usize::from(last - first) + 1).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = u16> {
        self.0.iter().flat_map(|(first, last)| *first..=*last)
    }
}
