//! Contracts on the wire: held against each other, looked through, judged over rows, and what was ever in force; figures
//! counted by a formula of then.

use std::sync::Arc;

use axum::extract::State;
use contract::metric::Judge;
use contract::{Contract, Finding, Parsed};
use event::Version;
use policy::Scope;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::Document;
use crate::door::{self, Asked, Door, Json, Named, Sent};
use crate::gate::RequestId;
use crate::problem::Problem;
use crate::refusal::{Refusal, short};
use crate::routes::{Spec, Table};

/// Rows of one request at most; a body of one MiB seldom holds as many.
const MAX_ROWS: usize = 10_000;
/// Findings of one answer at most.
const MAX_FINDINGS: usize = 200;

/// The routes of contracts.
pub(crate) fn routes(table: Table<Arc<Door>>) -> Table<Arc<Door>> {
    table
        .add(
            Spec::get("/v1/contracts", "contracts", "Every version of contracts, formulas and features that was in force.")
                .scope(Scope::Read)
                .query("stream", false, "One stream; all unless said.")
                .gives::<Ledger>(),
            ledger,
        )
        .add(
            Spec::get(
                "/v1/contracts/{stream}/{version}",
                "contracts",
                "A version of a contract, as it was put into force.",
            )
            .scope(Scope::Read)
            .gives::<ContractText>(),
            text,
        )
        .add(
            Spec::post(
                "/v1/contracts/diff",
                "contracts",
                "What changes from one contract to the next, for readers and for writers.",
            )
            .scope(Scope::Read)
            .takes::<DiffAsked>()
            .gives::<ContractDiff>(),
            diff,
        )
        .add(
            Spec::post("/v1/contracts/lint", "contracts", "What is wrong with a contract by itself.")
                .scope(Scope::Read)
                .takes::<LintAsked>()
                .gives::<Linted>(),
            lint,
        )
        .add(
            Spec::post(
                "/v1/contracts/judge",
                "contracts",
                "Rows held against a contract, and its rules about many records over them. Nothing is kept.",
            )
            .scope(Scope::Read)
            .takes::<JudgeAsked>()
            .gives::<Judged>(),
            judge,
        )
        .add(
            Spec::get(
                "/v1/use-cases/{use_case}/report",
                "operations",
                "What a use case did; by one version of its formula, or each decision by that of its own time.",
            )
            .scope(Scope::Admin)
            .query("formula", false, "A version of the metric's formula that is or was in force.")
            .query("until", false, "Only what was decided and known by then; with `formula`.")
            .gives::<Document>(),
            report,
        )
}

fn read(yaml: &str, name: &str) -> Result<Parsed, Problem> {
    Contract::parse(yaml, name).map_err(|error| Refusal::WrongShape { reason: error.to_string() }.into())
}

fn version(text: &str) -> Result<Version, Problem> {
    text.parse::<Version>().map_err(|error| Refusal::Query { reason: short(&error.to_string(), 200) }.into())
}

/// One finding.
#[derive(Serialize, ToSchema)]
#[schema(as = ContractFinding)]
struct Found {
    /// Names what is wrong; docs/errors has its page.
    code: String,
    /// `error`, `warning` or `info`.
    severity: String,
    /// The field it is about.
    field: Option<String>,
    /// The line of the contract.
    line: Option<u32>,
    /// The row, counted from 1.
    row: Option<usize>,
    /// In one sentence.
    message: String,
}

