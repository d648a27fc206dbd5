//! A project directory: everything a user keeps in git, read and checked without a server.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use contract::{Contract, Contracts};
use decide::UseCase;
use event::Instant;
use feature::{View, Views};
use policy::{LegalBasis, Purposes};

use crate::Error;
use crate::finding::{Finding, Severity, finding};
use crate::jobs::{JobSpec, read_jobs};
use crate::modelspec::ModelSpec;
use crate::settings::Settings;

/// The largest file of a project that is read.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// A project, read.
pub struct Project {
    /// Its directory.
    pub dir: PathBuf,
    /// `maschinenraum.toml`
    pub settings: Settings,
    /// `contracts/*.yaml`
    pub contracts: Contracts,
    /// `features/*.yaml`
    pub views: Views,
    /// `models/*.yaml`
    pub models: Vec<ModelSpec>,
    /// `usecases/*.yaml`
    pub use_cases: Vec<UseCase>,
    /// `jobs/*.yaml`
    pub jobs: Vec<JobSpec>,
    /// `notices/*.yaml`
    pub notices: policy::Notices,
    /// `segments/*.yaml`
    pub segments: Vec<profile::Segment>,
    /// Roles, and `policies/*.cedar`
    pub roles: roles::Roles,
    /// What each purpose may see.
    pub(crate) seen: crate::permitting::Seen,
    /// Rules of identity resolution.
    pub rules: profile::Rules,
    /// Where the house's clock starts; `None`: the machine's time.
    pub starts_at: Option<Instant>,
}

impl Project {
    /// Reads and checks a project directory.
    ///
    /// # Errors
    /// [`Error::Settings`] where the settings cannot be read; then nothing else can. Whatever else is wrong comes as
    /// findings, beside as much of the project as could be read.
    pub fn read(dir: &Path) -> Result<(Self, Vec<Finding>), Error> {
        let settings = Settings::load(&dir.join("maschinenraum.toml"))?;
        let mut findings = Vec::new();
        let contracts = read_contracts(dir, &mut findings);
        let views = read_views(dir, &contracts, &mut findings);
        let models = read_models(dir, &mut findings);
        let use_cases = read_use_cases(dir, &mut findings);
        let jobs = read_jobs(files(dir, "jobs", &mut findings), &mut findings);
        let segments = crate::segments::read_segments(files(dir, "segments", &mut findings), &mut findings);
        let notices = crate::consenting::read_notices(files(dir, "notices", &mut findings), &mut findings);
        let rules = settings.identity.clone();
        if let Err(error) = rules.check() {
            findings.push(finding("MR7002", "maschinenraum.toml", 1, error.to_string()));
        }
        let starts_at = match settings.instance.clock.as_str() {
            "" => None,
            text => match text.parse() {
                Ok(instant) => Some(instant),
                Err(error) => {
                    findings.push(finding("MR7002", "maschinenraum.toml", 1, format!("clock: {error}")));
                    None
                }
            },
        };
        let dir = dir.to_path_buf();
        let mut project = Self {
            roles: roles::Roles::built_in(&Purposes::default()),
            seen: crate::permitting::Seen::default(),
            dir,
            settings,
            contracts,
            views,
            models,
            use_cases,
            jobs,
            notices,
            segments,
            rules,
            starts_at,
        };
        project.check_references(&mut findings);
        let purposes = project.read_purposes(&mut Vec::new());
        project.roles =
            crate::permitting::read_policies(&project.dir, &project.settings, &purposes, &mut findings);
        project.seen = crate::permitting::Seen::new(&project);
        project.seen.check(&project, &mut findings);
        crate::segments::check(&project, &mut findings);
        project.missing_context(&mut findings);
        crate::naming::check(&project.settings.naming, &project.contracts, &mut findings);
        findings.extend(watch::unjudged(&project.contracts));
        crate::consenting::check(&project.settings, &project.notices, &mut findings);
        crate::sources::check(&project.settings.sources, &project.contracts, &mut findings);
        crate::registers::check(&project, &mut findings);
        crate::capturing::check(&project.settings.captures, &project.contracts, &mut findings);
        findings.sort_by(|a, b| (&a.file, a.line, a.code).cmp(&(&b.file, b.line, b.code)));
        Ok((project, findings))
    }

    /// Reads a project to run it.
    ///
    /// # Errors
    /// [`Error::Project`] with every finding that breaks it.
    pub fn load(dir: &Path) -> Result<Self, Error> {
        let (project, findings) = Self::read(dir)?;
        let broken: Vec<Finding> = findings.into_iter().filter(Finding::is_error).collect();
        if broken.is_empty() { Ok(project) } else { Err(Error::Project { findings: broken }) }
    }

    /// Where the anchor of the vault's root lies.
    pub fn anchor(&self) -> PathBuf {
        self.dir.join(&self.settings.vault.anchor)
    }

