//! One partition's folds, composed: which record goes to which fold.

use std::collections::BTreeSet;
use std::sync::Arc;

use contract::{Bound, Contracts};
use event::{BatchId, Position, Record, StreamName};
use feature::{FeatureFold, Views};
use policy::{ConsentFold, KeyFold};
use process::Shard;
use profile::{Identities, LinkFold, TraitFold, TraitTables};
use serde_json::Value;
use store::{Emissions, Fold, Scope, Stored};
use vault::Vault;

use crate::imports::{self, ImportFold};
use crate::rights::Corrections;
use crate::streams::{self, StreamFold};

/// What the folds are composed of; the same for every partition.
pub struct Composition {
    /// The contracts that bind records when they are folded.
    pub contracts: Contracts,
    /// The feature views.
    pub views: Views,
    /// Opens the sealed parts of records.
    pub vault: Arc<Vault>,
    /// Import batches that were taken back.
    pub undone: BTreeSet<BatchId>,
    /// What of records was put right since they came.
    pub corrections: Corrections,
    links: LinkFold,
    traits: TraitFold,
    trait_streams: BTreeSet<StreamName>,
    features: FeatureFold,
    /// What is watched of the streams' quality.
    pub quality: watch::QualityFold,
}

impl Composition {
    /// Composes the folds.
    pub fn new(
        contracts: Contracts,
        views: Views,
        rules: profile::Rules,
        vault: Arc<Vault>,
        undone: BTreeSet<BatchId>,
    ) -> Self {
        let trait_streams: BTreeSet<StreamName> =
            contracts.iter().filter(|c| c.traits).map(|c| c.stream.clone()).collect();
        let traits = TraitFold::new(trait_streams.iter().cloned());
        let features = FeatureFold::new(views.clone());
        let quality = watch::QualityFold::new(watch::Plans::new(&contracts));
        Self {
            contracts,
            views,
            vault,
            undone,
            corrections: Corrections::default(),
            links: LinkFold::new(rules),
            traits,
            trait_streams,
            features,
            quality,
        }
    }

    /// A record's document as its newest contract names it, without the parts whose key is destroyed (LAW 4); `None`
    /// where no contract knows the stream.
    ///
    /// # Errors
    /// [`store::Error::Corrupt`] where a part cannot be opened though its key is there.
    pub fn bind(&self, record: &Record) -> Result<Option<Value>, store::Error> {
        let Some(contract) = self.contracts.newest(&record.stream) else { return Ok(None) };
        let raw = intake::raw(&self.vault, record).map_err(|error| store::Error::Corrupt {
            table: record.stream.as_str().to_owned(),
            reason: error.to_string(),
        })?;
        let mut fields = contract.bind(&raw);
        self.corrections.put_right(record, contract, &mut fields)?;
        Ok(Some(fields))
    }

    pub(crate) fn trait_fold(&self) -> &TraitFold {
        &self.traits
    }

    pub(crate) fn feature_fold(&self) -> &FeatureFold {
        &self.features
    }
}

/// The tables of one partition and the folds over them.
pub struct Rooms {
    composition: Arc<Composition>,
    /// What subjects granted and refused.
    pub consents: policy::Tables,
    /// Privileged acts (control partition).
    pub audit: audit::Tables,
    /// Proofs of consents to calls.
    pub proofs: policy::ProofTables,
    /// API keys (control partition).
    pub keys: policy::KeyTables,
    /// Who is who (control partition).
    pub identities: Identities,
    /// What subjects said of themselves.
    pub traits: TraitTables,
    /// Rows behind feature values.
    pub features: feature::Tables,
    /// Decisions, caps, budgets, outcomes.
    pub decisions: decide::Tables,
    /// Model versions and releases (control partition).
    pub releases: registry::Tables,
    /// Classes, signatures, stops, incidents (control partition).
    pub registers: register::Tables,
    /// Contracts and formulas by version (control partition).
    pub applied: crate::applied::Tables,
    /// The import ledger (control partition).
    pub imports: imports::Tables,
    /// The ledger of captures (control partition).
    pub captures: crate::capturing::Tables,
    /// Jobs and their runs (control partition).
    pub jobs: jobs::Tables,
    /// What other tools told of lineage (control partition).
    pub lineage: lineage::Tables,
    /// What came by each source.
    pub sources: crate::sources::Tables,
    /// Counts and refusals.
    pub streams: streams::Tables,
    /// Quality over time.
    pub quality: watch::Tables,
    /// Who is erased.
    pub erasures: crate::forgetting::Tables,
    /// What was put right.
    pub corrections: crate::rights::CorrectionTables,
}

