//! Signatures of the house under texts for outsiders: receipts and the like, each kind under a key of its own.

use audit::Signer;

use crate::Error;
use crate::house::House;

impl House {
    /// A text as a signed note, under the key `<the log's origin>/<what>`. The text ends in a newline.
    ///
    /// # Errors
    /// [`Error::Audit`] where the text cannot be signed; [`Error::Vault`]
    pub fn sign(&self, what: &str, text: &str) -> Result<String, Error> {
        Ok(self.signer(what)?.sign(text)?)
    }

    /// What verifies such notes, as text: `name+id+key`.
    ///
    /// # Errors
    /// As [`House::sign`].
    pub fn verify_key(&self, what: &str) -> Result<String, Error> {
        Ok(self.signer(what)?.verifier().to_string())
    }

    fn signer(&self, what: &str) -> Result<Signer, Error> {
        let origin = self.audit_key()?.name().to_owned();
        // The log's own key signs checkpoints and nothing else: a receipt must never read as one.
        let seed = self.vault().secret(&format!("sign/{what}"))?;
        Ok(Signer::new(&format!("{origin}/{what}"), &seed)?)
    }
}
