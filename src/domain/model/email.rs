//! E-mail addresses and their domains. They are compared in the form that parsing gives them (V1.b, J1.b).

use std::fmt;
use std::sync::Arc;

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};
use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::domain::model::name::invisible;
use crate::limits::EMAIL_BYTES_MAX;

/// Why a text is not a valid e-mail address or domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadEmail {
    #[error("must not be empty")]
    Empty,
    #[error("must be at most {EMAIL_BYTES_MAX} bytes, with the domain in A-label form too")]
    TooLong,
    #[error("must contain exactly one `@`, with text on both sides")]
    NoAddress,
    #[error("must not contain white space, control or zero-width characters")]
    Space,
    #[error("must not contain any of `\"(),:;<>[\\]` before the `@`")]
    Special,
    #[error("must be in Unicode normalization form C before the `@`")]
    NotNormalized,
    #[error("must be, or end in, a valid domain name")]
    NoDomain,
}

/// An e-mail address (V1.b): lower-case, with the domain in A-label form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailAddress(Arc<str>);

/// The domain of e-mail addresses, in A-label form without a trailing dot (J1.b).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EmailDomain(Arc<str>);

impl EmailAddress {
    /// Returns the address in the form in which addresses are compared.
    pub fn parse(text: &str) -> Result<Self, BadEmail> {
        checked(text)?;
        let (local, domain) = text.split_once('@').ok_or(BadEmail::NoAddress)?;
        if local.is_empty() || domain.is_empty() || domain.contains('@') {
            return Err(BadEmail::NoAddress);
        }
        // RFC 5322 allows these only within quotes or comments. Two spellings of one mailbox would differ here.
        if local.contains(['"', '(', ')', ',', ':', ';', '<', '>', '[', '\\', ']']) {
            return Err(BadEmail::Special);
        }
        // Refused, not normalized: some characters (the Kelvin sign) would become ASCII letters.
        if !is_nfc(local) {
            return Err(BadEmail::NotNormalized);
        }
        let mut address: String = local.to_lowercase().nfc().collect();
        address.push('@');
        address.push_str(&a_label(domain)?);
        if address.len() > EMAIL_BYTES_MAX { Err(BadEmail::TooLong) } else { Ok(Self(address.into())) }
    }

    /// Accepts an address that was parsed before it was stored.
    pub fn stored(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn domain(&self) -> &str {
        self.0.split_once('@').map_or("", |(_, domain)| domain)
    }
}

impl EmailDomain {
    /// Returns the domain in the form in which domains are compared.
    pub fn parse(text: &str) -> Result<Self, BadEmail> {
        checked(text)?;
        Ok(Self(a_label(text)?.into()))
    }