impl Rooms {
    /// The tables of `scope`'s partition.
    pub fn open(scope: &Scope, composition: &Arc<Composition>) -> Self {
        Self {
            composition: composition.clone(),
            consents: policy::Tables::open(scope),
            audit: audit::Tables::open(scope),
            proofs: policy::ProofTables::open(scope),
            keys: policy::KeyTables::open(scope),
            identities: Identities::open(scope),
            traits: TraitTables::open(scope),
            features: feature::Tables::open(scope),
            decisions: decide::Tables::open(scope),
            releases: registry::Tables::open(scope),
            registers: register::Tables::open(scope),
            applied: crate::applied::Tables::open(scope),
            imports: imports::Tables::open(scope),
            captures: crate::capturing::Tables::open(scope),
            jobs: jobs::Tables::open(scope),
            lineage: lineage::Tables::open(scope),
            sources: crate::sources::Tables::open(scope),
            streams: streams::Tables::open(scope),
            quality: watch::Tables::open(scope),
            erasures: crate::forgetting::Tables::open(scope),
            corrections: crate::rights::CorrectionTables::open(scope, &composition.corrections),
        }
    }

    /// What the folds are composed of.
    pub fn composition(&self) -> &Arc<Composition> {
        &self.composition
    }

    /// The open part of a record, bound by its newest contract. Nothing sealed is opened: the fastest way to keep a secret.
    fn bind_open(&self, record: &Record) -> Result<Option<Value>, store::Error> {
        let Some(contract) = self.composition.contracts.newest(&record.stream) else { return Ok(None) };
        let open = intake::open_part(record).map_err(|error| store::Error::Corrupt {
            table: record.stream.as_str().to_owned(),
            reason: error.to_string(),
        })?;
        Ok(Some(contract.bind(&open)))
    }

    /// True where a fold keyed by the subject looks at a part that was sealed when it came.
    fn needs_sealed(&self, record: &Record) -> bool {
        let composition = &self.composition;
        if record.payload.cells.is_empty() {
            return false;
        }
        let is_current =
            composition.contracts.newest(&record.stream).is_some_and(|c| c.version == record.contract);
        !is_current
            || composition.trait_streams.contains(&record.stream)
            || composition.views.of_stream(&record.stream).iter().any(feature::View::is_personal)
    }

    fn fold_contracted(&mut self, record: &Record, out: &mut Emissions) -> Result<(), store::Error> {
        let wanted = self.composition.trait_streams.contains(&record.stream)
            || !self.composition.views.of_stream(&record.stream).is_empty();
        let watched = self.composition.quality.plans().get(&record.stream).is_some();
        let is_put_right = wanted && self.composition.corrections.has(record)?;
        let needs_sealed = wanted && (is_put_right || self.needs_sealed(record));
        if watched || (wanted && !needs_sealed) {
            // LAW 2: what is under nobody's key is folded from what lies open, so that an erasure changes nothing in it.
            let Some(fields) = self.bind_open(record)? else { return Ok(()) };
            let bound = Bound { record, fields: &fields };
            if watched {
                self.composition.quality.fold(&mut self.quality, &bound, out)?;
            }
            if wanted && !needs_sealed {
                self.composition.traits.fold(&mut self.traits, &bound, out)?;
                return self.composition.features.fold(&mut self.features, &bound, out);
            }
        }
        if !wanted {
            return Ok(());
        }
        let Some(fields) = self.composition.bind(record)? else { return Ok(()) };
        let bound = Bound { record, fields: &fields };
        self.composition.traits.fold(&mut self.traits, &bound, out)?;
        self.composition.features.fold(&mut self.features, &bound, out)
    }
}

