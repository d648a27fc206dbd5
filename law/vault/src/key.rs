//! A 32-byte key, and the two things done with it: authenticated encryption and derivation.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::Error;

pub(crate) const KEY_BYTES: usize = 32;
pub(crate) const NONCE_BYTES: usize = 24;
pub(crate) const TAG_BYTES: usize = 16;
/// A wrapped key: nonce, encrypted key, tag.
pub(crate) const WRAPPED_BYTES: usize = NONCE_BYTES + KEY_BYTES + TAG_BYTES;

/// True where both are the same, in a time that depends on the lengths alone.
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// Key material. Neither shown, copied nor written anywhere; overwritten when dropped. On the heap, so that
/// moving it leaves no second copy behind.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Key(Box<[u8; KEY_BYTES]>);

/// Authentication failed: another key, other associated data, or changed bytes.
pub(crate) struct Refused;

impl Key {
    pub(crate) fn from_bytes(mut bytes: [u8; KEY_BYTES]) -> Self {
        let mut key = Self(Box::new([0; KEY_BYTES]));
        key.0.copy_from_slice(&bytes);
        bytes.zeroize();
        key
    }

    pub(crate) fn random() -> Result<Self, Error> {
        let mut key = Self(Box::new([0; KEY_BYTES]));
        fill_random(key.0.as_mut_slice())?;
        Ok(key)
    }

    pub(crate) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// HKDF-SHA256 without salt; `info` is the parts one after another.
    pub(crate) fn derive(&self, info: &[&[u8]]) -> Key {
        let mut out = Self(Box::new([0; KEY_BYTES]));
        let hkdf = Hkdf::<Sha256>::new(None, self.0.as_slice());
        if hkdf.expand_multi_info(info, out.0.as_mut_slice()).is_err() {
            // Only for more than 255 hashes of output; this is one.
            unreachable!("HKDF-SHA256 gives 32 bytes")
        }
        out
    }

    /// HKDF-SHA256 with a secret salt: nothing is learned of the result without both.
    pub(crate) fn derive_salted(&self, salt: &[u8], info: &[u8]) -> Key {
        let mut out = Self(Box::new([0; KEY_BYTES]));
        let hkdf = Hkdf::<Sha256>::new(Some(salt), self.0.as_slice());
        if hkdf.expand(info, out.0.as_mut_slice()).is_err() {
            // Only for more than 255 hashes of output; this is one.
            unreachable!("HKDF-SHA256 gives 32 bytes")
        }
        out
    }

    /// A second copy of the key, overwritten by itself when it is dropped.
    pub(crate) fn twin(&self) -> Key {
        let mut key = Self(Box::new([0; KEY_BYTES]));
        key.0.copy_from_slice(self.0.as_slice());
        key
    }

    /// Encrypts `buffer` in place; gives back the tag.
    pub(crate) fn encrypt(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        buffer: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], Refused> {
        let cipher = XChaCha20Poly1305::new(self.0.as_ref().into());
        let tag = cipher.encrypt_inout_detached(&XNonce::from(*nonce), aad, buffer.into());
        tag.map(Into::into).map_err(|_| Refused)
    }

    /// Decrypts `buffer` in place if `tag` proves it; otherwise `buffer` holds nothing of use.
    pub(crate) fn decrypt(
        &self,
        nonce: &[u8; NONCE_BYTES],
        aad: &[u8],
        buffer: &mut [u8],
        tag: &[u8; TAG_BYTES],
    ) -> Result<(), Refused> {
        let cipher = XChaCha20Poly1305::new(self.0.as_ref().into());
        let done = cipher.decrypt_inout_detached(&XNonce::from(*nonce), aad, buffer.into(), &(*tag).into());
        done.map_err(|_| Refused)
    }

    /// Wraps `inner` under this key.
    pub(crate) fn wrap(&self, inner: &Key, aad: &[u8]) -> Result<[u8; WRAPPED_BYTES], Error> {
        let mut out = [0; WRAPPED_BYTES];
        let nonce = random_nonce()?;
        // Encrypted in place: what is left in it is no secret.
        let mut body = [0; KEY_BYTES];
        body.copy_from_slice(inner.bytes());
        let tag =
            self.encrypt(&nonce, aad, &mut body).map_err(|Refused| Error::damaged("a key would not wrap"))?;
        for (to, from) in out.iter_mut().zip(nonce.iter().chain(&body).chain(&tag)) {
            *to = *from;
        }
        Ok(out)
    }

