//! The segments of a TC string and what they say.

use event::Instant;

use super::bits::{Bits, VendorSet};
use super::{Error, MAX_BYTES};

/// 2026-02-28: from then on a TC string says which vendors were disclosed.
const DISCLOSED_SINCE: Instant = Instant::from_micros(1_772_236_800_000_000);
/// Purposes in the format; the framework names the first eleven.
const N_PURPOSES: u8 = 24;

/// What a TC string says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcString {
    /// When it was first made.
    pub created: Instant,
    /// When it was last changed; TCF 2.2 and later keep the day only.
    pub updated: Instant,
    /// The consent management platform.
    pub cmp_id: u16,
    /// Its version.
    pub cmp_version: u16,
    /// The screen it was said on.
    pub screen: u8,
    /// The language it was shown in: two capital letters.
    pub language: String,
    /// The version of the vendor list.
    pub vendor_list_version: u16,
    /// The version of the framework's policies; 5 is TCF 2.3's, 4 is 2.2's.
    pub policy_version: u8,
    /// Whether it is about one service only.
    pub is_service_specific: bool,
    /// Special features opted in to.
    pub special_features: Vec<u8>,
    /// Purposes consented to.
    pub purposes: Vec<u8>,
    /// Purposes told of under legitimate interest and not objected to.
    pub legitimate_interests: Vec<u8>,
    /// Whether purpose 1 was not disclosed at all.
    pub purpose_one_treatment: bool,
    /// The publisher's country: two capital letters.
    pub publisher_country: String,
    /// Vendors consented to.
    pub vendors: VendorSet,
    /// Vendors told of under legitimate interest and not objected to.
    pub vendor_interests: VendorSet,
    /// What the publisher restricts.
    pub restrictions: Vec<Restriction>,
    /// Vendors that were disclosed; `None` where the string has no such segment.
    pub disclosed: Option<VendorSet>,
    /// The publisher's own purposes consented to; `None` where the string has no such segment.
    pub publisher_purposes: Option<Vec<u8>>,
    /// The publisher's own purposes under legitimate interest.
    pub publisher_interests: Option<Vec<u8>>,
}

/// What a publisher restricts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restriction {
    /// The purpose.
    pub purpose: u8,
    /// How.
    pub kind: RestrictionKind,
    /// Whom.
    pub vendors: VendorSet,
}

/// How a publisher restricts a purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestrictionKind {
    /// Not at all.
    NotAllowed,
    /// With consent only.
    RequireConsent,
    /// Under legitimate interest only.
    RequireLegitimateInterest,
}

impl TcString {
    /// Reads a TC string.
    ///
    /// # Errors
    /// [`Error`], which quotes its beginning and says what is wrong.
    pub fn read(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let shown: String = text.chars().take(24).flat_map(char::escape_debug).collect();
        if text.len() > MAX_BYTES {
            let reason = format!("it has {} letters; {MAX_BYTES} is the most", text.len());
            return Err(Error::Unreadable { shown, reason });
        }
        let mut segments = text.split('.');
        let core = segments.next().unwrap_or_default();
        let unreadable = |reason: String| Error::Unreadable { shown: shown.clone(), reason };
        let mut bits = Bits::new(core, "its core").map_err(unreadable)?;
        let version = bits.take(6, "its version").map_err(unreadable)?;
        if version != 2 {
            return Err(Error::Version { shown, version });
        }
        let mut read = Self::core(&mut bits).map_err(unreadable)?;
        for segment in segments {
            read.segment(segment).map_err(unreadable)?;
        }
        if read.disclosed.is_none() && read.updated >= DISCLOSED_SINCE {
            return Err(Error::NotDisclosed { updated: read.updated });
        }
        Ok(read)
    }

    fn core(bits: &mut Bits<'_>) -> Result<Self, String> {
        let small = |number: u64| u8::try_from(number).unwrap_or(u8::MAX);
        let middle = |number: u64| u16::try_from(number).unwrap_or(u16::MAX);
        let created = when(bits.take(36, "when it was made")?)?;
        let updated = when(bits.take(36, "when it was changed")?)?;
        let cmp_id = middle(bits.take(12, "its platform")?);
        let cmp_version = middle(bits.take(12, "its platform's version")?);
        let screen = small(bits.take(6, "its screen")?);
        let language = bits.letters("the language")?;
        let vendor_list_version = middle(bits.take(12, "its vendor list")?);
        let policy_version = small(bits.take(6, "its policy version")?);
        let is_service_specific = bits.flag("its scope")?;
        bits.flag("its texts")?;
        let special_features = bits.numbers(12, "special features")?;
        let purposes = bits.numbers(N_PURPOSES, "purposes")?;
        let legitimate_interests = bits.numbers(N_PURPOSES, "legitimate interests")?;
        let purpose_one_treatment = bits.flag("purpose one")?;
        let publisher_country = bits.letters("the country")?;
        let vendors = bits.vendors("vendors")?;
        let vendor_interests = bits.vendors("vendors under legitimate interest")?;
        let restrictions = restrictions(bits)?;
        Ok(Self {
            created,
            updated,
            cmp_id,
            cmp_version,
            screen,
            language,
            vendor_list_version,
            policy_version,
            is_service_specific,
            special_features,
            purposes,
            legitimate_interests,
            purpose_one_treatment,
            publisher_country,
            vendors,
            vendor_interests,
            restrictions,
            disclosed: None,
            publisher_purposes: None,
            publisher_interests: None,
        })
    }

