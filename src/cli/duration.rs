//! Lengths of time on the command line.

/// Reads a time like `7d`: a number and one of the units d, h, m and s. Returns the seconds.
pub fn seconds(text: &str) -> Result<i64, String> {
    let malformed = || "must be a number and a unit, for example `7d`, `12h`, `30m` or `90s`".to_string();
    let at = text.len().checked_sub(1).filter(|&at| text.is_char_boundary(at)).ok_or_else(malformed)?;
    let (number, unit) = text.split_at(at);
    let unit_seconds = match unit {
        "d" => 24 * 60 * 60,
        "h" => 60 * 60,
        "m" => 60,
        "s" => 1,
        _ => return Err(malformed()),
    };
    let number: u32 = number.parse().map_err(|_| malformed())?;
    Ok(i64::from(number) * unit_seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_has_a_number_and_a_unit() {
        for (text, expected) in [("7d", 604_800), ("12h", 43_200), ("30m", 1_800), ("90s", 90)] {
            assert_eq!(seconds(text), Ok(expected));
        }
        for malformed in ["", "7", "d", "-7d", "7 d", "7w", "1.5h", "7d2h", "99999999999d", "7µ"] {
            assert!(seconds(malformed).is_err(), "{malformed}");
        }
    }
}
