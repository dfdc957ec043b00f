//! Names the members in the sample of an impact: the State knows users by hashes, only the database knows their ids (R9).
//!
//! The database is as it was before the group. What earlier commands of the group did to an org is in their changes: both
//! together name the members as they were before the command.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::Arc;

use crate::domain::group::{Commit, Group, Verdict};
use crate::domain::id::{OrgNo, ProjectId, RoleSetId};
use crate::domain::impact::{Impact, MemberImpact, Who};
use crate::domain::{Change, State, UserId};
use crate::limits::IMPACT_SAMPLE_MAX;
use crate::store::{Store, StoreError, WriteTx};

/// Knows the ids of members: the transaction of a write, or the store for a preview.
pub(super) trait Ids: Send {
    /// Of those who have this role set in an org, and no role that ends, the first by user id.
    fn members_of(
        &mut self,
        project: ProjectId,
        org: OrgNo,
        role_set: RoleSetId,
        at_most: usize,
    ) -> impl Future<Output = Result<Vec<UserId>, StoreError>> + Send;
}

impl Ids for WriteTx {
    async fn members_of(
        &mut self,
        project: ProjectId,
        org: OrgNo,
        role_set: RoleSetId,
        at_most: usize,
    ) -> Result<Vec<UserId>, StoreError> {
        WriteTx::members_of(self, project, org, role_set, at_most).await
    }
}

impl Ids for Store {
    async fn members_of(
        &mut self,
        project: ProjectId,
        org: OrgNo,
        role_set: RoleSetId,
        at_most: usize,
    ) -> Result<Vec<UserId>, StoreError> {
        Store::members_of(self, project, org, role_set, at_most).await
    }
}

/// Puts members in the place of the rows that stand for some of many, in what is answered and in what is remembered.
pub(super) async fn name(ids: &mut impl Ids, group: &mut Group) -> Result<(), StoreError> {
    let mut done: Vec<(Arc<Impact>, Arc<Impact>)> = Vec::new();
    for verdict in &mut group.verdicts {
        let Verdict::Done { revision, impact, before, .. } = verdict else { continue };
        if let Some(before) = before.take() {
            let at = group.commits.partition_point(|commit| commit.revision.number < revision.number);
            let (earlier, own) = group.commits.split_at(at);
            let Some(change) = own.first().and_then(|commit| commit.changes.first()) else { continue };
            let project = change.project();
            let sample = named(ids, &impact.sample, Place { project, before: &before, earlier }).await?;
            done.push((impact.clone(), Arc::new(Impact { sample, ..Impact::clone(impact) })));
        }
        replace(impact, &done);
    }
    for commit in &mut group.commits {
        if let Some(request) = &mut commit.request {
            replace(&mut request.impact, &done);
        }
    }
    Ok(())
}

/// A command that is repeated within its group shares the report of the first.
fn replace(impact: &mut Arc<Impact>, done: &[(Arc<Impact>, Arc<Impact>)]) {
    if let Some((_, named)) = done.iter().find(|(unnamed, _)| Arc::ptr_eq(unnamed, impact)) {
        *impact = named.clone();
    }
}

/// Where members are looked for: the State before a command, and what came before it in its group.
#[derive(Clone, Copy)]
struct Place<'a> {
    project: ProjectId,
    before: &'a State,
    earlier: &'a [Commit],
}

async fn named(ids: &mut impl Ids, rows: &[MemberImpact], place: Place<'_>) -> Result<Vec<MemberImpact>, StoreError> {
    let mut sample: Vec<MemberImpact> = Vec::new();
    for row in rows {
        let room = IMPACT_SAMPLE_MAX - sample.len().min(IMPACT_SAMPLE_MAX);
        let Who::SomeOf { role_set, at_most } = row.who else {
            sample.extend((room > 0).then(|| row.clone()));
            continue;
        };
        let at_most = at_most.min(room);
        if at_most == 0 {
            continue;
        }
        // Each of those whom earlier commands wrote may have to be left out.
        let mut users = place.written(row.org);
        let asked_for = at_most + users.len();
        for role_set in place.sets_before(row.org, role_set) {
            users.extend(ids.members_of(place.project, row.org, role_set, asked_for).await?);
        }
        users.retain(|user| place.has(row.org, role_set, user));
        let member = |user: UserId| MemberImpact { who: Who::Member(user), ..row.clone() };
        sample.extend(users.into_iter().take(at_most).map(member));
    }
    Ok(sample)
}

