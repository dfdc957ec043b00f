//! What `rolecall health --verbose` says about each part of a server.

use std::time::Duration;

use indicatif::HumanDuration;

use crate::cli::table::plain;
use crate::wire::{GetServerInfoResponse, Timestamp};

/// From this age on the data may be old: a server learns of every commit within a second.
const STALE_AGE: Duration = Duration::from_secs(5);

/// Returns one line for each part, in words.
pub fn lines(info: &GetServerInfoResponse, now: Timestamp) -> Vec<String> {
    let line = |part: &str, words: String| format!("{part:<10} {words}");
    let ago = |then: &Timestamp| HumanDuration(Duration::from_secs((now.seconds - then.seconds).max(0).unsigned_abs()));
    let started = info.start_time.as_ref().map_or(String::new(), |at| format!(", started {at} ({} ago)", ago(at)));
    let mut lines =
        vec![line("server", format!("rolecall {}, store {}{started}", plain(&info.version), info.store_id))];
    if !info.database.is_empty() {
        let words = match &info.database_away_since {
            None => "answers".into(),
            Some(since) => format!(
                "does not answer or takes no writes since {since} ({}); checks are answered from memory",
                ago(since)
            ),
        };
        lines.push(line("database", format!("{}, {words}", plain(&info.database))));
        lines.push(line("schema", plain(&info.schema_version)));
    }
    let age = info.age.and_then(|age| Duration::try_from(age).ok()).unwrap_or_default();
    let words = match age >= STALE_AGE {
        true => format!("may be old: it was last known to be the newest {} ago", HumanDuration(age)),
        false => format!("was the newest {} ms ago", age.as_millis()),
    };
    lines.push(line("state", format!("{words}, revision {}", plain(&info.revision))));
    match (info.upstream.as_str(), info.followed_upstream.as_str()) {
        ("", _) => lines.push(line(
            "lag",
            match info.lag_revisions {
                _ if info.database_away_since.is_some() => "unknown while the database is away".into(),
                0 => "none".into(),
                lag => format!("{lag} revisions behind the database"),
            },
        )),
        (all, "") => lines.push(line("upstream", format!("follows none of {}", plain(all)))),
        (_, followed) => lines.push(line("upstream", format!("follows {}", plain(followed)))),
    }
    if let Some(behind) = info.clock_behind.and_then(|behind| Duration::try_from(behind).ok()) {
        let words = format!("{} behind the newest commit; compare the clocks of all servers", HumanDuration(behind));
        lines.push(line("clock", words));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp { seconds: 10_000, nanos: 0 };

    fn info() -> GetServerInfoResponse {
        GetServerInfoResponse {
            version: "1.2.3".into(),
            store_id: "0000002a".into(),
            start_time: Some(Timestamp { seconds: 2_800, nanos: 0 }),
            age: Duration::from_millis(120).try_into().ok(),
            revision: "AAA".into(),
            ..Default::default()
        }
    }

    #[test]
    fn a_server_that_is_well_says_so_of_each_part() {
        let mut info =
            GetServerInfoResponse { database: "postgres".into(), schema_version: "m0001_tables".into(), ..info() };
        let expected = [
            "server     rolecall 1.2.3, store 0000002a, started 1970-01-01T00:46:40Z (2 hours ago)",
            "database   postgres, answers",
            "schema     m0001_tables",
            "state      was the newest 120 ms ago, revision AAA",
            "lag        none",
        ];
        assert_eq!(lines(&info, NOW), expected);
        info.lag_revisions = 7;
        assert_eq!(lines(&info, NOW)[4], "lag        7 revisions behind the database");
    }

    #[test]
    fn a_server_whose_database_is_away_says_since_when() {
        let info = GetServerInfoResponse {
            database: "sqlite".into(),
            database_away_since: Some(Timestamp { seconds: 9_700, nanos: 0 }),
            age: Duration::from_secs(300).try_into().ok(),
            lag_revisions: 7,
            clock_behind: Duration::from_secs(9).try_into().ok(),
            ..info()
        };
        let expected = [
            "sqlite, does not answer or takes no writes since 1970-01-01T02:41:40Z (5 minutes); checks are answered from memory",
            "may be old: it was last known to be the newest 5 minutes ago, revision AAA",
            "lag        unknown while the database is away",
            "9 seconds behind the newest commit; compare the clocks of all servers",
        ];
        let lines = lines(&info, NOW);
        for words in expected {
            assert!(lines.iter().any(|line| line.ends_with(words)), "{words} is not in {lines:#?}");
        }
    }

    #[test]
    fn a_sidecar_says_whom_it_follows() {
        let follows = |followed: &str| {
            let upstream = "a:1,b:1".into();
            let info = GetServerInfoResponse { upstream, followed_upstream: followed.into(), ..info() };
            lines(&info, NOW).pop().unwrap()
        };
        assert_eq!(follows("b:1"), "upstream   follows b:1");
        assert_eq!(follows(""), "upstream   follows none of a:1,b:1");
    }
}
