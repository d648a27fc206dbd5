//! Papers of use cases and models: technical documentation, impact assessment, classes, bill of materials, notices.

use event::Instant;
use register::{
    Class, Component, Document, Language, ModelPart, Notice, Rulebook, TechnicalFile, impact_assessment,
    ml_bom, risk_register, technical_file,
};
use registry::{Card, Stage};

use super::facts;
use crate::Error;
use crate::house::House;

impl House {
    /// The technical documentation of a use case (AI Act annex IV).
    ///
    /// # Errors
    /// [`Error::UnknownUseCase`]
    pub fn annex_iv(&self, use_case: &str, language: Language) -> Result<Document, Error> {
        Ok(technical_file(&self.file_of(use_case)?, language))
    }

    /// The impact assessment of a use case (GDPR article 35).
    ///
    /// # Errors
    /// [`Error::UnknownUseCase`]
    pub fn impact_assessment(&self, use_case: &str, language: Language) -> Result<Document, Error> {
        let text = facts::paper(self.project(), self.use_case(use_case)?.duties.dpia_file.as_ref());
        Ok(impact_assessment(&self.file_of(use_case)?, text.as_deref(), language))
    }

    /// The class of every use case; `at`: as of another day, by the rules known now.
    ///
    /// # Errors
    /// Whatever the state says.
    pub fn risk_register(&self, at: Option<Instant>, language: Language) -> Result<Document, Error> {
        let day = at.unwrap_or_else(|| super::today(self.now()));
        let sources = self.register_desk.book.read().sources(day);
        Ok(risk_register(&self.assessments(at)?, &sources, day, language))
    }

    /// The same as it was computed.
    ///
    /// # Errors
    /// Whatever the state says.
    pub fn assessments(
        &self,
        at: Option<Instant>,
    ) -> Result<Vec<(register::Assessment, register::UseCaseState)>, Error> {
        let book: Rulebook = self.register_desk.book.read().clone();
        let mut all = Vec::new();
        for use_case in self.use_cases() {
            let state = self.register_state(&use_case.name)?.unwrap_or_default();
            let found = match at {
                None => (*self.assessment_of(use_case)?).clone(),
                Some(at) => {
                    let mut found = facts::assessment(self.project(), &book, use_case, false, at);
                    if found.classification.strictest() >= Class::High {
                        found.missing = self.missing(&book, use_case, at)?;
                    }
                    found
                }
            };
            all.push((found, state));
        }
        Ok(all)
    }

    /// Models as a CycloneDX 1.7 bill of materials; of one model, or of all. Versions that were retired are left out.
    ///
    /// # Errors
    /// [`Error::UnknownModel`]
    pub fn ml_bom(&self, model: Option<&str>) -> Result<serde_json::Value, Error> {
        if let Some(model) = model {
            self.project().model(model)?;
        }
        let mut components = Vec::new();
        for (name, state) in self.models()? {
            if model.is_some_and(|wanted| wanted != name.as_str()) {
                continue;
            }
            for version in state.versions.iter().filter(|version| version.stage != Stage::Retired) {
                components.push(self.component(&Card::of(&name, &state, version.number)?));
            }
        }
        let maker = &self.settings().registers.controller;
        Ok(ml_bom(&components, maker, env!("CARGO_PKG_VERSION"), self.now()))
    }

    fn component(&self, card: &Card) -> Component {
        let about = &card.about;
        let data = &card.manifest.dataset;
        let uses =
            |use_case: &&decide::UseCase| crate::deciding::models_of(use_case).contains(&card.model.as_str());
        let streams = data.features.iter().filter_map(|view| self.project().views.find(&view.view));
        let special =
            streams.map(|view| view.stream().to_string()).any(|s| facts::has_special(self.project(), &s));
        let figures = figures(card).into_iter().map(|(name, figure, slice)| register::Figure {
            name,
            value: figure.value,
            interval: Some((figure.low, figure.high)),
            slice,
        });
        Component {
            model: card.model.to_string(),
            version: card.version.to_string(),
            stage: card.stage.to_string(),
            what: about.what.clone(),
            owner: about.owner.clone(),
            intended_use: about.intended_use.clone(),
            limits: about.limits.clone(),
            method: about.method.clone(),
            artefact: card.manifest.artefact.to_string(),
            dataset: card.dataset.clone(),
            dataset_is: described(card),
            purpose: data.purpose.clone(),
            inputs: data.columns.clone(),
            figures: figures.collect(),
            code: card.manifest.code.clone(),
            parameters: card.manifest.parameters.clone(),
            use_cases: self.use_cases().iter().filter(uses).map(|one| one.name.clone()).collect(),
            special,
        }
    }

    /// The notices that people must get with what a use case gives them (AI Act article 50); empty where none is due.
    ///
    /// # Errors
    /// Whatever the state says.
    pub fn ai_notices(&self, use_case: &str, language: Language) -> Result<Vec<Notice>, Error> {
        let Ok(use_case) = self.use_case(use_case) else { return Ok(Vec::new()) };
        let found = self.assessment_of(use_case)?;
        if found.classification.reasons.is_empty() {
            return Ok(Vec::new());
        }
        let book = self.register_desk.book.read();
        let Some(rules) = book.ai_act(super::today(self.now())) else { return Ok(Vec::new()) };
        let mut kinds: Vec<_> = rules.notices(&found.classification).collect();
        kinds.sort();
        kinds.dedup();
        Ok(kinds.into_iter().map(|kind| register::notice(kind, language)).collect())
    }

