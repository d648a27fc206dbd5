//! `init`, `check`, `apply`: the project directory.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use house::{DEFAULTS, Finding, Project};
use intake::file;

use super::Ctx;
use crate::cli::Init;
use crate::out::{self, Code};

/// Rows that a proposed contract is made from.
const SAMPLE_ROWS: usize = 2_000;

/// Starts a project directory.
pub fn init(args: &Init) -> anyhow::Result<Code> {
    let settings = args.dir.join("maschinenraum.toml");
    if settings.exists() {
        bail!("`{}` is a project already", args.dir.display());
    }
    for folder in ["contracts", "features", "models", "usecases", "goldsets"] {
        std::fs::create_dir_all(args.dir.join(folder))
            .with_context(|| format!("cannot make `{}`", args.dir.join(folder).display()))?;
    }
    std::fs::write(args.dir.join(".gitignore"), "/data/\n/master.key\n/root.anchor\n")?;
    let mut text = DEFAULTS.to_owned();
    let mut written = vec!["maschinenraum.toml".to_owned(), ".gitignore".to_owned()];
    if let Some(from) = &args.from {
        let file = file::inspect(from, |_| {})?;
        let name = args.stream.clone().unwrap_or_else(|| stem(from));
        let sample = file.sample(SAMPLE_ROWS)?;
        let yaml = contract::propose(&name, &sample.rows);
        let path = format!("contracts/{name}.yaml");
        std::fs::write(args.dir.join(&path), yaml)?;
        written.push(path);
        text.push_str(
            "\n[purposes.analytics]\nbasis = \"consent\"\ndescription = \"Understand how things are used\"\n",
        );
    }
    std::fs::write(&settings, text)?;
    for path in written {
        out::say(&format!("wrote {}", args.dir.join(path).display()));
    }
    out::say(match &args.from {
        Some(_) => "next: read and correct the contract, then `maschinenraum check`",
        None => {
            "next: `maschinenraum init --from FILE` shows what a contract looks like; docs/contracts.md explains it"
        }
    });
    Ok(Code::Fine)
}

fn stem(path: &Path) -> String {
    let stem = path.file_stem().map(|stem| stem.to_string_lossy().to_lowercase()).unwrap_or_default();
    stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// Checks the project, and files against their contracts.
pub fn check(ctx: &Ctx, files: &[String], most: usize) -> anyhow::Result<Code> {
    let (project, found) = Project::read(&ctx.project)?;
    // What a changed contract would break comes first: it is why much of the rest is there.
    let mut findings = coming(&project)?;
    findings.extend(found);
    let (n_tests, n_values, wrong) = project.test_features();
    findings.extend(wrong);
    let mut judged = Vec::new();
    if n_tests > 0 {
        judged.push(format!(
            "{} of features, {} compared",
            out::count(n_tests, "test"),
            out::count(n_values, "value")
        ));
    }
    let (n_tests, n_asked, wrong) = project.test_policies();
    findings.extend(wrong);
    if n_tests > 0 {
        judged.push(format!(
            "{} of policies, {} asked",
            out::count(n_tests, "test"),
            out::count(n_asked, "question")
        ));
    }
    for pair in files {
        let (stream, path) = pair.split_once('=').with_context(|| format!("`{pair}` is not STREAM=PATH"))?;
        judged.push(check_file(&project, stream, Path::new(path), most, &mut findings)?);
    }
    if ctx.json {
        out::json(&findings)?;
    } else {
        for finding in &findings {
            out::line(&finding.to_string());
        }
    }
    for line in judged {
        out::say(&line);
    }
    let n_errors = findings.iter().filter(|finding| finding.is_error()).count();
    let rest = findings.len() - n_errors;
    out::say(&format!(
        "{}: {}, {}",
        parts(&project),
        out::count(n_errors, "error"),
        out::count(rest, "other finding")
    ));
    Ok(if n_errors > 0 { Code::Findings } else { Code::Fine })
}

fn check_file(
    project: &Project,
    stream: &str,
    path: &Path,
    most: usize,
    findings: &mut Vec<Finding>,
) -> anyhow::Result<String> {
    let Some(contract) = project.contracts.newest_named(stream) else {
        bail!("no contract describes the stream `{stream}`");
    };
    let file = file::inspect(path, |_| {})?;
    let bar = out::bar(file.n_bytes(), "checking");
    let (mut n_rows, mut n_bad, mut shown) = (0_u64, 0_u64, 0_usize);
    let mut kinds: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut rows = file.rows(0)?;
    while let Some(row) = rows.next() {
        let row = row?;
        n_rows += 1;
        if n_rows % 1_024 == 0 {
            bar.set_position(rows.progress().n_bytes);
        }
        let mut found = contract.check_limits(&row.raw);
        found.extend(row.finding);
        if found.is_empty() {
            found = contract.judge(&row.raw, &contract.bind(&row.raw));
        }
        n_bad += u64::from(found.iter().any(Finding::is_error));
        for mut finding in found {
            *kinds.entry(finding.code).or_default() += 1;
            if shown < most {
                shown += 1;
                finding.file = Some(path.display().to_string());
                // A header takes the first line of a CSV file.
                let header = u64::from(matches!(file.format(), file::Format::Csv { .. }));
                finding.line = u32::try_from(row.number + header).ok();
                findings.push(finding);
            }
        }
    }
    bar.finish_and_clear();
    let kinds: Vec<String> = kinds.iter().map(|(code, n)| format!("{code} × {n}")).collect();
    let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
    Ok(format!("{}: {n_rows} rows, {n_bad} would be refused{kinds}", path.display()))
}

/// What the contracts as they are written would break of what is made from those in force.
fn coming(project: &Project) -> anyhow::Result<Vec<Finding>> {
    let mut findings = project.refused_changes()?;
    findings.extend(project.changes_to_come()?.into_iter().flat_map(|change| change.findings));
    findings.extend(project.dishonest_changes()?);
    Ok(findings)
}

/// Puts the project into force, unless a contract breaks something under a version that says it does not.
pub fn apply(ctx: &Ctx) -> anyhow::Result<Code> {
    let project = Project::load(&ctx.project)?;
    let mut findings = coming(&project)?;
    findings.extend(project.test_features().2);
    findings.iter().for_each(|finding| out::say(&finding.to_string()));
    if findings.iter().any(Finding::is_error) {
        return Ok(Code::Findings);
    }
    let house = ctx.open()?;
    let blocked =
        house.use_case_standings()?.into_iter().filter(|one| !one.may_decide && one.state.stop.is_none());
    let blocked: Vec<String> = blocked.map(|one| format!("{} {}", one.code, one.why_not)).collect();
    let said = parts(house.project());
    let detail = serde_json::json!({ "in_force": said });
    house.audit(&::audit::Act { detail, ..::audit::Act::new("project.apply", &super::data::user()) })?;
    out::say(&format!("in force: {said}"));
    blocked.iter().for_each(|why| out::say(why));
    house.close();
    Ok(if blocked.is_empty() { Code::Fine } else { Code::Findings })
}

fn parts(project: &Project) -> String {
    let parts = [
        out::count(project.contracts.iter().count(), "contract"),
        out::count(project.views.iter().count(), "view"),
        out::count(project.models.len(), "model"),
        out::count(project.use_cases.len(), "use case"),
    ];
    parts.join(", ")
}
