//! The log of a story, as docs/audit.md shows it.

use std::time::Instant;

use super::Story;
use crate::commands::has_section;
use crate::run::{PATIENCE, both, output, rolecall};

const TIME: &str = "2026-11-29T10:00:00Z";
const EXPIRY: &str = "2026-12-06T10:00:00Z";
const INVITATION: &str = "01900000-0000-7000-8000-000000000000";

impl Story<'_> {
    /// Asserts that docs/audit.md has the output of these commands.
    pub fn is_documented(self, section: &str, commands: &[&str]) {
        let mut keys = Vec::new();
        let shown = commands.iter().map(|command| {
            let lines: Vec<String> = self.log(command).lines().map(|line| with_placeholders(line, &mut keys)).collect();
            format!("```console\n$ rolecall {command}\n{}```\n", merged(&lines))
        });
        has_section("docs/audit.md", section, &shown.collect::<Vec<_>>().join("\n"));
    }

    /// Waits until the log shows something. Refused calls are recorded after up to a second, with all calls before them.
    pub fn is_logged(self, command: &str) {
        let began = Instant::now();
        while self.log(command).is_empty() {
            assert!(began.elapsed() < PATIENCE, "`rolecall {command}` shows nothing");
        }
    }

    fn log(self, command: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let mut log = rolecall(folder.path());
        log.args(command.split(' ')).env("ROLECALL_SERVER", &self.server.address);
        let finished = output(log.envs(self.key.map(|key| ("ROLECALL_KEY", key))));
        assert_eq!(finished.status.code(), Some(0), "{}", both(&finished));
        String::from_utf8(finished.stdout).unwrap()
    }
}

/// Returns a line with fixed times and ids. Equal keys have equal ids.
fn with_placeholders(line: &str, keys: &mut Vec<String>) -> String {
    let mut words: Vec<String> = Vec::new();
    for word in line.split(' ') {
        let value = word.trim_end_matches([';', ':', ')']);
        let end = &word[value.len()..];
        let is_expiry = words.ends_with(&["expire".into(), "time".into()]);
        words.push(match value {
            _ if value.starts_with("ak_") => {
                let known = keys.iter().position(|key| key == value).unwrap_or_else(|| {
                    keys.push(value.into());
                    keys.len() - 1
                });
                format!("ak_{:016}{end}", known + 1)
            }
            _ if value.starts_with("20") && value.ends_with('Z') => {
                format!("{}{end}", if is_expiry { EXPIRY } else { TIME })
            }
            _ if words.last().is_some_and(|last| last == "invitation") => format!("{INVITATION}{end}"),
            _ => word.into(),
        });
    }
    words.join(" ")
}

/// Returns the lines with the refused calls at the end: sorted, and counted as if all had happened within one minute. When they
/// are recorded is left to chance.
fn merged(lines: &[String]) -> String {
    let is_refused = |line: &&String| line.contains("  refused ");
    let mut refused: Vec<(&str, &str, u64)> = Vec::new();
    for line in lines.iter().filter(is_refused) {
        let (text, count) = match line.strip_suffix(" times").and_then(|line| line.rsplit_once(", ")) {
            Some((text, count)) => (text, count.parse().unwrap()),
            None => (&**line, 1),
        };
        // The log shows the org of the first of equal calls.
        let (call, _) = text.split_once(", needs ").unwrap();
        match refused.iter_mut().find(|(known, _, _)| *known == call) {
            Some((_, _, known)) => *known += count,
            None => refused.push((call, text, count)),
        }
    }
    refused.sort_unstable();
    let mut text: String = lines.iter().filter(|line| !is_refused(line)).map(|line| format!("{line}\n")).collect();
    for (_, line, count) in refused {
        let times = if count > 1 { format!(", {count} times") } else { String::new() };
        text += &format!("{line}{times}\n");
    }
    text
}
