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
    /// How it was made of a passphrase.
    kdf: Option<Kdf>,
    /// Where the anchor lies that wraps the root with it.
    anchor: Option<PathBuf>,
}

/// How a master key is made of a passphrase: argon2id (RFC 9106). Stored beside the wrapped root, for it is no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kdf {
    pub(crate) kib: u32,
    pub(crate) rounds: u32,
    pub(crate) lanes: u32,
    pub(crate) salt: [u8; 16],
}

impl Kdf {
    /// The second recommendation of RFC 9106, section 4, with one lane: 64 MiB, three rounds.
    fn fresh() -> Result<Self, Error> {
        Ok(Self { kib: 64 << 10, rounds: 3, lanes: 1, salt: crate::random()? })
    }

    pub(crate) fn bytes(&self) -> [u8; 28] {
        let mut out = [0; 28];
        let numbers = [self.kib, self.rounds, self.lanes].map(u32::to_le_bytes);
        let parts = numbers.iter().flatten().chain(&self.salt);
        out.iter_mut().zip(parts).for_each(|(to, from)| *to = *from);
        out
    }

    fn key(&self, passphrase: &[u8]) -> Option<Key> {
        // A forged file must not make us take all memory there is.
        if self.kib > 1 << 20 || self.rounds > 64 || self.lanes > 16 {
            return None;
        }
        let params = argon2::Params::new(self.kib, self.rounds, self.lanes, Some(KEY_BYTES)).ok()?;
        let argon = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
        let mut out = Zeroizing::new([0; KEY_BYTES]);
        argon.hash_password_into(passphrase, &self.salt, out.as_mut_slice()).ok()?;
        Some(Key::from_bytes(*out))
    }
}

impl Master {
    /// A new random key.
    ///
    /// # Errors
    /// [`Error::Io`] if the system gives no randomness.
    pub fn generate() -> Result<Self, Error> {
        Ok(Self::of(Key::random()?))
    }

    /// Takes 32 bytes as they are.
    pub fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self::of(Key::from_bytes(bytes))
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
        Ok(Self { file: Some(path.to_path_buf()), ..Self::of(key) })
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
        Ok(Self::of(key))
    }

    /// Makes the key of a passphrase, with argon2id; takes a good tenth of a second and 64 MiB.
    ///
    /// * `vault`: the vault's directory, which knows with which salt; a new vault gets a new one, and so does `None`: what
    ///   a vault's master is changed to
    ///
    /// # Errors
    /// [`Error::NoMaster`] where the passphrase is shorter than 12 characters; [`Error::Damaged`] where the vault's
    /// root file cannot be read.
    pub fn from_passphrase(passphrase: &str, vault: Option<&Path>) -> Result<Self, Error> {
        let no = |why: &str| Error::NoMaster { place: "the passphrase".into(), why: why.into() };
        if passphrase.chars().count() < MIN_PASSPHRASE {
            return Err(no("at least 12 characters are expected"));
        }
        let known =
            vault.map(|dir| (dir, dir.join(crate::root::ROOT_FILE))).filter(|(_, path)| path.exists());
        let kdf = match known {
            Some((dir, path)) => {
                let wrong = || Error::WrongMaster { dir: dir.to_path_buf() };
                crate::root::RootFile::read(&path)?.kdf.ok_or_else(wrong)?
            }
            None => Kdf::fresh()?,
        };
        Self::from_kdf(passphrase.as_bytes(), kdf).ok_or_else(|| no("argon2id refuses its parameters"))
    }

    fn from_kdf(passphrase: &[u8], kdf: Kdf) -> Option<Self> {
        let key = kdf.key(passphrase)?;
        Some(Self { kdf: Some(kdf), ..Self::of(key) })
    }

    fn of(key: Key) -> Self {
        Self { key, file: None, kdf: None, anchor: None }
    }

    /// Follows a reference as the settings write it: `file:PATH`, `env:NAME`, or a passphrase in one of them:
    /// `passphrase:file:PATH`, `passphrase:env:NAME`. A relative path starts at `base`.
    ///
    /// * `vault`: the vault's directory, which knows with which salt a passphrase makes its key; `None`: a new salt
    ///
    /// # Errors
    /// As [`Master::from_reference`] and [`Master::from_passphrase`].
    pub fn from_reference_of(reference: &str, base: &Path, vault: Option<&Path>) -> Result<Self, Error> {
        let Some(place) = reference.strip_prefix("passphrase:") else {
            return Self::from_reference(reference, base);
        };
        let text = match place.split_once(':') {
            Some(("file", path)) => passphrase_file(&base.join(path))?,
            Some(("env", name)) => Zeroizing::new(std::env::var(name).map_err(|_| Error::NoMaster {
                place: format!("environment variable `{name}`"),
                why: "it is not set".into(),
            })?),
            _ => {
                return Err(Error::NoMaster {
                    place: "the settings".into(),
                    why: "`passphrase:file:PATH` or `passphrase:env:NAME` is expected, not the passphrase"
                        .into(),
                });
            }
        };
        let text = text.trim_end_matches(['\r', '\n']);
        Self::from_passphrase(text, vault)
    }

    /// Binds the vault's root to the anchor file at `path` as well, which must not lie in the data directory: what an
    /// older backup holds of the root then opens nothing once an erasure has renewed both.
    #[must_use]
    pub fn anchored_at(self, path: &Path) -> Self {
        Self { anchor: Some(path.to_path_buf()), ..self }
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
        let Ok(dir) = dir.canonicalize() else { return Ok(()) };
        if let Some(path) = self.file.as_ref().and_then(|file| file.canonicalize().ok())
            && path.starts_with(&dir)
        {
            return Err(Error::MasterInside { path, dir });
        }
        // The anchor may not be there yet: its folder is asked.
        if let Some(anchor) = &self.anchor {
            let folder = anchor.parent().filter(|folder| !folder.as_os_str().is_empty());
            let folder = folder.unwrap_or_else(|| Path::new(".")).canonicalize();
            if folder.is_ok_and(|folder| folder.starts_with(&dir)) {
                return Err(Error::AnchorInside { path: anchor.clone(), dir });
            }
        }
        Ok(())
    }

    /// The key that wraps the root, alone or together with an anchor.
    pub(crate) fn wrapping_key(&self, anchor: Option<&Key>) -> Key {
        match anchor {
            None => self.key.derive(&[b"maschinenraum/master/wrap/v1"]),
            Some(anchor) => self.key.derive_salted(anchor.bytes(), b"maschinenraum/master/anchored/v2"),
        }
    }

    pub(crate) fn kdf(&self) -> Option<Kdf> {
        self.kdf.clone()
    }

    pub(crate) fn anchor(&self) -> Option<&Path> {
        self.anchor.as_deref()
    }

    /// A second one for the vault to keep: renewing a root needs the key that wraps it.
    pub(crate) fn twin(&self) -> Self {
        Self {
            key: self.key.twin(),
            file: self.file.clone(),
            kdf: self.kdf.clone(),
            anchor: self.anchor.clone(),
        }
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

/// A passphrase that can be guessed in a day protects nothing, argon2id or not.
const MIN_PASSPHRASE: usize = 12;

fn passphrase_file(path: &Path) -> Result<Zeroizing<String>, Error> {
    let no = |why: String| Error::NoMaster { place: format!("file `{}`", path.display()), why };
    let file = std::fs::File::open(path).map_err(|e| no(e.to_string()))?;
    check_private(path, &file.metadata().map_err(|e| no(e.to_string()))?)?;
    let mut text = Zeroizing::new(String::with_capacity(1_024));
    file.take(1_024).read_to_string(&mut text).map_err(|e| no(e.to_string()))?;
    Ok(text)
}

const EXPECTED: &str = "64 hexadecimal digits or 32 bytes are expected";

#[cfg(unix)]
pub(crate) fn check_private(path: &Path, about: &std::fs::Metadata) -> Result<(), Error> {
    let mode = std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o7777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(Error::OpenToOthers { path: path.to_path_buf(), mode }) }
}

