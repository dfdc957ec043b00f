//! What is accepted and refused. The tokens are made here.

mod keys;
mod reload;
mod signer;

use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::limits::JWTS_REMEMBERED_MAX;
use signer::{Signer, hmac, part};

const NOW: Time = Time(1_800_000_000_000_000);
const NOW_SECONDS: i64 = NOW.0 / 1_000_000;
const ISSUER: &str = "https://acme.okta.example";

fn issuer(jwks: &Path) -> Issuer {
    Issuer {
        name: "okta".into(),
        issuer: ISSUER.into(),
        audience: "rolecall".into(),
        jwks: jwks.to_owned(),
        provisions: true,
        skew: Duration::from_secs(60),
    }
}

fn write(path: &Path, jwks: &[Value]) {
    fs::write(path, json!({ "keys": jwks }).to_string()).unwrap();
}

/// Returns a verifier of one issuer. Its keys are in `jwks.json` of the folder.
fn verifier(jwks: &[Value]) -> (Arc<Verifier>, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    write(&path, jwks);
    (Arc::new(Verifier::load(vec![issuer(&path)]).unwrap()), folder)
}

fn load(jwks: &str) -> Result<Verifier, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jwks.json");
    fs::write(&path, jwks).unwrap();
    Verifier::load(vec![issuer(&path)])
}

/// Returns good claims with some replaced. `null` removes one.
fn claims(changed: Value) -> Value {
    let mut claims = json!({
        "iss": ISSUER, "aud": "rolecall", "sub": "00u1", "exp": NOW_SECONDS + 300, "iat": NOW_SECONDS,
        "email": "Ann@Acme.example", "email_verified": true,
    });
    for (name, value) in changed.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims
}

/// Returns the answer to a token with these claims, signed by the only key.
fn answer(changed: Value) -> Result<Arc<Identity>, JwtError> {
    let signer = Signer::p256("k");
    let (verifier, _folder) = verifier(&[signer.jwk()]);
    verifier.verify(&signer.token("ES256", &claims(changed)), NOW)
}

#[test]
fn w3_a_token_of_a_configured_issuer_identifies_an_operator() {
    let identity = answer(json!({})).unwrap();
    let expected = Identity {
        operator: "okta:00u1".into(),
        issuer: "okta".into(),
        subject: "00u1".into(),
        email: Some(EmailAddress::stored("ann@acme.example")),
        until: NOW.plus_seconds(360),
        provisions: true,
    };
    assert_eq!(*identity, expected);
    assert_eq!(*answer(json!({ "aud": ["other", "rolecall"] })).unwrap(), expected);
    assert_eq!(answer(json!({ "exp": NOW_SECONDS as f64 + 0.5 })).unwrap().until, Time(NOW.0 + 60_500_000));
}

#[test]
fn w3_every_supported_algorithm_verifies() {
    let signers = [Signer::rsa("r"), Signer::p256("p"), Signer::p384("q"), Signer::ed25519("e")];
    let (verifier, _folder) = verifier(&signers.each_ref().map(Signer::jwk));
    let algorithms =
        [&["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"][..], &["ES256"], &["ES384"], &["EdDSA", "Ed25519"]];
    for (signer, algorithms) in signers.iter().zip(algorithms) {
        for algorithm in algorithms {
            let token = signer.token(algorithm, &claims(json!({})));
            assert_eq!(verifier.verify(&token, NOW).unwrap().operator, "okta:00u1", "{algorithm}");
        }
    }
}

