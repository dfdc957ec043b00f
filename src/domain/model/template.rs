//! The templates that projects are created from (P3).

use crate::domain::model::permission::BUILT_INS;

/// The contents of a new project. All of it can be edited afterwards.
#[derive(Clone, Copy, Debug)]
pub struct Template {
    pub name: &'static str,
    pub description: &'static str,
    /// Highest first. The first is the default owner role, the last is the default role.
    pub roles: &'static [TemplateRole],
    /// The name and description of the one role mapping, in which all roles are enabled.
    pub role_mapping: (&'static str, &'static str),
}

#[derive(Clone, Copy, Debug)]
pub struct TemplateRole {
    pub name: &'static str,
    pub description: &'static str,
    /// Returns true for the built-in permissions that it is granted.
    pub grants: fn(&str) -> bool,
}

/// For customers that are businesses.
pub static B2B: Template = Template {
    name: "b2b",
    description: "For customers that are organizations: owners, administrators and members.",
    roles: &[
        TemplateRole { name: "Owner", description: "Runs the organization.", grants: |_| true },
        TemplateRole {
            name: "Admin",
            description: "Administers the organization for its owners.",
            grants: |permission| !["rolecall::can_delete_org", "rolecall::can_edit_org_access"].contains(&permission),
        },
        TemplateRole {
            name: "Member",
            description: "Works in the organization.",
            grants: |permission| permission == "rolecall::can_view_other_members",
        },
    ],
    role_mapping: ("Default", "The default plan of organizations."),
};

/// For imports: one role, so that few imported names collide with it.
pub static EMPTY: Template = Template {
    name: "empty",
    description: "For imports: one owner role and nothing else.",
    roles: &[TemplateRole { name: "Owner", description: "Runs the organization.", grants: |_| true }],
    role_mapping: ("Default", "The default plan of organizations."),
};

/// The templates by name.
pub static TEMPLATES: [&Template; 2] = [&B2B, &EMPTY];

impl Template {
    /// Returns the permissions of a new project: the built-in ones.
    pub fn permissions(&self) -> impl Iterator<Item = &'static str> {
        BUILT_INS.iter().map(|&(name, _)| name)
    }
}
