//! Makes keys and tokens.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaEncoding, RsaKeyPair};
use serde_json::{Value, json};

pub struct Signer {
    pub id: String,
    key: Private,
}

enum Private {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Signer {
    /// Returns the RSA key of all tests. Only its id differs.
    pub fn rsa(id: &str) -> Self {
        let pem = include_str!("rsa_2048.pem").lines().skip(2);
        let der: String = pem.take_while(|line| !line.starts_with("-----END")).collect();
        let key = RsaKeyPair::from_pkcs8(&STANDARD.decode(der).unwrap()).unwrap();
        Self { id: id.into(), key: Private::Rsa(key) }
    }

    pub fn p256(id: &str) -> Self {
        Self { id: id.into(), key: Private::P256(ecdsa(&signature::ECDSA_P256_SHA256_FIXED_SIGNING)) }
    }

    pub fn p384(id: &str) -> Self {
        Self { id: id.into(), key: Private::P384(ecdsa(&signature::ECDSA_P384_SHA384_FIXED_SIGNING)) }
    }

    pub fn ed25519(id: &str) -> Self {
        let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self { id: id.into(), key: Private::Ed25519(Ed25519KeyPair::from_pkcs8(der.as_ref()).unwrap()) }
    }

    /// Returns an algorithm of the key.
    pub fn algorithm(&self) -> &'static str {
        match self.key {
            Private::Rsa(_) => "RS256",
            Private::P256(_) => "ES256",
            Private::P384(_) => "ES384",
            Private::Ed25519(_) => "EdDSA",
        }
    }

    pub fn jwk(&self) -> Value {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let point = |curve: &str, public: &[u8]| {
            let (x, y) = public[1..].split_at(public.len() / 2);
            json!({ "kty": "EC", "crv": curve, "kid": self.id, "x": text(x), "y": text(y) })
        };
        match &self.key {
            Private::Rsa(key) => {
                let PublicKeyComponents::<Vec<u8>> { n, e } = key.public().into();
                json!({ "kty": "RSA", "kid": self.id, "n": text(&n), "e": text(&e) })
            }
            Private::P256(key) => point("P-256", key.public_key().as_ref()),
            Private::P384(key) => point("P-384", key.public_key().as_ref()),
            Private::Ed25519(key) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": self.id, "x": text(key.public_key().as_ref()) })
            }
        }
    }

    /// Returns the public key in the forms that an attacker might use as a secret.
    pub fn public_bytes(&self) -> Vec<Vec<u8>> {
        match &self.key {
            Private::Rsa(key) => {
                let PublicKeyComponents::<Vec<u8>> { n, .. } = key.public().into();
                vec![n, key.public().as_ref().to_vec()]
            }
            Private::P256(key) | Private::P384(key) => vec![key.public_key().as_ref().to_vec()],
            Private::Ed25519(key) => vec![key.public_key().as_ref().to_vec()],
        }
    }

    pub fn token(&self, algorithm: &str, claims: &Value) -> String {
        let header = json!({ "alg": algorithm, "typ": "JWT", "kid": self.id });
        self.signed(algorithm, &header.to_string(), &claims.to_string())
    }

    /// Signs a header and claims, whatever they say.
    pub fn signed(&self, algorithm: &str, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", part(header), part(claims));
        let bytes = message.as_bytes();
        let random = SystemRandom::new();
        let signature = match &self.key {
            Private::Rsa(key) => {
                let padding: &dyn RsaEncoding = match algorithm {
                    "RS256" => &signature::RSA_PKCS1_SHA256,
                    "RS384" => &signature::RSA_PKCS1_SHA384,
                    "RS512" => &signature::RSA_PKCS1_SHA512,
                    "PS256" => &signature::RSA_PSS_SHA256,
                    "PS384" => &signature::RSA_PSS_SHA384,
                    "PS512" => &signature::RSA_PSS_SHA512,
                    _ => panic!("{algorithm} is not for RSA"),
                };
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(padding, &random, bytes, &mut signature).unwrap();
                signature
            }
            Private::P256(key) | Private::P384(key) => key.sign(&random, bytes).unwrap().as_ref().to_vec(),
            Private::Ed25519(key) => key.sign(bytes).as_ref().to_vec(),
        };
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

fn ecdsa(algorithm: &'static EcdsaSigningAlgorithm) -> EcdsaKeyPair {
    let random = SystemRandom::new();
    let der = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
    EcdsaKeyPair::from_pkcs8(algorithm, der.as_ref(), &random).unwrap()
}

/// Returns a part of a token.
pub fn part(json: &str) -> String {
    URL_SAFE_NO_PAD.encode(json)
}

/// Returns the third part of a token that is signed with a shared secret.
pub fn hmac(algorithm: &str, secret: &[u8], message: &str) -> String {
    let hash = match algorithm {
        "HS256" => ring::hmac::HMAC_SHA256,
        "HS384" => ring::hmac::HMAC_SHA384,
        _ => ring::hmac::HMAC_SHA512,
    };
    URL_SAFE_NO_PAD.encode(ring::hmac::sign(&ring::hmac::Key::new(hash, secret), message.as_bytes()))
}
