//! `segments/*.yaml`: a saved rule that says who belongs to an audience, and for what.

use std::cell::RefCell;

use contract::{Finding, Severity};
use event::{Instant, RecordId};
use feature::expr::{self, Expr, Facts, Problem, Truth, Value};
use serde::Deserialize;

/// What begins the name of a trait in a rule.
pub const TRAIT: &str = "trait.";
/// What begins the name of another segment in a rule.
pub const SEGMENT: &str = feature::SEGMENT;

/// A segment, read.
#[derive(Clone, Debug)]
pub struct Segment {
    /// Its name.
    pub name: String,
    /// Its version: a rule that says something else is another version.
    pub version: u32,
    /// Who answers for it.
    pub owner: String,
    /// What it is for, in words.
    pub description: String,
    /// For which purpose people are read: whoever said no to it is in no count.
    pub purpose: String,
    /// Who belongs to it.
    pub rule: Expr,
    /// The names at the rule's places: `view.feature`, `trait.name` and `segment.name`.
    pub inputs: Vec<String>,
    /// The file it stands in.
    pub file: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    segment: String,
    #[serde(default = "first")]
    version: u32,
    owner: String,
    #[serde(default)]
    description: String,
    purpose: String,
    rule: String,
}

fn first() -> u32 {
    1
}

impl Segment {
    /// Reads a segment; `file` is for messages.
    ///
    /// # Errors
    /// Every finding that stands in the way: MR3120 for the file, MR3121 for the rule.
    pub fn parse(yaml: &str, file: &str) -> Result<Self, Vec<Finding>> {
        let line_of = |key: &str| yaml.lines().position(|line| line.starts_with(key)).map_or(1, |at| at + 1);
        let finding = |code, line: usize, message: String| Finding {
            code,
            severity: Severity::Error,
            stream: String::new(),
            field: None,
            message,
            file: Some(file.to_owned()),
            line: u32::try_from(line).ok(),
        };
        let read: File = serde_saphyr::from_str(yaml).map_err(|error| {
            let line = error.location().map_or(1, |location| usize::try_from(location.line()).unwrap_or(1));
            vec![finding("MR3120", line, error.without_snippet().to_string())]
        })?;
        let mut findings = Vec::new();
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if read.segment.is_empty() || read.segment.len() > 64 || !read.segment.chars().all(fits) {
            let what = "a segment's name is up to 64 of a-z, 0-9 and _";
            findings.push(finding(
                "MR3120",
                line_of("segment:"),
                format!("{what}; `{}` is not", short(&read.segment)),
            ));
        }
        if read.version == 0 {
            findings.push(finding("MR3120", line_of("version:"), "versions are counted from 1".to_owned()));
        }
        for (key, text) in [("owner:", &read.owner), ("purpose:", &read.purpose)] {
            if text.trim().is_empty() {
                findings.push(finding("MR3120", line_of(key), format!("`{key}` is empty")));
            }
        }
        let inputs = RefCell::new(Vec::<String>::new());
        let slot = |name: &str| {
            let (view, feature) = name.rsplit_once('.')?;
            if view.is_empty() || feature.is_empty() {
                return None;
            }
            let mut inputs = inputs.borrow_mut();
            let known = inputs.iter().position(|input| input == name);
            Some(known.unwrap_or_else(|| {
                inputs.push(name.to_owned());
                inputs.len() - 1
            }))
        };
        let line = line_of("rule:");
        let rule = match expr::parse(&read.rule, slot) {
            Ok(rule) => {
                if !rule.purposes().is_empty() {
                    let what =
                        "a segment asks for its own purpose by itself; `consent(…)` has no place in its rule";
                    findings.push(finding("MR3121", line, what.to_owned()));
                }
                Some(rule)
            }
            Err(problem) => {
                findings.push(finding("MR3121", line, said(&read.rule, problem)));
                None
            }
        };
        match rule {
            Some(rule) if findings.is_empty() => Ok(Self {
                name: read.segment,
                version: read.version,
                owner: read.owner,
                description: read.description,
                purpose: read.purpose,
                rule,
                inputs: inputs.into_inner(),
                file: file.to_owned(),
            }),
            _ => Err(findings),
        }
    }

    /// The traits it looks at, by name.
    pub fn traits(&self) -> impl Iterator<Item = &str> {
        self.inputs.iter().filter_map(|input| input.strip_prefix(TRAIT))
    }

    /// The features it looks at, as `view.feature`.
    pub fn features(&self) -> impl Iterator<Item = &str> {
        let is_feature = |input: &&str| !input.starts_with(TRAIT) && !input.starts_with(SEGMENT);
        self.inputs.iter().map(String::as_str).filter(is_feature)
    }

