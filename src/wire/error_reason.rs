//! The code and the meaning of every reason. Their only source is `error_reason.proto`.

use super::ErrorReason;
use crate::domain::Reason;

/// Name, canonical code and meaning of every reason, in the order of the proto file.
pub const ERROR_REASONS: &[(&str, &str, &str)] = include!(concat!(env!("OUT_DIR"), "/error_reasons.rs"));

impl ErrorReason {
    /// Returns the name of the canonical code, for example `NOT_FOUND`.
    pub fn code(self) -> &'static str {
        self.row().1
    }

    /// Returns what the error means and what to do about it.
    pub fn meaning(self) -> &'static str {
        self.row().2
    }

    fn row(self) -> (&'static str, &'static str, &'static str) {
        // The values are numbered from 0 without gaps. A test checks it.
        ERROR_REASONS[self as usize]
    }
}

impl From<Reason> for ErrorReason {
    fn from(reason: Reason) -> Self {
        Self::try_from(reason as i32).unwrap_or(Self::Internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_one_row_per_value_in_numerical_order() {
        for (number, &(name, _, meaning)) in ERROR_REASONS.iter().enumerate() {
            assert_eq!(ErrorReason::try_from(number as i32).unwrap().as_str_name(), name);
            assert!(meaning.ends_with('.'), "{name}");
        }
        assert!(ErrorReason::try_from(ERROR_REASONS.len() as i32).is_err());
    }

    #[test]
    fn domain_reasons_have_the_numbers_of_the_same_names() {
        for &reason in Reason::ALL {
            assert_eq!(format!("{:?}", ErrorReason::from(reason)), format!("{reason:?}"));
        }
    }
}
