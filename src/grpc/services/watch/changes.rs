//! Turns commits into the changes that a client sees.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::commands::group::Commit;
use crate::domain::model::id::{OrgNo, ProjectId, RoleMappingId};
use crate::domain::rules::affected::{Affected, AffectedAnswers, all_affected, bounded};
use crate::domain::state::org::Org;
use crate::domain::{Change, OrgId, Project, ProjectKey, State};
use crate::limits::WATCH_CHANGES_MAX;
use crate::wire::{AccessChange, AccessScope, timestamp};

/// The kind of a commit that purges. It changes no answer: what it purges was deleted before.
const PURGE: &str = "Purge";

/// What a client watches.
pub struct Filter {
    pub project: ProjectId,
    pub key: ProjectKey,
    /// Only the orgs that have or had this id. `None`: all.
    pub org: Option<OrgId>,
    /// The org that the key of the caller is for. Another org may have had its id.
    pub only: Option<OrgNo>,
}

/// The commits of a page, with a State that has them. It may be newer, so that it lacks what was deleted or renamed since.
pub struct Changes<'a> {
    filter: &'a Filter,
    /// `None` if the State does not have the project.
    project: Option<&'a Project>,
    /// The ids of orgs in the page.
    org_ids: BTreeMap<OrgNo, &'a OrgId>,
    /// The names of role mappings in the page.
    mapping_names: BTreeMap<RoleMappingId, BTreeSet<&'a str>>,
    /// The numbers of the org of the filter.
    orgs: BTreeSet<OrgNo>,
    /// True if the org of the filter had the role mapping that it has in the State all the time.
    mapping_is_known: bool,
}

impl<'a> Changes<'a> {
    pub fn new(filter: &'a Filter, state: &'a State, commits: &'a [Arc<Commit>]) -> Self {
        let project = state.project_numbered(filter.project).map(AsRef::as_ref);
        let (mut org_ids, mut mapping_names) = (BTreeMap::new(), BTreeMap::<_, BTreeSet<&str>>::new());
        let mut moved = BTreeSet::new();
        let changes = commits.iter().flat_map(|commit| &commit.changes);
        for change in changes.filter(|change| change.project() == filter.project) {
            match change {
                Change::Org(edit) => {
                    moved.insert(edit.key.id);
                    let record = edit.after.as_ref().or(edit.before.as_ref());
                    org_ids.extend(record.map(|record| (edit.key.id, &record.profile.org_id)));
                }
                Change::Subscription(edit) => {
                    moved.insert(edit.key.id);
                }
                Change::RoleMapping(edit) => {
                    let records = [&edit.after, &edit.before].into_iter().flatten();
                    let names: &mut BTreeSet<&str> = mapping_names.entry(edit.key.id).or_default();
                    names.extend(records.map(|record| record.name.as_str()));
                }
                _ => {}
            }
        }
        let mut orgs = BTreeSet::new();
        if let Some(org_id) = &filter.org {
            orgs.extend(project.into_iter().flat_map(|project| project.org_numbers(org_id.as_str())));
            orgs.extend(org_ids.iter().filter(|(_, id)| **id == org_id).map(|(no, _)| *no));
            orgs.retain(|no| filter.only.is_none_or(|only| only == *no));
        }
        let is_newest = commits.last().is_some_and(|last| last.revision == state.revision());
        let mapping_is_known = is_newest && moved.is_disjoint(&orgs);
        Self { filter, project, org_ids, mapping_names, orgs, mapping_is_known }
    }

    /// Returns what a commit changed. `token` is its revision.
    pub fn of(&self, commit: &Commit, token: &str) -> Vec<AccessChange> {
        if &*commit.kind == PURGE {
            return Vec::new();
        }
        let all = all_affected(commit.changes.iter().filter(|change| self.concerns(change)), commit.revision.at);
        let all = if self.filter.org.is_some() { self.of_org(all) } else { all };
        let change = |change| AccessChange { kind: commit.kind.to_string(), revision: token.into(), ..change };
        let named = bounded(all, WATCH_CHANGES_MAX).into_iter().map(|(affected, expiry)| {
            let expire_time = expiry.map(timestamp);
            self.named(affected).map(|named| change(AccessChange { expire_time, ..named }))
        });
        // What has no name any more is contained in the whole project.
        let named: Option<Vec<AccessChange>> = named.collect();
        named.unwrap_or_else(|| vec![change(whole_project())])
    }

