//! The consent ledger: words taken in, asked for and confirmed, restrictions and objections, proofs, and how it all reads.

mod acts;
mod given;
mod history;
mod notices;
mod proofs;
mod requests;
mod settings;

pub use acts::FourFacts;
pub use given::Word;
pub(crate) use given::word_id;
pub use history::{ConsentHistory, HistoryEntry, InLog, ProofShown, TcfShown};
pub use notices::NoticeView;
pub(crate) use notices::read_notices;
pub use proofs::ProofsKept;
pub use requests::Requested;
pub use settings::{ConsentSettings, TcfSettings};
pub(crate) use settings::{check, signals};