fn found(finding: &Finding, row: Option<usize>) -> Found {
    Found {
        code: finding.code.to_owned(),
        severity: format!("{:?}", finding.severity).to_lowercase(),
        field: finding.field.clone(),
        line: finding.line,
        row,
        message: finding.message.clone(),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LedgerQuery {
    stream: Option<String>,
}

/// What was ever in force.
#[derive(Serialize, ToSchema)]
#[schema(as = ContractLedger)]
pub(crate) struct Ledger {
    /// By stream and version.
    contracts: Vec<Applied>,
    /// By use case, metric and version.
    formulas: Vec<Formula>,
    /// By view, version and feature.
    features: Vec<OfView>,
}

/// What a feature is under one version of its view.
#[derive(Serialize, ToSchema)]
#[schema(as = AppliedFeature)]
struct OfView {
    /// The view.
    view: String,
    /// Its version.
    version: u32,
    /// The feature; `context.NAME` for what requests say.
    feature: String,
    /// How it is computed.
    formula: String,
    /// Since when it is known.
    #[schema(format = DateTime)]
    since: Option<String>,
}

/// One version of a contract.
#[derive(Serialize, ToSchema)]
#[schema(as = AppliedContract)]
struct Applied {
    /// The stream.
    stream: String,
    /// Its version.
    version: String,
    /// True where it is the one that judges now.
    judges: bool,
    /// Since when it is known.
    #[schema(format = DateTime)]
    since: Option<String>,
    /// The file it came from.
    file: String,
}

/// One version of a metric's formula.
#[derive(Serialize, ToSchema)]
#[schema(as = AppliedFormula)]
struct Formula {
    /// The use case.
    use_case: String,
    /// The metric.
    metric: String,
    /// Its version.
    version: String,
    /// How it is computed.
    formula: String,
    /// Kinds of outcomes that are a success.
    success: Vec<String>,
    /// How long after the decision one still counts.
    within: String,
    /// Since when it is known.
    #[schema(format = DateTime)]
    since: Option<String>,
}

/// `GET /v1/contracts`
pub(crate) async fn ledger(
    State(door): State<Arc<Door>>,
    id: RequestId,
    Asked(LedgerQuery { stream }): Asked<LedgerQuery>,
) -> Result<Json<Ledger>, Problem> {
    let ledger = door.ask(&id, |house| house.ledger()).await?;
    let wanted = |name: &str| stream.as_deref().is_none_or(|stream| stream == name);
    let contracts = ledger.contracts.iter().filter(|((name, _), _)| wanted(name));
    let contracts = contracts.map(|((stream, version), applied)| Applied {
        stream: stream.clone(),
        version: version.to_string(),
        judges: ledger.current.get(stream) == Some(version),
        since: applied.since.map(|at| at.to_string()),
        file: applied.file.clone(),
    });
    let formulas = ledger.formulas.iter().filter(|_| stream.is_none()).map(|one| Formula {
        use_case: one.use_case.clone(),
        metric: one.goal.metric.clone(),
        version: one.goal.formula_version.to_string(),
        formula: one.goal.formula.clone(),
        success: one.goal.success.clone(),
        within: one.goal.within.to_string(),
        since: one.since.map(|at| at.to_string()),
    });
    let features = ledger.features.iter().filter(|_| stream.is_none()).map(|one| OfView {
        view: one.view.clone(),
        version: one.version,
        feature: one.feature.clone(),
        formula: one.formula.clone(),
        since: one.since.map(|at| at.to_string()),
    });
    let (contracts, formulas) = (contracts.collect(), formulas.collect());
    Ok(Json(Ledger { contracts, formulas, features: features.collect() }))
}

#[derive(Deserialize)]
pub(crate) struct OfVersion {
    stream: String,
    version: String,
}

/// A version of a contract.
#[derive(Serialize, ToSchema)]
pub(crate) struct ContractText {
    /// The stream.
    stream: String,
    /// Its version.
    version: String,
    /// The text.
    contract: String,
}

/// `GET /v1/contracts/{stream}/{version}`
pub(crate) async fn text(
    State(door): State<Arc<Door>>,
    id: RequestId,
    Named(OfVersion { stream, version: text }): Named<OfVersion>,
) -> Result<Json<ContractText>, Problem> {
    let wanted = version(&text)?;
    let told = door.ask(&id, move |house| match house.ledger()?.contract(&stream, wanted) {
        Some(applied) => {
            Ok(ContractText { stream, version: wanted.to_string(), contract: applied.yaml.clone() })
        }
        None => {
            let id = format!("{} {wanted}", short(&stream, 64));
            Err(house::Error::NotFound { what: "contract in force", id })
        }
    });
    Ok(Json(told.await?))
}

/// Two contracts as YAML.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DiffAsked {
    /// The older one; without it, what is in force for the streams of the newer.
    #[serde(default)]
    old: Option<String>,
    /// The newer one.
    new: String,
}

/// What changes.
#[derive(Serialize, ToSchema)]
pub(crate) struct ContractDiff {
    /// The older version.
    from: String,
    /// The newer version.
    to: String,
    /// The step its changes need: `same`, `patch`, `minor` or `major`.
    needs: Value,
    /// The step its version makes.
    makes: Value,
    /// False where the version says less than the changes.
    is_honest: bool,
    /// The lowest version that would do.
    due: String,
    /// Every change, with its effect on readers and on writers.
    changes: Vec<Changed>,
}

/// One change.
#[derive(Serialize, ToSchema)]
#[schema(as = ContractChanged)]
struct Changed {
    /// The stream.
    stream: String,
    /// The field; null where the whole stream is meant.
    field: Option<String>,
    /// What changed.
    message: String,
    /// `none`, `meaning` or `breaks`.
    readers: Value,
    /// `none`, `meaning` or `breaks`.
    writers: Value,
}

/// `POST /v1/contracts/diff`
pub(crate) async fn diff(
    State(door): State<Arc<Door>>,
    id: RequestId,
    Sent(DiffAsked { old, new }): Sent<DiffAsked>,
) -> Result<Json<ContractDiff>, Problem> {
    let new = read(&new, "new")?.into_all();
    let old = match old {
        Some(old) => read(&old, "old")?.into_all(),
        None => {
            let in_force = door.ask(&id, |house| Ok(house.ledger()?.in_force())).await?;
            new.iter()
                .filter_map(|one| in_force.newest(&one.stream))
                .map(|one| one.as_ref().clone())
                .collect()
        }
    };
    let told = contract::diff::diff(&old, &new);
    let word = |value: Result<Value, serde_json::Error>| value.unwrap_or_default();
    let changes = told.changes.iter().map(|one| Changed {
        stream: one.stream.clone(),
        field: one.field.clone(),
        message: one.message.clone(),
        readers: word(serde_json::to_value(one.readers)),
        writers: word(serde_json::to_value(one.writers)),
    });
    Ok(Json(ContractDiff {
        changes: changes.collect(),
        from: told.from.to_string(),
        to: told.to.to_string(),
        needs: word(serde_json::to_value(told.needs)),
        makes: word(serde_json::to_value(told.makes)),
        is_honest: told.is_honest(),
        due: told.needs.after(told.from).to_string(),
    }))
}

/// A contract as YAML.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LintAsked {
    /// The contract.
    contract: String,
}

