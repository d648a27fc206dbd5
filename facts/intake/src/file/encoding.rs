//! One pass over a file: its hash, and the encoding that all of its bytes speak for.

use std::borrow::Cow;
use std::fs;
use std::io::Read;
use std::path::Path;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use sha2::Digest;

use super::{sha256, unreadable};
use crate::error::Error;

/// How much of the start is kept for finding format and delimiter.
const HEAD: usize = 256 * 1024;
/// How much of what is not UTF-8 the detector looks at.
const SUSPECT: usize = 512 * 1024;
const CHUNK: usize = 1024 * 1024;

/// The encoding of a text file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoding {
    pub(super) with: &'static encoding_rs::Encoding,
    /// Bytes of the mark at the start.
    pub(super) bom: usize,
}

impl Encoding {
    /// Its name: `UTF-8`, `windows-1252`, `UTF-16LE`, …
    pub fn name(&self) -> &'static str {
        self.with.name()
    }

    /// JSON is UTF-8 (RFC 8259, section 8.1) unless a mark or UTF-16's zeros say otherwise: a line that is not is a
    /// broken line, and no reason to read all the others in another encoding.
    pub(super) fn of_json(self) -> Self {
        let is_utf16 = [encoding_rs::UTF_16LE, encoding_rs::UTF_16BE].contains(&self.with);
        if self.bom > 0 || is_utf16 { self } else { Self { with: encoding_rs::UTF_8, bom: 0 } }
    }

    pub(super) fn is_utf8(&self) -> bool {
        self.with == encoding_rs::UTF_8
    }
}

pub(super) struct Looked {
    pub(super) head: Vec<u8>,
    pub(super) encoding: Encoding,
    pub(super) n_bytes: u64,
    pub(super) sha256: [u8; 32],
}

impl Looked {
    /// The start of the file as text.
    pub(super) fn head_text(&self) -> Cow<'_, str> {
        let head = self.head.get(self.encoding.bom..).unwrap_or_default();
        self.encoding.with.decode_without_bom_handling(head).0
    }
}

pub(super) fn look_through(path: &Path, mut progress: impl FnMut(u64)) -> Result<Looked, Error> {
    let mut file = fs::File::open(path).map_err(|source| unreadable(path, source))?;
    let mut hash = sha256();
    let mut head = Vec::new();
    let mut utf8 = Utf8Watch::default();
    let mut suspect = Vec::new();
    let mut chunk = vec![0; CHUNK];
    let mut n_bytes = 0_u64;
    loop {
        let n = match file.read(&mut chunk) {
            Ok(0) => break,
            Ok(n) => n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(unreadable(path, source)),
        };
        let bytes = chunk.get(..n).unwrap_or_default();
        hash.update(bytes);
        if head.len() < HEAD {
            head.extend(bytes.iter().take(HEAD - head.len()));
        }
        if !utf8.take(bytes) && suspect.len() < SUSPECT {
            // What is wrong as UTF-8 may stand anywhere in the chunk: around it is what tells the encoding.
            let at = utf8.wrong_at.saturating_sub(64 * 1024);
            suspect.extend(bytes.iter().skip(at).take(SUSPECT - suspect.len()));
        }
        n_bytes += n as u64;
        progress(n_bytes);
    }
    let encoding = decide(&head, utf8.finish(), &suspect);
    let mut sha = [0; 32];
    sha.iter_mut().zip(hash.finalize().iter()).for_each(|(to, from)| *to = *from);
    Ok(Looked { head, encoding, n_bytes, sha256: sha })
}