    fn segment(&mut self, text: &str) -> Result<(), String> {
        let mut bits = Bits::new(text, "a further segment")?;
        let twice = |what: &str| format!("it has two segments of {what}");
        match bits.take(3, "its type")? {
            1 => {
                bits.is("the segment of disclosed vendors");
                let set = bits.vendors("vendors")?;
                if self.disclosed.replace(set).is_some() {
                    return Err(twice("disclosed vendors"));
                }
            }
            // Allowed vendors: only for global scope, which TCF gave up; read, so that what is broken is found.
            2 => {
                bits.is("the segment of allowed vendors");
                bits.vendors("vendors")?;
            }
            3 => {
                bits.is("the publisher's segment");
                let purposes = bits.numbers(N_PURPOSES, "purposes")?;
                let interests = bits.numbers(N_PURPOSES, "legitimate interests")?;
                let n = u8::try_from(bits.take(6, "the number of own purposes")?).unwrap_or(u8::MAX);
                bits.numbers(n, "own purposes")?;
                bits.numbers(n, "own legitimate interests")?;
                if self.publisher_purposes.replace(purposes).is_some() {
                    return Err(twice("the publisher"));
                }
                self.publisher_interests = Some(interests);
            }
            other => return Err(format!("it has a segment of type {other}; 1, 2 and 3 are known")),
        }
        Ok(())
    }

    /// Whether a vendor may process for a purpose of the framework on consent.
    pub fn consents(&self, vendor: u16, purpose: u8) -> bool {
        use RestrictionKind::{NotAllowed, RequireLegitimateInterest};
        self.purposes.contains(&purpose)
            && self.vendors.contains(vendor)
            && self.disclosed.as_ref().is_none_or(|disclosed| disclosed.contains(vendor))
            && !self.is_restricted(vendor, purpose, &[NotAllowed, RequireLegitimateInterest])
    }

    /// Whether a vendor may process for a purpose of the framework under legitimate interest.
    pub fn tolerates(&self, vendor: u16, purpose: u8) -> bool {
        use RestrictionKind::{NotAllowed, RequireConsent};
        self.legitimate_interests.contains(&purpose)
            && self.vendor_interests.contains(vendor)
            && self.disclosed.as_ref().is_none_or(|disclosed| disclosed.contains(vendor))
            && !self.is_restricted(vendor, purpose, &[NotAllowed, RequireConsent])
    }

    fn is_restricted(&self, vendor: u16, purpose: u8, kinds: &[RestrictionKind]) -> bool {
        self.restrictions.iter().any(|restriction| {
            restriction.purpose == purpose
                && kinds.contains(&restriction.kind)
                && restriction.vendors.contains(vendor)
        })
    }
}

fn when(deciseconds: u64) -> Result<Instant, String> {
    let micros = i64::try_from(deciseconds).unwrap_or(i64::MAX).saturating_mul(100_000);
    Instant::try_from_micros(micros).map_err(|_| "it is dated beyond the year 2199".to_owned())
}

fn restrictions(bits: &mut Bits<'_>) -> Result<Vec<Restriction>, String> {
    let n = bits.take(12, "restrictions")?;
    let mut all = Vec::new();
    for _ in 0..n {
        let purpose = u8::try_from(bits.take(6, "restrictions")?).unwrap_or(u8::MAX);
        let kind = match bits.take(2, "restrictions")? {
            0 => RestrictionKind::NotAllowed,
            1 => RestrictionKind::RequireConsent,
            2 => RestrictionKind::RequireLegitimateInterest,
            _ => {
                return Err(format!("its restriction of purpose {purpose} is of a kind that is not defined"));
            }
        };
        let vendors = bits.ranges(None, "restrictions")?;
        all.push(Restriction { purpose, kind, vendors });
    }
    Ok(all)
}