    /// Returns true for changes of the project, and for those of another project that has or had its key: the answers that a
    /// client keeps are of the key.
    fn concerns(&self, change: &Change) -> bool {
        let is_namesake = || match change {
            Change::Project(edit) => {
                let records = [&edit.before, &edit.after].into_iter().flatten();
                records.map(|record| &record.key).any(|key| *key == self.filter.key)
            }
            _ => false,
        };
        change.project() == self.filter.project || is_namesake()
    }

    /// Returns what concerns the org of the filter, as something of the org: an API key for one org must not learn about others.
    fn of_org(&self, all: AffectedAnswers) -> AffectedAnswers {
        let org = self.existing_org();
        let any = self.orgs.first().copied();
        let part = |(affected, expiry)| {
            let affected = match affected {
                Affected::Project => Affected::Project,
                Affected::Org(no) | Affected::Member(no, _) if !self.orgs.contains(&no) => return None,
                Affected::RoleMapping(id) => {
                    let is_without = self.mapping_is_known && org.is_none_or(|org| org.record.role_mapping != id);
                    Affected::Org(any.filter(|_| !is_without)?)
                }
                Affected::User(user) => match self.project.zip(org) {
                    Some((project, org)) if project.membership(org, &user).is_some() => Affected::Member(org.no, user),
                    _ => Affected::Org(any?),
                },
                affected => affected,
            };
            Some((affected, expiry))
        };
        all.into_iter().filter_map(part).collect()
    }

    fn existing_org(&self) -> Option<&'a Org> {
        let org = self.project?.org(self.filter.org.as_ref()?.as_str())?;
        Some(&**org).filter(|org| self.orgs.contains(&org.no))
    }

    /// Returns the change without its write. `None` if the name is not known any more.
    fn named(&self, affected: Affected) -> Option<AccessChange> {
        let of = |scope: AccessScope| AccessChange { scope: scope.into(), ..AccessChange::default() };
        Some(match affected {
            Affected::Project => whole_project(),
            Affected::RoleMapping(id) => {
                AccessChange { role_mappings: self.names_of(id)?, ..of(AccessScope::RoleMapping) }
            }
            Affected::Org(no) => AccessChange { org_id: self.org_id(no)?, ..of(AccessScope::Org) },
            Affected::User(user) => AccessChange { user_id: user.to_string(), ..of(AccessScope::User) },
            Affected::Member(no, user) => {
                AccessChange { org_id: self.org_id(no)?, user_id: user.to_string(), ..of(AccessScope::Member) }
            }
        })
    }

    fn org_id(&self, no: OrgNo) -> Option<String> {
        if let Some(org_id) = &self.filter.org {
            return Some(org_id.to_string());
        }
        let held = self.project.and_then(|project| project.org_numbered(no)).map(|org| &org.record.profile.org_id);
        held.or_else(|| self.org_ids.get(&no).copied()).map(ToString::to_string)
    }

    fn names_of(&self, id: RoleMappingId) -> Option<Vec<String>> {
        let held = self.project.and_then(|project| project.role_mappings.get(id)).map(|mapping| &mapping.record);
        let mut names: Vec<String> = held
            .into_iter()
            .flat_map(|it| [&it.name].into_iter().chain(it.aliases.iter()))
            .map(ToString::to_string)
            .collect();
        let in_page = self.mapping_names.get(&id).into_iter().flatten();
        for name in in_page {
            if !names.iter().any(|known| known == name) {
                names.push(name.to_string());
            }
        }
        Some(names).filter(|names| !names.is_empty())
    }
}

fn whole_project() -> AccessChange {
    AccessChange { scope: AccessScope::Project.into(), ..AccessChange::default() }
}
