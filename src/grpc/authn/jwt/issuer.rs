//! The configuration of a JWT issuer.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use crate::domain::ProjectKey;
use crate::limits::{JWT_SKEW_SECONDS, JWT_SKEW_SECONDS_MAX};

/// The operator ids of other credentials begin like this.
const CREDENTIALS: [&str; 3] = ["dns", "spiffe", "uid"];

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// The short name. The operator is `NAME:SUBJECT`.
    pub name: String,
    /// The `iss` of its tokens.
    pub issuer: String,
    /// What the `aud` of its tokens must be or contain.
    pub audience: String,
    /// A JWKS file, or a directory of them (`*.json`).
    pub jwks: PathBuf,
    /// True if it is trusted to provision operators (W4).
    pub provisions: bool,
    /// How much its clock may differ.
    pub skew: Duration,
}

impl Issuer {
    pub fn check(&self) -> Result<(), String> {
        // No name contains the colon that separates it from the subject. So no two issuers share an operator.
        ProjectKey::parse(&self.name).map_err(|bad| format!("`name` {bad}"))?;
        if CREDENTIALS.contains(&self.name.as_str()) {
            return Err(format!("`name` must not be {}, which other credentials begin with", CREDENTIALS.join(", ")));
        }
        for (field, value) in [("issuer", &self.issuer), ("audience", &self.audience)] {
            if value.is_empty() {
                return Err(format!("`{field}` must not be empty"));
            }
        }
        if self.skew > Duration::from_secs(JWT_SKEW_SECONDS_MAX) {
            return Err(format!("`skew` must be at most {JWT_SKEW_SECONDS_MAX} seconds"));
        }
        Ok(())
    }
}

/// Parses `name=NAME,issuer=URL,audience=TEXT,jwks=PATH[,provisions=true][,skew=SECONDS]`, in any order.
impl FromStr for Issuer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let [mut name, mut issuer, mut audience, mut jwks, mut provisions, mut skew] = [None; 6];
        for part in text.split(',') {
            let (key, value) = part.split_once('=').ok_or_else(|| format!("`{part}` must be `KEY=VALUE`"))?;
            let field = match key {
                "name" => &mut name,
                "issuer" => &mut issuer,
                "audience" => &mut audience,
                "jwks" => &mut jwks,
                "provisions" => &mut provisions,
                "skew" => &mut skew,
                _ => return Err(format!("`{key}` must be name, issuer, audience, jwks, provisions or skew")),
            };
            if field.replace(value).is_some() {
                return Err(format!("`{key}` must be given once"));
            }
        }
        let required = |key, value: Option<&str>| match value {
            Some(value) if !value.is_empty() => Ok(value.to_owned()),
            _ => Err(format!("`{key}` must be given")),
        };
        let parsed = Self {
            name: required("name", name)?,
            issuer: required("issuer", issuer)?,
            audience: required("audience", audience)?,
            jwks: required("jwks", jwks)?.into(),
            provisions: provisions.unwrap_or("false").parse().map_err(|_| "`provisions` must be true or false")?,
            skew: match skew {
                Some(seconds) => {
                    Duration::from_secs(seconds.parse().map_err(|_| "`skew` must be a number of seconds")?)
                }
                None => Duration::from_secs(JWT_SKEW_SECONDS),
            },
        };
        parsed.check()?;
        Ok(parsed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str =
        "name=okta,issuer=https://acme.okta.example/oauth2/x?a=b,audience=rolecall,jwks=/etc/rolecall/jwks.json";

    #[test]
    fn w3_an_issuer_is_given_as_one_flag() {
        let issuer: Issuer = GIVEN.parse().unwrap();
        let expected = Issuer {
            name: "okta".into(),
            issuer: "https://acme.okta.example/oauth2/x?a=b".into(),
            audience: "rolecall".into(),
            jwks: "/etc/rolecall/jwks.json".into(),
            provisions: false,
            skew: Duration::from_secs(60),
        };
        assert_eq!(issuer, expected);
        let issuer: Issuer = format!("skew=0,provisions=true,{GIVEN}").parse().unwrap();
        assert_eq!(issuer, Issuer { provisions: true, skew: Duration::ZERO, ..expected });
    }

    #[test]
    fn w3_a_malformed_flag_is_refused_by_the_name_of_its_field() {
        for (bad, field) in [
            (String::new(), "KEY=VALUE"),
            (format!("{GIVEN},"), "KEY=VALUE"),
            (format!("{GIVEN},provisions"), "KEY=VALUE"),
            (format!("{GIVEN},provisions=yes"), "`provisions`"),
            (format!("{GIVEN},skew=-1"), "`skew`"),
            (format!("{GIVEN},skew=1m"), "`skew`"),
            (format!("{GIVEN},skew=601"), "`skew`"),
            (format!("{GIVEN},skew=1,skew=2"), "`skew` must be given once"),
            (format!("{GIVEN},keys=x"), "`keys`"),
            (GIVEN.replace("name=okta,", ""), "`name` must be given"),
            (GIVEN.replace("name=okta", "name=a:b"), "`name`"),
            (GIVEN.replace("name=okta", "name=Okta"), "`name`"),
            (GIVEN.replace("audience=rolecall", "audience="), "`audience` must be given"),
            (GIVEN.replace(",jwks=/etc/rolecall/jwks.json", ""), "`jwks` must be given"),
            (GIVEN.replace("issuer=https://acme.okta.example/oauth2/x?a=b,", ""), "`issuer` must be given"),
        ] {
            let error = bad.parse::<Issuer>().unwrap_err();
            assert!(error.contains(field), "{bad}: {error}");
        }
    }
}
