//! Signatures of links by ed25519 (RFC 8032), and keys in PEM files (RFC 8410), as `openssl genpkey -algorithm ed25519` writes them.

use crate::checksum::{from_hex, hex};
use crate::error::{Error, Result};
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{
    DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _,
    KeypairBytes,
};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use std::fmt;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Bytes of a key file, at most.
const LONGEST_KEY: u64 = 1 << 16;
/// What is signed begins with this, so that a signature means nothing elsewhere.
const DOMAIN: &str = "wgrad ledger link ";

/// A private key, which signs the links of a ledger. It is never printed.
pub struct LedgerSigner(SigningKey);

impl fmt::Debug for LedgerSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LedgerSigner of {}", self.key())
    }
}

/// A public key, by which signatures are checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerKey(VerifyingKey);

/// The key in hexadecimal digits.
impl fmt::Display for LedgerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(self.0.as_bytes()))
    }
}

impl LedgerSigner {
    /// Reads the private key in the file `path`.
    ///
    /// # Errors
    /// If it holds something else, or others than its owner can read it.
    pub fn read(path: &Path) -> Result<LedgerSigner> {
        let text = read_key(path, "a private key")?;
        let wrong = |what: &str| {
            Err(Error::Config(format!(
                "{} {what}; name the file of a private key that `wgrad keys new` wrote",
                path.display()
            )))
        };
        if text.contains("PUBLIC KEY-----") {
            return wrong("holds a public key, which can't sign");
        }
        if text.contains("ENCRYPTED PRIVATE KEY-----") {
            return wrong("holds a key that is encrypted, which can't be read");
        }
        let Ok(key) = SigningKey::from_pkcs8_pem(&text) else {
            return wrong("is no private key for ed25519");
        };
        check_private(path)?;
        Ok(LedgerSigner(key))
    }

    /// Makes a new pair of keys: the private one in the file `path`, which only its owner can read, and the public one in `path` with
    /// `.pub` at its end. The second value is the path of the latter.
    ///
    /// # Errors
    /// If one of the files exists or can't be written, or the system gives no random numbers.
    pub fn create(path: &Path) -> Result<(LedgerSigner, PathBuf)> {
        let mut name = path.as_os_str().to_owned();
        name.push(".pub");
        let public = PathBuf::from(name);
        for file in [path, &public] {
            if file.symlink_metadata().is_ok() {
                return Err(Error::Config(format!(
                    "{} already exists; name another file for the new key",
                    file.display()
                )));
            }
        }
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)
            .map_err(|e| Error::Config(format!("the system gives no random numbers ({e})")))?;
        let key = SigningKey::from_bytes(&seed);
        let unwritable =
            |e: &dyn fmt::Display| Error::Config(format!("the key can't be written: {e}"));
        let pair = KeypairBytes {
            secret_key: seed,
            public_key: None,
        };
        let private = pair.to_pkcs8_pem(LineEnding::LF);
        let private = private.map_err(|e| unwritable(&e))?;
        let shown = key.verifying_key().to_public_key_pem(LineEnding::LF);
        let shown = shown.map_err(|e| unwritable(&e))?;
        write_new(path, private.as_bytes(), 0o600)?;
        write_new(&public, shown.as_bytes(), 0o644)?;
        Ok((LedgerSigner(key), public))
    }

    /// The public key of the pair.
    pub fn key(&self) -> LedgerKey {
        LedgerKey(self.0.verifying_key())
    }

    /// The signature of the link with this hash, in hexadecimal digits.
    pub(super) fn sign(&self, hash: &str) -> String {
        let signature = self.0.sign(format!("{DOMAIN}{hash}").as_bytes());
        hex(&signature.to_bytes())
    }
}

impl LedgerKey {
    /// Reads the public key in the file `path`.
    ///
    /// # Errors
    /// If it holds something else.
    pub fn read(path: &Path) -> Result<LedgerKey> {
        let text = read_key(path, "a public key")?;
        let wrong = |what: &str| {
            Err(Error::Config(format!(
                "{} {what}; name the file with .pub at its end that `wgrad keys new` wrote",
                path.display()
            )))
        };
        if text.contains("PRIVATE KEY-----") {
            return wrong("holds a private key, which must stay with its owner");
        }
        match VerifyingKey::from_public_key_pem(&text) {
            Ok(key) => Ok(LedgerKey(key)),
            Err(_) => wrong("is no public key for ed25519"),
        }
    }

    /// The key with these hexadecimal digits; `None` if they are none.
    pub(super) fn parse(digits: &str) -> Option<LedgerKey> {
        let key = VerifyingKey::from_bytes(&from_hex(digits)?);
        key.ok().map(LedgerKey)
    }

