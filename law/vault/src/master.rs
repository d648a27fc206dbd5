//! The key above all keys. It comes from outside and is stored by nobody here.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::Error;
use crate::key::{KEY_BYTES, Key};

/// The master key: 32 bytes that wrap the vault's root. Whoever has it and the data directory can read
/// everything, so it never lies in the data directory.
pub struct Master {
    key: Key,
    file: Option<PathBuf>,
}

impl Master {
    /// A new random key.
    ///
    /// # Errors
    /// [`Error::Io`] if the system gives no randomness.
    pub fn generate() -> Result<Self, Error> {
        Ok(Self { key: Key::random()?, file: None })
    }

    /// Takes 32 bytes as they are.
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self { key: Key::from_bytes(bytes), file: None }
    }

    /// Reads a file of 64 hexadecimal digits or of 32 raw bytes that only its owner may read.
    ///
    /// # Errors
    /// [`Error::OpenToOthers`] where group or others may read or write it; [`Error::NoMaster`] where it is
    /// missing or holds something else.
    pub fn from_file(path: &Path) -> Result<Self, Error> {
        let place = || format!("file `{}`", path.display());
        let no = |why: String| Error::NoMaster { place: place(), why };
        let file = std::fs::File::open(path).map_err(|e| no(e.to_string()))?;
        // The open file is asked, not the path: between two looks at a path it may become another file.
        let about = file.metadata().map_err(|e| no(e.to_string()))?;
        check_private(path, &about)?;
        let mut content = Zeroizing::new(Vec::with_capacity(256));
        file.take(256).read_to_end(&mut content).map_err(|e| no(e.to_string()))?;
        let key = parse(&content).ok_or_else(|| no(EXPECTED.into()))?;
        Ok(Self { key, file: Some(path.to_path_buf()) })
    }

    /// Reads an environment variable of 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`Error::NoMaster`] where it is not set or holds something else.
    pub fn from_env(name: &str) -> Result<Self, Error> {
        let no =
            |why: &str| Error::NoMaster { place: format!("environment variable `{name}`"), why: why.into() };
        let text = Zeroizing::new(std::env::var(name).map_err(|_| no("it is not set"))?);
        let key =
            parse_hex(text.trim().as_bytes()).ok_or_else(|| no("64 hexadecimal digits are expected"))?;
        Ok(Self { key, file: None })
    }

    /// Follows a reference as the settings write it: `file:PATH` or `env:NAME`. A relative path starts at
    /// `base`.
    ///
    /// # Errors
    /// As [`Master::from_file`] and [`Master::from_env`]; [`Error::NoMaster`] for any other text, which is not
    /// quoted, since it may be the key itself.
    pub fn from_reference(reference: &str, base: &Path) -> Result<Self, Error> {
        match reference.split_once(':') {
            Some(("file", path)) => Self::from_file(&base.join(path)),
            Some(("env", name)) => Self::from_env(name),
            _ => Err(Error::NoMaster {
                place: "the settings".into(),
                why: "a reference `file:PATH` or `env:NAME` is expected, not the key".into(),
            }),
        }
    }

    /// Writes a new random key to a new file that only its owner may read.
    ///
    /// # Errors
    /// [`Error::NoMaster`] where the file exists already or cannot be written.
    pub fn create_file(path: &Path) -> Result<Self, Error> {
        let place = || format!("file `{}`", path.display());
        let no = |e: std::io::Error| Error::NoMaster { place: place(), why: e.to_string() };
        let master = Self::generate()?;
        let mut text = Zeroizing::new(String::with_capacity(2 * KEY_BYTES + 1));
        for byte in master.key.bytes() {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
            }
        }
        text.push('\n');
        let mut options = std::fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path).map_err(no)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(no)?;
        Ok(Self { file: Some(path.to_path_buf()), ..master })
    }

    /// Refuses a key that lies where `dir`'s backups would take it along.
    ///
    /// # Errors
    /// [`Error::MasterInside`] where the key came from a file under `dir`.
    pub fn check_outside(&self, dir: &Path) -> Result<(), Error> {
        let Some(file) = &self.file else { return Ok(()) };
        let (Ok(path), Ok(dir)) = (file.canonicalize(), dir.canonicalize()) else { return Ok(()) };
        if path.starts_with(&dir) { Err(Error::MasterInside { path, dir }) } else { Ok(()) }
    }

    /// The key that wraps the root.
    pub(crate) fn wrapping_key(&self) -> Key {
        self.key.derive(&[b"maschinenraum/master/wrap/v1"])
    }

    /// A value by which the key is recognised; says nothing about it.
    pub(crate) fn check_value(&self) -> [u8; 16] {
        let full = self.key.derive(&[b"maschinenraum/master/check/v1"]);
        let mut value = [0; 16];
        for (to, from) in value.iter_mut().zip(full.bytes()) {
            *to = *from;
        }
        value
    }
}

