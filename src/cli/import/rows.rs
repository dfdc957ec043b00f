//! Reads a CSV file with a row for each role of a member.

use std::path::Path;

use super::contents::{Contents, Role};
use super::files::{malformed, open, unreadable};
use crate::cli::table::plain;
use crate::cli::trouble::Trouble;
use crate::wire::Timestamp;

/// The columns that a file must have. It may also have `EXPIRES`.
const COLUMNS: [&str; 3] = ["org_id", "user_id", "role"];
/// Empty or without the column: permanent.
const EXPIRES: &str = "expires";
const NANOS_PER_MICRO: i32 = 1_000;

/// Reads a file. Its first line names the columns. `now` is in seconds since 1970.
pub fn read(path: &Path, now: i64) -> Result<Contents, Trouble> {
    let mut contents = Contents::default();
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(open(path)?);
    let header = reader.headers().map_err(|error| unread(path, error))?.clone();
    let [org_id, user_id, role] = columns(&header).map_err(|why| malformed(path, &why))?;
    let expires = header.iter().position(|name| name == EXPIRES);
    for row in reader.records() {
        let row = row.map_err(|error| unread(path, error))?;
        // Every row has as many fields as the header.
        let field = |at: usize| row.get(at).unwrap_or_default();
        let (org_id, user_id, role) = (field(org_id), field(user_id), field(role));
        let expiry = match expires.map(field).unwrap_or_default() {
            "" => None,
            text => Some(time(text).ok_or_else(|| {
                let line = row.position().map_or(0, csv::Position::line);
                malformed(path, &format!("`{text}` in line {line} is no time; write it as 2027-01-31T12:00:00Z"))
            })?),
        };
        if expiry.is_some_and(|(seconds, _)| seconds <= now) {
            contents.misfits.add("roles that have expired: not imported", format!("{role} of {user_id} in {org_id}"));
            continue;
        }
        let Some(org) = contents.org(org_id) else { continue };
        contents.member(org, user_id, vec![Role { name: role.into(), expiry }]);
    }
    Ok(contents)
}

/// Returns the places of the columns. Refuses others than are known: a misspelt `expires` would make roles permanent.
fn columns(header: &csv::StringRecord) -> Result<[usize; 3], String> {
    let known = |name: &&str| COLUMNS.contains(name) || *name == EXPIRES;
    let must = "the first line must name the columns org_id, user_id, role, and perhaps expires";
    for (at, name) in header.iter().enumerate() {
        if !known(&name) {
            return Err(format!("{must}; it names `{}`", plain(name)));
        }
        if header.iter().skip(at + 1).any(|other| other == name) {
            return Err(format!("{must}, each once; it names `{name}` twice"));
        }
    }
    let mut places = [0; 3];
    for (place, name) in places.iter_mut().zip(COLUMNS) {
        let found = header.iter().position(|it| it == name);
        *place = found.ok_or_else(|| format!("{must}; it does not name `{name}`"))?;
    }
    Ok(places)
}

/// Returns a time in seconds and nanoseconds. The server keeps microseconds: a finer time would differ from it for ever.
fn time(text: &str) -> Option<(i64, i32)> {
    let time: Timestamp = text.parse().ok()?;
    Some((time.seconds, time.nanos - time.nanos % NANOS_PER_MICRO))
}

/// Returns why a row cannot be read.
fn unread(path: &Path, error: csv::Error) -> Trouble {
    let line = |position: &Option<csv::Position>| position.as_ref().map_or(1, csv::Position::line);
    let why = match error.kind() {
        csv::ErrorKind::Utf8 { pos, .. } => format!("line {} is not UTF-8; save the file as UTF-8", line(pos)),
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            format!("line {} has {len} fields, and the first line names {expected_len} columns", line(pos))
        }
        _ => match error.into_kind() {
            csv::ErrorKind::Io(error) => return unreadable(path, &error),
            other => format!("{other:?}"),
        },
    };
    malformed(path, &why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_says_what_each_column_is() {
        let columns = |names: &[&str]| columns(&csv::StringRecord::from(names.to_vec()));
        assert_eq!(columns(&["user_id", "expires", "org_id", "role"]), Ok([2, 0, 3]));
        for (names, why) in [
            (&[][..], "does not name `org_id`"),
            (&["user_id", "org_id"], "does not name `role`"),
            (&["org_id", "user_id", "role", "expiry"], "names `expiry`"),
            (&["org_id", "user_id", "role", "role"], "names `role` twice"),
        ] {
            assert!(columns(names).unwrap_err().contains(why), "{names:?}");
        }
    }

    #[test]
    fn times_are_read_as_the_server_keeps_them() {
        assert_eq!(time("1970-01-01T00:00:07.123456789Z"), Some((7, 123_456_000)));
        assert_eq!(time("1970-01-01T01:00:07+01:00"), Some((7, 0)));
        assert_eq!(time("soon"), None);
    }
}