    fn file_of(&self, name: &str) -> Result<TechnicalFile, Error> {
        let use_case = self.use_case(name)?;
        let standing = self.use_case_standing(name)?;
        let duties = &use_case.duties;
        let mut models = Vec::new();
        let all = self.models()?;
        for model in crate::deciding::models_of(use_case) {
            for (name, state) in all.iter().filter(|(known, _)| known.as_str() == model) {
                for version in state.versions.iter().filter(|version| version.stage != Stage::Retired) {
                    models.push(part(&Card::of(name, state, version.number)?));
                }
            }
        }
        let score = |score: &decide::ScoreSource| match score {
            decide::ScoreSource::Constant(value) => value.to_string(),
            decide::ScoreSource::Model(name) => format!("model {name}"),
            decide::ScoreSource::Input(name) => format!("input {name}"),
        };
        let actions = use_case
            .actions
            .iter()
            .map(|one| vec![one.name.clone(), one.channel.clone(), one.purpose.clone(), score(&one.score)]);
        let mut limits: Vec<String> = use_case.caps.iter().map(ToString::to_string).collect();
        limits.push(format!(
            "{} {} per {} at most",
            use_case.budget.total, use_case.budget.currency, use_case.budget.period
        ));
        limits.push(format!("{:?}, holdout {}", use_case.policy, use_case.holdout.share));
        let n_people = self.n_decided_for(use_case)?;
        Ok(TechnicalFile {
            provider: self.settings().registers.as_controller(),
            use_case: use_case.name.clone(),
            version: use_case.version.to_string(),
            description: use_case.description.clone(),
            responsible: use_case.responsible.clone(),
            purpose: format!("{} ({})", use_case.purpose, use_case.legal_basis.as_str()),
            goal: format!(
                "{}: {} ({})",
                use_case.goal.metric, use_case.goal.formula, use_case.goal.formula_version
            ),
            software: format!("Maschinenraum {}", env!("CARGO_PKG_VERSION")),
            inputs: use_case.inputs.iter().map(|input| input.name.clone()).collect(),
            outputs: use_case.outputs.clone(),
            actions: actions.collect(),
            sources: use_case.sources.clone(),
            limits,
            oversight: oversight(duties),
            papers: papers(duties),
            in_use: vec![format!(
                "{n_people} people were decided for; every decision is on record and can be explained"
            )],
            models,
            assessment: Some(standing.assessment),
            state: standing.state,
            at: self.now(),
        })
    }
}

fn oversight(duties: &decide::Duties) -> Vec<String> {
    let mut lines = vec![
        "maschinenraum oversight stop: takes effect at the next decision".to_owned(),
        "maschinenraum oversight overrule: a decision is not carried out".to_owned(),
    ];
    if duties.review == decide::Review::Before {
        lines.push("nothing is carried out before a person approves".to_owned());
    }
    if !duties.oversight.is_empty() {
        lines.push(duties.oversight.join(", "));
    }
    lines
}

fn papers(duties: &decide::Duties) -> Vec<(String, String)> {
    let all = [
        ("Art. 9", &duties.risk_file),
        ("Art. 13", &duties.instructions),
        ("Art. 27", &duties.fundamental_rights_file),
        ("DSGVO/GDPR Art. 35", &duties.dpia_file),
    ];
    all.into_iter().filter_map(|(what, path)| Some((what.to_owned(), path.clone()?))).collect()
}

fn described(card: &Card) -> String {
    let data = &card.manifest.dataset;
    format!(
        "{} rows, {} of them successes, from {} to {}, consent epoch {}",
        data.n_rows, data.n_positives, data.earliest, data.latest, data.consent_epoch
    )
}

fn figures(card: &Card) -> Vec<(String, learn::metric::Estimate, Option<String>)> {
    let of = |metrics: &learn::metric::Metrics, slice: Option<&str>| {
        let named = [
            ("AUC", metrics.auc),
            ("log loss", metrics.log_loss),
            ("Brier score", metrics.brier),
            ("calibration error", metrics.calibration_error),
            ("recall", metrics.recall),
        ];
        named.map(|(name, figure)| (name.to_owned(), figure, slice.map(str::to_owned)))
    };
    let mut all: Vec<_> = of(&card.metrics, None).into();
    for segment in &card.segments {
        all.extend(of(&segment.metrics, Some(&segment.name)));
    }
    all
}

fn part(card: &Card) -> ModelPart {
    let about = &card.about;
    let history = card
        .history
        .iter()
        .map(|entry| format!("{} {}: {} ({})", entry.at, entry.by, entry.what, entry.reason));
    ModelPart {
        name: format!("{} {}", card.model, card.version),
        stage: card.stage.to_string(),
        what: about.what.clone(),
        method: about.method.clone(),
        intended_use: about.intended_use.clone(),
        limits: about.limits.clone(),
        owner: about.owner.clone(),
        data: format!("{} (SHA-256 {})", described(card), card.dataset),
        inputs: card.manifest.dataset.columns.clone(),
        figures: figures(card)
            .into_iter()
            .map(|(name, figure, slice)| (name, figure.to_string(), slice.unwrap_or_default()))
            .collect(),
        gate: card.gates.last().map(|gate| gate.verdict.clone()).unwrap_or_default(),
        history: history.collect(),
    }
}
