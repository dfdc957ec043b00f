//! The public keys of an issuer, read from JWKS files (RFC 7517), and the signatures that they verify.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey, VerificationAlgorithm};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::limits::{JWKS_BYTES_MAX, JWKS_FILES_MAX, JWKS_KEYS_MAX, RSA_BITS};

/// An algorithm of a signature, by its name in `alg`.
pub struct Algorithm {
    name: &'static str,
    method: Method,
}

enum Method {
    Rsa(&'static RsaParameters),
    Point(Curve, &'static dyn VerificationAlgorithm),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
    Ed25519,
}

/// No HMAC algorithm is here: a public key must never serve as a shared secret.
static ALGORITHMS: [Algorithm; 10] = [
    Algorithm { name: "RS256", method: Method::Rsa(&signature::RSA_PKCS1_2048_8192_SHA256) },
    Algorithm { name: "RS384", method: Method::Rsa(&signature::RSA_PKCS1_2048_8192_SHA384) },
    Algorithm { name: "RS512", method: Method::Rsa(&signature::RSA_PKCS1_2048_8192_SHA512) },
    Algorithm { name: "PS256", method: Method::Rsa(&signature::RSA_PSS_2048_8192_SHA256) },
    Algorithm { name: "PS384", method: Method::Rsa(&signature::RSA_PSS_2048_8192_SHA384) },
    Algorithm { name: "PS512", method: Method::Rsa(&signature::RSA_PSS_2048_8192_SHA512) },
    Algorithm { name: "ES256", method: Method::Point(Curve::P256, &signature::ECDSA_P256_SHA256_FIXED) },
    Algorithm { name: "ES384", method: Method::Point(Curve::P384, &signature::ECDSA_P384_SHA384_FIXED) },
    Algorithm { name: "EdDSA", method: Method::Point(Curve::Ed25519, &signature::ED25519) },
    // The name of RFC 9864.
    Algorithm { name: "Ed25519", method: Method::Point(Curve::Ed25519, &signature::ED25519) },
];

impl Algorithm {
    /// Returns the algorithm with a name. `None` if it is not supported.
    pub fn named(name: &str) -> Option<&'static Self> {
        ALGORITHMS.iter().find(|algorithm| algorithm.name == name)
    }
}

pub struct Key {
    id: Option<String>,
    /// The only algorithm that its issuer uses it for. `None` for every algorithm of its type.
    algorithm: Option<&'static Algorithm>,
    public: Public,
}

enum Public {
    Rsa(RsaPublicKeyComponents<Vec<u8>>),
    Point(Curve, Vec<u8>),
}

impl Key {
    /// Returns true if a token that names the algorithm may be signed with this key.
    pub fn accepts(&self, algorithm: &Algorithm) -> bool {
        let fits = match (&self.public, &algorithm.method) {
            (Public::Rsa(_), Method::Rsa(_)) => true,
            (Public::Point(own, _), Method::Point(curve, _)) => own == curve,
            _ => false,
        };
        fits && self.algorithm.is_none_or(|own| own.name == algorithm.name)
    }

    /// Returns false for a wrong signature, and for an algorithm that does not fit the key.
    pub fn verifies(&self, algorithm: &Algorithm, message: &[u8], signature: &[u8]) -> bool {
        match (&self.public, &algorithm.method) {
            (Public::Rsa(key), Method::Rsa(parameters)) => key.verify(parameters, message, signature).is_ok(),
            (Public::Point(own, point), Method::Point(curve, verification)) if own == curve => {
                UnparsedPublicKey::new(*verification, point).verify(message, signature).is_ok()
            }
            _ => false,
        }
    }
}

pub struct KeySet {
    keys: Vec<Key>,
    /// Changes with the content of the files.
    pub digest: [u8; 32],
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<Jwk>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a JWKS file, or all files `*.json` of a directory.
    pub fn read(path: &Path) -> Result<Self, String> {
        let mut keys = Vec::new();
        let mut digest = Sha256::new();
        for file in files(path)? {
            let in_file = |error: String| format!("{}: {error}", file.display());
            let content = content(&file).map_err(in_file)?;
            digest.update(content.len().to_le_bytes());
            digest.update(&content);
            let jwks: Jwks = serde_json::from_slice(&content).map_err(|error| in_file(error.to_string()))?;
            for (at, jwk) in jwks.keys.into_iter().enumerate() {
                keys.extend(key(jwk).map_err(|error| in_file(format!("`keys[{at}]` {error}")))?);
            }
        }
        if keys.len() > JWKS_KEYS_MAX {
            return Err(format!("{}: must have at most {JWKS_KEYS_MAX} keys", path.display()));
        }
        Ok(Self { keys, digest: digest.finalize().into() })
    }

