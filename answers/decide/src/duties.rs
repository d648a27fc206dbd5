//! What a use case says about its duties: its uses under the AI Act, what is so for an impact assessment, who can stop
//! it. Only what it says; what follows from it is another room's.

use event::Instant;
use serde::{Deserialize, Serialize};

use crate::finding::{code, short};
use crate::yaml::{Findings, Section};

const AI_ACT_KEYS: [&str; 11] = [
    "uses",
    "not",
    "because",
    "narrow_task",
    "effect",
    "review",
    "on_market_since",
    "oversight",
    "risk_file",
    "instructions",
    "fundamental_rights_file",
];
const DPIA_KEYS: [&str; 2] = ["facts", "file"];

/// What it says about its duties.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Duties {
    /// What it is used for, in the words of the rules: `chat`, `job_ads`, …
    pub uses: Vec<String>,
    /// What it is not used for, though its words might say so.
    pub not: Vec<String>,
    /// Why not.
    pub because: String,
    /// Why its task is a narrow one (AI Act article 6(3)).
    pub narrow_task: Option<String>,
    /// What a decision does to people.
    pub effect: Effect,
    /// Whether a person looks at a decision before it is carried out.
    pub review: Review,
    /// Since when it is on the market.
    pub on_market_since: Option<Instant>,
    /// Who can stop it.
    pub oversight: Vec<String>,
    /// The risk management file, in the project.
    pub risk_file: Option<String>,
    /// The instructions for those who use it.
    pub instructions: Option<String>,
    /// The assessment of fundamental rights.
    pub fundamental_rights_file: Option<String>,
    /// What is so, for an impact assessment, beside what the running house knows.
    pub dpia_facts: Vec<String>,
    /// The impact assessment's text, in the project.
    pub dpia_file: Option<String>,
}

/// What a decision does to people.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing of weight: a message, an offer.
    #[default]
    None,
    /// Something that affects them similarly to a legal effect: a price, a credit, a contract.
    Significant,
    /// A legal effect.
    Legal,
}

/// Whether a person looks at a decision before it is carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Review {
    /// Nobody.
    #[default]
    None,
    /// Whoever it concerns may ask for it (GDPR article 22(3)).
    OnRequest,
    /// Always: nothing is carried out before a person approves.
    Before,
}

/// Reads the sections `ai_act` and `dpia`; both may be left out.
pub(crate) fn read(all: &Section, findings: &mut Findings) -> Duties {
    let mut duties = Duties::default();
    if let Some(node) = all.find("ai_act")
        && let Some(section) = Section::of(node, "`ai_act`", &AI_ACT_KEYS, findings)
    {
        ai_act(&section, &mut duties, findings);
    }
    if let Some(node) = all.find("dpia")
        && let Some(section) = Section::of(node, "`dpia`", &DPIA_KEYS, findings)
    {
        duties.dpia_facts = texts(&section, "facts", "[matched_data]", findings);
        duties.dpia_file = section.maybe_text("file", "registers/dpia_offers.md", findings);
        inside(&section, "file", duties.dpia_file.as_deref(), findings);
    }
    duties
}

fn ai_act(section: &Section, duties: &mut Duties, findings: &mut Findings) {
    duties.uses = texts(section, "uses", "[chat]", findings);
    duties.not = texts(section, "not", "[creditworthiness]", findings);
    let example = "a voucher is no credit";
    duties.because = section.maybe_text("because", example, findings).unwrap_or_default();
    if !duties.not.is_empty() && duties.because.is_empty() {
        section.need("because", example, findings);
    }
    duties.narrow_task = section.maybe_text("narrow_task", "sorts letters by their date", findings);
    duties.effect = word(section, "effect", findings);
    duties.review = word(section, "review", findings);
    duties.on_market_since = section.maybe_parsed("on_market_since", "2026-03-01", findings);
    duties.oversight = texts(section, "oversight", "[Ann Example, Bo Example]", findings);
    let mut file = |key, example| {
        let path = section.maybe_text(key, example, findings);
        inside(section, key, path.as_deref(), findings);
        path
    };
    duties.risk_file = file("risk_file", "registers/risks.md");
    duties.instructions = file("instructions", "registers/instructions.md");
    duties.fundamental_rights_file = file("fundamental_rights_file", "registers/rights.md");
}

fn texts(section: &Section, key: &str, example: &str, findings: &mut Findings) -> Vec<String> {
    section.texts(key, example, false, findings).into_iter().map(|(_, text)| text).collect()
}

fn word<T: Default + std::str::FromStr<Err = String>>(
    section: &Section,
    key: &str,
    findings: &mut Findings,
) -> T {
    section.maybe_parsed(key, "none", findings).unwrap_or_default()
}

/// A path that leads out of the project is none of its papers.
fn inside(section: &Section, key: &str, path: Option<&str>, findings: &mut Findings) {
    let Some(path) = path else { return };
    let leads_out = path.starts_with('/') || path.split(['/', '\\']).any(|part| part == "..");
    if leads_out || path.len() > 256 {
        let line = section.find(key).map_or(section.line(), |node| node.line);
        let message = format!("`{key}: {}` is no path within the project", short(path));
        findings.add(code::BAD_VALUE, line, message);
    }
}

impl std::str::FromStr for Effect {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "significant" => Ok(Self::Significant),
            "legal" => Ok(Self::Legal),
            other => Err(format!("`{}` is none of `none`, `significant`, `legal`", short(other))),
        }
    }
}

impl std::str::FromStr for Review {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self::None),
            "on_request" => Ok(Self::OnRequest),
            "before" => Ok(Self::Before),
            other => Err(format!("`{}` is none of `none`, `on_request`, `before`", short(other))),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::UseCase;
    use crate::testing::USE_CASE;

    fn read(more: &str) -> Result<super::Duties, String> {
        let text = format!("{USE_CASE}\n{more}");
        UseCase::parse(&text, "f.yaml")
            .map(|use_case| use_case.duties)
            .map_err(|found| found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    #[test]
    fn duties_are_read_and_what_is_wrong_says_what_to_write() {
        assert_eq!(read("").unwrap(), super::Duties::default());
        let duties = read(
            "ai_act: {uses: [job_ads], effect: significant, review: before, oversight: [Ann, Bo], risk_file: r.md}\n\
             dpia: {facts: [matched_data], file: d.md}",
        )
        .unwrap();
        assert_eq!(
            (duties.uses.as_slice(), duties.review),
            (&["job_ads".to_owned()][..], super::Review::Before)
        );
        assert_eq!(duties.dpia_file.as_deref(), Some("d.md"));
        assert!(read("ai_act: {not: [job_ads]}").unwrap_err().contains("because"));
        assert!(read("ai_act: {effect: huge}").unwrap_err().contains("`significant`"));
        assert!(read("ai_act: {risk_file: ../../etc/passwd}").unwrap_err().contains("within the project"));
        assert!(read("ai_act: {risk_file: /etc/passwd}").unwrap_err().contains("within the project"));
        assert!(read("ai_act: {usess: [x]}").unwrap_err().contains("`uses`"));
        assert!(read("ai_act: [x]").unwrap_err().contains("mapping"));
        assert!(read("ai_act: {on_market_since: soon}").unwrap_err().contains("on_market_since"));
        assert!(read("dpia: 7").unwrap_err().contains("mapping"));
    }
}
