//! Flags of `audit`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use event::Instant;

/// `audit`
#[derive(Subcommand, Debug)]
pub enum Audit {
    /// Verifies the whole log; exit code 1, naming the first entry or file, where it is not what was signed. Without PATH
    /// the project's own, against its journal; with PATH an exported directory or a .tlog-proof, with no house at all.
    ///
    /// Example: maschinenraum audit verify /mnt/witness/2026-11 --key "$(cat audit.vkey)"
    Verify(Verify),
    /// Which privileged acts there were, the latest first.
    ///
    /// Example: maschinenraum audit list --what key. --from 2026-11-01T00:00:00Z
    List(List),
    /// One entry; with --open also what was sealed with it, which is an entry itself.
    Show {
        /// Its index.
        index: u64,
        /// Open what is sealed under its subject's key.
        #[arg(long)]
        open: bool,
    },
    /// Proves that entries are in the log: one as a .tlog-proof on stdout, several with the entries' bytes into a
    /// directory.
    ///
    /// Example: maschinenraum audit prove 17 > 17.tlog-proof
    Prove {
        /// Their indexes.
        #[arg(required = true)]
        indexes: Vec<u64>,
        /// Where to write INDEX.tlog-proof and INDEX.entry.
        #[arg(long, value_name = "DIR")]
        to: Option<PathBuf>,
    },
    /// Proves that the log of OLD entries is the beginning of the log of now, with its checkpoint, as a witness takes it
    /// (add-checkpoint).
    Consistency {
        /// Entries then.
        old: u64,
    },
    /// The signed checkpoint of now: give it to somebody outside, and no entry before it can be changed unseen.
    Checkpoint,
    /// What verifies the checkpoints: name+id+key.
    Key,
    /// Writes tiles, entries and checkpoints into an empty directory, as tlog-tiles lays them out: all that a witness needs.
    ///
    /// Example: maschinenraum audit export /mnt/witness/2026-11
    Export {
        /// The directory.
        to: PathBuf,
    },
    /// Asks a witness to cosign the checkpoint of now, and keeps its signature with it.
    ///
    /// Example: maschinenraum audit witness https://witness.example/ --key "$(cat witness.vkey)"
    Witness {
        /// The witness's submission URL; `add-checkpoint` is added.
        url: String,
        /// The witness's verifying key: name+id+key.
        #[arg(long)]
        key: String,
    },
    /// Is a witness for another log: reads its request (`audit consistency OLD`), verifies that it goes on from what was
    /// seen last, and prints the cosignature. With --key-file alone and no LOG, prints this witness's own key.
    ///
    /// Example: maschinenraum audit cosign --name witness.example/me --key-file me.seed --state seen --log "$(cat audit.vkey)" request
    Cosign(Cosign),
}

/// `audit verify`
#[derive(Args, Debug)]
pub struct Verify {
    /// An exported directory, or a .tlog-proof.
    #[arg(requires = "key")]
    pub path: Option<PathBuf>,
    /// The log's verifying key, as `audit key` prints it; it must come to you by another way than the log.
    #[arg(long, requires = "path")]
    pub key: Option<String>,
    /// For a proof: the file with the entry's bytes.
    #[arg(long, requires = "path", value_name = "FILE")]
    pub entry: Option<PathBuf>,
    /// For a directory: a checkpoint that was kept from earlier; what it commits to must still be there.
    #[arg(long, requires = "path", value_name = "FILE")]
    pub since: Option<PathBuf>,
}

/// `audit list`
#[derive(Args, Debug)]
pub struct List {
    /// Acts that begin so, like key.issue, or key. for all about keys.
    #[arg(long)]
    pub what: Option<String>,
    /// Ordered by this one.
    #[arg(long)]
    pub by: Option<String>,
    /// About this person, as TYPE=VALUE.
    #[arg(long, value_name = "TYPE=VALUE")]
    pub id: Option<String>,
    /// Not before this instant.
    #[arg(long, value_name = "TIME")]
    pub from: Option<Instant>,
    /// Before this instant.
    #[arg(long, value_name = "TIME")]
    pub to: Option<Instant>,
    /// Entries shown at most.
    #[arg(long, default_value_t = 50)]
    pub most: usize,
}

/// `audit cosign`
#[derive(Args, Debug)]
pub struct Cosign {
    /// This witness's name: a URL without scheme.
    #[arg(long)]
    pub name: String,
    /// The file of its 32-byte seed in hexadecimal; made where it is missing. Keep it away from the log's machine.
    #[arg(long, value_name = "FILE")]
    pub key_file: PathBuf,
    /// Where it keeps what it saw last.
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// The log's verifying key.
    #[arg(long)]
    pub log: Option<String>,
    /// The log's request.
    #[arg(requires = "log", requires = "state")]
    pub request: Option<PathBuf>,
}