    pub fn with_id(&self, id: &str) -> impl Iterator<Item = &Key> {
        self.keys.iter().filter(move |key| key.id.as_deref() == Some(id))
    }

    /// Returns the key of a set with one key. `None` if the set has more or none.
    pub fn only(&self) -> Option<&Key> {
        self.keys.first().filter(|_| self.keys.len() == 1)
    }

    pub fn len(&self) -> usize {
        self.keys.len()
    }
}

/// Returns the files to read, sorted.
fn files(path: &Path) -> Result<Vec<PathBuf>, String> {
    let named = |error: std::io::Error| format!("{}: {error}", path.display());
    if !fs::metadata(path).map_err(named)?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(named)? {
        let file = entry.map_err(named)?.path();
        // Editors keep temporary files with a leading dot.
        let hidden = file.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
        if !hidden && file.extension().is_some_and(|extension| extension == "json") {
            files.push(file);
        }
    }
    if files.len() > JWKS_FILES_MAX {
        return Err(format!("{}: must have at most {JWKS_FILES_MAX} files", path.display()));
    }
    files.sort();
    Ok(files)
}

fn content(path: &Path) -> Result<Vec<u8>, String> {
    let mut content = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(JWKS_BYTES_MAX as u64 + 1).read_to_end(&mut content).map_err(|error| error.to_string())?;
    if content.len() > JWKS_BYTES_MAX {
        return Err(format!("must have at most {JWKS_BYTES_MAX} bytes"));
    }
    Ok(content)
}

/// Returns the key of a JWK. `None` for a key that verifies no tokens here: RFC 7517 asks readers to skip those.
fn key(jwk: Jwk) -> Result<Option<Key>, String> {
    let signs = jwk.usage.as_deref().is_none_or(|usage| usage == "sig")
        && jwk.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
    let curve = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => None,
        ("EC", Some("P-256")) => Some((Curve::P256, 32)),
        ("EC", Some("P-384")) => Some((Curve::P384, 48)),
        ("OKP", Some("Ed25519")) => Some((Curve::Ed25519, 32)),
        _ => return Ok(None),
    };
    let algorithm = match jwk.alg.as_deref().map(Algorithm::named) {
        Some(None) => return Ok(None),
        Some(algorithm) => algorithm,
        None => None,
    };
    if !signs {
        return Ok(None);
    }
    let public = match curve {
        None => {
            let [n, e] = [bytes("n", &jwk.n)?, bytes("e", &jwk.e)?].map(without_zeros);
            let bits = n.len() * 8 - n.first().map_or(0, |first| first.leading_zeros() as usize);
            if !RSA_BITS.contains(&bits) {
                return Err(format!("has {bits} bits; RSA keys must have {} to {}", RSA_BITS.start(), RSA_BITS.end()));
            }
            Public::Rsa(RsaPublicKeyComponents { n, e })
        }
        Some((curve, length)) => {
            let mut point = bytes("x", &jwk.x)?;
            let mut lengths = vec![point.len()];
            if curve != Curve::Ed25519 {
                let y = bytes("y", &jwk.y)?;
                lengths.push(y.len());
                // The uncompressed form of a point.
                point.insert(0, 4);
                point.extend(y);
            }
            if lengths.iter().any(|it| *it != length) {
                return Err(format!("must have {length} bytes in each coordinate"));
            }
            Public::Point(curve, point)
        }
    };
    let key = Key { id: jwk.kid, algorithm, public };
    if algorithm.is_some_and(|algorithm| !key.accepts(algorithm)) {
        return Err("has an `alg` that does not fit its type".into());
    }
    Ok(Some(key))
}

fn bytes(field: &str, text: &Option<String>) -> Result<Vec<u8>, String> {
    let text = text.as_deref().ok_or_else(|| format!("must have `{field}`"))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|error| format!("has a malformed `{field}`: {error}"))
}

/// Some issuers write numbers with leading zeros. ring refuses them.
fn without_zeros(mut bytes: Vec<u8>) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.drain(..zeros);
    bytes
}
