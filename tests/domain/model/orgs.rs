//! Orgs (S1, S4, S5).

use std::collections::{BTreeMap, BTreeSet};

use rolecall::domain::commands::command::{CreateOrg, DeleteOrg, UpdateOrg};
use rolecall::domain::model::membership::Origin;
use rolecall::domain::{Reason, Time};
use rolecall::limits::Limits;

use super::{Answer, Member, OrgModel, ProjectModel, RoleRecord, Roles};

impl ProjectModel {
    /// S1, S4, S5.
    pub(super) fn create_org(&mut self, command: &CreateOrg, created: Time, limits: &Limits) -> Result<Answer, Reason> {
        let org = command.org_id.to_string();
        if self.orgs.contains_key(&org) {
            return Err(Reason::OrgAlreadyExists);
        }
        if self.retired.contains(&org) && !command.reuse_deleted_id {
            return Err(Reason::OrgIdRetired);
        }
        let mapping = match &command.role_mapping {
            Some(name) => self.mapping(name.as_str())?,
            None => self.default_mapping.clone(),
        };
        let mut members = BTreeMap::new();
        if let Some(creator) = &command.creator {
            if self.is_blocked(creator.as_str()) {
                return Err(Reason::UserNotAvailable);
            }
            let origin = Origin::Creator;
            let roles = Roles::from([(self.default_owner_role.clone(), RoleRecord { expire_time: None, origin })]);
            self.count_set(&roles, limits)?;
            members.insert(creator.to_string(), Member { roles, origin, fallbacks: BTreeMap::new() });
        }
        let org_model = OrgModel {
            display_name: command.display_name.clone(),
            metadata: command.metadata.clone(),
            created,
            mapping,
            members,
            domains: BTreeMap::new(),
            invitations: BTreeMap::new(),
            removed: BTreeSet::new(),
        };
        self.orgs.insert(org.clone(), org_model);
        Ok(self.org(org))
    }

    pub(super) fn update_org(&mut self, command: &UpdateOrg) -> Result<Answer, Reason> {
        let org = command.org_id.to_string();
        let org_model = self.orgs.get_mut(&org).ok_or(Reason::OrgNotFound)?;
        if let Some(text) = &command.display_name {
            org_model.display_name = text.clone();
        }
        if let Some(text) = &command.metadata {
            org_model.metadata = text.clone();
        }
        Ok(self.org(org))
    }

    /// S5.
    pub(super) fn delete_org(&mut self, command: &DeleteOrg) -> Result<Answer, Reason> {
        let org = command.org_id.to_string();
        let org_model = self.orgs.remove(&org).ok_or(Reason::OrgNotFound)?;
        self.retired.insert(org);
        Ok(Answer::Deleted(org_model.members.len() as u64))
    }

    fn org(&self, org: String) -> Answer {
        let OrgModel { display_name, metadata, mapping, .. } = self.orgs[&org].clone();
        Answer::Org { org, display_name, metadata, mapping }
    }
}
