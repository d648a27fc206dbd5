//! Every command and its flags; help texts are made from here.

mod audit;
mod lineage;
mod quality;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use self::audit::{Audit, Cosign as AuditCosign, List as AuditList, Verify as AuditVerify};
pub use lineage::{Catalogue, ImpactArgs, Lake, Lineage};
pub use quality::{Profile, Quality, Quarantine};

/// Below `--help`: where to begin, and what a script needs to know.
const AFTER_HELP: &str = "\
To begin: `maschinenraum simulate shop --out shop`, or `maschinenraum init --from orders.csv my-project`; docs/guide.md \
goes on from there.

Exit codes: 0 done; 1 something does not hold (findings, a refused gate, a replay that differs); 2 wrong use; 3 an \
error, explained on stderr. Data goes to stdout, everything else to stderr.";

/// The engine room of AI for marketing and operations: consented records in, governed decisions out, every one
/// measured.
#[derive(Parser, Debug)]
#[command(version, arg_required_else_help = true, after_help = AFTER_HELP)]
pub struct Cli {
    /// The project directory.
    #[arg(long, short = 'C', global = true, default_value = ".", env = "MASCHINENRAUM_PROJECT")]
    pub project: PathBuf,
    /// Data as JSON.
    #[arg(long, global = true)]
    pub json: bool,
    /// More log lines; twice for more still.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Log lines as JSON.
    #[arg(long, global = true)]
    pub log_json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Starts a project directory; with a sample file, proposes its contract.
    ///
    /// Example: maschinenraum init --from orders.csv --stream orders my-project
    Init(Init),
    /// Checks the project without a server, and files against their contracts; exit code 1 where something breaks.
    ///
    /// Example: maschinenraum check --file orders=samples/orders.csv
    Check {
        /// A file to hold against a contract, as STREAM=PATH; may be given often.
        #[arg(long = "file", value_name = "STREAM=PATH")]
        files: Vec<String>,
        /// Findings shown per file at most.
        #[arg(long, default_value_t = 20)]
        most: usize,
    },
    /// Puts the checked project into force: folds the state anew where contracts or views have changed.
    Apply,
    /// Runs the server until Ctrl-C or SIGTERM.
    Serve {
        /// Another address and port than the settings say.
        #[arg(long)]
        listen: Option<String>,
    },
    /// Brings a file in through a stream's contract: CSV, JSON lines or Parquet; resumable, and the same file twice is
    /// one import.
    ///
    /// Example: maschinenraum import --stream orders data/orders.csv
    Import(Import),
    /// Makes a synthetic shop with known truth.
    ///
    /// Example: maschinenraum simulate shop --customers 5000 --seed 1 --out shop
    Simulate(Simulate),
    /// Trains a model of models/*.yaml: baseline and challenger, both registered dark with the gate's word; exit code 1
    /// where the gate lets neither through.
    ///
    /// Example: maschinenraum train response
    Train {
        /// The model.
        model: String,
    },
    /// Models, their versions and cards.
    ///
    /// Example: maschinenraum models response --version 2
    Models {
        /// One model.
        model: Option<String>,
        /// One version's card, as Markdown.
        #[arg(long)]
        version: Option<u32>,
    },
    /// Moves a model version towards traffic, through its gate.
    ///
    /// Example: maschinenraum promote response 2 --to canary --share 10 --reason "better on campaign 18"
    Promote {
        /// The model.
        model: String,
        /// The version.
        version: u32,
        /// Where to.
        #[arg(long, value_enum)]
        to: Stage,
        /// Percent of the profiles that a canary serves.
        #[arg(long, default_value_t = 10.0)]
        share: f64,
        /// Why; it is kept with the release.
        #[arg(long)]
        reason: String,
        /// Who approves.
        #[arg(long, env = "USER", default_value = "cli")]
        by: String,
    },
    /// Takes a model's latest move to traffic back; in force with the next request.
    ///
    /// Example: maschinenraum rollback response --reason "complaints since Monday"
    Rollback {
        /// The model.
        model: String,
        /// Why; it is kept with the release.
        #[arg(long)]
        reason: String,
        /// Who orders it.
        #[arg(long, env = "USER", default_value = "cli")]
        by: String,
    },
    /// Decides for one person, or for a list of them; who did not consent is counted and left alone.
    ///
    /// Example: maschinenraum decide next_order --id user_id=c00001
    Decide {
        /// The use case.
        use_case: String,
        /// The person, as TYPE=VALUE.
        #[arg(long, value_name = "TYPE=VALUE", required_unless_present = "list")]
        id: Option<String>,
        /// A file of people: one value per line, or a CSV whose first column is named after the identifier type.
        #[arg(long, value_name = "FILE", conflicts_with = "id")]
        list: Option<PathBuf>,
        /// What is known of this moment, as NAME=VALUE; may be given often.
        #[arg(long = "context", value_name = "NAME=VALUE")]
        context: Vec<String>,
    },
    /// Explains a decision: the feasible set, why not the others, features, versions, consent, outcomes.
    ///
    /// Example: maschinenraum explain 586f84b1b208990d36922f3b56498993 --lang de
    Explain {
        /// The decision's id.
        decision: String,
        /// The language.
        #[arg(long, value_enum, default_value_t = Language::En)]
        lang: Language,
    },
    /// Tells what came of a decision.
    ///
    /// Example: maschinenraum outcome 586f84b1b208990d36922f3b56498993 order --value-cents 4990
    Outcome {
        /// The decision's id.
        decision: String,
        /// What happened: click, order, complaint, …
        kind: String,
        /// What it was worth, in cents.
        #[arg(long)]
        value_cents: Option<i64>,
        /// When it happened, if not now.
        #[arg(long)]
        at: Option<String>,
    },
    /// What people said about purposes: recorded, asked for and confirmed, restricted, objected to, and proven.
    ///
    /// Example: maschinenraum consent --id email=a@example.org email_marketing withdrawn
    Consent(Box<crate::command::consent::Consent>),
    /// What a use case did: decisions by action and channel, cost, uplift against the holdout.
    ///
    /// Example: maschinenraum report next_order
    Report {
        /// The use case.
        use_case: String,
        /// Count every decision by this version of the metric's formula; otherwise each by that of its own time.
        #[arg(long, value_name = "VERSION")]
        formula: Option<event::Version>,
        /// Only what was decided and known by then; with --formula.
        #[arg(long, value_name = "TIME", requires = "formula")]
        until: Option<event::Instant>,
    },
    /// Hands chosen actions to a channel tool as CSV, identifiers opened under a grant, consent asked again.
    ///
    /// Example: maschinenraum export --claim newsletter-2026-11 > actions.csv
    Export {
        /// Names this export; the same name again goes on where it stopped.
        #[arg(long)]
        claim: String,
    },
    /// Sends chosen actions to the webhook of the settings.
    Deliver,
    /// Folds the journal anew: rebuilds the state, or verifies it beside the one in use.
    Replay {
        /// Build beside and compare digests; the state in use stays.
        #[arg(long)]
        verify: bool,
    },
    /// How good the data is: what changed first, then completeness, accuracy, timeliness, consistency and uniqueness of
    /// each stream, over time.
    ///
    /// Example: maschinenraum quality orders --by month
    Quality(Quality),
    /// Looks through a file before there is a contract: types, gaps, spreads, most frequent values, with pictures.
    ///
    /// Example: maschinenraum profile orders.csv --html orders.html
    Profile(Profile),
    /// What was refused and why: browse, sample, try a mended contract, replay.
    ///
    /// Example: mend contracts/orders.yaml, then maschinenraum quarantine --test, then quarantine --replay-all
    Quarantine(Quarantine),
    /// What something is made from and goes into; a decision, back to its raw rows; OpenLineage events in and out.
    ///
    /// Example: maschinenraum lineage field:transactions.sales_value --down
    Lineage(Lineage),
    /// Everything that has a name, found by words, owner, purpose, field or kind.
    ///
    /// Example: maschinenraum catalogue spent --kind feature
    Catalogue(Catalogue),
    /// What a changed contract, or something removed, would break; exit code 1 where something breaks.
    ///
    /// Example: maschinenraum impact --remove transactions.sales_value
    Impact(ImpactArgs),
    /// Takes data out as Parquet for DuckDB, Polars or Spark, under a grant; a whole instance out, and in again.
    #[command(subcommand)]
    Lake(Lake),
    /// Scheduled work of jobs/*.yaml: shown, run, or done step by step for Airflow and the like.
    ///
    /// Example: maschinenraum jobs run nightly
    #[command(subcommand)]
    Jobs(crate::command::jobs::Jobs),
    /// Contract files by themselves: what is wrong with them, what changes from one version to the next, their quality
    /// rules judged over a file.
    ///
    /// Example: maschinenraum contract breaking contracts/orders-1.yaml contracts/orders-2.yaml
    #[command(subcommand)]
    Contract(crate::command::contract::Contracts),
    /// Takes the changes of a PostgreSQL database, each exactly once, by [captures.NAME] of the settings; without a name,
    /// shows how every capture stands.
    ///
    /// Example: maschinenraum capture shop --once
    Capture(crate::command::capture::Capture),
    /// What records come by, when each source was last seen and what is wrong with it; exit code 1 where something is.
    ///
    /// Example: maschinenraum sources web; maschinenraum sources drop --look
    Sources(crate::command::sources::Sources),
    /// Feature views: listed, read, tested, compared between serving and training, and with another project.
    ///
    /// Example: maschinenraum features get user_id=c00001 orders --purpose analytics
    #[command(subcommand)]
    Features(crate::command::features::Features),
    /// Who is who: profiles explained, merged and parted by hand; households and accounts.
    ///
    /// Example: maschinenraum people merge user_id=c00001 user_id=c00002 --reference T-17
    #[command(subcommand)]
    People(crate::command::people::People),
    /// Saved rules of segments/*.yaml: how many belong to them, now or then, and who.
    ///
    /// Example: maschinenraum segments count loyal --at 2026-03-01T00:00:00Z
    #[command(subcommand)]
    Segments(crate::command::segments::Segments),
    /// Registers from what runs: processing activities, impact assessments, classes, annex IV, incidents, models; as Markdown,
    /// HTML, PDF or JSON, in English or German.
    ///
    /// Example: maschinenraum register ropa --format pdf --lang de --out verzeichnis.pdf
    Register(crate::command::registers::Register),
    /// Impact assessments (GDPR article 35): which are due, and signing them.
    #[command(subcommand)]
    Dpia(crate::command::registers::Dpia),
    /// Human oversight (AI Act article 14): stops a use case, lets it go on, approves or overrules a decision.
    #[command(subcommand)]
    Oversight(crate::command::registers::Oversight),
    /// Incidents with their clocks: 72 hours of GDPR article 33, the days of AI Act article 73.
    #[command(subcommand)]
    Incident(crate::command::registers::Incidents),
    /// Requests of people (GDPR articles 15 to 21): access, rectification, erasure, restriction, portability, objection; each
    /// within a month, with a receipt of every store.
    ///
    /// Example: maschinenraum request open access --id email=ann@example.com
    #[command(subcommand)]
    Request(crate::command::requests::Requests),
    /// The log of privileged acts: listed, proven, verified, given to witnesses.
    ///
    /// Example: maschinenraum audit list --what key.
    #[command(subcommand)]
    Audit(Audit),
    /// API keys.
    #[command(subcommand)]
    Keys(Keys),
    /// Who may do what for which purpose: the policies in force, what they say to a question, their tests.
    ///
    /// Example: maschinenraum roles ask --role marketer export --purpose email_marketing --class special
    #[command(subcommand)]
    Roles(crate::command::roles::Roles),
    /// How the instance is: streams, counts, lag, budgets.
    Status,
    /// Copies the instance into an empty directory; the master key is not in it.
    ///
    /// Example: maschinenraum backup /mnt/backup/2026-11-24
    Backup {
        /// The directory.
        to: PathBuf,
        /// Ask a running server at this URL, with an admin key in MASCHINENRAUM_KEY.
        #[arg(long, value_name = "URL")]
        server: Option<String>,
    },
    /// Puts a backup into this (empty) project directory.
    ///
    /// Example: maschinenraum -C new-place restore /mnt/backup/2026-11-24
    Restore {
        /// The backup's directory.
        from: PathBuf,
        /// A copy of the keys, as `vault copy` made it: needed where an erasure or a rotation came after the backup.
        #[arg(long, value_name = "DIR")]
        keys: Option<PathBuf>,
    },
    /// Erases people with everything of their profiles, from every store and every backup; prints a receipt per store.
    ///
    /// Example: maschinenraum erase --id email=ann@example.com --reason "Art. 17 request 2026-118"
    Erase(crate::command::erase::Erase),
    /// Trains every model anew that learned from people who were erased since; exit code 1 where a gate lets none through.
    Retrain {
        /// Only say which; exit code 1 where there is one.
        #[arg(long)]
        dry_run: bool,
    },
    /// Keys: renewed, copied; pseudonyms by purpose.
    #[command(subcommand)]
    Vault(crate::command::vault::Vault),
    /// Does the main job once, from records to a measured uplift, on a synthetic shop or on the Complete Journey data.
    Demo(Demo),
}

