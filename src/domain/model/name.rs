//! Names and ids of callers, as types: `grpc` parses them once, and nothing below checks them again (P1, R1, S5, U1).

use std::fmt;
use std::sync::Arc;

use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::limits::{ID_BYTES_MAX, NAME_BYTES_MAX, PERMISSION_NAME_BYTES_MAX};

/// Why a text is not a valid name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    #[error("must not be empty")]
    Empty,
    #[error("must be at most {0} bytes of UTF-8")]
    TooLong(usize),
    #[error("must be in Unicode normalization form C")]
    NotNormalized,
    #[error("must not begin or end with white space")]
    OuterSpace,
    #[error("must not contain control, bidirectional or zero-width characters")]
    Invisible,
    #[error("must not contain white space or control characters")]
    Space,
    #[error("must match `[a-z][a-z0-9-]{{0,62}}`")]
    NoKey,
}

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident($parse:path))*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn parse(text: &str) -> Result<Self, BadName> {
                $parse(text)?;
                Ok(Self(text.into()))
            }

            /// Accepts a text that was checked before it was stored.
            pub fn stored(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    )*};
}

names! {
    /// A project's key: `[a-z][a-z0-9-]{0,62}` (P1).
    ProjectKey(project_key)
    /// A role's name (R1): found by its exact form, unique after case folding.
    RoleName(role_name)
    /// A role mapping's name (R1): found by its exact form, unique after case folding.
    RoleMappingName(role_name)
    /// A permission's name (R1): compared byte for byte.
    PermissionName(permission_name)
    /// An org's id, the caller's own string (S5).
    OrgId(own_id)
    /// A user's id, the caller's own string (U1).
    UserId(own_id)
}

impl ProjectKey {
    /// The project that an empty `project` means (P2).
    pub const DEFAULT: &'static str = "default";

    /// Returns the key of the default project.
    pub fn default_project() -> Self {
        Self(Self::DEFAULT.into())
    }
}

/// Returns the form in which names that differ only in case are equal (R1).
pub fn folded(name: &str) -> String {
    unicase::UniCase::new(name).to_folded_case().nfc().collect()
}

/// Checks the id of an org or user.
pub fn own_id(text: &str) -> Result<(), BadName> {
    within(text, ID_BYTES_MAX)?;
    // Ids are short and mostly ASCII. Check bytes first, and characters only if one is not ASCII.
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(BadName::Space);
    }
    Ok(())
}

/// Checks the name of a permission.
pub fn permission_name(text: &str) -> Result<(), BadName> {
    visible_name(text, PERMISSION_NAME_BYTES_MAX)
}

/// Checks the name of a role or role mapping.
pub fn role_name(text: &str) -> Result<(), BadName> {
    visible_name(text, NAME_BYTES_MAX)
}

fn project_key(text: &str) -> Result<(), BadName> {
    let mut bytes = text.bytes();
    let first = bytes.next().ok_or(BadName::Empty)?;
    let rest = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if first.is_ascii_lowercase() && text.len() <= crate::limits::PROJECT_KEY_BYTES_MAX && bytes.all(rest) {
        Ok(())
    } else {
        Err(BadName::NoKey)
    }
}

fn visible_name(text: &str, bytes_max: usize) -> Result<(), BadName> {
    within(text, bytes_max)?;
    if text.trim() != text {
        return Err(BadName::OuterSpace);
    }
    if text.is_ascii() {
        return if text.bytes().any(|byte| byte.is_ascii_control()) { Err(BadName::Invisible) } else { Ok(()) };
    }
    if text.chars().any(invisible) {
        return Err(BadName::Invisible);
    }
    if !is_nfc(text) {
        return Err(BadName::NotNormalized);
    }
    Ok(())
}

fn within(text: &str, bytes_max: usize) -> Result<(), BadName> {
    match text.len() {
        0 => Err(BadName::Empty),
        length if length > bytes_max => Err(BadName::TooLong(bytes_max)),
        _ => Ok(()),
    }
}

/// Returns true for characters by which two names could differ without a visible difference: Unicode's
/// Default_Ignorable_Code_Point (includes bidirectional and zero-width characters), interlinear annotation characters
/// and line separators.
pub fn invisible(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00AD}' | '\u{034F}' | '\u{061C}' | '\u{115F}'..='\u{1160}' | '\u{17B4}'..='\u{17B5}' | '\u{180B}'..='\u{180F}'
            | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}' | '\u{FE00}'..='\u{FE0F}'
            | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}'
            | '\u{E0000}'..='\u{E0FFF}'
            | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r1_names_are_nfc_visible_trimmed_and_bounded() {
        let cases = [
            ("Billing Manager", Ok(())),
            ("Geschäftsführer", Ok(())),
            ("管理者", Ok(())),
            ("", Err(BadName::Empty)),
            (" Owner", Err(BadName::OuterSpace)),
            ("Owner\u{00A0}", Err(BadName::OuterSpace)),
            ("Ow\u{200B}ner", Err(BadName::Invisible)),
            ("Ow\u{202E}ner", Err(BadName::Invisible)),
            ("Ow\0ner", Err(BadName::Invisible)),
            ("Ow\nner", Err(BadName::Invisible)),
            ("Cafe\u{0301}", Err(BadName::NotNormalized)),
        ];
        for (text, expected) in cases {
            assert_eq!(RoleName::parse(text).map(|_| ()), expected, "{text:?}");
        }
        assert!(RoleName::parse(&"a".repeat(128)).is_ok());
        assert_eq!(RoleName::parse(&"a".repeat(129)), Err(BadName::TooLong(128)));
        assert!(PermissionName::parse(&"a".repeat(256)).is_ok());
        assert_eq!(PermissionName::parse(&"a".repeat(257)), Err(BadName::TooLong(256)));
    }

    #[test]
    fn r1_folding_ignores_only_case() {
        assert_eq!(folded("OWNER"), folded("owner"));
        assert_eq!(folded("Straße"), folded("STRASSE"));
        assert_eq!(folded("ΣΊΣΥΦΟΣ"), folded("σίσυφος"));
        assert_ne!(folded("Owner"), folded("Owners"));
    }

    #[test]
    fn p1_keys_are_lower_case_letters_digits_and_hyphens() {
        for good in ["a", "default", "shop-2", &"a".repeat(63)] {
            assert!(ProjectKey::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "A", "2shop", "-a", "a_b", "a.b", "ä", &"a".repeat(64)] {
            assert!(ProjectKey::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn s5_ids_are_opaque_strings_of_the_caller() {
        for good in ["acme", "a@b.example", "Zürich", "018f-…", &"x".repeat(128)] {
            assert!(OrgId::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a b", "a\tb", "a\u{2003}b", "a\0", "a\u{85}", &"x".repeat(129)] {
            assert!(OrgId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
