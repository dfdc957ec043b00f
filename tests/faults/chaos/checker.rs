//! Compares what the clients have seen with the histories of the store.

use std::sync::Arc;
use std::time::Instant;

use rolecall::domain::{Command, Question, Time};
use rolecall::engine::Token;

use super::commands::PROJECT;
use super::history::{Line, changes_nothing, read};
use super::observed::{Answer, Asked, Because, Check, Observed};
use crate::model::Model;

/// Where a revision is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// In the history that the restored copy has too. Before the restore: in the only history.
    Kept,
    Lost,
    New,
}

/// When a process first showed the new history, and when it was last asked for an answer or a refusal that belongs to the
/// lost one.
#[derive(Clone, Default)]
struct Shown {
    new_received: Option<Instant>,
    lost_sent: Option<Instant>,
}

/// See the module.
pub struct Checker {
    observed: Arc<Observed>,
    /// The history until the restore.
    old: Line,
    /// The last revision of the restored copy, and the history since.
    restored: Option<(u64, Line)>,
    shown: Vec<Shown>,
    /// Answers whose revision was not read from the database yet.
    pending: Vec<Answer>,
    pub verified: u64,
    /// Denials and permissions among the verified decisions, by number.
    pub decisions: [u64; 10],
}

impl Checker {
    pub fn new(observed: Arc<Observed>, processes: usize) -> Self {
        Self {
            observed,
            old: Line::default(),
            restored: None,
            shown: vec![Shown::default(); processes],
            pending: Vec::new(),
            verified: 0,
            decisions: [0; 10],
        }
    }

    /// Reads the history, and verifies the answers of its revisions. Does nothing while the database does not answer.
    pub fn verify(&mut self, url: &str) -> Result<bool, String> {
        // First: their revisions are then in the history.
        self.pending.append(&mut self.observed.answers.lock().unwrap());
        let line = self.restored.as_mut().map_or(&mut self.old, |(_, line)| line);
        let Some(commits) = read(url, line.newest()) else { return Ok(false) };
        let writes = self.observed.writes();
        line.extend(commits, &writes)?;
        self.verify_answers(&writes)?;
        Ok(true)
    }

    fn verify_answers(&mut self, writes: &[Command]) -> Result<(), String> {
        let pending = std::mem::take(&mut self.pending);
        let (mut answers, pending): (Vec<_>, Vec<_>) =
            pending.into_iter().partition(|answer| self.place(&answer.at).is_some());
        self.pending = pending;
        answers.sort_by_key(|answer| (self.place(&answer.at), answer.at.number));
        let mut near: Option<(Place, u64, Model)> = None;
        for answer in &answers {
            let (place, number) = (self.place(&answer.at).expect("known"), answer.at.number);
            if near.as_ref().is_none_or(|(of, at, _)| (*of, *at) != (place, number)) {
                let before = near.take().filter(|(of, ..)| *of == place).map(|(_, at, model)| (at, model));
                near = Some((place, number, self.line(place).model_at(number, before, writes)?));
            }
            let (_, _, model) = near.as_ref().expect("just set");
            self.verify_answer(answer, place, model)?;
        }
        Ok(())
    }

    fn verify_answer(&mut self, answer: &Answer, place: Place, model: &Model) -> Result<(), String> {
        for check in &answer.checks {
            let expected = expected(model, check);
            if check.decision != expected {
                return Err(format!("the model decides {expected} on {check:?} of {answer:?}"));
            }
            self.decisions[expected as usize % 10] += 1;
        }
        self.verified += 1;
        for &(token, because) in &answer.not_before {
            self.verify_not_before(answer, place, token, because)?;
        }
        let shown = &mut self.shown[answer.process];
        match place {
            Place::Kept => {}
            Place::Lost => shown.lost_sent = shown.lost_sent.max(Some(answer.sent)),
            Place::New => {
                let first = shown.new_received.unwrap_or(answer.received);
                shown.new_received = Some(first.min(answer.received));
            }
        }
        Ok(())
    }

    fn verify_not_before(&self, answer: &Answer, at: Place, token: Token, because: Because) -> Result<(), String> {
        let Some(place) = self.place(&token) else {
            return Err(format!("{token:?} was acknowledged and is nowhere"));
        };
        let follows = answer.at.number >= token.number && (place == Place::Kept || place == at);
        let restore_began = self.observed.restore_began.get();
        // A write that the restore has taken away can only be missed after it, and nothing that it has kept.
        let kept = self.restored.as_ref().map_or(0, |(kept, _)| *kept);
        let excused = because != Because::AtLeast
            && place == Place::Lost
            && answer.at.number >= kept
            && restore_began.is_some_and(|began| answer.received > *began);
        if follows || excused {
            return Ok(());
        }
        Err(format!("an answer at {at:?} {:?} is older than {place:?} {token:?} ({because:?}): {answer:?}", answer.at))
    }

    /// Reads the end of the history that the restore takes away.
    pub fn read_lost(&mut self, url: &str) -> Result<bool, String> {
        let Some(commits) = read(url, self.old.newest()) else { return Ok(false) };
        self.old.extend(commits, &self.observed.writes())?;
        Ok(true)
    }

    /// Reads the history of the restored copy. Returns its last revision, or `None` if the database does not answer.
    pub fn read_restored(&mut self, url: &str) -> Result<Option<u64>, String> {
        let Some(commits) = read(url, 0) else { return Ok(None) };
        let (line, shared) = self.old.restored(commits, &self.observed.writes())?;
        self.restored = Some((shared, line));
        Ok(Some(shared))
    }

