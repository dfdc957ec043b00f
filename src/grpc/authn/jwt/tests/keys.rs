//! Keys of JWKS files.

use super::*;

/// RFC 7515 A.3 and RFC 8037 A.4: signatures that other programs made.
#[test]
fn w3_published_signatures_verify() {
    let published = [
        (
            json!({ "kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" }),
            "ES256",
            "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        ),
        (
            json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" }),
            "EdDSA",
            "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
            "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        ),
    ];
    for (jwk, algorithm, message, signature) in published {
        let (verifier, _folder) = verifier(&[jwk]);
        let keys = verifier.loaded.load().keys[0].clone();
        let algorithm = Algorithm::named(algorithm).unwrap();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        assert!(keys.only().unwrap().verifies(algorithm, message.as_bytes(), &signature));
        assert!(!keys.only().unwrap().verifies(algorithm, &message.as_bytes()[1..], &signature));
    }
}

#[test]
fn w3_a_key_is_used_only_for_the_algorithm_and_purpose_that_its_issuer_gives_it() {
    let signer = Signer::rsa("k");
    let with = |name: &str, value: Value| {
        let mut jwk = signer.jwk();
        jwk[name] = value;
        verifier(&[jwk])
    };
    let (verifier, _folder) = with("alg", json!("RS256"));
    assert!(verifier.verify(&signer.token("RS256", &claims(json!({}))), NOW).is_ok());
    for other in ["RS512", "PS256"] {
        assert_eq!(verifier.verify(&signer.token(other, &claims(json!({}))), NOW), Err(JwtError::WrongAlgorithm));
    }
    let token = signer.token("RS256", &claims(json!({})));
    for (name, value, verifies) in [
        ("use", json!("sig"), true),
        ("use", json!("enc"), false),
        ("key_ops", json!(["verify"]), true),
        ("key_ops", json!(["encrypt"]), false),
        ("alg", json!("RSA-OAEP"), false),
    ] {
        let (verifier, _folder) = with(name, value.clone());
        let expected = if verifies { Ok("okta:00u1".into()) } else { Err(JwtError::UnknownKey) };
        assert_eq!(verifier.verify(&token, NOW).map(|it| it.operator.clone()), expected, "{name} {value}");
    }
}

#[test]
fn w3_keys_that_are_weak_or_malformed_are_refused_when_they_are_loaded() {
    let rsa = |bits: usize| {
        let mut modulus = vec![0xff; bits.div_ceil(8)];
        modulus[0] >>= (8 - bits % 8) % 8;
        json!({ "kty": "RSA", "kid": "k", "n": URL_SAFE_NO_PAD.encode(modulus), "e": "AQAB" })
    };
    let set = |jwk: Value| load(&json!({ "keys": [jwk] }).to_string()).err();
    for (bits, good) in [(512, false), (1_024, false), (2_047, false), (2_048, true), (8_192, true), (8_193, false)] {
        assert_eq!(set(rsa(bits)).is_none(), good, "{bits} bits");
    }
    let with = |mut jwk: Value, name: &str, value: Value| {
        jwk[name] = value;
        jwk
    };
    let (p256, ed25519) = (Signer::p256("k").jwk(), Signer::ed25519("k").jwk());
    for bad in [
        with(rsa(2_048), "n", json!(null)),
        with(rsa(2_048), "n", json!("+/==")),
        with(rsa(2_048), "alg", json!("ES256")),
        with(p256.clone(), "crv", json!("P-384")),
        with(p256.clone(), "x", json!("AAAA")),
        with(p256.clone(), "y", json!(null)),
        with(ed25519, "x", json!("")),
    ] {
        let error = set(bad.clone()).unwrap_or_else(|| panic!("accepted {bad}"));
        assert!(error.contains("`okta`") && error.contains("jwks.json") && error.contains("keys[0]"), "{error}");
    }
    for bad in ["", "{}", "[]", r#"{"keys": 7}"#, r#"{"keys": [{}]}"#, &" ".repeat((1 << 20) + 1)] {
        assert!(load(bad).is_err());
    }
    // Keys of types that are unknown here do not spoil the others.
    let others = [json!({ "kty": "EC", "crv": "P-521", "x": "", "y": "" }), json!({ "kty": "AKP", "pub": "AA" }), p256];
    assert_eq!(load(&json!({ "keys": others }).to_string()).unwrap().loaded.load().keys[0].len(), 1);
}

#[test]
fn w3_a_modulus_may_have_leading_zeros() {
    let signer = Signer::rsa("k");
    let mut jwk = signer.jwk();
    let modulus = URL_SAFE_NO_PAD.decode(jwk["n"].as_str().unwrap()).unwrap();
    jwk["n"] = json!(URL_SAFE_NO_PAD.encode([&[0][..], &modulus].concat()));
    let (verifier, _folder) = verifier(&[jwk]);
    assert!(verifier.verify(&signer.token("RS256", &claims(json!({}))), NOW).is_ok());
}