    /// The data directory.
    pub fn data_dir(&self) -> PathBuf {
        self.dir.join(&self.settings.instance.data)
    }

    /// The project's purposes.
    ///
    /// # Errors
    /// [`Error::Project`] where a basis is none.
    pub fn purposes(&self) -> Result<Purposes, Error> {
        let mut findings = Vec::new();
        let purposes = self.read_purposes(&mut findings);
        if findings.is_empty() { Ok(purposes) } else { Err(Error::Project { findings }) }
    }

    /// The model spec of this name.
    ///
    /// # Errors
    /// [`Error::UnknownModel`], listing the known ones.
    pub fn model(&self, name: &str) -> Result<&ModelSpec, Error> {
        self.models.iter().find(|spec| spec.model == name).ok_or_else(|| Error::UnknownModel {
            name: name.chars().take(64).collect(),
            known: self.models.iter().map(|spec| spec.model.clone()).collect(),
        })
    }

    fn read_purposes(&self, findings: &mut Vec<Finding>) -> Purposes {
        let mut known = Vec::new();
        for (name, purpose) in &self.settings.purposes {
            match serde_json::from_value::<LegalBasis>(purpose.basis.clone().into()) {
                Ok(basis) => known.push((
                    name.clone(),
                    policy::PurposeRule {
                        basis,
                        direct_marketing: purpose.direct_marketing,
                        channels: purpose.channels.clone(),
                        double_opt_in: purpose.double_opt_in,
                    },
                )),
                Err(_) => findings.push(finding(
                    "MR7002",
                    "maschinenraum.toml",
                    1,
                    format!(
                        "purposes.{name}: `{}` is no legal basis: consent, contract, legitimate_interest, \
                         legal_obligation, vital_interests, public_task or not_personal is expected",
                        purpose.basis.chars().take(64).collect::<String>()
                    ),
                )),
            }
        }
        Purposes::of(known, self.notices.clone())
    }

    /// What names something of another file: streams, views, models, purposes.
    fn check_references(&self, findings: &mut Vec<Finding>) {
        let purposes = self.read_purposes(findings);
        self.jobs.iter().for_each(|spec| spec.missing(self, findings));
        let mut missing = |code, file: &str, message: String| findings.push(finding(code, file, 1, message));
        for contract in self.contracts.iter() {
            for purpose in &contract.purposes {
                let file = &contract.file;
                match (purposes.basis(&purpose.name), purpose.basis) {
                    (None, _) => missing(
                        "MR7005",
                        file,
                        format!("purpose `{}` is not in maschinenraum.toml's [purposes]", purpose.name),
                    ),
                    (Some(known), Some(said)) if serde_word(known) != said.as_str() => missing(
                        "MR7005",
                        file,
                        format!(
                            "purpose `{}` rests on `{}` here and on `{}` in maschinenraum.toml",
                            purpose.name,
                            said.as_str(),
                            serde_word(known)
                        ),
                    ),
                    _ => {}
                }
            }
        }
        let model_names: BTreeSet<&str> = self.models.iter().map(|spec| spec.model.as_str()).collect();
        for spec in &self.models {
            let file = format!("models/{}.yaml", spec.model);
            for stream in [&spec.examples.stream, &spec.label.stream] {
                if self.contracts.newest_named(stream).is_none() {
                    missing("MR7005", &file, format!("no contract describes the stream `{stream}`"));
                }
            }
            for reference in &spec.features {
                if self.feature(reference).is_none() {
                    missing("MR7005", &file, format!("there is no feature `{reference}`"));
                }
            }
            if purposes.basis(&spec.purpose).is_none() {
                missing("MR7005", &file, format!("purpose `{}` is not in [purposes]", spec.purpose));
            }
        }
        for use_case in &self.use_cases {
            let file = format!("usecases/{}.yaml", use_case.name);
            for reference in use_case.features() {
                if self.feature(reference).is_none() {
                    missing("MR5008", &file, format!("there is no feature `{reference}`"));
                }
            }
            for purpose in use_case.purposes() {
                if purposes.basis(purpose).is_none() {
                    missing("MR5008", &file, format!("purpose `{purpose}` is not in [purposes]"));
                }
            }
            for model in crate::deciding::models_of(use_case) {
                if !model_names.contains(model) {
                    missing("MR5008", &file, format!("there is no model `{model}` in models/"));
                }
            }
            for source in &use_case.sources {
                if self.contracts.newest_named(source).is_none() {
                    missing("MR5008", &file, format!("no contract describes the source `{source}`"));
                }
            }
            for reference in use_case.features() {
                let view = reference.split_once('.').and_then(|(view, _)| self.views.find(view));
                if let Some(view) = view
                    && !use_case.sources.iter().any(|source| source == view.stream().as_str())
                {
                    let stream = view.stream();
                    let message =
                        format!("`{reference}` is made from `{stream}`, which is none of its sources");
                    missing("MR5008", &file, message);
                }
            }
            if !self.dir.join(&use_case.gold_set).exists() {
                missing("MR5008", &file, format!("the gold set `{}` is not there", use_case.gold_set));
            }
        }
    }