    /// Whether `signature` is that of this key for the link with the hash.
    pub(super) fn has_signed(&self, hash: &str, signature: &str) -> bool {
        let Some(signature) = from_hex(signature) else {
            return false;
        };
        let signature = Signature::from_bytes(&signature);
        let text = format!("{DOMAIN}{hash}");
        // The strict form refuses keys and signatures that several messages could have.
        self.0.verify_strict(text.as_bytes(), &signature).is_ok()
    }
}

/// The text of a key file, which should be `what`.
fn read_key(path: &Path, what: &str) -> Result<String> {
    super::check_file(path, &format!("the file of {what}"))?;
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST_KEY).read_to_end(&mut bytes));
    read.map_err(Error::io("read", path))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Refuses a private key that others than its owner can read.
#[cfg(unix)]
fn check_private(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).map_err(Error::io("read", path))?;
    match mode.permissions().mode() & 0o077 {
        0 => Ok(()),
        _ => Err(Error::Config(format!(
            "{0} is a private key that others can read; make a new one, or run chmod 600 {0} if nobody has seen it",
            path.display()
        ))),
    }
}

/// Who can read a file is not among the permissions that the library asks for on this system.
#[cfg(not(unix))]
fn check_private(_: &Path) -> Result<()> {
    Ok(())
}

/// Writes a new file with these permissions.
fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let written = options
        .open(path)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.map_err(Error::io("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message<T: fmt::Debug>(outcome: Result<T>) -> String {
        outcome.unwrap_err().to_string()
    }

    #[test]
    fn a_new_pair_signs_and_checks() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let (made, public) = LedgerSigner::create(&path).unwrap();
        let signer = LedgerSigner::read(&path).unwrap();
        let key = LedgerKey::read(&public).unwrap();
        assert_eq!((signer.key(), made.key()), (key, key));
        assert_eq!(LedgerKey::parse(&key.to_string()), Some(key));
        let signature = signer.sign("ab");
        assert!(key.has_signed("ab", &signature));
        assert!(!key.has_signed("ac", &signature) && !key.has_signed("ab", "00"));
        let (other, _) = LedgerSigner::create(&dir.path().join("other")).unwrap();
        assert!(!other.key().has_signed("ab", &signature));
        assert!(message(LedgerSigner::create(&path)).contains("already exists"));
        assert!(!format!("{signer:?}").contains(&hex(&signer.0.to_bytes())));
    }

    /// The keys of RFC 8410, section 10.3, and the second signature of RFC 8032, section 7.1.
    #[test]
    fn keys_and_signatures_are_those_of_the_standards() {
        let private = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
                       -----END PRIVATE KEY-----\n";
        let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n\
                      -----END PUBLIC KEY-----\n";
        let dir = tempfile::tempdir().unwrap();
        let [key, shown] = ["key", "key.pub"].map(|name| dir.path().join(name));
        write_new(&key, private.as_bytes(), 0o600).unwrap();
        write_new(&shown, public.as_bytes(), 0o644).unwrap();
        let signer = LedgerSigner::read(&key).unwrap();
        assert_eq!(signer.key(), LedgerKey::read(&shown).unwrap());
        let seed = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb";
        let signature = SigningKey::from_bytes(&from_hex(seed).unwrap()).sign(&[0x72]);
        let known = "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                     085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00";
        assert_eq!(hex(&signature.to_bytes()), known);
    }

    #[test]
    fn files_of_another_kind_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let (_, public) = LedgerSigner::create(&path).unwrap();
        let none = dir.path().join("none");
        assert!(message(LedgerSigner::read(&none)).contains("does not exist"));
        assert!(
            message(LedgerSigner::read(dir.path())).contains("is not a file; name the file of")
        );
        assert!(message(LedgerSigner::read(&public)).contains("holds a public key"));
        assert!(message(LedgerKey::read(&path)).contains("holds a private key"));
        let other = dir.path().join("other");
        for content in [
            "",
            "not a key",
            "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        ] {
            std::fs::write(&other, content).unwrap();
            assert!(message(LedgerSigner::read(&other)).contains("no private key"));
        }
        std::fs::write(&other, [0xff, 0, 1]).unwrap();
        assert!(message(LedgerKey::read(&other)).contains("no public key"));
    }

    #[cfg(unix)]
    #[test]
    fn a_private_key_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        LedgerSigner::create(&path).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        for open in [0o640, 0o604, 0o660] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(open)).unwrap();
            let message = message(LedgerSigner::read(&path));
            assert!(message.contains("others can read"), "{message}");
        }
    }
}
