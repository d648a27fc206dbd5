//! Checkpoints: which log, how many entries, which root; signed, they commit the log to all of it.
//!
//! # Source
//! c2sp.org/tlog-checkpoint

use std::fmt;
use std::str::FromStr;

use crate::note::{Note, Signer, Verifier};
use crate::{Error, Hash};

/// A tree's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: String,
    /// How many entries the tree has.
    pub size: u64,
    /// Its root.
    pub root: Hash,
    /// Further lines, whatever they mean.
    pub extensions: Vec<String>,
}

impl Checkpoint {
    /// The head of a log without further lines.
    pub fn new(origin: &str, size: u64, root: Hash) -> Self {
        Self { origin: origin.to_owned(), size, root, extensions: Vec::new() }
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, self.root)?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl FromStr for Checkpoint {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let no = |why: &str| Error::text("checkpoint", text, why);
        let body = text.strip_suffix('\n').ok_or_else(|| no("its last line does not end"))?;
        let mut lines = body.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next()) else {
            return Err(no("it has fewer than three lines"));
        };
        let size = decimal(size).ok_or_else(|| no("its second line is no number of entries"))?;
        let root: Hash = root.parse().map_err(|_| no("its third line is no root"))?;
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if origin.is_empty() || extensions.iter().any(String::is_empty) {
            return Err(no("it has an empty line"));
        }
        if size == 0 && root != Hash::empty() {
            return Err(no("a tree without entries has another root"));
        }
        Ok(Self { origin: origin.to_owned(), size, root, extensions })
    }
}

/// A number as checkpoints and proofs write it: without sign, space or leading zero.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let is_plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if is_plain { text.parse().ok() } else { None }
}

/// A checkpoint with the note that signs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// The head.
    pub checkpoint: Checkpoint,
    /// The note, as it was signed.
    pub note: String,
}

impl Signed {
    /// Signs a head.
    ///
    /// # Errors
    /// [`Error::Text`] where the origin cannot stand in a note.
    pub fn new(checkpoint: Checkpoint, signer: &Signer) -> Result<Self, Error> {
        let note = signer.sign(&checkpoint.to_string())?;
        Ok(Self { checkpoint, note })
    }

    /// Reads a note as a checkpoint of the log whose key this is.
    ///
    /// # Errors
    /// [`Error::Forged`] without the key's signature, or for another origin; [`Error::Text`] where it is no checkpoint.
    pub fn open(note: &str, log: &Verifier) -> Result<Self, Error> {
        let read: Note = note.parse()?;
        log.verify(&read)?;
        let checkpoint: Checkpoint = read.text().parse()?;
        if checkpoint.origin != log.name() {
            return Err(Error::Forged {
                what: format!("`{}`", checkpoint.origin),
                key: log.name().to_owned(),
                why: "it is a checkpoint of another log".to_owned(),
            });
        }
        Ok(Self { checkpoint, note: note.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    fn refused(text: &str, why: &str) {
        let error = text.parse::<Checkpoint>().unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }

    #[test]
    fn checkpoints_read_back_with_further_lines() {
        let mut checkpoint = Checkpoint::new("example.com/log", 7, Hash::from_bytes([1; 32]));
        checkpoint.extensions.push("more".to_owned());
        assert_eq!(checkpoint.to_string().parse::<Checkpoint>().unwrap(), checkpoint);
    }

    #[test]
    fn malformed_checkpoints_say_what_is_wrong() {
        let root = Hash::from_bytes([1; 32]);
        refused("", "does not end");
        refused("a\n7\n", "fewer than three");
        for size in ["", "-1", "07", "+7", "7 ", "18446744073709551616", "0x7"] {
            refused(&format!("a\n{size}\n{root}\n"), "no number");
        }
        refused("a\n7\nAAAA\n", "no root");
        refused(&format!("a\n7\n{root}\n\n"), "empty line");
        refused(&format!("\n7\n{root}\n"), "empty line");
        refused(&format!("a\n0\n{root}\n"), "another root");
    }

    #[test]
    fn the_key_of_one_log_does_not_speak_for_another() {
        let signer = Signer::new("a.example/log", &Zeroizing::new([7; 32])).unwrap();
        let other = Checkpoint::new("b.example/log", 1, Hash::from_bytes([1; 32]));
        let note = signer.sign(&other.to_string()).unwrap();
        let error = Signed::open(&note, &signer.verifier()).unwrap_err();
        assert_eq!(error.code(), "MR3201");
        assert!(error.to_string().contains("another log"), "{error}");
    }
}