impl Place<'_> {
    fn earlier_changes(&self) -> impl DoubleEndedIterator<Item = &Change> {
        self.earlier.iter().flat_map(|commit| &commit.changes).filter(|change| change.project() == self.project)
    }

    /// Whom earlier commands wrote in an org.
    fn written(&self, org: OrgNo) -> BTreeSet<UserId> {
        let written = self.earlier_changes().filter(|change| change.org() == Some(org));
        written.filter_map(|change| change.user().cloned()).collect()
    }

    /// The sets that the database knows of those who have this one by now.
    fn sets_before(&self, org: OrgNo, role_set: RoleSetId) -> Vec<RoleSetId> {
        let mut sets = vec![role_set];
        for change in self.earlier_changes().rev() {
            let Change::Remap(edit) = change else { continue };
            let (Some(before), Some(after)) = (&edit.before, &edit.after) else { continue };
            let remapped = before.iter().zip(after.iter()).filter(|(_, after)| sets.contains(after));
            let found: Vec<RoleSetId> = remapped.map(|(before, _)| *before).collect();
            sets.extend(if edit.key.id == org { found } else { vec![] });
        }
        sets
    }

    /// Whether a user had exactly this set before the command, and no role that ends.
    fn has(&self, org: OrgNo, role_set: RoleSetId, user: &UserId) -> bool {
        let project = self.before.project_numbered(self.project);
        let record = project.and_then(|project| project.membership(project.org_numbered(org)?, user));
        record.is_some_and(|record| record.role_set == role_set && record.timed.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::command::{
        Call, Command, CreateOrg, CreateProject, CreateRole, CreateRoleMapping, GivenRole, GrantEdit, MemberWrite,
        OnDisabled, Place as RolePlace, RequestKey, RoleMappingEdits, SubscribeOrg, SubscribeTo, UpdateRoleMapping,
        Write, WriteMember,
    };
    use crate::domain::group::{Known, Work, decide_group};
    use crate::domain::hash::HashKey;
    use crate::domain::project::{Environment, RoleStructure};
    use crate::domain::{OrgId, PermissionName, Project, ProjectKey, RoleMappingName, RoleName, Time};
    use crate::limits::Limits;

    /// What the database holds before a group.
    struct Stored(Vec<(RoleSetId, UserId)>);

    impl Ids for Stored {
        async fn members_of(
            &mut self,
            _: ProjectId,
            _: OrgNo,
            role_set: RoleSetId,
            at_most: usize,
        ) -> Result<Vec<UserId>, StoreError> {
            let having = self.0.iter().filter(|(set, _)| *set == role_set).map(|(_, user)| user.clone());
            Ok(having.take(at_most).collect())
        }
    }

    fn shop() -> ProjectKey {
        ProjectKey::stored("shop")
    }

    fn role(name: &str) -> RoleName {
        RoleName::stored(name)
    }

    fn write(user: &str, write: Write) -> Command {
        let row = MemberWrite { org_id: OrgId::stored("acme"), user_id: UserId::stored(user), write };
        Command::WriteMember(WriteMember { project: shop(), row, allow_ownerless: false })
    }

    fn clerk(user: &str) -> Command {
        write(user, Write::Add(vec![GivenRole { role: role("Clerk"), until: None, permanent: false }]))
    }

    fn downgrade() -> Command {
        Command::SubscribeOrg(SubscribeOrg {
            project: shop(),
            org_id: OrgId::stored("acme"),
            to: SubscribeTo::RoleMapping(RoleMappingName::stored("Free")),
            on_disabled: OnDisabled::Remap { role_map: vec![(role("Clerk"), role("Member"))], others_to: None },
        })
    }

    /// Lets members of Free do one thing more.
    fn grant() -> Command {
        let add = vec![PermissionName::stored("rolecall::can_invite")];
        let grants = vec![GrantEdit { role: role("Member"), add, remove: vec![] }];
        Command::UpdateRoleMapping(UpdateRoleMapping {
            project: shop(),
            name: RoleMappingName::stored("Free"),
            etag: None,
            new_name: None,
            description: None,
            aliases: None,
            edits: RoleMappingEdits { grants, ..RoleMappingEdits::default() },
            on_disabled: OnDisabled::Reject,
        })
    }

    fn run(state: State, commands: Vec<(Command, Call)>) -> Group {
        let work = commands.into_iter().map(|(command, call)| Work { command, call, tag: 0 });
        let group = decide_group(state, &work.collect::<Vec<_>>(), &Known::default(), Time(1), &Limits::default());
        for verdict in &group.verdicts {
            assert!(!matches!(verdict, Verdict::Refused(_)));
        }
        group
    }

    fn plain(commands: Vec<Command>) -> Vec<(Command, Call)> {
        commands.into_iter().map(|command| (command, Call::plain("test", ""))).collect()
    }

    /// The org acme, in which ann, bob and cat are clerks, and what the database knows of them.
    fn world() -> (State, Stored) {
        let created = vec![
            Command::CreateProject(CreateProject {
                key: shop(),
                display_name: String::new(),
                environment: Environment::Test,
                role_structure: RoleStructure::MultiRole,
                reuse_deleted_key: false,
            }),
            Command::CreateRole(CreateRole {
                project: shop(),
                name: role("Clerk"),
                description: String::new(),
                internal: false,
                place: RolePlace::Last,
                disabled_in: vec![],
                manages: vec![],
            }),
            Command::CreateRoleMapping(CreateRoleMapping {
                project: shop(),
                name: RoleMappingName::stored("Free"),
                description: String::new(),
                duplicate_of: None,
                edits: RoleMappingEdits { disable: vec![role("Clerk")], ..RoleMappingEdits::default() },
                subscribe: vec![],
                on_disabled: OnDisabled::Reject,
            }),
            Command::CreateOrg(CreateOrg {
                project: shop(),
                org_id: OrgId::stored("acme"),
                display_name: String::new(),
                metadata: String::new(),
                role_mapping: None,
                creator: None,
                reuse_deleted_id: false,
            }),
        ];
        let members = ["cat", "ann", "bob"].map(clerk);
        let state = run(State::new(HashKey::new([7; 16])), plain(created.into_iter().chain(members).collect())).next;
        let set =
            |project: &Project, user: &UserId| project.membership(project.org("acme")?, user).map(|it| it.role_set);
        let stored = ["ann", "bob", "cat"].map(|user| {
            let user = UserId::stored(user);
            (set(state.project(&shop()).unwrap(), &user).unwrap(), user)
        });
        (state, Stored(stored.into()))
    }

    fn told(verdict: &Verdict) -> Vec<String> {
        let Verdict::Done { impact, .. } = verdict else { panic!("refused") };
        let user = |row: &MemberImpact| match &row.who {
            Who::Member(user) => user.to_string(),
            Who::SomeOf { .. } => "somebody".into(),
        };
        impact.sample.iter().map(user).collect()
    }

    #[tokio::test]
    async fn r9_members_are_named_as_they_were_before_the_command_and_not_before_its_group() {
        let (state, mut stored) = world();
        let commands =
            vec![write("ann", Write::Remove), clerk("dan"), downgrade(), write("bob", Write::Remove), grant()];
        let mut group = run(state, plain(commands));
        assert!(told(&group.verdicts[2]).contains(&"somebody".to_string()), "the State does not know them");
        name(&mut stored, &mut group).await.unwrap();
        let told: Vec<Vec<String>> = group.verdicts.iter().map(told).collect();
        // Dan is in no database yet; who was remapped is there with the set that was.
        assert_eq!(told, [vec!["ann"], vec!["dan"], vec!["bob", "cat", "dan"], vec!["bob"], vec!["cat", "dan"]]);
    }

    #[tokio::test]
    async fn r9_what_is_remembered_and_what_a_repeat_is_told_names_the_same() {
        let (state, mut stored) = world();
        let request = RequestKey { caller: "test".into(), request_id: "once".into() };
        let call = Call { request: Some(request), ..Call::plain("test", "") };
        let mut group = run(state, vec![(downgrade(), call.clone()), (downgrade(), call)]);
        name(&mut stored, &mut group).await.unwrap();
        for verdict in &group.verdicts {
            assert_eq!(told(verdict), ["ann", "bob", "cat"]);
        }
        assert!(matches!(group.verdicts[1], Verdict::Done { replayed: true, .. }));
        let remembered = group.commits[0].request.as_ref().unwrap();
        let Verdict::Done { impact, .. } = &group.verdicts[0] else { panic!() };
        assert!(Arc::ptr_eq(&remembered.impact, impact));
    }
}
