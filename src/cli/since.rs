//! Points in time on the command line.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use super::duration::seconds;
use crate::wire::Timestamp;

/// A time, or how long ago it was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Since {
    Ago(Duration),
    At(Timestamp),
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(ago) = seconds(text) {
            return Ok(Self::Ago(Duration::from_secs(ago.unsigned_abs())));
        }
        let time = text.parse().map(Self::At);
        time.map_err(|_| "write a duration such as `2h` or `7d`, or a time such as `2026-11-29T10:00:00Z`".into())
    }
}

impl Since {
    /// Returns the time by this machine's clock.
    pub fn time(self) -> Timestamp {
        match self {
            Self::Ago(ago) => SystemTime::now().checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH).into(),
            Self::At(time) => time,
        }
    }
}

/// The past that a check asks about: a time, or a revision.
#[derive(Clone, Debug, PartialEq)]
pub enum AsOf {
    Time(Since),
    Revision(String),
}

impl FromStr for AsOf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(since) => Ok(Self::Time(since)),
            // Tokens are base64url.
            Err(_)
                if text.len() > 16 && text.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-' || it == b'_') =>
            {
                Ok(Self::Revision(text.into()))
            }
            Err(why) => Err(format!("{why}, or the revision of an answer")),
        }
    }
}

impl AsOf {
    /// Returns the fields `as_of_revision` and `as_of_time` of a request.
    pub fn fields(as_of: Option<&Self>) -> (String, Option<Timestamp>) {
        match as_of {
            None => Default::default(),
            Some(Self::Time(since)) => (String::new(), Some(since.time())),
            Some(Self::Revision(token)) => (token.clone(), None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_durations_or_instants() {
        let ago = |seconds| Ok(Since::Ago(Duration::from_secs(seconds)));
        for (text, expected) in [("90s", ago(90)), ("15m", ago(900)), ("2h", ago(7_200)), ("7d", ago(604_800))] {
            assert_eq!(text.parse(), expected, "{text}");
        }
        let instant = Timestamp { seconds: 1_795_946_400, nanos: 0 };
        assert_eq!("2026-11-29T10:00:00Z".parse(), Ok(Since::At(instant)));
        for bad in ["", "h", "2", "2 h", "-2h", "yesterday", "99999999999d", "2ü"] {
            assert!(bad.parse::<Since>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_past_is_a_time_or_a_revision() {
        assert_eq!("2h".parse(), Ok(AsOf::Time(Since::Ago(Duration::from_secs(7_200)))));
        assert_eq!("q83vEgAAAAAAAAApMYx1_w".parse(), Ok(AsOf::Revision("q83vEgAAAAAAAAApMYx1_w".into())));
        for bad in ["yesterday", "", "2026-11-29 10:00", "q83vEgAAAAAAAAApMYx1=w"] {
            assert!(bad.parse::<AsOf>().is_err(), "{bad}");
        }
    }
}
