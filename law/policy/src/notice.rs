//! The register of notices: which wording people were shown, in which languages, for which purposes, and since when.
//!
//! A notice has versions. One that is *material* changes what people agree to: what they said to an earlier version
//! counts no longer once it is in force (Art. 7(4) and recital 32: consent is specific and informed).

use std::collections::BTreeMap;

use event::Instant;
use sha2::{Digest, Sha256};

/// A version of a notice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// Its name: `newsletter`, `website`.
    pub name: String,
    /// The version.
    pub version: String,
    /// The purposes it asks about.
    pub purposes: Vec<String>,
    /// Whether it changes what people agree to.
    pub material: bool,
    /// Since when it is shown.
    pub from: Instant,
    /// The wordings by language.
    pub texts: BTreeMap<String, String>,
}

impl Notice {
    /// Hexadecimal SHA-256 of the wording in a language.
    pub fn hash(&self, locale: &str) -> Option<String> {
        self.text(locale).map(text_hash)
    }

    /// The wording in a language: the exact one, else that of the language without its region.
    pub fn text(&self, locale: &str) -> Option<&str> {
        let language = locale.split(['-', '_']).next().unwrap_or_default();
        self.texts.get(locale).or_else(|| self.texts.get(language)).map(String::as_str)
    }

    /// True where a consent's `notice_version` means this one: `2026-03`, or `newsletter@2026-03`.
    pub fn is_called(&self, version: &str) -> bool {
        match version.split_once('@') {
            Some((name, version)) => name == self.name && version == self.version,
            None => version == self.version,
        }
    }
}

/// Hexadecimal SHA-256 of a wording, as it stands in consents and in the register.
pub fn text_hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Every notice of a project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notices(Vec<Notice>);

impl Notices {
    /// The notices; versions of one name follow each other by [`Notice::from`].
    pub fn new(mut notices: Vec<Notice>) -> Self {
        notices.sort_by(|a, b| (&a.name, a.from, &a.version).cmp(&(&b.name, b.from, &b.version)));
        Self(notices)
    }

    /// All of them, by name and time.
    pub fn iter(&self) -> impl Iterator<Item = &Notice> {
        self.0.iter()
    }

    /// The notice that a consent to `purpose` means by `version`.
    pub fn find(&self, purpose: &str, version: &str) -> Option<&Notice> {
        self.about(purpose).find(|notice| notice.is_called(version))
    }

    /// The newest version in force that asks about `purpose`.
    pub fn current(&self, purpose: &str, now: Instant) -> Option<&Notice> {
        self.about(purpose).filter(|notice| notice.from <= now).max_by_key(|notice| notice.from)
    }

    /// The version in force, and its beginning, that makes a consent to `version` invalid.
    pub(crate) fn outdated(&self, purpose: &str, version: &str, now: Instant) -> Option<(&str, Instant)> {
        let mut in_force =
            self.about(purpose).filter(|notice| notice.material && notice.from <= now).peekable();
        in_force.peek()?;
        let shown = self.find(purpose, version);
        // A wording that is not in the register proves nothing once a material one is in force.
        let newer = |notice: &&Notice| {
            shown.is_none_or(|shown| {
                notice.name == shown.name && (notice.from, &notice.version) > (shown.from, &shown.version)
            })
        };
        in_force
            .filter(newer)
            .max_by_key(|notice| notice.from)
            .map(|notice| (notice.version.as_str(), notice.from))
    }

    fn about<'n, 'p>(&'n self, purpose: &'p str) -> impl Iterator<Item = &'n Notice> + use<'n, 'p> {
        self.0.iter().filter(move |notice| notice.purposes.iter().any(|known| known == purpose))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(name: &str, version: &str, from: i64, material: bool) -> Notice {
        Notice {
            name: name.into(),
            version: version.into(),
            purposes: vec!["news".into()],
            material,
            from: Instant::from_micros(from),
            texts: BTreeMap::from([("de".to_owned(), "Ja, ich will".to_owned())]),
        }
    }

    fn check(notices: &[Notice], version: &str, now: i64, outdated: Option<&str>) {
        let notices = Notices::new(notices.to_vec());
        let got = notices.outdated("news", version, Instant::from_micros(now));
        assert_eq!(got.map(|(version, _)| version), outdated, "{version} at {now}");
    }

    #[test]
    fn a_material_version_ends_what_was_said_to_earlier_ones() {
        let three =
            [notice("mail", "1", 10, false), notice("mail", "2", 20, false), notice("mail", "3", 30, true)];
        check(&three, "1", 29, None);
        check(&three, "1", 30, Some("3"));
        check(&three, "2", 99, Some("3"));
        check(&three, "3", 99, None);
        check(&three, "mail@3", 99, None);
        // What is in no register counts until something material is in force.
        check(&three, "", 29, None);
        check(&three, "", 30, Some("3"));
        check(&three, "web@3", 30, Some("3"));
        check(&[], "1", 99, None);
    }

    #[test]
    fn one_notice_does_not_end_what_was_said_to_another() {
        let two =
            [notice("mail", "1", 10, false), notice("web", "w1", 10, false), notice("web", "w2", 20, true)];
        check(&two, "1", 99, None);
        check(&two, "w1", 99, Some("w2"));
    }

    #[test]
    fn a_wording_is_found_by_language() {
        let one = notice("mail", "1", 10, false);
        assert_eq!(one.text("de-AT"), Some("Ja, ich will"));
        assert_eq!(one.text("fr"), None);
        assert_eq!(one.hash("de").as_deref(), Some(text_hash("Ja, ich will").as_str()));
        let notices = Notices::new(vec![one]);
        let current =
            |at| notices.current("news", Instant::from_micros(at)).map(|notice| notice.version.clone());
        assert_eq!((current(9), current(10)), (None, Some("1".to_owned())));
    }
}