impl Shard for Rooms {
    fn fold(&mut self, at: Position, record: &Record, out: &mut Emissions) -> Result<(), store::Error> {
        if record.batch.is_some_and(|batch| self.composition.undone.contains(&batch)) {
            return Ok(());
        }
        // LAW 4: what was on its way when its subject was erased comes to nothing.
        if self.erasures.hides(record)? {
            return Ok(());
        }
        let without;
        let record = match self.erasures.without_gone(record)? {
            None => record,
            Some(None) => return Ok(()),
            Some(Some(changed)) => {
                without = changed;
                &without
            }
        };
        self.sources.fold(record)?;
        StreamFold.fold(&mut self.streams, record, out)?;
        let name = record.stream.as_str();
        if !name.starts_with("mr.") {
            return self.fold_contracted(record, out);
        }
        match name {
            watch::NOTES | streams::QUARANTINE => {
                self.composition.quality.fold_note(&mut self.quality, record)
            }
            policy::CONSENTS => ConsentFold.fold(&mut self.consents, record, out),
            audit::AUDIT => audit::AuditFold.fold(&mut self.audit, record, out),
            policy::PROOFS => policy::ProofFold.fold(&mut self.proofs, record, out),
            policy::KEYS => KeyFold.fold(&mut self.keys, record, out),
            profile::LINKS => self.composition.links.fold(&mut self.identities, record, out),
            profile::MERGES => profile::HandFold.fold(&mut self.identities, record, out),
            profile::MEMBERSHIPS => profile::MembershipFold.fold(&mut self.identities, record, out),
            jobs::JOBS => jobs::JobFold.fold(&mut self.jobs, record, out),
            lineage::LINEAGE => lineage::LineageFold.fold(&mut self.lineage, record, out),
            crate::capturing::CAPTURES => crate::capturing::CaptureFold.fold(&mut self.captures, record, out),
            crate::applied::APPLIED => crate::applied::AppliedFold.fold(&mut self.applied, record, out),
            crate::forgetting::ERASURES => self.fold_erasure(record),
            crate::rights::CORRECTIONS => self.fold_correction(record),
            register::REGISTERS => register::RegisterFold.fold(&mut self.registers, record, out),
            imports::IMPORTS => ImportFold.fold(&mut self.imports, record, out),
            registry::RELEASES => registry::ReleaseFold.fold(&mut self.releases, record, out),
            decide::DECISIONS => {
                self.decisions.place(record.id, at)?;
                decide::DecideFold.fold(&mut self.decisions, record, out)
            }
            _ => decide::DecideFold.fold(&mut self.decisions, record, out),
        }
    }

    fn stored(&mut self) -> Vec<&mut dyn Stored> {
        let mut all = self.consents.stored();
        all.extend(self.audit.stored());
        all.extend(self.proofs.stored());
        all.extend(self.keys.stored());
        all.extend(self.identities.stored());
        all.extend(self.traits.stored());
        all.extend(self.features.stored());
        all.extend(self.decisions.stored());
        all.extend(self.releases.stored());
        all.extend(self.registers.stored());
        all.extend(self.applied.stored());
        all.extend(self.imports.stored());
        all.extend(self.captures.stored());
        all.extend(self.jobs.stored());
        all.extend(self.lineage.stored());
        all.extend(self.sources.stored());
        all.extend(self.streams.stored());
        all.extend(self.quality.stored());
        all.extend(self.erasures.stored());
        all.extend(self.corrections.stored());
        all
    }
}