/// What is wrong with a contract.
#[derive(Serialize, ToSchema)]
pub(crate) struct Linted {
    /// True where no error is among it.
    passes: bool,
    /// All of it, by line.
    findings: Vec<Found>,
}

/// `POST /v1/contracts/lint`
pub(crate) async fn lint(Sent(LintAsked { contract }): Sent<LintAsked>) -> Result<Json<Linted>, Problem> {
    let parsed = read(&contract, "contract")?;
    let lacks = contract::lacks_of_the_standard(&contract, "contract");
    let mut all = lacks.map_err(|error| Problem::from(Refusal::WrongShape { reason: error.to_string() }))?;
    all.extend(parsed.all().flat_map(Contract::validate));
    all.extend(parsed.findings);
    all.sort_by_key(|finding| finding.line);
    let passes = !all.iter().any(Finding::is_error);
    Ok(Json(Linted { passes, findings: all.iter().take(MAX_FINDINGS).map(|one| found(one, None)).collect() }))
}

/// Rows and the contract they are held against.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JudgeAsked {
    /// The contract as YAML; without it, the one in force for `stream`.
    #[serde(default)]
    contract: Option<String>,
    /// The stream; the contract's first unless said.
    #[serde(default)]
    stream: Option<String>,
    /// Raw rows: up to 10,000, within a body of one MiB.
    #[schema(value_type = Vec<Document>)]
    rows: Vec<Value>,
}

/// What became of rows.
#[derive(Serialize, ToSchema)]
#[schema(as = RowsJudged)]
pub(crate) struct Judged {
    /// Rows judged.
    n_rows: usize,
    /// Those that would be refused.
    n_refused: usize,
    /// What is wrong with single rows; the first 200.
    findings: Vec<Found>,
    /// The rules about many records.
    rules: Vec<RuleTold>,
}

