//! Flags of `lineage`, `catalogue`, `impact` and `lake`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// `lineage`
#[derive(Args, Debug)]
pub struct Lineage {
    /// A thing (`field:orders.total`, `purchases.spent`, `model:response`) or a decision's id; without it, an overview
    /// with the circles there are.
    pub what: Option<String>,
    /// Only what it is made from.
    #[arg(long)]
    pub up: bool,
    /// Only what it goes into.
    #[arg(long)]
    pub down: bool,
    /// Steps at most.
    #[arg(long)]
    pub depth: Option<usize>,
    /// For a decision: a folder with the imported files, to find the rows.
    #[arg(long, value_name = "FOLDER")]
    pub files: Option<PathBuf>,
    /// For a decision: every raw record, not only the latest.
    #[arg(long)]
    pub all: bool,
    /// Write this house as OpenLineage events: to a file, `-`, or a URL (its key in OPENLINEAGE_API_KEY).
    #[arg(long, value_name = "FILE|-|URL", conflicts_with = "what")]
    pub emit: Option<String>,
    /// Take OpenLineage events of other tools from a file, one JSON object a line.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["what", "emit"])]
    pub accept: Option<PathBuf>,
}

/// `catalogue`
#[derive(Args, Debug)]
pub struct Catalogue {
    /// Words of the name or the description.
    pub text: Vec<String>,
    /// Part of the owner's name.
    #[arg(long)]
    pub owner: Option<String>,
    /// A purpose.
    #[arg(long)]
    pub purpose: Option<String>,
    /// A field's name: it, and all that is made from it.
    #[arg(long)]
    pub field: Option<String>,
    /// source, stream, field, trait, feature, model, use_case, channel, dataset, column or job.
    #[arg(long)]
    pub kind: Option<String>,
    /// Only what holds personal data (true) or what does not (false).
    #[arg(long)]
    pub personal: Option<bool>,
    /// Only what nothing tests.
    #[arg(long)]
    pub untested: bool,
}

/// `impact`
#[derive(Args, Debug)]
pub struct ImpactArgs {
    /// What if this were removed: a field, feature, model or stream; may be given often. Without it, the contracts as
    /// they are written are held against those in force.
    #[arg(long, value_name = "THING")]
    pub remove: Vec<String>,
    /// Another project directory, whose contracts count as in force.
    #[arg(long, value_name = "DIR")]
    pub against: Option<PathBuf>,
}

/// `lake`
#[derive(Subcommand, Debug)]
pub enum Lake {
    /// The records of a stream, through its contract.
    ///
    /// Example: maschinenraum lake stream transactions --purpose analytics --to transactions.parquet
    Stream {
        /// The stream.
        stream: String,
        /// What for; the contract must allow it, and whoever said no is left out.
        #[arg(long)]
        purpose: String,
        /// The file to write.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// As the documents lay when they came, so that `import` takes the file in again.
        #[arg(long)]
        raw: bool,
    },
    /// The values of a feature view, one row a profile.
    ///
    /// Example: maschinenraum lake features shopping --purpose analytics --to shopping.parquet
    Features {
        /// The view, or one of its versions as `shopping@1`.
        view: String,
        /// What for.
        #[arg(long)]
        purpose: String,
        /// The file to write.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// As of this instant, if not now.
        #[arg(long)]
        at: Option<String>,
    },
    /// The dataset that a model would learn from now, its manifest in the file.
    ///
    /// Example: maschinenraum lake dataset redeem --to redeem.parquet
    Dataset {
        /// The model.
        model: String,
        /// The file to write.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    /// The whole instance in open formats: journal as Parquet, sealed cells as they are; the master key is not in it.
    ///
    /// Example: maschinenraum lake instance --to /mnt/exchange/2026-11-24
    Instance {
        /// An empty folder.
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
    /// Puts an exported instance into this (empty) project directory, folds it anew and compares the digests; exit code
    /// 1 where they differ.
    ///
    /// Example: maschinenraum -C new-place lake load /mnt/exchange/2026-11-24 --master old-place/master.key
    Load {
        /// The folder.
        from: PathBuf,
        /// The master key's file, copied to where the settings say; without it the key must lie there already.
        #[arg(long, value_name = "FILE")]
        master: Option<PathBuf>,
        /// Partitions, if not as many as it had.
        #[arg(long)]
        partitions: Option<u16>,
    },
}