const EXPECTED: &str = "64 hexadecimal digits or 32 bytes are expected";

#[cfg(unix)]
fn check_private(path: &Path, about: &std::fs::Metadata) -> Result<(), Error> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o7777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(Error::OpenToOthers { path: path.to_path_buf(), mode }) }
}

#[cfg(not(unix))]
fn check_private(_: &Path, _: &std::fs::Metadata) -> Result<(), Error> {
    Ok(())
}

fn parse(content: &[u8]) -> Option<Key> {
    match <[u8; KEY_BYTES]>::try_from(content) {
        Ok(raw) => Some(Key::from_bytes(raw)),
        Err(_) => parse_hex(content.trim_ascii()),
    }
}

fn parse_hex(text: &[u8]) -> Option<Key> {
    if text.len() != 2 * KEY_BYTES {
        return None;
    }
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        let digit = |c: &u8| char::from(*c).to_digit(16).and_then(|d| u8::try_from(d).ok());
        *byte = digit(high)? << 4 | digit(low)?;
    }
    Some(Key::from_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn check(content: &[u8], mode: u32, code: Option<&str>) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let got = Master::from_file(&path);
        assert_eq!(got.as_ref().err().map(Error::code), code);
        if let Err(error) = got {
            let text = error.to_string();
            assert!(text.contains("master.key"), "{text}");
            assert!(!text.contains("ab"), "{text} shows the content");
        }
    }

    #[test]
    fn a_file_is_read_only_if_private_and_whole() {
        check(&[7; 32], 0o600, None);
        check("0b".repeat(32).as_bytes(), 0o400, None);
        check(format!("{}\n", "0B".repeat(32)).as_bytes(), 0o600, None);
        check(&[7; 32], 0o640, Some("MR3002"));
        check(&[7; 32], 0o604, Some("MR3002"));
        check(&[7; 32], 0o620, Some("MR3002"));
        check(b"", 0o600, Some("MR3003"));
        check("ab".repeat(31).as_bytes(), 0o600, Some("MR3003"));
        check("ab".repeat(33).as_bytes(), 0o600, Some("MR3003"));
        check(format!("{}zz", "ab".repeat(31)).as_bytes(), 0o600, Some("MR3003"));
    }

    #[test]
    fn a_created_file_reads_back_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        let made = Master::create_file(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let read = Master::from_reference("file:master.key", dir.path()).unwrap();
        assert_eq!(made.check_value(), read.check_value());
        assert_eq!(Master::create_file(&path).err().map(|e| e.code()), Some("MR3003"));
        assert_eq!(read.check_outside(dir.path()).err().map(|e| e.code()), Some("MR3009"));
        assert!(read.check_outside(&dir.path().join("elsewhere")).is_ok());
    }

    #[test]
    fn a_reference_that_is_none_is_not_quoted() {
        let key = "ab".repeat(32);
        for reference in [key.as_str(), "", "vault:thing", "env:MASCHINENRAUM_NO_SUCH_VARIABLE"] {
            let error = Master::from_reference(reference, Path::new(".")).err().unwrap();
            assert_eq!(error.code(), "MR3003");
            assert!(!error.to_string().contains("abab"), "{error}");
        }
    }
}
