//! Reads a CSV file with a row for each role of a member.

use std::path::Path;

use serde::Deserialize;

use super::contents::{Contents, Role};
use super::files::{malformed, open};
use crate::cli::trouble::Trouble;
use crate::wire::Timestamp;

#[derive(Deserialize)]
struct Row {
    org_id: String,
    user_id: String,
    role: String,
    /// Empty or without the column: permanent.
    #[serde(default)]
    expires: String,
}

/// Reads a file. Its first line names the columns. `now` is in seconds since 1970.
pub fn read(path: &Path, now: i64) -> Result<Contents, Trouble> {
    let mut contents = Contents::default();
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(open(path)?);
    for row in reader.deserialize() {
        let row: Row = row.map_err(|error| malformed(path, &error.to_string()))?;
        let expiry = match row.expires.as_str() {
            "" => None,
            text => {
                let why = || malformed(path, &format!("`{text}` is no time; write it as 2027-01-31T12:00:00Z"));
                Some(text.parse::<Timestamp>().map_err(|_| why())?)
            }
        };
        if expiry.is_some_and(|time| time.seconds <= now) {
            let what = format!("{} of {} in {}", row.role, row.user_id, row.org_id);
            contents.misfits.add("roles that have expired: not imported", what);
            continue;
        }
        let Some(org) = contents.org(&row.org_id) else { continue };
        let role = Role { name: row.role, expiry: expiry.map(|time| (time.seconds, time.nanos)) };
        contents.member(org, &row.user_id, vec![role]);
    }
    Ok(contents)
}
