//! Callers that present a JWT of a configured issuer (W3).

mod issuer;
mod keys;
mod remembered;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Deserializer};

use crate::domain::collections::hash::HashKey;
use crate::domain::model::email::EmailAddress;
use crate::domain::model::name::BadName;
use crate::domain::{Time, UserId};
use crate::limits::JWT_BYTES_MAX;
use keys::{Algorithm, Key, KeySet};
use remembered::Remembered;

pub use issuer::Issuer;

/// Why a token is refused. The text goes to the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JwtError {
    #[error("the token must have at most {JWT_BYTES_MAX} bytes")]
    TooLong,
    #[error("the token is not a well-formed signed JWT")]
    Malformed,
    #[error("the token is not signed: its `alg` is `none`")]
    Unsigned,
    #[error("the token must be signed with a private key, not with a shared secret (HMAC)")]
    SharedSecret,
    #[error("the `alg` of the token is not supported; sign with RS*, PS*, ES256, ES384 or EdDSA")]
    UnsupportedAlgorithm,
    #[error("the `alg` of the token does not fit its key")]
    WrongAlgorithm,
    #[error("the token has a `crit` header, and no extension is supported")]
    Critical,
    #[error("the token's `iss` is not a configured issuer")]
    UnknownIssuer,
    #[error("the token's `kid` is not a key of its issuer")]
    UnknownKey,
    #[error("the token must name its key in `kid`")]
    NoKeyId,
    #[error("the signature of the token is wrong")]
    WrongSignature,
    #[error("the token is for another audience")]
    WrongAudience,
    #[error("the token must expire: it has no `exp`")]
    NoExpiry,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYetValid,
    #[error("the token has no `sub`")]
    NoSubject,
    #[error("the id made from the token's `sub` {0}")]
    BadSubject(BadName),
}

/// Who presented a verified token.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// `NAME:SUBJECT`, a valid [`UserId`].
    pub operator: String,
    /// The short name of the issuer.
    pub issuer: String,
    pub subject: String,
    /// `None` unless the issuer says that it is verified.
    pub email: Option<EmailAddress>,
    /// The token is not accepted from this time on: `exp`, and the skew.
    pub until: Time,
    /// True if the issuer is trusted to provision operators (W4).
    pub provisions: bool,
}

/// Verifies tokens of the configured issuers.
pub struct Verifier {
    issuers: Vec<Issuer>,
    /// The secret by which tokens are remembered.
    hash_key: HashKey,
    loaded: ArcSwap<Loaded>,
}

/// The keys, and what was verified with them. Both are replaced together, so nothing is remembered of replaced keys.
struct Loaded {
    /// By position in `issuers`.
    keys: Vec<Arc<KeySet>>,
    remembered: Mutex<Remembered>,
}

/// A token with a correct signature and audience.
#[derive(Clone)]
struct Verified {
    identity: Arc<Identity>,
    /// Accepted from this time on, skew included.
    from: Option<Time>,
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    #[serde(default, deserialize_with = "present")]
    crit: bool,
}

