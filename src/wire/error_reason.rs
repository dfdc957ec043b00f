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
        // The numbers of the values have gaps.
        ERROR_REASONS.iter().find(|row| row.0 == self.as_str_name()).copied().unwrap_or(ERROR_REASONS[0])
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
        let values = (0..1_000).filter_map(|number| ErrorReason::try_from(number).ok());
        let names: Vec<&str> = values.map(|value| value.as_str_name()).collect();
        assert_eq!(ERROR_REASONS.iter().map(|row| row.0).collect::<Vec<_>>(), names);
        for (name, _, meaning) in ERROR_REASONS {
            assert!(meaning.ends_with('.'), "{name}");
        }
    }

    #[test]
    fn domain_reasons_have_the_numbers_of_the_same_names() {
        for &reason in Reason::ALL {
            assert_eq!(format!("{:?}", ErrorReason::from(reason)), format!("{reason:?}"));
        }
    }
}