    /// The key wrapped by [`Key::wrap`] under the same associated data.
    pub(crate) fn unwrap(&self, wrapped: &[u8; WRAPPED_BYTES], aad: &[u8]) -> Result<Key, Refused> {
        let (nonce, rest) = wrapped.split_first_chunk::<NONCE_BYTES>().ok_or(Refused)?;
        let (body, rest) = rest.split_first_chunk::<KEY_BYTES>().ok_or(Refused)?;
        let tag = rest.first_chunk::<TAG_BYTES>().ok_or(Refused)?;
        let mut key = Self(Box::new(*body));
        self.decrypt(nonce, aad, key.0.as_mut_slice(), tag)?;
        Ok(key)
    }
}

/// A fresh nonce. 192 random bits do not repeat within any number of cells we shall ever write.
pub(crate) fn random_nonce() -> Result<[u8; NONCE_BYTES], Error> {
    random()
}

/// Random bytes from the operating system, for secrets and their salts.
///
/// # Errors
/// [`Error::Io`] where it gives none.
pub fn random<const N: usize>() -> Result<[u8; N], Error> {
    let mut bytes = [0; N];
    fill_random(&mut bytes)?;
    Ok(bytes)
}

fn fill_random(bytes: &mut [u8]) -> Result<(), Error> {
    getrandom::fill(bytes).map_err(|e| Error::Io {
        what: "the operating system gave no randomness".into(),
        source: std::io::Error::other(e.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    fn array<const N: usize>(text: &str) -> [u8; N] {
        hex(text).try_into().unwrap()
    }

    /// draft-irtf-cfrg-xchacha-03, appendix A.3.1
    #[test]
    fn xchacha20_poly1305_is_that_of_the_draft() {
        let plain = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the \
                      future, sunscreen would be it.";
        let key = Key::from_bytes(array("808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"));
        let nonce = array("404142434445464748494a4b4c4d4e4f5051525354555657");
        let aad = hex("50515253c0c1c2c3c4c5c6c7");
        let sealed = hex("bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb\
             731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452\
             2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9\
             21f9664c97637da9768812f615c68b13b52e");
        let tag: [u8; 16] = array("c0875924c1c7987947deafd8780acf49");

        let mut buffer = plain.to_vec();
        assert!(key.encrypt(&nonce, &aad, &mut buffer).is_ok_and(|t| t == tag));
        assert_eq!(buffer, sealed);
        assert!(key.decrypt(&nonce, &aad, &mut buffer, &tag).is_ok());
        assert_eq!(buffer, plain);
    }

    fn check_hkdf(ikm: &str, salt: Option<&str>, info: &[&str], okm: &str) {
        let hkdf = Hkdf::<Sha256>::new(salt.map(hex).as_deref(), &hex(ikm));
        let parts: Vec<Vec<u8>> = info.iter().map(|part| hex(part)).collect();
        let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        let mut out = vec![0; hex(okm).len()];
        hkdf.expand_multi_info(&parts, &mut out).unwrap();
        assert_eq!(out, hex(okm));
    }

    /// RFC 5869, appendices A.1 to A.3
    #[test]
    fn hkdf_is_that_of_the_rfc() {
        check_hkdf(
            "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
            Some("000102030405060708090a0b0c"),
            &["f0f1f2f3f4", "f5f6f7f8f9"],
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        );
        let run = |from: u8, to: u8| (from..=to).map(|b| format!("{b:02x}")).collect::<String>();
        check_hkdf(
            &run(0x00, 0x4f),
            Some(&run(0x60, 0xaf)),
            &[&run(0xb0, 0xff)],
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c\
             59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71\
             cc30c58179ec3e87c14c01d5c1f3434f1d87",
        );
        check_hkdf(
            "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
            None,
            &[],
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8",
        );
    }

    /// `derive` is HKDF with an empty salt: its first block is that of RFC 5869 A.3's construction.
    #[test]
    fn derive_is_hkdf_without_salt() {
        let key = Key::from_bytes([7; 32]);
        let mut expected = [0; 32];
        Hkdf::<Sha256>::new(Some(&[]), &[7; 32]).expand(b"ab", &mut expected).unwrap();
        assert_eq!(key.derive(&[b"a", b"b"]).bytes(), &expected);
    }

    #[test]
    fn a_wrapped_key_opens_only_as_what_it_is() {
        let (outer, inner) = (Key::random().unwrap(), Key::random().unwrap());
        let wrapped = outer.wrap(&inner, b"bucket 7").unwrap();
        assert!(outer.unwrap(&wrapped, b"bucket 7").is_ok_and(|k| k.bytes() == inner.bytes()));
        assert!(outer.unwrap(&wrapped, b"bucket 8").is_err());
        assert!(inner.unwrap(&wrapped, b"bucket 7").is_err());
        for i in 0..WRAPPED_BYTES {
            let mut changed = wrapped;
            changed[i] ^= 1;
            assert!(outer.unwrap(&changed, b"bucket 7").is_err(), "byte {i}");
        }
    }
}