    /// The segments it looks at, by name.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.inputs.iter().filter_map(|input| input.strip_prefix(SEGMENT))
    }

    /// Name and version, as decisions write it: `loyal@2`.
    pub fn reference(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    /// Names what decides who belongs to it: the rule as it is understood, and the purpose.
    pub fn fingerprint(&self) -> String {
        let text = format!("{}\n{}\n{}\n{}", self.name, self.version, self.purpose, self.rule);
        RecordId::external("segment", text.as_bytes()).to_string()
    }

    /// Whether somebody belongs to it; what is unknown is not true.
    ///
    /// * `values`: at the rule's places, in the order of [`Segment::inputs`]
    /// * `at`: the moment it is asked for
    pub fn holds(&self, values: &[Option<Value>], at: Instant) -> bool {
        self.rule.eval(&Moment { values, at }) == Truth::True
    }
}

struct Moment<'v> {
    values: &'v [Option<Value>],
    at: Instant,
}

impl Facts for Moment<'_> {
    fn value(&self, slot: usize) -> Option<&Value> {
        self.values.get(slot)?.as_ref()
    }

    fn consent(&self, _: &str) -> bool {
        // A segment has one purpose, and whoever said no to it is read by nobody.
        false
    }

    fn at(&self) -> Option<Instant> {
        Some(self.at)
    }
}

fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

fn said(rule: &str, problem: Problem) -> String {
    match problem {
        Problem::Syntax(what) => format!("the rule `{}` cannot be read: {what}", short(rule)),
        Problem::Undeclared(name) => {
            format!("`{}` is none of `view.feature`, `trait.name` and `segment.name`", short(&name))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(yaml: &str, code: &str, line: u32, says: &str) {
        let found = Segment::parse(yaml, "segments/s.yaml").unwrap_err();
        let one = found.first().unwrap();
        assert_eq!((one.code, one.line), (code, Some(line)), "{one:?}");
        assert!(one.message.contains(says), "{}", one.message);
    }

    #[test]
    fn a_segment_is_a_rule_over_features_and_traits() {
        let yaml = "segment: loyal\nowner: Ada\npurpose: email_marketing\nrule: orders.n >= 3 and trait.country = 'DE'\n";
        let segment = Segment::parse(yaml, "segments/loyal.yaml").unwrap();
        assert_eq!(segment.inputs, ["orders.n", "trait.country"]);
        assert_eq!(segment.traits().collect::<Vec<_>>(), ["country"]);
        assert_eq!(segment.features().collect::<Vec<_>>(), ["orders.n"]);
    }

    #[test]
    fn a_segment_may_look_at_others() {
        let yaml = "segment: best\nversion: 2\nowner: Ada\npurpose: p\nrule: segment.loyal and not segment.late and orders.n > 5\n";
        let segment = Segment::parse(yaml, "segments/best.yaml").unwrap();
        assert_eq!(segment.segments().collect::<Vec<_>>(), ["loyal", "late"]);
        assert_eq!(segment.features().collect::<Vec<_>>(), ["orders.n"]);
        assert_eq!(segment.reference(), "best@2");
        let holds = |loyal, late, n| {
            let values = [Some(Value::Flag(loyal)), late, Some(Value::Number(n))];
            segment.holds(&values, Instant::from_micros(1))
        };
        assert!(holds(true, Some(Value::Flag(false)), 6.0));
        assert!(!holds(true, None, 6.0), "what is unknown is not true");
        let (other, version) = (yaml.replace("> 5", "> 6"), yaml.replace("version: 2", "version: 3"));
        let fingerprint = |yaml: &str| Segment::parse(yaml, "f").unwrap().fingerprint();
        assert_ne!(fingerprint(yaml), fingerprint(&other));
        assert_ne!(fingerprint(yaml), fingerprint(&version));
        assert_eq!(
            fingerprint(yaml),
            fingerprint(&yaml.replace("n > 5", "n  >  5")),
            "not how it is written"
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let with = |rule: &str| format!("segment: s\nowner: a\npurpose: p\nrule: \"{rule}\"\n");
        check(&with("orders.n >="), "MR3121", 4, "cannot be read");
        check(&with("country = 'DE'"), "MR3121", 4, "none of");
        check(&with("consent('p')"), "MR3121", 4, "own purpose");
        check("segment: Loyal!\nowner: a\npurpose: p\nrule: a.b\n", "MR3120", 1, "`Loyal!`");
        check("segment: s\nversion: 0\nowner: a\npurpose: p\nrule: a.b\n", "MR3120", 2, "from 1");
        check("segment: s\nowner: ''\npurpose: p\nrule: a.b\n", "MR3120", 2, "owner");
        check("segment: s\nowner: a\npurpose: p\nrule: a.b\nlimit: 3\n", "MR3120", 5, "limit");
    }
}