/// `init`
#[derive(Args, Debug)]
pub struct Init {
    /// The directory to make.
    pub dir: PathBuf,
    /// A sample file (CSV, JSON lines, Parquet) to propose a contract from.
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// The stream's name; without it, the file's.
    #[arg(long, requires = "from")]
    pub stream: Option<String>,
}

/// `import`
#[derive(Args, Debug)]
pub struct Import {
    /// The file.
    #[arg(required_unless_present_any = ["list", "undo"])]
    pub file: Option<PathBuf>,
    /// The stream it fills.
    #[arg(long, required_unless_present_any = ["list", "undo", "consents"])]
    pub stream: Option<String>,
    /// The file holds consents: columns purpose, status (granted, denied, withdrawn), at, and one named after an
    /// identifier type; notice_version and source if there.
    #[arg(long, conflicts_with = "stream")]
    pub consents: bool,
    /// The source it came by, for `maschinenraum sources` and for quality by source; `import` unless said.
    #[arg(long, conflicts_with = "consents")]
    pub source: Option<String>,
    /// Show all imports.
    #[arg(long)]
    pub list: bool,
    /// Take a whole import back.
    #[arg(long, value_name = "BATCH")]
    pub undo: Option<String>,
}

/// `simulate`
#[derive(Args, Debug)]
pub struct Simulate {
    /// Which world.
    #[arg(value_enum)]
    pub world: World,
    /// The directory to write: a project, its data below `data-in/`, and the truth.
    #[arg(long)]
    pub out: PathBuf,
    /// Customers.
    #[arg(long, default_value_t = 5_000)]
    pub customers: u32,
    /// What all draws come from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
}

