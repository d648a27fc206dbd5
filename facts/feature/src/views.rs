//! All views of a project.

use event::{RecordId, StreamName};
use rustc_hash::FxHashMap;

use crate::{Error, View};

/// The views of a project, by name and by stream.
#[derive(Clone, Debug, Default)]
pub struct Views {
    /// Sorted by name, then version.
    all: Vec<View>,
    by_stream: FxHashMap<StreamName, Vec<View>>,
}

impl Views {
    /// Takes views together. Several versions of one name may stand beside each other.
    ///
    /// # Errors
    /// [`Error::Conflict`] where two say the same name and version and are not the same.
    pub fn new(views: impl IntoIterator<Item = View>) -> Result<Self, Error> {
        let mut all: Vec<View> = views.into_iter().collect();
        all.sort_by(|a, b| (a.name(), a.version()).cmp(&(b.name(), b.version())));
        all.dedup();
        let mut previous: Option<&View> = None;
        for view in &all {
            if previous.is_some_and(|p| p.name() == view.name() && p.version() == view.version()) {
                return Err(Error::Conflict { view: view.reference() });
            }
            previous = Some(view);
        }
        let mut by_stream: FxHashMap<StreamName, Vec<View>> = FxHashMap::default();
        for view in &all {
            by_stream.entry(view.stream().clone()).or_default().push(view.clone());
        }
        Ok(Self { all, by_stream })
    }

    /// The newest version of a view.
    pub fn get(&self, name: &str) -> Option<&View> {
        self.all.iter().rev().find(|view| view.name() == name)
    }

    /// One version of a view.
    pub fn get_version(&self, name: &str, version: u32) -> Option<&View> {
        self.all.iter().find(|view| view.name() == name && view.version() == version)
    }

    /// The view that `purchases` (the newest) or `purchases@1` names.
    pub fn find(&self, reference: &str) -> Option<&View> {
        match reference.rsplit_once('@') {
            Some((name, version)) => self.get_version(name, version.parse().ok()?),
            None => self.get(reference),
        }
    }

    /// The views made from a stream.
    pub fn of_stream(&self, stream: &StreamName) -> &[View] {
        self.by_stream.get(stream).map_or(&[], Vec::as_slice)
    }

    /// All views, by name and version.
    pub fn iter(&self) -> impl Iterator<Item = &View> {
        self.all.iter()
    }

    /// Names the state that these views fold to: where it has changed, the state is to be built anew.
    pub fn fingerprint(&self) -> String {
        let all: Vec<&str> = self.all.iter().map(View::fingerprint).collect();
        RecordId::external("feature views", all.join("\n").as_bytes()).to_string()
    }
}
