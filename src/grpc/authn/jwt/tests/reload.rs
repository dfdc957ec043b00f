//! Files that change while the server runs.

use super::*;

/// What `verify` answers to a token of a signer.
fn answers(verifier: &Verifier, signer: &Signer) -> Result<(), JwtError> {
    verifier.verify(&signer.token("ES256", &claims(json!({}))), NOW).map(|_| ())
}

#[test]
fn w3_new_keys_replace_the_old_ones_and_what_was_verified_with_them() {
    let (old, new) = (Signer::p256("old"), Signer::p256("new"));
    let (verifier, folder) = verifier(&[old.jwk()]);
    let token = old.token("ES256", &claims(json!({})));
    let first = verifier.verify(&token, NOW).unwrap();
    assert!(Arc::ptr_eq(&first, &verifier.verify(&token, NOW).unwrap()), "remembered");
    assert_eq!(verifier.reload(&mut [None]), 0);
    assert!(Arc::ptr_eq(&first, &verifier.verify(&token, NOW).unwrap()), "nothing changed");

    write(&folder.path().join("jwks.json"), &[new.jwk()]);
    assert!(verifier.verify(&token, NOW).is_ok(), "not read yet");
    verifier.reload(&mut [None]);
    assert_eq!(verifier.verify(&token, NOW), Err(JwtError::UnknownKey));
    assert_eq!(answers(&verifier, &new), Ok(()));
    // An empty set revokes all keys.
    write(&folder.path().join("jwks.json"), &[]);
    verifier.reload(&mut [None]);
    assert_eq!(answers(&verifier, &new), Err(JwtError::UnknownKey));
}

#[test]
fn w3_a_broken_file_is_logged_once_and_the_old_keys_are_kept() {
    let (old, new) = (Signer::p256("old"), Signer::p256("new"));
    let (verifier, folder) = verifier(&[old.jwk()]);
    let path = folder.path().join("jwks.json");
    let mut broken = [None];
    let mut weak = Signer::rsa("weak").jwk();
    weak["n"] = json!(URL_SAFE_NO_PAD.encode([0xff; 128]));
    let half = json!({ "keys": [new.jwk()] }).to_string();
    for content in [Some("{"), Some(&half[..half.len() / 2]), Some(&*json!({ "keys": [weak] }).to_string()), None] {
        match content {
            Some(content) => fs::write(&path, content).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        assert_eq!([1, 0, 0].map(|_| verifier.reload(&mut broken)), [1, 0, 0], "{content:?}");
        assert_eq!(answers(&verifier, &old), Ok(()));
        assert_eq!(answers(&verifier, &new), Err(JwtError::UnknownKey));
    }
    write(&path, &[new.jwk()]);
    assert_eq!(verifier.reload(&mut broken), 0);
    assert_eq!(broken, [None]);
    assert_eq!(answers(&verifier, &new), Ok(()));
}

#[test]
fn w3_a_broken_issuer_does_not_stop_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (Signer::p256("old"), Signer::p256("new"));
    let paths = ["a.json", "b.json"].map(|name| folder.path().join(name));
    paths.iter().for_each(|path| write(path, &[old.jwk()]));
    let first = Issuer { name: "first".into(), issuer: "https://first.example".into(), ..issuer(&paths[0]) };
    let verifier = Verifier::load(vec![first, issuer(&paths[1])]).unwrap();
    fs::write(&paths[0], "{").unwrap();
    write(&paths[1], &[new.jwk()]);
    assert_eq!(verifier.reload(&mut [None, None]), 1);
    assert_eq!(answers(&verifier, &new), Ok(()));
    let theirs = old.token("ES256", &claims(json!({ "iss": "https://first.example" })));
    assert!(verifier.verify(&theirs, NOW).is_ok());
}

#[test]
fn w3_files_may_be_added_to_a_directory_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (Signer::p256("one"), Signer::p256("two"));
    write(&folder.path().join("one.json"), &[one.jwk()]);
    // None of these is a JWKS file.
    for name in [".two.json", "two.json.tmp", "notes.txt"] {
        fs::write(folder.path().join(name), "{").unwrap();
    }
    let verifier = Verifier::load(vec![issuer(folder.path())]).unwrap();
    assert_eq!([&one, &two].map(|signer| answers(&verifier, signer)), [Ok(()), Err(JwtError::UnknownKey)]);
    write(&folder.path().join("two.json"), &[two.jwk()]);
    verifier.reload(&mut [None]);
    assert_eq!([&one, &two].map(|signer| answers(&verifier, signer)), [Ok(()), Ok(())]);
    fs::remove_file(folder.path().join("one.json")).unwrap();
    verifier.reload(&mut [None]);
    assert_eq!([&one, &two].map(|signer| answers(&verifier, signer)), [Err(JwtError::UnknownKey), Ok(())]);
}

#[tokio::test]
async fn w3_the_files_are_watched() {
    let (old, new) = (Signer::p256("old"), Signer::p256("new"));
    let (verifier, folder) = verifier(&[old.jwk()]);
    let watching = tokio::spawn(verifier.clone().watch(Duration::from_millis(1)));
    fs::write(folder.path().join("jwks.json"), "{").unwrap();
    write(&folder.path().join("jwks.json"), &[new.jwk()]);
    while answers(&verifier, &new).is_err() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(!watching.is_finished());
    watching.abort();
}