    /// Verifies what can only be verified when all has happened. Returns how many acknowledged writes the restore has taken
    /// away, and how many had changed nothing.
    pub fn verify_all(&mut self, url: &str) -> Result<(u64, u64), String> {
        if !self.verify(url)? {
            return Err("the database does not answer at the end".into());
        }
        if let Some(answer) = self.pending.first() {
            return Err(format!("an answer is of a revision that no history has: {answer:?}"));
        }
        self.verify_refused_tokens()?;
        for (process, shown) in self.shown.iter().enumerate() {
            if shown.lost_sent.is_some() && shown.new_received.is_some() && shown.lost_sent > shown.new_received {
                return Err(format!("process {process} went back to the lost history: {shown:?}"));
            }
        }
        let writes = self.observed.writes();
        for refused in self.observed.refused_writes.lock().unwrap().iter() {
            if self.current().revision_of(refused.write).or(self.old.revision_of(refused.write)).is_some() {
                return Err(format!("write {} was refused and applied", refused.write));
            }
        }
        self.verify_acknowledged(&writes)
    }

    fn verify_acknowledged(&self, writes: &[Command]) -> Result<(u64, u64), String> {
        let (mut lost, mut unchanged) = (0, 0);
        let mut acknowledged = self.observed.acknowledged.lock().unwrap().clone();
        acknowledged.sort_by_key(|it| (self.place(&it.at), it.at.number));
        let mut near: Option<(Place, u64, Model)> = None;
        for it in &acknowledged {
            let place = self.place(&it.at).ok_or_else(|| format!("{it:?} is in no history: it is lost"))?;
            lost += u64::from(place == Place::Lost);
            let (line, number) = (self.line(place), it.at.number);
            match line.revision_of(it.write) {
                Some(applied) if applied == number => continue,
                Some(applied) if applied < number => {
                    return Err(format!("{it:?} was applied at {applied}; its repetition has another answer"));
                }
                _ => {}
            }
            // It must have changed nothing when it was decided.
            let before = near.take().filter(|(of, ..)| *of == place).map(|(_, at, model)| (at, model));
            let model = line.model_at(number, before, writes)?;
            if !changes_nothing(&model, &writes[it.write], Time::default()) {
                return Err(format!("{it:?} is lost: {:?}", writes[it.write]));
            }
            unchanged += 1;
            near = Some((place, number, model));
        }
        Ok((lost, unchanged))
    }

    /// A token may be refused only by a process that has the other history.
    fn verify_refused_tokens(&mut self) -> Result<(), String> {
        let refused = std::mem::take(&mut *self.observed.refused_tokens.lock().unwrap());
        let restore_began = self.observed.restore_began.get();
        for it in refused {
            let place = self.place(&it.token).ok_or_else(|| format!("{it:?} is in no history"))?;
            let shown = &mut self.shown[it.process];
            match place {
                Place::Lost if restore_began.is_some_and(|began| it.received > *began) => {}
                Place::New => shown.lost_sent = shown.lost_sent.max(Some(it.sent)),
                _ => return Err(format!("a token of the history ({place:?}) was refused: {it:?}")),
            }
        }
        Ok(())
    }

    fn place(&self, token: &Token) -> Option<Place> {
        match &self.restored {
            Some((_, new)) if new.has(token) => Some(if self.old.has(token) { Place::Kept } else { Place::New }),
            Some(_) if self.old.has(token) => Some(Place::Lost),
            None if self.old.has(token) => Some(Place::Kept),
            _ => None,
        }
    }

    fn line(&self, place: Place) -> &Line {
        match (place, &self.restored) {
            (Place::New, Some((_, new))) => new,
            _ => &self.old,
        }
    }

    fn current(&self) -> &Line {
        self.restored.as_ref().map_or(&self.old, |(_, new)| new)
    }

    /// Returns the numbers of revisions: of the restored copy, and of the old and the new history.
    pub fn revisions(&self) -> (u64, u64, u64) {
        (self.restored.as_ref().map_or(0, |(kept, _)| *kept), self.old.newest(), self.current().newest())
    }

    /// Returns the newest revision.
    pub fn newest(&self) -> (u64, u32) {
        let line = self.current();
        (line.newest(), line.tag(line.newest()).expect("it is not empty"))
    }

    /// Returns tokens of lost revisions.
    pub fn lost_tokens(&self, store_id: u32) -> Vec<Token> {
        let (kept, lost, _) = self.revisions();
        (kept + 1..=lost)
            .map(|number| Token { store_id, number, tag: self.old.tag(number).expect("it is in the history") })
            .collect()
    }
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let ago = |at: Option<Instant>| at.map(|at| at.elapsed());
        write!(formatter, "first new {:?} ago, last lost {:?} ago", ago(self.new_received), ago(self.lost_sent))
    }
}

/// Returns the number of the decision of the model. No role has an expiry, so the time does not matter.
fn expected(model: &Model, check: &Check) -> i32 {
    let question = match &check.asked {
        Asked::Permission(name) => Question::Permission(name),
        Asked::Role(name) => Question::Role(name),
        Asked::AtLeastRole(name) => Question::AtLeastRole(name),
        Asked::AllOf(names) => Question::AllOf(names),
        Asked::AnyOf(names) => Question::AnyOf(names),
    };
    model.check(PROJECT, check.org, check.user, question, Time::default()) as i32
}