    /// The view and the feature's name that `view.feature` refers to.
    pub fn feature<'p>(&'p self, reference: &'p str) -> Option<(&'p View, &'p str)> {
        let (view, name) = reference.rsplit_once('.')?;
        let view = self.views.find(view)?;
        view.features().iter().any(|feature| feature.name() == name).then_some((view, name))
    }
}

fn serde_word(basis: LegalBasis) -> String {
    serde_json::to_value(basis).ok().and_then(|word| word.as_str().map(str::to_owned)).unwrap_or_default()
}

/// (name relative to the project, text) of each YAML file in a folder, by name.
pub(crate) fn files(dir: &Path, folder: &str, findings: &mut Vec<Finding>) -> Vec<(String, String)> {
    let Ok(entries) = std::fs::read_dir(dir.join(folder)) else { return Vec::new() };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.ends_with(".yaml") || name.ends_with(".yml"))
        .collect();
    names.sort();
    let mut texts = Vec::new();
    for name in names {
        let relative = format!("{folder}/{name}");
        let path = dir.join(&relative);
        let too_large = std::fs::metadata(&path).is_ok_and(|meta| meta.len() > MAX_FILE_BYTES);
        if too_large {
            findings.push(finding("MR7006", &relative, 1, "the file is larger than 4 MiB".to_owned()));
            continue;
        }
        match std::fs::read_to_string(&path) {
            Ok(text) => texts.push((relative, text)),
            Err(error) => findings.push(finding("MR7006", &relative, 1, error.to_string())),
        }
    }
    texts
}

fn read_contracts(dir: &Path, findings: &mut Vec<Finding>) -> Contracts {
    let mut contracts = Contracts::new();
    for (file, text) in files(dir, "contracts", findings) {
        match Contract::parse(&text, &file) {
            Ok(parsed) => {
                findings.extend(parsed.findings.iter().cloned());
                for contract in parsed.into_all() {
                    findings.extend(contract.validate());
                    if let Err(error) = contracts.insert(contract) {
                        findings.push(contract_finding(&file, &error));
                    }
                }
            }
            Err(error) => findings.push(contract_finding(&file, &error)),
        }
    }
    contracts
}

fn contract_finding(file: &str, error: &contract::Error) -> Finding {
    let (code, line, message) = match error {
        contract::Error::Yaml { line, message, .. } => ("MR1101", *line, message.clone()),
        contract::Error::NotAContract { line, message, .. } => ("MR1102", *line, message.clone()),
        contract::Error::Conflict { .. } => ("MR1120", None, error.to_string()),
        contract::Error::SourceTaken { .. } => ("MR1121", None, error.to_string()),
    };
    finding(code, file, usize::try_from(line.unwrap_or(1)).unwrap_or(1), message)
}

pub(crate) fn read_views(dir: &Path, contracts: &Contracts, findings: &mut Vec<Finding>) -> Views {
    let mut views = Vec::new();
    for (file, text) in files(dir, "features", findings) {
        let (view, found) = View::parse(&text, &file, contracts);
        findings.extend(found);
        views.extend(view);
    }
    Views::new(views).unwrap_or_else(|error| {
        findings.push(finding(error.code(), "features", 1, error.to_string()));
        Views::default()
    })
}

fn read_models(dir: &Path, findings: &mut Vec<Finding>) -> Vec<ModelSpec> {
    let mut models: Vec<ModelSpec> = Vec::new();
    for (file, text) in files(dir, "models", findings) {
        match ModelSpec::parse(&text, &file) {
            Ok(spec) if models.iter().any(|known| known.model == spec.model) => {
                findings.push(finding(
                    "MR4590",
                    &file,
                    1,
                    format!("model `{}` is described twice", spec.model),
                ));
            }
            Ok(spec) => models.push(spec),
            Err(found) => findings.extend(found),
        }
    }
    models
}

fn read_use_cases(dir: &Path, findings: &mut Vec<Finding>) -> Vec<UseCase> {
    let mut use_cases: Vec<UseCase> = Vec::new();
    for (file, text) in files(dir, "usecases", findings) {
        match UseCase::parse(&text, &file) {
            Ok(use_case) if use_cases.iter().any(|known| known.name == use_case.name) => {
                let message = format!("use case `{}` is described twice", use_case.name);
                findings.push(finding("MR5007", &file, 1, message));
            }
            Ok(use_case) => use_cases.push(use_case),
            Err(found) => findings.extend(found.into_iter().map(|one| Finding {
                code: one.code,
                severity: Severity::Error,
                stream: String::new(),
                field: None,
                message: one.message,
                file: Some(one.file),
                line: Some(one.line.max(1)),
            })),
        }
    }
    use_cases
}