fn decide(head: &[u8], is_utf8: bool, suspect: &[u8]) -> Encoding {
    if let Some((with, bom)) = encoding_rs::Encoding::for_bom(head) {
        return Encoding { with, bom };
    }
    if let Some(with) = utf16_without_mark(head) {
        return Encoding { with, bom: 0 };
    }
    if is_utf8 {
        return Encoding { with: encoding_rs::UTF_8, bom: 0 };
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    detector.feed(if suspect.is_empty() { head } else { suspect }, true);
    Encoding { with: detector.guess(None, Utf8Detection::Allow), bom: 0 }
}

/// Text in UTF-16 has a zero byte in nearly every second place; other text has none.
fn utf16_without_mark(head: &[u8]) -> Option<&'static encoding_rs::Encoding> {
    let pairs = head.len() / 2;
    let zeros = |odd: usize| head.chunks_exact(2).filter(|pair| pair.get(odd) == Some(&0)).count();
    if pairs < 8 {
        None
    } else if zeros(1) * 10 > pairs * 7 && zeros(0) * 10 < pairs {
        Some(encoding_rs::UTF_16LE)
    } else if zeros(0) * 10 > pairs * 7 && zeros(1) * 10 < pairs {
        Some(encoding_rs::UTF_16BE)
    } else {
        None
    }
}

/// Whether a stream of bytes is UTF-8; characters may be cut by the chunks.
#[derive(Default)]
struct Utf8Watch {
    wrong: bool,
    /// Where in the last chunk the first wrong byte was.
    wrong_at: usize,
    /// The start of a character that the last chunk cut.
    cut: Vec<u8>,
}

impl Utf8Watch {
    /// False where this chunk is wrong.
    fn take(&mut self, bytes: &[u8]) -> bool {
        let mut start = 0;
        while !self.cut.is_empty() && start < bytes.len() {
            self.cut.extend(bytes.get(start));
            start += 1;
            match std::str::from_utf8(&self.cut) {
                Ok(_) => self.cut.clear(),
                Err(e) if e.error_len().is_none() => {}
                Err(_) => {
                    self.cut.clear();
                    self.wrong = true;
                    self.wrong_at = 0;
                    return false;
                }
            }
        }
        let rest = bytes.get(start..).unwrap_or_default();
        match std::str::from_utf8(rest) {
            Ok(_) => true,
            Err(e) if e.error_len().is_none() => {
                self.cut = rest.get(e.valid_up_to()..).unwrap_or_default().to_vec();
                true
            }
            Err(e) => {
                self.wrong = true;
                self.wrong_at = start + e.valid_up_to();
                false
            }
        }
    }

    fn finish(&self) -> bool {
        !self.wrong && self.cut.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], name: &str, bom: usize) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, bytes).unwrap();
        let looked = look_through(&path, |_| {}).unwrap();
        assert_eq!((looked.encoding.name(), looked.encoding.bom), (name, bom), "{bytes:?}");
    }

    #[test]
    fn encodings_are_told_apart() {
        let german = "Straße;Größe;Käufer\nMüllerstraße 1;für Übergrößen;Jörg\n";
        check(german.as_bytes(), "UTF-8", 0);
        check(b"a;b\n1;2\n", "UTF-8", 0);
        check(format!("\u{feff}{german}").as_bytes(), "UTF-8", 3);
        check(&encoding_rs::WINDOWS_1252.encode(german).0, "windows-1252", 0);
        let utf16: Vec<u8> = german.encode_utf16().flat_map(u16::to_le_bytes).collect();
        check(&utf16, "UTF-16LE", 0);
        check(&[&[0xff, 0xfe], utf16.as_slice()].concat(), "UTF-16LE", 2);
        let utf16: Vec<u8> = german.encode_utf16().flat_map(u16::to_be_bytes).collect();
        check(&[&[0xfe, 0xff], utf16.as_slice()].concat(), "UTF-16BE", 2);
    }

    #[test]
    fn the_one_umlaut_after_megabytes_counts() {
        let mut bytes = "order,name\n1,ann\n".repeat(200_000).into_bytes();
        bytes.extend(*b"2,J\xf6rg M\xfcller, Stra\xdfe\n");
        check(&bytes, "windows-1252", 0);
        let mut bytes = "é".repeat(3 * 1024 * 1024).into_bytes();
        bytes.insert(0, b'x');
        check(&bytes, "UTF-8", 0);
    }
}