/// `demo`
#[derive(Args, Debug)]
pub struct Demo {
    /// Where to work; made new. Without it, a directory below `target/demo` or the system's for temporary files.
    #[arg(long)]
    pub dir: Option<PathBuf>,
    /// A folder with the Complete Journey files (cj_*.parquet) instead of the synthetic shop.
    #[arg(long, value_name = "FOLDER")]
    pub from: Option<PathBuf>,
    /// Customers of the synthetic shop.
    #[arg(long, default_value_t = 5_000)]
    pub customers: u32,
    /// What all draws of the synthetic shop come from.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// End after the report instead of leaving a server running.
    #[arg(long)]
    pub no_serve: bool,
}

/// `keys`
#[derive(Subcommand, Debug)]
pub enum Keys {
    /// Makes a key and shows it once.
    ///
    /// Example: maschinenraum keys create website --scope track --days 365
    Create {
        /// Whose it is.
        name: String,
        /// What it may do; may be given often: track, consent, read, decide, train, send, export, jobs, protect, admin.
        #[arg(long = "scope", required_unless_present = "role")]
        scopes: Vec<String>,
        /// Its role; without one it follows from the scopes. With a role and no scope: whatever the role opens.
        #[arg(long)]
        role: Option<String>,
        /// Days until it expires.
        #[arg(long)]
        days: Option<i64>,
    },
    /// Every key, without its secret.
    List,
    /// Revokes a key.
    Revoke {
        /// Its public part.
        id: String,
    },
}

/// Where a version moves.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Stage {
    /// A share of the profiles.
    Canary,
    /// Everybody.
    Live,
    /// Nobody.
    Dark,
    /// Out of use.
    Retired,
}

/// The language of texts.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Language {
    /// English.
    En,
    /// German.
    De,
}

/// What a person said.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Said {
    /// Yes.
    Granted,
    /// No.
    Denied,
    /// No longer.
    Withdrawn,
}

/// A world with known truth.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum World {
    /// A shop with campaigns.
    Shop,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Cli;

    #[test]
    fn no_two_flags_of_a_command_share_a_name() {
        Cli::command().debug_assert();
    }
}