    /// Accepts a domain that was parsed before it was stored.
    pub fn stored(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for EmailDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn checked(text: &str) -> Result<(), BadEmail> {
    match text.len() {
        0 => Err(BadEmail::Empty),
        length if length > EMAIL_BYTES_MAX => Err(BadEmail::TooLong),
        _ if text.chars().any(|c| c.is_whitespace() || invisible(c)) => Err(BadEmail::Space),
        _ => Ok(()),
    }
}

/// Returns the domain in A-label form, in lower case and without a trailing dot.
fn a_label(domain: &str) -> Result<String, BadEmail> {
    // Registered names have hyphens at the third and fourth position, so only the first and last are checked.
    let ascii = Uts46::new()
        .to_ascii(domain.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::VerifyAllowRootDot)
        .map_err(|_| BadEmail::NoDomain)?;
    let name = ascii.strip_suffix('.').unwrap_or(&ascii);
    if name.is_empty() { Err(BadEmail::NoDomain) } else { Ok(name.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v1_addresses_are_compared_in_lower_case_with_the_domain_in_a_label_form() {
        let cases = [
            ("bea@acme.example", "bea@acme.example"),
            ("Bea.Meier+News@ACME.Example", "bea.meier+news@acme.example"),
            ("BEA@acme.example.", "bea@acme.example"),
            ("o'brien@acme.example", "o'brien@acme.example"),
            ("bea@Bücher.example", "bea@xn--bcher-kva.example"),
            ("bea@bu\u{308}cher.example", "bea@xn--bcher-kva.example"),
            ("bea@XN--BCHER-KVA.example", "bea@xn--bcher-kva.example"),
            ("bea@bücher。example。", "bea@xn--bcher-kva.example"),
            ("JÜRGEN@acme.example", "jürgen@acme.example"),
            ("bea@straße.example", "bea@xn--strae-oqa.example"),
            ("bea@r3---a.example", "bea@r3---a.example"),
            ("..@acme.example", "..@acme.example"),
        ];
        for (text, expected) in cases {
            let address = EmailAddress::parse(text).unwrap_or_else(|bad| panic!("{text:?}: {bad}"));
            assert_eq!(address.as_str(), expected, "{text:?}");
            assert_eq!(EmailAddress::parse(expected), Ok(address), "{text:?}: parsing again changes nothing");
        }
        assert_eq!(
            EmailAddress::parse("Bea@Acme.Example").map(|address| address.domain().to_owned()),
            Ok("acme.example".into())
        );
    }

    #[test]
    fn v1_malformed_addresses_are_refused() {
        let cases = [
            ("", BadEmail::Empty),
            ("bea", BadEmail::NoAddress),
            ("@", BadEmail::NoAddress),
            ("@acme.example", BadEmail::NoAddress),
            ("bea@", BadEmail::NoAddress),
            ("bea@b@acme.example", BadEmail::NoAddress),
            ("bea@@acme.example", BadEmail::NoAddress),
            ("\"bea@b\"@acme.example", BadEmail::NoAddress),
            ("\"bea\"@acme.example", BadEmail::Special),
            ("<bea@acme.example>", BadEmail::Special),
            ("mailto:bea@acme.example", BadEmail::Special),
            ("bea(x)@acme.example", BadEmail::Special),
            ("bea m@acme.example", BadEmail::Space),
            (" bea@acme.example", BadEmail::Space),
            ("bea@acme.example ", BadEmail::Space),
            ("bea\u{A0}@acme.example", BadEmail::Space),
            ("bea@acme\u{3000}.example", BadEmail::Space),
            ("bea\n@acme.example", BadEmail::Space),
            ("bea\0@acme.example", BadEmail::Space),
            ("bea\u{85}@acme.example", BadEmail::Space),
            ("bea\u{200B}@acme.example", BadEmail::Space),
            ("bea@ac\u{AD}me.example", BadEmail::Space),
            ("\u{212A}im@acme.example", BadEmail::NotNormalized),
            ("bu\u{308}cher@acme.example", BadEmail::NotNormalized),
            ("bea@acme..example", BadEmail::NoDomain),
            ("bea@acme.example..", BadEmail::NoDomain),
            ("bea@.acme.example", BadEmail::NoDomain),
            ("bea@.", BadEmail::NoDomain),
            ("bea@-acme.example", BadEmail::NoDomain),
            ("bea@acme-.example", BadEmail::NoDomain),
            ("bea@acme_inc.example", BadEmail::NoDomain),
            ("bea@\"acme\".example", BadEmail::NoDomain),
            ("bea@[127.0.0.1]", BadEmail::NoDomain),
            ("bea@acme.example>", BadEmail::NoDomain),
            ("bea@xn--a.example", BadEmail::NoDomain),
            ("bea@acme\u{FF20}x.example", BadEmail::NoDomain),
        ];
        for (text, expected) in cases {
            assert_eq!(EmailAddress::parse(text), Err(expected), "{text:?}");
        }
    }

    #[test]
    fn v1_addresses_have_at_most_254_bytes_in_both_forms() {
        let domain = format!("{}.{}.example", "d".repeat(63), "e".repeat(63));
        let local = |bytes: usize| "l".repeat(bytes - domain.len() - 1);
        assert!(EmailAddress::parse(&format!("{}@{domain}", local(254))).is_ok());
        assert_eq!(EmailAddress::parse(&format!("{}@{domain}", local(255))), Err(BadEmail::TooLong));
        // 6 bytes longer as an A-label.
        let idn = |bytes: usize| format!("{}@bücher.example", "l".repeat(bytes - "@bücher.example".len()));
        assert_eq!(idn(248).len(), 248);
        assert!(EmailAddress::parse(&idn(248)).is_ok());
        assert_eq!(EmailAddress::parse(&idn(249)), Err(BadEmail::TooLong));
    }

    #[test]
    fn j1_domains_are_compared_in_a_label_form() {
        for text in [
            "bücher.example",
            "BÜCHER.EXAMPLE",
            "xn--bcher-kva.example",
            "Xn--Bcher-Kva.example.",
            "bu\u{308}cher.example",
        ] {
            assert_eq!(
                EmailDomain::parse(text).map(|domain| domain.to_string()),
                Ok("xn--bcher-kva.example".into()),
                "{text:?}"
            );
        }
        let bad = [
            ("", BadEmail::Empty),
            (".", BadEmail::NoDomain),
            ("acme..example", BadEmail::NoDomain),
            ("@acme.example", BadEmail::NoDomain),
            ("bea@acme.example", BadEmail::NoDomain),
            ("*.acme.example", BadEmail::NoDomain),
            ("https://acme.example", BadEmail::NoDomain),
            ("acme.example/x", BadEmail::NoDomain),
            ("acme .example", BadEmail::Space),
            ("acme\t.example", BadEmail::Space),
            ("xn--a.example", BadEmail::NoDomain),
        ];
        for (text, expected) in bad {
            assert_eq!(EmailDomain::parse(text), Err(expected), "{text:?}");
        }
        let labels = |last: usize| format!("{0}.{0}.{0}.{1}", "d".repeat(63), "e".repeat(last));
        assert!(EmailDomain::parse(&labels(61)).is_ok(), "253 bytes");
        assert!(EmailDomain::parse(&format!("{}.", labels(61))).is_ok(), "254 bytes with the trailing dot");
        assert_eq!(EmailDomain::parse(&labels(62)), Err(BadEmail::NoDomain));
        assert_eq!(EmailDomain::parse(&labels(63)), Err(BadEmail::TooLong));
        assert_eq!(EmailDomain::parse(&"d".repeat(64)), Err(BadEmail::NoDomain));
    }
}
