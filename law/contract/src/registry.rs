//! Many contracts: by stream and version, and by what arrives.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use event::{StreamName, Version};

use crate::{Contract, Error};

/// All contracts of a house.
#[derive(Clone, Debug, Default)]
pub struct Contracts {
    streams: BTreeMap<StreamName, BTreeMap<Version, Arc<Contract>>>,
    /// Source key → stream; always that of the stream's newest version.
    sources: HashMap<String, StreamName>,
}

impl Contracts {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a contract. The same contract again changes nothing.
    ///
    /// # Errors
    /// [`Error::Conflict`] where another text stands under the same stream and version: what is registered does
    /// not change, its next version does. [`Error::SourceTaken`] where another stream has the source.
    pub fn insert(&mut self, contract: Contract) -> Result<Arc<Contract>, Error> {
        if let Some(old) = self.get(&contract.stream, contract.version) {
            if old.says_the_same(&contract) {
                return Ok(Arc::clone(old));
            }
            return Err(Error::Conflict {
                stream: contract.stream.to_string(),
                version: contract.version,
                file: contract.file.clone(),
                other: old.file.clone(),
            });
        }
        let is_newest = self.newest(&contract.stream).is_none_or(|old| old.version < contract.version);
        let keys: Vec<String> = contract.sources.iter().filter(|s| *s != "file").cloned().collect();
        if is_newest {
            for key in &keys {
                if let Some(other) = self.sources.get(key).filter(|other| **other != contract.stream) {
                    return Err(Error::SourceTaken {
                        stream: contract.stream.to_string(),
                        source_key: key.clone(),
                        file: contract.file.clone(),
                        other: other.to_string(),
                    });
                }
            }
            self.sources.retain(|_, stream| *stream != contract.stream);
            self.sources.extend(keys.into_iter().map(|key| (key, contract.stream.clone())));
        }
        let contract = Arc::new(contract);
        let versions = self.streams.entry(contract.stream.clone()).or_default();
        versions.insert(contract.version, Arc::clone(&contract));
        Ok(contract)
    }

    /// One version of a stream's contract.
    pub fn get(&self, stream: &StreamName, version: Version) -> Option<&Arc<Contract>> {
        self.streams.get(stream)?.get(&version)
    }

    /// The newest version of a stream's contract: it judges what arrives, and binds what is folded.
    pub fn newest(&self, stream: &StreamName) -> Option<&Arc<Contract>> {
        self.streams.get(stream)?.last_key_value().map(|(_, contract)| contract)
    }

    /// The newest version of a stream's contract before `version`.
    pub fn version_before(&self, stream: &StreamName, version: Version) -> Option<&Arc<Contract>> {
        self.streams.get(stream)?.range(..version).next_back().map(|(_, contract)| contract)
    }

    /// The newest contract of the stream called `name`.
    pub fn newest_named(&self, name: &str) -> Option<&Arc<Contract>> {
        self.newest(&StreamName::new(name))
    }

    /// The contract for something that arrived: `track:Order Completed` first, then `track:*`.
    pub fn for_source(&self, key: &str) -> Option<&Arc<Contract>> {
        let stream = self.sources.get(key).or_else(|| {
            let call = key.split_once(':').map_or(key, |(call, _)| call);
            self.sources.get(&format!("{call}:*")).or_else(|| self.sources.get(call))
        })?;
        self.newest(stream)
    }

    /// The newest contract of every stream, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Contract>> {
        self.streams.values().filter_map(|v| v.last_key_value().map(|(_, contract)| contract))
    }

    /// Every version of every stream's contract, the older ones first.
    pub fn versions(&self) -> impl Iterator<Item = &Arc<Contract>> {
        self.streams.values().flat_map(BTreeMap::values)
    }

    /// True where there is none.
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contract(stream: &str, version: &str, source: &str) -> Contract {
        let yaml = format!(
            "apiVersion: v3.1.0\nkind: DataContract\nid: x\nversion: {version}\nschema: [{{ name: {stream}, properties: [] }}]\n\
             customProperties: [{{ property: source, value: '{source}' }}]\n"
        );
        Contract::parse(&yaml, &format!("{stream}-{version}.yaml")).unwrap().contract
    }

    #[test]
    fn the_newest_version_judges_and_an_exact_source_wins() {
        let mut all = Contracts::new();
        all.insert(contract("orders", "1.0.0", "track:Order")).unwrap();
        all.insert(contract("orders", "1.10.0", "track:Order Completed")).unwrap();
        all.insert(contract("orders", "1.2.0", "track:Order")).unwrap();
        all.insert(contract("rest", "1.0.0", "track:*")).unwrap();
        all.insert(contract("people", "1.0.0", "identify")).unwrap();
        let found = |key: &str| all.for_source(key).map(|c| format!("{} {}", c.stream, c.version));
        assert_eq!(found("track:Order Completed").as_deref(), Some("orders 1.10.0"));
        assert_eq!(found("track:Order").as_deref(), Some("rest 1.0.0"));
        assert_eq!(found("identify").as_deref(), Some("people 1.0.0"));
        assert_eq!(found("page:Home"), None);
        assert_eq!(all.iter().count(), 3);
    }

    #[test]
    fn what_is_registered_does_not_change() {
        let mut all = Contracts::new();
        all.insert(contract("orders", "1.0.0", "track:A")).unwrap();
        all.insert(contract("orders", "1.0.0", "track:A")).unwrap();
        let error = all.insert(contract("orders", "1.0.0", "track:B")).unwrap_err();
        assert!(matches!(error, Error::Conflict { .. }), "{error}");
        let error = all.insert(contract("sales", "1.0.0", "track:A")).unwrap_err();
        assert!(matches!(error, Error::SourceTaken { .. }), "{error}");
    }
}
