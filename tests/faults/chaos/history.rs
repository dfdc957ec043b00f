//! The histories of the store, as PostgreSQL has them, and the reference model at each of their revisions.

use std::collections::HashMap;

use rolecall::domain::commands::command::MAINTENANCE;
use rolecall::domain::{Command, Time};
use rolecall::engine::Token;
use rolecall::limits::Limits;

use super::observed::write_named;
use crate::model::{CallOptions, Model};
use crate::support::cluster::psql;

/// How many revisions apart models are kept. Those between are made again when they are needed.
const KEPT_EVERY: u64 = 50;

#[derive(Clone, Debug)]
pub struct Commit {
    pub number: u64,
    pub tag: u32,
    at: Time,
    kind: String,
    /// The index of the write. `None`: of the service itself, or of the first start.
    pub write: Option<usize>,
}

/// One history from its beginning.
#[derive(Clone, Default)]
pub struct Line {
    /// The one of revision `n` is at `n - 1`.
    pub commits: Vec<Commit>,
    /// The revision of each write.
    revisions: HashMap<usize, u64>,
    models: Vec<(u64, Model)>,
}

/// Reads the commits from revision `from` on. `None` if the database does not answer.
pub fn read(url: &str, from: u64) -> Option<Vec<Commit>> {
    let sql = format!(
        "SELECT 'commit', revision, tag, at, kind, reason FROM commits WHERE revision >= {from}
         UNION ALL SELECT 'end', 0, 0, 0, '', '' ORDER BY 1, 2"
    );
    let text = psql(url, &sql);
    let mut lines = text.lines();
    // Without its end the answer was cut off.
    lines.next_back().filter(|line| line.starts_with("end|"))?;
    let commit = |line: &str| {
        let [_, number, tag, at, kind, reason] = line.split('|').collect::<Vec<_>>()[..] else {
            panic!("not a commit: {line}")
        };
        Commit {
            number: number.parse().unwrap(),
            tag: tag.parse::<i64>().unwrap() as u32,
            at: Time(at.parse().unwrap()),
            kind: kind.into(),
            write: write_named(reason),
        }
    };
    Some(lines.map(commit).collect())
}

impl Line {
    /// Adds the commits that were read from the newest one on.
    pub fn extend(&mut self, mut commits: Vec<Commit>, writes: &[Command]) -> Result<(), String> {
        if self.newest() > 0 {
            let first = commits.first().ok_or("the newest revision is lost")?;
            if (first.number, Some(first.tag)) != (self.newest(), self.tag(self.newest())) {
                return Err(format!("revision {} has become {first:?}", self.newest()));
            }
            commits.remove(0);
        }
        commits.into_iter().try_for_each(|commit| self.push(commit, writes))
    }

    fn push(&mut self, commit: Commit, writes: &[Command]) -> Result<(), String> {
        if commit.number != self.newest() + 1 {
            return Err(format!("a gap: revision {} follows {}", commit.number, self.newest()));
        }
        let before = self.commits.last().map_or(Time(i64::MIN), |before| before.at);
        if commit.at <= before {
            return Err(format!("the time of revision {} is not later than the one before", commit.number));
        }
        if let Some(write) = commit.write
            && let Some(first) = self.revisions.insert(write, commit.number)
        {
            return Err(format!("write {write} was applied twice: at {first} and {}", commit.number));
        }
        if commit.write.is_none() && !self.revisions.is_empty() && !MAINTENANCE.contains(&&*commit.kind) {
            return Err(format!("nobody made {commit:?}"));
        }
        let mut model = self.models.last().map_or_else(Model::default, |(_, model)| model.clone());
        apply(&mut model, &commit, writes)?;
        match self.models.last() {
            // The newest is always kept, to go on from it.
            Some((number, _)) if number % KEPT_EVERY != 0 => *self.models.last_mut().unwrap() = (commit.number, model),
            _ => self.models.push((commit.number, model)),
        }
        self.commits.push(commit);
        Ok(())
    }

    pub fn newest(&self) -> u64 {
        self.commits.len() as u64
    }

    pub fn tag(&self, number: u64) -> Option<u32> {
        let at = usize::try_from(number).ok()?.checked_sub(1)?;
        self.commits.get(at).map(|commit| commit.tag)
    }

    pub fn has(&self, token: &Token) -> bool {
        self.tag(token.number) == Some(token.tag)
    }

    /// Returns the revision of a write.
    pub fn revision_of(&self, write: usize) -> Option<u64> {
        self.revisions.get(&write).copied()
    }

    /// Returns the model at a revision. `near` is one before it, or of any other revision.
    pub fn model_at(&self, number: u64, near: Option<(u64, Model)>, writes: &[Command]) -> Result<Model, String> {
        let kept = self.models.iter().rev().find(|(at, _)| *at <= number).cloned();
        let near = near.filter(|(at, _)| *at <= number);
        let start = if near.as_ref().map(|it| it.0) >= kept.as_ref().map(|it| it.0) { near } else { kept };
        let (at, mut model) = start.unwrap_or_default();
        for commit in &self.commits[at as usize..number as usize] {
            apply(&mut model, commit, writes)?;
        }
        Ok(model)
    }

    /// Returns the line up to a revision.
    fn up_to(&self, number: u64, writes: &[Command]) -> Result<Self, String> {
        let mut models: Vec<_> = self.models.iter().filter(|(at, _)| *at < number).cloned().collect();
        models.push((number, self.model_at(number, None, writes)?));
        Ok(Self {
            commits: self.commits[..number as usize].to_vec(),
            revisions: self
                .revisions
                .iter()
                .filter(|(_, at)| **at <= number)
                .map(|(&write, &at)| (write, at))
                .collect(),
            models,
        })
    }

    /// Returns the line of a restored database, and the last revision that it shares with this line.
    pub fn restored(&self, commits: Vec<Commit>, writes: &[Command]) -> Result<(Self, u64), String> {
        let same = |commit: &&Commit| self.tag(commit.number) == Some(commit.tag);
        let shared = commits.iter().take_while(same).count();
        let mut line = self.up_to(shared as u64, writes)?;
        commits.into_iter().skip(shared).try_for_each(|commit| line.push(commit, writes))?;
        Ok((line, shared as u64))
    }
}

fn apply(model: &mut Model, commit: &Commit, writes: &[Command]) -> Result<(), String> {
    let Some(write) = commit.write else { return Ok(()) };
    let command = writes.get(write).ok_or_else(|| format!("nobody sent {commit:?}"))?;
    if command.kind() != commit.kind {
        return Err(format!("{commit:?} was sent as {command:?}"));
    }
    match model.run(command, CallOptions::default(), commit.at, &Limits::default()) {
        Ok(outcome) if outcome.changed => Ok(()),
        other => Err(format!("the model does not accept {command:?} at {commit:?}: {other:?}")),
    }
}

/// Returns true if the write changes nothing in this model.
pub fn changes_nothing(model: &Model, command: &Command, now: Time) -> bool {
    let run = model.clone().run(command, CallOptions::default(), now, &Limits::default());
    run.is_ok_and(|outcome| !outcome.changed)
}