#[cfg(not(unix))]
pub(crate) fn check_private(_: &Path, _: &std::fs::Metadata) -> Result<(), Error> {
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

    fn kdf(salt: u8) -> Kdf {
        Kdf { kib: 32, rounds: 3, lanes: 4, salt: [salt; 16] }
    }

    /// RFC 9106, section 5.3, but for its secret and associated data, which `argon2`'s own tests cover; here, that the
    /// same passphrase and salt make the same key and nothing else does.
    #[test]
    fn a_passphrase_makes_one_key_per_salt() {
        let key = |text: &str, salt: u8| Master::from_kdf(text.as_bytes(), kdf(salt)).unwrap().check_value();
        assert_eq!(key("correct horse battery", 1), key("correct horse battery", 1));
        assert_ne!(key("correct horse battery", 1), key("correct horse battery", 2));
        assert_ne!(key("correct horse battery", 1), key("correct horse batterz", 1));
        let greedy = Kdf { kib: u32::MAX, ..kdf(1) };
        assert!(Master::from_kdf(b"correct horse battery", greedy).is_none());
        let short = Master::from_passphrase("elevenchars", None).err().unwrap();
        assert_eq!(short.code(), "MR3003");
        assert!(!short.to_string().contains("eleven"), "{short}");
    }

    #[test]
    fn a_vault_remembers_the_salt_of_its_passphrase() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().join("vault");
        let made = Master::from_kdf(b"correct horse battery", kdf(7)).unwrap();
        drop(crate::Vault::create(&at, &made).unwrap());
        std::fs::write(dir.path().join("words"), "correct horse battery\n").unwrap();
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(dir.path().join("words"), private).unwrap();
        let read = |reference| Master::from_reference_of(reference, dir.path(), Some(&at));
        assert!(crate::Vault::open(&at, &read("passphrase:file:words").unwrap()).is_ok());
        let other = Master::from_passphrase("correct horse batterz", Some(&at)).unwrap();
        assert_eq!(crate::Vault::open(&at, &other).err().map(|e| e.code()), Some("MR3001"));
        for bad in ["passphrase:correct horse battery", "passphrase:env:MASCHINENRAUM_NO_SUCH_VARIABLE"] {
            let error = read(bad).err().unwrap();
            assert_eq!(error.code(), "MR3003");
            assert!(!error.to_string().contains("horse"), "{error}");
        }
        // A vault whose master is no passphrase is not asked for one.
        let plain = dir.path().join("plain");
        drop(crate::Vault::create(&plain, &Master::from_bytes([1; 32])).unwrap());
        let error = Master::from_passphrase("correct horse battery", Some(&plain)).err().unwrap();
        assert_eq!(error.code(), "MR3001");
    }

    #[test]
    fn an_anchor_in_the_data_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let inside = Master::from_bytes([1; 32]).anchored_at(&dir.path().join("root.anchor"));
        assert_eq!(inside.check_outside(dir.path()).err().map(|e| e.code()), Some("MR3306"));
        let beside = tempfile::tempdir().unwrap();
        assert!(inside.check_outside(beside.path()).is_ok());
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
