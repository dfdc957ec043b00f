//! A world whose history is written in lines of text, one command a line (`fixture/lines.rs`).

mod lines;

use rolecall::domain::commands::group::{Known, Verdict, Work, decide_group};
use rolecall::domain::impact::report::Impact;
use rolecall::domain::model::membership::Origin;
use rolecall::domain::rules::role_state::RoleState;
use rolecall::domain::rules::visibility::Visibility;
use rolecall::domain::{Call, Command, Decision, Outcome, Project, Question, Reason, Refusal, State, Time, UserId};
use rolecall::limits::Limits;

use crate::history_runner::{HistoryRunner, call};
use crate::model::{Answer, Model, ProjectModel};
use crate::random_history::empty_state;
use crate::state_to_model::{answer_of, check, model_of};

pub struct World {
    pub state: State,
    pub limits: Limits,
    pub now: Time,
    /// The key of the project in which lines act.
    pub project: String,
}

/// Returns a world with the project `default` after these lines.
pub fn world(lines: &str) -> World {
    let mut world = World { state: empty_state(), limits: Limits::default(), now: Time(0), project: String::new() };
    world.run("project default SINGLE");
    world.run(lines);
    world
}

pub fn seconds(seconds: i64) -> Time {
    Time::default().plus_seconds(seconds)
}

impl World {
    /// Runs the lines. All must be accepted.
    pub fn run(&mut self, lines: &str) {
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Err(refusal) = self.decide_line(line) {
                panic!("`{line}` is refused: {refusal}");
            }
        }
    }

    /// Runs a line, which must be accepted, and returns its answer.
    pub fn answer(&mut self, line: &str) -> Answer {
        self.decide_line(line)
            .map(|(outcome, _)| answer_of(&outcome))
            .unwrap_or_else(|refusal| panic!("`{line}`: {refusal}"))
    }

    /// Runs a line, which must be accepted, and returns its impact.
    pub fn impact(&mut self, line: &str) -> Impact {
        self.decide_line(line).map(|(_, impact)| impact).unwrap_or_else(|refusal| panic!("`{line}`: {refusal}"))
    }

    /// Like `impact`, but changes nothing.
    pub fn preview(&mut self, line: &str) -> Impact {
        let before = self.state.clone();
        let impact = self.impact(line);
        self.state = before;
        impact
    }

    /// The line must be refused for this reason and change nothing.
    #[track_caller]
    pub fn refused(&mut self, line: &str, reason: Reason) -> Refusal {
        let before = self.state.clone();
        match self.decide_line(line) {
            Ok(_) => panic!("`{line}` is accepted"),
            Err(refusal) => {
                assert_eq!(refusal.reason(), reason, "`{line}`: {refusal}");
                assert!(self.state == before, "the refused `{line}` changes the state");
                refusal
            }
        }
    }

    /// The line must be accepted, change nothing, and take no revision.
    #[track_caller]
    pub fn unchanged(&mut self, line: &str) {
        let before = self.state.clone();
        self.run(line);
        assert!(self.state == before, "`{line}` changes the state");
    }

    #[track_caller]
    pub fn check(&self, user: &str, org: &str, permission: &str, decision: Decision) {
        self.ask(user, org, Question::Permission(permission), decision);
    }

    #[track_caller]
    pub fn ask(&self, user: &str, org: &str, question: Question<'_>, decision: Decision) {
        let found = check(&self.state, &self.project, org, user, question, self.now);
        assert_eq!(found, decision, "{user} {org} {question:?}");
    }

    /// Returns the roles of a member with expiry and origin. `None` if the user is not a member.
    pub fn roles_and_origins(&self, org: &str, user: &str) -> Option<Vec<(String, Option<Time>, Origin)>> {
        let model = self.model();
        let member = model.projects[&self.project].orgs[org].members.get(user)?;
        Some(member.roles.iter().map(|(role, given)| (role.clone(), given.expire_time, given.origin)).collect())
    }

    pub fn member(&self, org: &str, user: &str) -> Option<Vec<(String, Option<Time>)>> {
        Some(self.roles_and_origins(org, user)?.into_iter().map(|(role, expire_time, _)| (role, expire_time)).collect())
    }

    /// Returns the role states of a member, highest first, with the fallback role in brackets: `Admin suspended (Member),
    /// Guest live until 60`. Empty if the user is not a member.
    pub fn role_states(&self, org: &str, user: &str) -> String {
        let project = self.project();
        let (org, user) = (project.org(org).expect("the org exists"), UserId::stored(user));
        let Some(record) = project.membership(org, &user) else { return String::new() };
        let shown = project.member(org, &user, &record, Visibility::All, self.now).roles.into_iter().map(|role| {
            let expire_time = role
                .expire_time
                .map_or(String::new(), |expire_time| format!(" until {}", expire_time.0 / seconds(1).0));
            let fallback_role = role.fallback_role.map_or(String::new(), |(fallback_role, state)| match state {
                RoleState::Live => format!(" ({fallback_role})"),
                state => format!(" ({fallback_role} {})", format!("{state:?}").to_lowercase()),
            });
            format!("{} {}{fallback_role}{expire_time}", role.role, format!("{:?}", role.state).to_lowercase())
        });
        shown.collect::<Vec<_>>().join(", ")
    }

    /// Converts the state. The lines must use no other users.
    pub fn model(&self) -> Model {
        model_of(&self.state, &["ann", "bob", "cid", "dan", "eve"])
    }

    pub fn project_model(&self) -> ProjectModel {
        self.model().projects[&self.project].clone()
    }

    pub fn project(&self) -> &Project {
        self.state.project_keyed(&self.project).expect("the project exists")
    }

    pub fn at(&mut self, time: i64) -> &mut Self {
        self.now = seconds(time);
        self
    }

    /// Highest first.
    pub fn roles(&self) -> Vec<String> {
        let project = self.project();
        project.role_order.iter().map(|&role| project.role_name(role).to_string()).collect()
    }

    /// Purges all deleted data, `rows` memberships at a time. Returns the number of commands.
    pub fn purge_all(&mut self, rows: usize) -> usize {
        let mut runner = HistoryRunner { state: self.state.clone(), clock: self.now, limits: self.limits };
        let commits = runner.purge(rows, 1_000);
        self.state = runner.state;
        commits.len()
    }

    pub fn decide(&mut self, command: &Command) -> Result<Outcome, Refusal> {
        self.decide_call(command, call()).map(|(outcome, _)| outcome)
    }

    pub fn decide_by(&mut self, acting: &str, command: &Command) -> Result<Outcome, Refusal> {
        let call = Call { acting_user: Some(UserId::stored(acting)), ..call() };
        self.decide_call(command, call).map(|(outcome, _)| outcome)
    }

    fn decide_line(&mut self, line: &str) -> Result<(Outcome, Impact), Refusal> {
        let (command, call) = self.command_and_call(line);
        self.decide_call(&command, call)
    }

    fn decide_call(&mut self, command: &Command, call: Call) -> Result<(Outcome, Impact), Refusal> {
        let work = Work { command: command.clone(), call, tag: 1 };
        let group = decide_group(self.state.clone(), &[work], &Known::new(), self.now, &self.limits);
        self.state = group.next;
        match group.verdicts.into_iter().next() {
            Some(Verdict::Done { outcome, impact, .. }) => Ok((outcome, Impact::clone(&impact))),
            Some(Verdict::Refused(refusal)) => Err(refusal),
            _ => panic!("the line has no request id"),
        }
    }
}
