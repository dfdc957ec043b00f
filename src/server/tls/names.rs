//! What a client certificate says about its client.

use std::io;
use std::time::Duration;

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Returns the names of a verified certificate, and how long it is still valid.
pub fn read(certificate: &[u8]) -> io::Result<(Vec<String>, Duration)> {
    let (_, certificate) = X509Certificate::from_der(certificate).map_err(io::Error::other)?;
    let names = match certificate.subject_alternative_name().map_err(io::Error::other)? {
        Some(names) => operators(&names.value.general_names),
        None => Vec::new(),
    };
    let valid_for = certificate.validity().time_to_expiration().map(|left| left.unsigned_abs());
    Ok((names, valid_for.unwrap_or_default()))
}

/// Returns the names that can belong to an operator, SPIFFE ids first. A certificate with several URIs has no SPIFFE id: so
/// says the standard of SPIFFE (X509-SVID, section 2).
fn operators(names: &[GeneralName<'_>]) -> Vec<String> {
    let uris: Vec<&str> =
        names.iter().filter_map(|name| if let GeneralName::URI(uri) = name { Some(*uri) } else { None }).collect();
    let spiffe = match uris[..] {
        [uri] if uri.starts_with("spiffe://") => Some(uri.to_owned()),
        _ => None,
    };
    let dns = names.iter().filter_map(|name| match name {
        GeneralName::DNSName(name) => Some(format!("dns:{}", name.to_ascii_lowercase())),
        _ => None,
    });
    spiffe.into_iter().chain(dns).collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, SanType};

    use super::*;

    fn names(alternative: &[SanType]) -> Vec<String> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = alternative.to_vec();
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        read(certificate.der()).unwrap().0
    }

    #[test]
    fn names_are_spiffe_ids_and_dns_names() {
        let uri = |uri: &str| SanType::URI(uri.try_into().unwrap());
        let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
        let billing = "spiffe://prod.example/billing";
        let ip = SanType::IpAddress([127, 0, 0, 1].into());
        let mail = SanType::Rfc822Name("a@prod.example".try_into().unwrap());
        assert_eq!(
            names(&[dns("Billing.example"), ip, mail, uri(billing), dns("b.example")]),
            [billing, "dns:billing.example", "dns:b.example"]
        );
        assert_eq!(names(&[uri("https://prod.example/billing")]), [] as [&str; 0]);
        assert_eq!(names(&[uri(billing), uri("spiffe://prod.example/other")]), [] as [&str; 0]);
        assert_eq!(names(&[]), [] as [&str; 0]);
    }

    #[test]
    fn the_time_until_expiry_is_known() {
        let mut params = CertificateParams::default();
        params.not_after = rcgen::date_time_ymd(2999, 1, 1);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert!(read(certificate.der()).unwrap().1 > Duration::from_secs(900 * 365 * 24 * 3_600));
        assert!(read(b"no certificate").is_err());
    }
}