/// What a rule came to.
#[derive(Serialize, ToSchema)]
struct RuleTold {
    /// Its name.
    rule: String,
    /// The metric.
    metric: String,
    /// The version of the contract whose rule it is.
    version: String,
    /// Its figure; null where there was too much to count.
    figure: Option<f64>,
    /// `rows` or `percent`.
    unit: Value,
    /// What it must be.
    must_be: String,
    /// Whether it is.
    holds: bool,
}

/// `POST /v1/contracts/judge`
pub(crate) async fn judge(
    State(door): State<Arc<Door>>,
    id: RequestId,
    Sent(JudgeAsked { contract, stream, rows }): Sent<JudgeAsked>,
) -> Result<Json<Judged>, Problem> {
    if rows.len() > MAX_ROWS {
        let reason = format!("`rows` has {}; {MAX_ROWS} are allowed at once", rows.len());
        return Err(Refusal::WrongShape { reason }.into());
    }
    let given = contract.map(|yaml| read(&yaml, "contract")).transpose()?.map(Parsed::into_all);
    let told = door.ask(&id, move |house| {
        let in_force = || {
            let name = stream.clone().unwrap_or_default();
            let known = &house.composition().contracts;
            known.newest_named(&name).map(|one| one.as_ref().clone()).ok_or_else(|| {
                house::Error::UnknownStream {
                    name: short(&name, 64),
                    known: known.iter().map(|one| one.stream.to_string()).collect(),
                }
            })
        };
        let contract = match given {
            Some(all) => {
                let known: Vec<String> = all.iter().map(|one| one.stream.to_string()).collect();
                let named = |one: &Contract| stream.as_deref().is_none_or(|name| one.stream.as_str() == name);
                all.into_iter().find(named).ok_or_else(|| house::Error::UnknownStream {
                    name: short(&stream.clone().unwrap_or_default(), 64),
                    known,
                })?
            }
            None => in_force()?,
        };
        Ok(judged(&contract, &rows))
    });
    Ok(Json(told.await?))
}

fn judged(contract: &Contract, rows: &[Value]) -> Judged {
    let mut judge = Judge::new(contract);
    let (mut n_refused, mut findings) = (0, Vec::new());
    for (at, raw) in rows.iter().enumerate() {
        let mut told = contract.check_limits(raw);
        if told.is_empty() {
            let bound = contract.bind(raw);
            told = contract.judge(raw, &bound);
            judge.take(&bound);
        }
        n_refused += usize::from(told.iter().any(Finding::is_error));
        let room = MAX_FINDINGS.saturating_sub(findings.len());
        findings.extend(told.iter().take(room).map(|one| found(one, Some(at + 1))));
    }
    let rules = judge.verdicts().into_iter().map(|one| RuleTold {
        rule: one.rule,
        metric: one.metric.to_owned(),
        version: one.version.to_string(),
        figure: one.figure,
        unit: serde_json::to_value(one.unit).unwrap_or_default(),
        must_be: one.must_be,
        holds: one.holds,
    });
    Judged { n_rows: rows.len(), n_refused, findings, rules: rules.collect() }
}

#[derive(Deserialize)]
pub(crate) struct OfUseCase {
    use_case: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReportQuery {
    formula: Option<String>,
    until: Option<String>,
}

/// `GET /v1/use-cases/{use_case}/report`
pub(crate) async fn report(
    State(door): State<Arc<Door>>,
    id: RequestId,
    Named(OfUseCase { use_case }): Named<OfUseCase>,
    Asked(ReportQuery { formula, until }): Asked<ReportQuery>,
) -> Result<Json<Value>, Problem> {
    let formula = formula.as_deref().map(version).transpose()?;
    let until = door::instant("until", until.as_deref())?;
    if until.is_some() && formula.is_none() {
        let reason = "until is for figures counted anew: say `formula` too".to_owned();
        return Err(Refusal::Query { reason }.into());
    }
    let report = door.ask(&id, move |house| match formula {
        Some(formula) => house.report_by(&use_case, formula, until),
        None => house.report(&use_case),
    });
    let report = report.await?;
    serde_json::to_value(&report)
        .map(Json)
        .map_err(|_| Refusal::Inside { request_id: id.0.to_string() }.into())
}
