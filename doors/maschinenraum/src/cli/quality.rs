//! Flags of `quality`, `profile` and `quarantine`.

use std::path::PathBuf;

use clap::Args;

/// `quality`
#[derive(Args, Debug)]
pub struct Quality {
    /// One stream, with its fields; all streams unless said.
    pub stream: Option<String>,
    /// Buckets of event time: day, week or month.
    #[arg(long, default_value = "day")]
    pub by: String,
    /// From this day on.
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Up to this day, included.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Exit code 1 where a rule is broken or something is lost that was there before.
    #[arg(long)]
    pub fail: bool,
}

/// `profile`
#[derive(Args, Debug)]
pub struct Profile {
    /// The file: CSV, JSON lines or Parquet.
    pub file: PathBuf,
    /// Write a page with all pictures; it loads nothing from anywhere.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
}

/// `quarantine`
#[derive(Args, Debug)]
pub struct Quarantine {
    /// Only of this stream.
    #[arg(long)]
    pub stream: Option<String>,
    /// Only with this finding, like MR1004.
    #[arg(long)]
    pub code: Option<String>,
    /// Only with a finding about this field.
    #[arg(long)]
    pub field: Option<String>,
    /// Only of this import.
    #[arg(long)]
    pub batch: Option<String>,
    /// Also those that were mended since.
    #[arg(long)]
    pub mended: bool,
    /// How many were refused, wait and were mended, by stream.
    #[arg(long)]
    pub totals: bool,
    /// This many of them, spread evenly and the same each time, with what may be shown of them.
    #[arg(long, value_name = "N")]
    pub sample: Option<usize>,
    /// This record, with what may be shown of it; may be given often.
    #[arg(long, value_name = "ID", conflicts_with = "sample")]
    pub show: Vec<String>,
    /// Judge all that are meant anew by today's contracts, and write nothing.
    #[arg(long, conflicts_with_all = ["replay", "replay_all"])]
    pub test: bool,
    /// Judge this record anew by today's contract.
    #[arg(long, value_name = "ID")]
    pub replay: Option<String>,
    /// Judge all that are meant anew; what passes is accepted.
    #[arg(long, conflicts_with = "replay")]
    pub replay_all: bool,
    /// Entries shown at most.
    #[arg(long, default_value_t = 20)]
    pub most: usize,
}