#[derive(Deserialize)]
struct Claims {
    iss: Option<String>,
    sub: Option<String>,
    aud: Option<Audience>,
    exp: Option<f64>,
    nbf: Option<f64>,
    // Of any JSON type: a malformed address does not prevent signing in.
    email: Option<serde_json::Value>,
    email_verified: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Verifier {
    /// Reads the keys of all issuers.
    pub fn load(issuers: Vec<Issuer>) -> Result<Self, String> {
        for (at, issuer) in issuers.iter().enumerate() {
            issuer.check()?;
            if let Some(other) = issuers[..at].iter().find(|it| it.name == issuer.name || it.issuer == issuer.issuer) {
                return Err(format!(
                    "the JWT issuers `{}` and `{}` have the same name or issuer",
                    other.name, issuer.name
                ));
            }
        }
        let keys = issuers.iter().map(|issuer| {
            let keys = KeySet::read(&issuer.jwks);
            let keys = keys.map_err(|error| format!("the keys of the JWT issuer `{}`: {error}", issuer.name))?;
            log_keys(issuer, &keys);
            Ok(Arc::new(keys))
        });
        let loaded = ArcSwap::from_pointee(Loaded::new(keys.collect::<Result<_, String>>()?));
        let mut random = [0; 16];
        getrandom::fill(&mut random).map_err(|error| format!("the system gives no random numbers: {error}"))?;
        Ok(Self { issuers, hash_key: HashKey::new(random), loaded })
    }

    /// Verifies a token and returns who presented it.
    pub fn verify(&self, token: &str, now: Time) -> Result<Arc<Identity>, JwtError> {
        if token.len() > JWT_BYTES_MAX {
            return Err(JwtError::TooLong);
        }
        let loaded = self.loaded.load();
        let hash = self.hash_key.text(token);
        let known = loaded.remembered().get(hash);
        if let Some(verified) = known {
            return verified.at(now);
        }
        let verified = self.verify_signed(token, &loaded.keys)?;
        let identity = verified.at(now)?;
        loaded.remembered().insert(hash, verified);
        Ok(identity)
    }

    fn verify_signed(&self, token: &str, keys: &[Arc<KeySet>]) -> Result<Verified, JwtError> {
        let (message, signature) = token.rsplit_once('.').ok_or(JwtError::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(JwtError::Malformed)?;
        let header: Header = decoded(header)?;
        let claims: Claims = decoded(payload)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| JwtError::Malformed)?;
        if header.crit {
            return Err(JwtError::Critical);
        }
        let algorithm = algorithm(&header.alg)?;
        let at = self.issuers.iter().position(|issuer| claims.iss.as_ref() == Some(&issuer.issuer));
        let (issuer, keys) = at.and_then(|at| self.issuers.get(at).zip(keys.get(at))).ok_or(JwtError::UnknownIssuer)?;
        let candidates: Vec<&Key> = match &header.kid {
            Some(id) => keys.with_id(id).collect(),
            None => vec![keys.only().ok_or(JwtError::NoKeyId)?],
        };
        if candidates.is_empty() {
            return Err(JwtError::UnknownKey);
        }
        // Keys of different types may have the same id (RFC 7517, section 4.5).
        let mut fitting = candidates.into_iter().filter(|key| key.accepts(algorithm)).peekable();
        fitting.peek().ok_or(JwtError::WrongAlgorithm)?;
        if !fitting.any(|key| key.verifies(algorithm, message.as_bytes(), &signature)) {
            return Err(JwtError::WrongSignature);
        }
        claims.of(issuer)
    }

    /// Reads the keys again, every `period`, for ever. Keeps the keys of an issuer whose files are broken.
    pub async fn watch(self: Arc<Self>, period: Duration) {
        let mut broken = vec![None; self.issuers.len()];
        loop {
            tokio::time::sleep(period).await;
            let this = self.clone();
            // Files may be on a network.
            let read = tokio::task::spawn_blocking(move || {
                this.reload(&mut broken);
                broken
            });
            match read.await {
                Ok(back) => broken = back,
                Err(error) => {
                    tracing::error!(%error, "the keys of JWT issuers are no longer watched");
                    return;
                }
            }
        }
    }

    /// Reads the keys again. `broken` holds what was wrong with each issuer's files the last time. Returns how often it
    /// logged that files are broken.
    fn reload(&self, broken: &mut [Option<String>]) -> usize {
        let before = self.loaded.load();
        let mut keys = before.keys.clone();
        let mut logged = 0;
        for ((issuer, keys), broken) in self.issuers.iter().zip(&mut keys).zip(broken) {
            match KeySet::read(&issuer.jwks) {
                Ok(read) => {
                    *broken = None;
                    if read.digest != keys.digest {
                        log_keys(issuer, &read);
                        *keys = Arc::new(read);
                    }
                }
                Err(error) => {
                    if broken.as_ref() != Some(&error) {
                        tracing::error!(issuer = issuer.name, error, "a JWT issuer keeps its old keys");
                        logged += 1;
                    }
                    *broken = Some(error);
                }
            }
        }
        if keys.iter().zip(&before.keys).any(|(new, old)| !Arc::ptr_eq(new, old)) {
            self.loaded.store(Arc::new(Loaded::new(keys)));
        }
        logged
    }
}

impl Loaded {
    fn new(keys: Vec<Arc<KeySet>>) -> Self {
        Self { keys, remembered: Mutex::default() }
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Verified {
    fn at(&self, now: Time) -> Result<Arc<Identity>, JwtError> {
        if now >= self.identity.until {
            return Err(JwtError::Expired);
        }
        if self.from.is_some_and(|from| now < from) {
            return Err(JwtError::NotYetValid);
        }
        Ok(self.identity.clone())
    }
}

impl Claims {
    /// Checks all claims but the times. The signature was verified before.
    fn of(self, issuer: &Issuer) -> Result<Verified, JwtError> {
        let addressed = match &self.aud {
            None => false,
            Some(Audience::One(audience)) => *audience == issuer.audience,
            Some(Audience::Several(audiences)) => audiences.contains(&issuer.audience),
        };
        if !addressed {
            return Err(JwtError::WrongAudience);
        }
        let expire_time = time(self.exp.ok_or(JwtError::NoExpiry)?);
        let subject = self.sub.filter(|subject| !subject.is_empty()).ok_or(JwtError::NoSubject)?;
        let operator = UserId::parse(&format!("{}:{subject}", issuer.name)).map_err(JwtError::BadSubject)?;
        let verified = self.email_verified == Some(true.into());
        let email = self.email.filter(|_| verified);
        let email = email.and_then(|email| EmailAddress::parse(email.as_str()?).ok());
        let skew = i64::try_from(issuer.skew.as_secs()).unwrap_or(i64::MAX);
        let identity = Identity {
            operator: operator.to_string(),
            issuer: issuer.name.clone(),
            subject,
            email,
            until: expire_time.plus_seconds(skew),
            provisions: issuer.provisions,
        };
        Ok(Verified { identity: Arc::new(identity), from: self.nbf.map(|nbf| time(nbf).plus_seconds(-skew)) })
    }
}

fn log_keys(issuer: &Issuer, keys: &KeySet) {
    match keys.len() {
        0 => tracing::warn!(issuer = issuer.name, "a JWT issuer has no keys: its tokens are refused"),
        keys => tracing::info!(issuer = issuer.name, keys, "loaded the keys of a JWT issuer"),
    }
}

fn algorithm(name: &str) -> Result<&'static Algorithm, JwtError> {
    if name.eq_ignore_ascii_case("none") {
        return Err(JwtError::Unsigned);
    }
    if name.starts_with("HS") {
        return Err(JwtError::SharedSecret);
    }
    Algorithm::named(name).ok_or(JwtError::UnsupportedAlgorithm)
}

/// Decodes a part of a token. A member that occurs twice is refused, as are the characters and bits that other decoders
/// would skip.
fn decoded<T: DeserializeOwned>(part: &str) -> Result<T, JwtError> {
    let json = URL_SAFE_NO_PAD.decode(part).map_err(|_| JwtError::Malformed)?;
    serde_json::from_slice(&json).map_err(|_| JwtError::Malformed)
}

/// Returns true for any value of a member, also `null`.
fn present<'de, D: Deserializer<'de>>(value: D) -> Result<bool, D::Error> {
    IgnoredAny::deserialize(value).map(|_| true)
}

/// Returns the time of a NumericDate (RFC 7519): seconds, perhaps with a fraction. A time out of range is the nearest one.
fn time(seconds: f64) -> Time {
    Time((seconds * 1_000_000.0) as i64)
}
