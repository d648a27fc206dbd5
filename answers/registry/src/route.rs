//! Which version serves whom: a pure function of the release and the profile.

use std::fmt;

use event::Subject;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Error, ModelName, VersionNumber};

/// A share of profiles, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct Share(u16);

impl Share {
    /// A share of so many percent.
    ///
    /// # Errors
    /// [`Error::BadShare`] unless it lies between 0.1 and 100.
    pub fn from_percent(percent: f64) -> Result<Self, Error> {
        let thousandths = (percent * 10.0).round();
        if !(1.0..=1_000.0).contains(&thousandths) {
            return Err(Error::BadShare { given: format!("{percent} percent") });
        }
        Ok(Self(thousandths as u16))
    }

    /// So many percent.
    pub fn percent(self) -> f64 {
        f64::from(self.0) / 10.0
    }
}

impl TryFrom<u16> for Share {
    type Error = Error;

    fn try_from(thousandths: u16) -> Result<Self, Error> {
        Self::from_percent(f64::from(thousandths) / 10.0)
    }
}

impl From<Share> for u16 {
    fn from(share: Share) -> Self {
        share.0
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", self.percent())
    }
}

/// A version that serves a share of the profiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// The version.
    pub version: VersionNumber,
    /// The share.
    pub share: Share,
}

/// What serves at the moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// The model.
    pub model: ModelName,
    /// Serves everybody whom the canary does not.
    pub live: Option<VersionNumber>,
    /// Serves a share.
    pub canary: Option<Canary>,
    /// May score beside the others, without effect.
    pub dark: Vec<VersionNumber>,
}

/// The version that serves `profile`; `None` where none does.
///
/// A profile that the canary serves at 5 % it also serves at 10 %, and at every request: the place of a profile
/// depends on the model and the canary's version only. Another version draws anew, so that nobody is always first.
pub fn route(release: &Release, profile: Subject) -> Option<VersionNumber> {
    match release.canary {
        Some(Canary { version, share }) if place(&release.model, version, profile) < share => Some(version),
        _ => release.live,
    }
}

/// Where a profile lies between 0 and 999 thousandths.
fn place(model: &ModelName, version: VersionNumber, profile: Subject) -> Place {
    let mut hash = Sha256::new();
    hash.update(b"canary");
    hash.update((model.as_str().len() as u64).to_le_bytes());
    hash.update(model.as_str());
    hash.update(version.0.to_le_bytes());
    hash.update(profile.as_bytes());
    let bytes: [u8; 32] = hash.finalize().into();
    let word = bytes.first_chunk::<8>().map_or(0, |b| u64::from_be_bytes(*b));
    Place(((u128::from(word) * 1_000) >> 64) as u16)
}

#[derive(PartialEq, PartialOrd)]
struct Place(u16);

impl PartialEq<Share> for Place {
    fn eq(&self, share: &Share) -> bool {
        self.0 == share.0
    }
}

impl PartialOrd<Share> for Place {
    fn partial_cmp(&self, share: &Share) -> Option<std::cmp::Ordering> {
        self.0.partial_cmp(&share.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(percent: f64, version: u32) -> Release {
        Release {
            model: "response".parse().unwrap(),
            live: Some(VersionNumber(1)),
            canary: Some(Canary {
                version: VersionNumber(version),
                share: Share::from_percent(percent).unwrap(),
            }),
            dark: vec![],
        }
    }

    fn served(release: &Release) -> Vec<bool> {
        let profile = |i: u32| {
            let mut bytes = [7; 16];
            bytes[..4].copy_from_slice(&i.to_le_bytes());
            Subject::from_bytes(bytes)
        };
        (0..20_000).map(|i| route(release, profile(i)) != Some(VersionNumber(1))).collect()
    }

    #[test]
    fn the_share_is_kept_and_sticks() {
        for percent in [0.1, 5.0, 20.0, 50.0, 100.0] {
            let n = served(&release(percent, 2)).iter().filter(|s| **s).count() as f64;
            let due = 200.0 * percent;
            assert!((n - due).abs() <= 4.0 * (due * (1.0 - percent / 100.0)).sqrt(), "{percent} %: {n}");
        }
        let (five, ten) = (served(&release(5.0, 2)), served(&release(10.0, 2)));
        assert!(five.iter().zip(&ten).all(|(five, ten)| !five || *ten), "a larger share keeps whom it had");
        let other = served(&release(5.0, 3));
        let both = five.iter().zip(&other).filter(|(a, b)| **a && **b).count();
        assert!(both < 100, "another version draws anew: {both} in both");
    }

    #[test]
    fn without_canary_the_live_version_serves() {
        let none = Release { canary: None, ..release(5.0, 2) };
        assert!(served(&none).iter().all(|s| !s));
        assert_eq!(route(&Release { live: None, ..none }, Subject::NONE), None);
    }

    #[test]
    fn shares_out_of_range_are_refused() {
        for bad in [0.0, -5.0, 100.1, f64::NAN, f64::INFINITY] {
            assert_eq!(Share::from_percent(bad).unwrap_err().code(), "MR4538", "{bad}");
        }
        assert!(
            serde_json::from_str::<Share>("0").is_err() && serde_json::from_str::<Share>("1001").is_err()
        );
    }
}
