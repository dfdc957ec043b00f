//! TLS to PostgreSQL.

use rcgen::{CertificateParams, KeyPair};
use rolecall::store::{Store, StoreError};

use crate::support::cluster::Cluster;

/// A self-signed certificate for a name or address, and its key.
fn certificate(name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.into()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

/// Starts a server with a certificate for a name. It demands TLS. Returns the file of the certificate.
fn demanding(name: &str) -> Option<(Cluster, String)> {
    let cluster = Cluster::start(&[])?;
    let (certificate, key) = certificate(name);
    cluster.write("server.crt", &certificate);
    cluster.write("server.key", &key);
    cluster.write("pg_hba.conf", "local all all trust\nhostssl all all 127.0.0.1/32 trust\n");
    cluster.set(&["ssl = on"]);
    cluster.restart();
    let file = cluster.folder().join("root.crt");
    std::fs::write(&file, certificate).unwrap();
    Some((cluster, file.display().to_string()))
}

async fn opens(url: &str) -> Result<(), String> {
    match Store::open(url).await {
        Ok(store) => {
            store.migrate().await.unwrap();
            store.close().await;
            Ok(())
        }
        Err(error @ StoreError::Open { .. }) => Err(error.to_string()),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn a_server_that_demands_tls_is_reached_with_tls() {
    let Some((cluster, root)) = demanding("127.0.0.1") else { return };
    let url = cluster.url();
    for parameters in ["", "?sslmode=prefer", "?sslmode=require"] {
        assert_eq!(opens(&format!("{url}{parameters}")).await, Ok(()), "{parameters}");
    }
    assert_eq!(opens(&format!("{url}?sslmode=verify-ca&sslrootcert={root}")).await, Ok(()));
    assert_eq!(opens(&format!("{url}?sslmode=verify-full&sslrootcert={root}")).await, Ok(()));
    let plain = opens(&format!("{url}?sslmode=disable")).await.unwrap_err();
    assert!(plain.contains("no encryption"), "{plain}");
}

#[tokio::test]
async fn a_url_without_parameters_is_opened_for_each_purpose() {
    for with_tls in [true, false] {
        let cluster = if with_tls { demanding("127.0.0.1").map(|(cluster, _)| cluster) } else { Cluster::start(&[]) };
        let Some(cluster) = cluster else { return };
        // `serve`, `recover`, `backup`.
        let url = cluster.url();
        assert!(!url.contains('?'), "{url}");
        Store::open(&url).await.unwrap().close().await;
        Store::open_existing(&url).await.unwrap().close().await;
        Store::open_to_read(&url).await.unwrap().close().await;
    }
}

#[tokio::test]
async fn a_wrong_certificate_is_refused() {
    let Some((cluster, root)) = demanding("db.example.com") else { return };
    let url = cluster.url();
    // Nobody signed it who is trusted.
    let error = opens(&format!("{url}?sslmode=verify-full")).await.unwrap_err();
    assert!(error.contains("UnknownIssuer"), "{error}");
    // It is trusted, but belongs to another host.
    let error = opens(&format!("{url}?sslmode=verify-full&sslrootcert={root}")).await.unwrap_err();
    assert!(error.contains("not valid for name"), "{error}");
    let other = cluster.folder().join("other.crt");
    std::fs::write(&other, certificate("db.example.com").0).unwrap();
    let error = opens(&format!("{url}?sslmode=verify-ca&sslrootcert={}", other.display())).await.unwrap_err();
    assert!(error.contains("UnknownIssuer") || error.contains("BadSignature"), "{error}");
    assert_eq!(opens(&format!("{url}?sslmode=require")).await, Ok(()));
}

#[tokio::test]
async fn a_server_without_tls_is_refused_where_tls_is_demanded() {
    let Some(cluster) = Cluster::start(&[]) else { return };
    for mode in ["require", "verify-ca", "verify-full"] {
        let error = opens(&format!("{}?sslmode={mode}", cluster.url())).await.unwrap_err();
        assert!(error.contains("does not support TLS"), "{error}");
    }
    assert_eq!(opens(&format!("{}?sslmode=prefer", cluster.url())).await, Ok(()));
}