#[test]
fn w3_tokens_that_are_not_signed_jwts_are_malformed() {
    let signer = Signer::p256("k");
    let (verifier, _folder) = verifier(&[signer.jwk()]);
    let good = signer.token("ES256", &claims(json!({})));
    let parts: Vec<&str> = good.split('.').collect();
    let [header, payload, signature] = parts[..] else { unreachable!() };
    let raw = |header: &str, payload: &str| signer.signed("ES256", header, payload);
    let claims = claims(json!({})).to_string();
    let plain = r#"{"alg":"ES256","kid":"k"}"#;
    assert!(verifier.verify(&raw(plain, &claims), NOW).is_ok());
    let doubled = |member: &str| claims.replacen('{', &format!("{{{member},"), 1);
    for bad in [
        String::new(),
        ".".into(),
        "..".into(),
        "a.b.c".into(),
        "Bearer".into(),
        format!("{header}.{payload}"),
        format!("{good}.{signature}"),
        format!("{header}.{payload}.{signature}.{header}.{payload}"),
        format!("{good}="),
        format!(" {good}"),
        format!("{good}\n"),
        format!("{header}.{payload}.{signature}+"),
        raw("[]", &claims),
        raw("{}", &claims),
        raw(r#"{"alg":256}"#, &claims),
        raw(r#"{"alg":"ES256","kid":7}"#, &claims),
        raw(r#"{"alg":"ES256","kid":"k","alg":"ES256"}"#, &claims),
        raw(r#"{"alg":"ES256","kid":"k"} x"#, &claims),
        raw(plain, "7"),
        raw(plain, &doubled(r#""sub":"admin""#)),
        raw(plain, &doubled(r#""exp":9999999999"#)),
        raw(plain, &claims.replace("\"00u1\"", "7")),
        raw(plain, &claims.replace("\"rolecall\"", "7")),
        raw(plain, &claims.replace("\"rolecall\"", "[7]")),
        raw(plain, &claims.replace(&(NOW_SECONDS + 300).to_string(), "\"tomorrow\"")),
        raw(plain, &claims.replace(&(NOW_SECONDS + 300).to_string(), "1e999")),
        raw(plain, &format!("{}1{}", "[".repeat(1_000), "]".repeat(1_000))),
    ] {
        assert_eq!(verifier.verify(&bad, NOW), Err(JwtError::Malformed), "{bad}");
    }
}

#[test]
fn w3_a_token_has_at_most_8_kib() {
    let padded = |bytes: usize| {
        let signer = Signer::ed25519("k");
        let (verifier, _folder) = verifier(&[signer.jwk()]);
        // Base64 writes 3 bytes as 4.
        let shorter = signer.token("EdDSA", &claims(json!({ "pad": "" }))).len();
        let mut pad = (bytes - shorter) / 4 * 3;
        let token = |pad: usize| signer.token("EdDSA", &claims(json!({ "pad": "x".repeat(pad) })));
        while token(pad).len() < bytes {
            pad += 1;
        }
        verifier.verify(&token(pad), NOW)
    };
    assert!(padded(JWT_BYTES_MAX - 4).is_ok());
    assert_eq!(padded(JWT_BYTES_MAX + 1), Err(JwtError::TooLong));
}

#[test]
fn w3_unsigned_tokens_are_refused() {
    let (verifier, _folder) = verifier(&[Signer::p256("k").jwk()]);
    for name in ["none", "None", "NONE", "nOnE"] {
        let header = part(&json!({ "alg": name, "kid": "k" }).to_string());
        let message = format!("{header}.{}", part(&claims(json!({})).to_string()));
        for signature in ["", "AAAA"] {
            assert_eq!(verifier.verify(&format!("{message}.{signature}"), NOW), Err(JwtError::Unsigned));
        }
    }
}

/// The classic confusion: an attacker uses the public key, which everybody knows, as a shared secret.
#[test]
fn w3_a_public_key_is_no_shared_secret() {
    let signers = [Signer::rsa("r"), Signer::p256("p")];
    let (verifier, _folder) = verifier(&signers.each_ref().map(Signer::jwk));
    for signer in &signers {
        let mut secrets = signer.public_bytes();
        secrets.push(signer.jwk().to_string().into());
        for secret in secrets {
            for algorithm in ["HS256", "HS384", "HS512"] {
                let header = json!({ "alg": algorithm, "kid": signer.id });
                let message = format!("{}.{}", part(&header.to_string()), part(&claims(json!({})).to_string()));
                let token = format!("{message}.{}", hmac(algorithm, &secret, &message));
                assert_eq!(verifier.verify(&token, NOW), Err(JwtError::SharedSecret));
                // The same bytes under the name of the key's own algorithm.
                let header = json!({ "alg": signer.algorithm(), "kid": signer.id });
                let message = format!("{}.{}", part(&header.to_string()), part(&claims(json!({})).to_string()));
                let token = format!("{message}.{}", hmac(algorithm, &secret, &message));
                assert_eq!(verifier.verify(&token, NOW), Err(JwtError::WrongSignature));
            }
        }
    }
    // A shared secret in the JWKS is not used either.
    let secret = json!({ "kty": "oct", "kid": "s", "alg": "HS256", "k": URL_SAFE_NO_PAD.encode("secret") });
    assert_eq!(load(&json!({ "keys": [secret] }).to_string()).unwrap().loaded.load().keys[0].len(), 0);
}

#[test]
fn w3_the_algorithm_must_fit_the_key() {
    let signers = [Signer::rsa("r"), Signer::p256("p"), Signer::p384("q"), Signer::ed25519("e")];
    let (verifier, _folder) = verifier(&signers.each_ref().map(Signer::jwk));
    for signer in &signers {
        for other in signers.iter().filter(|other| other.id != signer.id) {
            let header = json!({ "alg": other.algorithm(), "kid": signer.id }).to_string();
            let token = signer.signed(signer.algorithm(), &header, &claims(json!({})).to_string());
            assert_eq!(verifier.verify(&token, NOW), Err(JwtError::WrongAlgorithm), "{header}");
        }
    }
    for unsupported in ["ES512", "ES256K", "RS1", "es256", "", "ES256 "] {
        let header = json!({ "alg": unsupported, "kid": "p" }).to_string();
        let token = signers[1].signed("ES256", &header, &claims(json!({})).to_string());
        assert_eq!(verifier.verify(&token, NOW), Err(JwtError::UnsupportedAlgorithm), "{unsupported}");
    }
}

#[test]
fn w3_a_critical_header_is_refused() {
    let signer = Signer::p256("k");
    let (verifier, _folder) = verifier(&[signer.jwk()]);
    for critical in [json!(["exp"]), json!(["b64"]), json!([]), json!(null), json!("exp")] {
        let header = json!({ "alg": "ES256", "kid": "k", "crit": critical, "b64": false }).to_string();
        let token = signer.signed("ES256", &header, &claims(json!({})).to_string());
        assert_eq!(verifier.verify(&token, NOW), Err(JwtError::Critical), "{header}");
    }
}

#[test]
fn w3_the_key_is_the_named_one_or_the_only_one() {
    let (one, two) = (Signer::p256("one"), Signer::p256("two"));
    let unnamed = |signer: &Signer| signer.signed("ES256", r#"{"alg":"ES256"}"#, &claims(json!({})).to_string());
    let named = |signer: &Signer, id: &str| {
        let header = json!({ "alg": "ES256", "kid": id }).to_string();
        signer.signed("ES256", &header, &claims(json!({})).to_string())
    };
    let (single, _folder) = verifier(&[one.jwk()]);
    assert!(single.verify(&unnamed(&one), NOW).is_ok());
    assert_eq!(single.verify(&unnamed(&two), NOW), Err(JwtError::WrongSignature));
    for unknown in ["two", "", "../one", "ONE"] {
        assert_eq!(single.verify(&named(&one, unknown), NOW), Err(JwtError::UnknownKey));
    }
    let (several, _folder) = verifier(&[one.jwk(), two.jwk()]);
    assert_eq!(several.verify(&unnamed(&one), NOW), Err(JwtError::NoKeyId));
    assert!(several.verify(&named(&two, "two"), NOW).is_ok());
    assert_eq!(several.verify(&named(&two, "one"), NOW), Err(JwtError::WrongSignature));
    // Keys of different types, and keys of one type in a rotation, may have the same id.
    let (same, _folder) = verifier(&[Signer::rsa("one").jwk(), Signer::p256("one").jwk(), one.jwk()]);
    assert!(same.verify(&named(&one, "one"), NOW).is_ok());
    assert_eq!(same.verify(&named(&two, "one"), NOW), Err(JwtError::WrongSignature));
}

#[test]
fn w3_each_part_is_signed() {
    for signer in [Signer::rsa("k"), Signer::p256("k"), Signer::p384("k"), Signer::ed25519("k")] {
        let (verifier, _folder) = verifier(&[signer.jwk()]);
        let token = |changed| signer.token(signer.algorithm(), &claims(changed));
        let (good, other) = (token(json!({})), token(json!({ "sub": "admin" })));
        let (good, other): (Vec<&str>, Vec<&str>) = (good.split('.').collect(), other.split('.').collect());
        let spliced = format!("{}.{}.{}", good[0], other[1], good[2]);
        assert_eq!(verifier.verify(&spliced, NOW), Err(JwtError::WrongSignature));
        let header = part(&json!({ "alg": signer.algorithm(), "kid": "k", "typ": "at+jwt" }).to_string());
        let spliced = format!("{header}.{}.{}", good[1], good[2]);
        assert_eq!(verifier.verify(&spliced, NOW), Err(JwtError::WrongSignature));
        let zeros = URL_SAFE_NO_PAD.encode(vec![0; URL_SAFE_NO_PAD.decode(good[2]).unwrap().len()]);
        for signature in ["", "AAAA", &zeros] {
            let forged = format!("{}.{}.{signature}", good[0], good[1]);
            assert_eq!(verifier.verify(&forged, NOW), Err(JwtError::WrongSignature));
        }
        assert!(verifier.verify(&good.join("."), NOW).is_ok());
        assert_eq!(verifier.verify(&spliced, NOW), Err(JwtError::WrongSignature), "only whole tokens are remembered");
    }
}

#[test]
fn w3_issuer_and_audience_must_be_the_configured_ones() {
    for issuer in [json!(null), json!("https://evil.example"), json!(format!("{ISSUER}/")), json!("okta"), json!("")] {
        assert_eq!(answer(json!({ "iss": issuer })), Err(JwtError::UnknownIssuer));
    }
    for audience in [json!(null), json!("other"), json!(["other"]), json!([]), json!(""), json!("rolecall ")] {
        assert_eq!(answer(json!({ "aud": audience })), Err(JwtError::WrongAudience));
    }
}

#[test]
fn w3_a_key_of_one_issuer_signs_no_token_of_another() {
    let folder = tempfile::tempdir().unwrap();
    let (okta, entra) = (Signer::p256("k"), Signer::p256("k"));
    let paths = ["okta.json", "entra.json"].map(|name| folder.path().join(name));
    write(&paths[0], &[okta.jwk()]);
    write(&paths[1], &[entra.jwk()]);
    let second =
        Issuer { name: "entra".into(), issuer: "https://entra.example".into(), provisions: false, ..issuer(&paths[1]) };
    let verifier = Verifier::load(vec![issuer(&paths[0]), second.clone()]).unwrap();
    let theirs = claims(json!({ "iss": "https://entra.example" }));
    let identity = verifier.verify(&entra.token("ES256", &theirs), NOW).unwrap();
    assert_eq!((&*identity.operator, identity.provisions), ("entra:00u1", false));
    assert_eq!(verifier.verify(&okta.token("ES256", &theirs), NOW), Err(JwtError::WrongSignature));

    for same in [Issuer { name: "okta".into(), ..second.clone() }, Issuer { issuer: ISSUER.into(), ..second }] {
        assert!(Verifier::load(vec![issuer(&paths[0]), same]).is_err(), "two issuers must differ");
    }
}

#[test]
fn w3_times_are_checked_with_the_skew_also_for_a_remembered_token() {
    let signer = Signer::p256("k");
    let (verifier, _folder) = verifier(&[signer.jwk()]);
    let token = |changed| signer.token("ES256", &claims(changed));
    let limited = token(json!({ "nbf": NOW_SECONDS, "exp": NOW_SECONDS + 300 }));
    let at = |seconds: i64, micros: i64| {
        verifier.verify(&limited, Time(NOW.plus_seconds(seconds).0 + micros)).map(|it| it.until)
    };
    for _ in 0..2 {
        assert_eq!(at(-60, -1), Err(JwtError::NotYetValid));
        assert_eq!(at(-60, 0), Ok(NOW.plus_seconds(360)));
        assert_eq!(at(359, 999_999), Ok(NOW.plus_seconds(360)));
        assert_eq!(at(360, 0), Err(JwtError::Expired));
    }
    assert_eq!(verifier.loaded.load().remembered().len(), 1);
    assert_eq!(answer(json!({ "exp": null })), Err(JwtError::NoExpiry));
    for past in [json!(0), json!(-1), json!(-1e300), json!(NOW_SECONDS - 61)] {
        assert_eq!(answer(json!({ "exp": past })), Err(JwtError::Expired));
    }
    // Times out of range do not overflow.
    assert!(answer(json!({ "exp": 1e300, "nbf": -1e300 })).is_ok());
    assert_eq!(answer(json!({ "nbf": 1e300 })), Err(JwtError::NotYetValid));
}

#[test]
fn w3_the_subject_must_make_a_valid_id() {
    for subject in [json!(null), json!("")] {
        assert_eq!(answer(json!({ "sub": subject })), Err(JwtError::NoSubject));
    }
    for bad in ["a b", "a\n", "a\u{2003}b", "\0"] {
        assert_eq!(answer(json!({ "sub": bad })), Err(JwtError::BadSubject(BadName::Space)), "{bad:?}");
    }
    // `okta:` and the subject have at most 128 bytes.
    assert_eq!(answer(json!({ "sub": "s".repeat(123) })).unwrap().operator.len(), 128);
    assert_eq!(answer(json!({ "sub": "s".repeat(124) })), Err(JwtError::BadSubject(BadName::TooLong(128))));
    assert_eq!(answer(json!({ "sub": "okta:00u1" })).unwrap().operator, "okta:okta:00u1");
}

#[test]
fn w4_only_a_verified_address_is_reported() {
    for (changed, reported) in [
        (json!({ "email_verified": true }), true),
        (json!({ "email_verified": false }), false),
        (json!({ "email_verified": null }), false),
        (json!({ "email_verified": "true" }), false),
        (json!({ "email_verified": 1 }), false),
        (json!({ "email": null }), false),
        (json!({ "email": "no address" }), false),
        (json!({ "email": ["ann@acme.example"] }), false),
    ] {
        assert_eq!(answer(changed.clone()).unwrap().email.is_some(), reported, "{changed}");
    }
}

#[test]
fn w3_as_many_tokens_as_the_limit_are_remembered_at_most() {
    let verified = Verified { identity: answer(json!({})).unwrap(), from: None };
    let hash_key = HashKey::new([7; 16]);
    let hash = |number: u32| hash_key.bytes(&number.to_le_bytes());
    let mut remembered = Remembered::default();
    for number in 0..3 * JWTS_REMEMBERED_MAX as u32 {
        remembered.insert(hash(number), verified.clone());
        assert!(remembered.len() <= JWTS_REMEMBERED_MAX);
        // A token in use stays.
        assert!(remembered.get(hash(0)).is_some(), "{number}");
        assert!(remembered.get(hash(number)).is_some());
    }
    assert!(remembered.get(hash(1)).is_none());
}
