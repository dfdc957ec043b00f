//! The templates that projects are created from (P3, W5).

use std::sync::LazyLock;

use crate::domain::model::permission::{
    BUILT_INS, CAN_CHANGE_ROLES, CAN_EDIT_ORG_ACCESS, CAN_INVITE, CAN_REMOVE_USERS, CAN_VIEW_OTHER_MEMBERS,
};

/// The contents of a new project. All of it can be edited afterwards.
#[derive(Clone, Copy, Debug)]
pub struct Template {
    pub name: &'static str,
    pub description: &'static str,
    /// Highest first. The first is the default owner role.
    pub roles: &'static [TemplateRole],
    pub default_role: &'static str,
    /// True if the project must be SINGLE_ROLE (W5.a).
    pub single_role: bool,
    /// Returns the permissions besides the built-in ones.
    pub own_permissions: fn() -> &'static [TemplatePermission],
    /// The name and description of the one role mapping, in which all roles are enabled.
    pub role_mapping: (&'static str, &'static str),
}

#[derive(Clone, Copy, Debug)]
pub struct TemplateRole {
    pub name: &'static str,
    pub description: &'static str,
    /// Returns true for the built-in permissions that it is granted.
    pub built_ins: fn(&str) -> bool,
}

#[derive(Debug)]
pub struct TemplatePermission {
    pub name: &'static str,
    pub description: &'static str,
    /// The names of the roles that it is granted to.
    pub roles: Vec<&'static str>,
}

const DEFAULT_MAPPING: (&str, &str) = ("Default", "The default plan of organizations.");

/// For customers that are businesses.
pub static B2B: Template = Template {
    name: "b2b",
    description: "For customers that are organizations: owners, administrators and members.",
    roles: &[
        TemplateRole { name: "Owner", description: "Runs the organization.", built_ins: |_| true },
        TemplateRole {
            name: "Admin",
            description: "Administers the organization for its owners.",
            built_ins: |permission| {
                !["rolecall::can_delete_org", "rolecall::can_edit_org_access"].contains(&permission)
            },
        },
        TemplateRole { name: "Member", description: "Works in the organization.", built_ins: views_team },
    ],
    default_role: "Member",
    single_role: false,
    own_permissions: || &[],
    role_mapping: DEFAULT_MAPPING,
};

/// For imports: one role, so that few imported names collide with it.
pub static EMPTY: Template = Template {
    name: "empty",
    description: "For imports: one owner role and nothing else.",
    roles: &[TemplateRole { name: "Owner", description: "Runs the organization.", built_ins: |_| true }],
    default_role: "Owner",
    single_role: false,
    own_permissions: || &[],
    role_mapping: DEFAULT_MAPPING,
};

/// PropelAuth's six dashboard roles (W5).
pub static PROPELAUTH: Template = Template {
    name: "propelauth-dashboard",
    description: "For a product's own dashboard: the six roles that PropelAuth publishes.",
    roles: &[
        TemplateRole { name: "Owner", description: "Does everything.", built_ins: |_| true },
        TemplateRole {
            name: "Admin",
            description: "Does everything except impersonation, team settings and billing.",
            built_ins: manages_team,
        },
        TemplateRole {
            name: "Developer",
            description: "Configures the project. Does not change users or organizations.",
            built_ins: views_team,
        },
        TemplateRole {
            name: "Customer Management",
            description: "Manages users and organizations. Does not see the configuration.",
            built_ins: views_team,
        },
        TemplateRole {
            name: "Member",
            description: "Manages users and organizations and configures the project.",
            built_ins: views_team,
        },
        TemplateRole {
            name: "ReadOnly",
            description: "Views everything except billing. Changes nothing.",
            built_ins: views_team,
        },
    ],
    default_role: "ReadOnly",
    single_role: true,
    own_permissions: || &PROPELAUTH_PERMISSIONS,
    role_mapping: ("Default", "What each role may do."),
};

/// Stytch's five dashboard roles (W5).
pub static STYTCH: Template = Template {
    name: "stytch-dashboard",
    description: "For a product's own dashboard: the five roles that Stytch publishes.",
    roles: &[
        TemplateRole { name: "Admin", description: "Does everything.", built_ins: |_| true },
        TemplateRole {
            name: "Developer",
            description: "Configures the projects and manages users and organizations.",
            built_ins: views_team,
        },
        TemplateRole {
            name: "Support Manager",
            description: "Manages users and organizations. Views the configuration.",
            built_ins: views_team,
        },
        TemplateRole {
            name: "Support Agent",
            description: "Views users and organizations, resets passwords and revokes sessions.",
            built_ins: views_team,
        },
        TemplateRole {
            name: "No Access",
            description: "Views only the team and the names of projects.",
            built_ins: views_team,
        },
    ],
    default_role: "Support Agent",
    single_role: true,
    own_permissions: || &STYTCH_PERMISSIONS,
    role_mapping: ("Default", "What each role may do."),
};

/// The templates by name.
pub static TEMPLATES: [&Template; 4] = [&B2B, &EMPTY, &PROPELAUTH, &STYTCH];

impl Template {
    /// Returns the template with a name. `None` if no template has it.
    pub fn named(name: &str) -> Option<&'static Self> {
        TEMPLATES.into_iter().find(|template| template.name == name)
    }

    /// Returns the name and description of each permission: first the built-in ones, then its own.
    pub fn permissions(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let own = (self.own_permissions)().iter().map(|permission| (permission.name, permission.description));
        BUILT_INS.into_iter().chain(own)
    }

    /// Returns for each permission, in the order of `permissions`, whether a role is granted it.
    pub fn grants(&self, role: &TemplateRole) -> impl Iterator<Item = bool> {
        let built_in = BUILT_INS.iter().map(|(name, _)| (role.built_ins)(name));
        built_in.chain((self.own_permissions)().iter().map(|permission| permission.roles.contains(&role.name)))
    }
}

fn views_team(permission: &str) -> bool {
    permission == CAN_VIEW_OTHER_MEMBERS
}

fn manages_team(permission: &str) -> bool {
    [CAN_VIEW_OTHER_MEMBERS, CAN_INVITE, CAN_CHANGE_ROLES, CAN_REMOVE_USERS, CAN_EDIT_ORG_ACCESS].contains(&permission)
}

static PROPELAUTH_PERMISSIONS: LazyLock<Vec<TemplatePermission>> = LazyLock::new(|| published("propelauth-dashboard"));
static STYTCH_PERMISSIONS: LazyLock<Vec<TemplatePermission>> = LazyLock::new(|| published("stytch-dashboard"));

/// Reads the permissions of a template from the published tables. Skips malformed lines; the tests find none.
fn published(template: &str) -> Vec<TemplatePermission> {
    let mut permissions = Vec::new();
    let mut roles = &[][..];
    let lines = include_str!("dashboard_roles.tsv").lines().filter(|line| !line.starts_with('#'));
    let rows: Vec<Vec<&str>> = lines.map(|line| line.split('\t').collect()).collect();
    for row in &rows {
        let [preset, description, names, cells @ ..] = &row[..] else { continue };
        if *preset == "preset" {
            roles = cells;
        } else if *preset == template {
            let granted = roles.iter().zip(cells).filter(|(_, cell)| cell.starts_with('y'));
            let granted: Vec<&str> = granted.map(|(role, _)| *role).collect();
            let description = description.trim_start_matches("(ours) ");
            permissions.extend(names.split(' ').map(|name| TemplatePermission {
                name,
                description,
                roles: granted.clone(),
            }));
        }
    }
    permissions
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::model::name::{permission_name, role_name};

    /// Returns the permissions of the template's own that a role is granted.
    fn own<'a>(template: &Template, role: &'a str) -> impl Fn(&str) -> bool + 'a {
        let permissions = (template.own_permissions)();
        assert!(template.roles.iter().any(|it| it.name == role), "{role}");
        move |name| {
            let found = permissions.iter().find(|permission| permission.name == name);
            found.unwrap_or_else(|| panic!("no permission {name}")).roles.contains(&role)
        }
    }

    #[test]
    fn p3_templates_are_sorted_and_found_by_name() {
        assert!(TEMPLATES.is_sorted_by_key(|template| template.name));
        for template in TEMPLATES {
            assert_eq!(Template::named(template.name).unwrap().name, template.name);
            assert!(template.roles.iter().any(|role| role.name == template.default_role));
            let names: BTreeSet<&str> = template.permissions().map(|(name, _)| name).collect();
            assert_eq!(names.len(), template.permissions().count(), "a permission occurs twice");
            assert!(template.roles.iter().all(|role| role_name(role.name).is_ok()));
            assert!(names.into_iter().all(|name| permission_name(name).is_ok()));
        }
        assert!(Template::named("").is_none());
    }

    /// Every line has a known preset, a cell for each role at most, and no cell but `y`, `y*` and an empty one.
    #[test]
    fn w5_the_published_tables_are_well_formed() {
        let mut roles = 0;
        for line in include_str!("dashboard_roles.tsv").lines().filter(|line| !line.starts_with('#')) {
            let cells: Vec<&str> = line.split('\t').collect();
            if cells[0] == "preset" {
                roles = cells.len() - 3;
                continue;
            }
            let template = Template::named(cells[0]).unwrap();
            assert_eq!(roles, template.roles.len());
            assert_eq!(cells.len(), roles + 3, "{line}");
            assert!(cells[3..].iter().all(|cell| ["y", "y*", ""].contains(cell)), "{line}");
            assert!(!cells[1].is_empty() && cells[2].split(' ').all(|name| !name.is_empty()), "{line}");
        }
        for (template, count) in [(&PROPELAUTH, 36), (&STYTCH, 45)] {
            let permissions = (template.own_permissions)();
            assert_eq!(permissions.len(), count);
            let order = |role: &&str| template.roles.iter().position(|it| it.name == *role).unwrap();
            assert!(permissions.iter().all(|permission| permission.roles.is_sorted_by_key(order)));
        }
    }

    #[test]
    fn w5_the_grants_are_the_published_ones() {
        let developer = own(&PROPELAUTH, "Developer");
        let customers = own(&PROPELAUTH, "Customer Management");
        assert!(developer("config.roles_permissions") && !developer("orgs.members") && !developer("users.write"));
        assert!(customers("orgs.members") && customers("users.write") && !customers("config.roles_permissions"));
        assert!(!customers("config.view") && developer("config.view") && own(&PROPELAUTH, "ReadOnly")("config.view"));
        assert!(developer("api_keys.live.manage") && !own(&PROPELAUTH, "Member")("api_keys.test.manage"));
        let admin = own(&PROPELAUTH, "Admin");
        assert!(admin("team.manage") && !admin("team.settings") && !admin("billing") && !admin("config.impersonation"));
        // Cells that are our reading of prose.
        assert!(own(&PROPELAUTH, "Member")("orgs.members") && developer("audit.view"));

        let (developer, manager) = (own(&STYTCH, "Developer"), own(&STYTCH, "Support Manager"));
        assert!(developer("config.roles_permissions") && !developer("api_keys.live.manage"));
        assert!(manager("orgs.members") && !manager("config.roles_permissions") && manager("config.view"));
        let agent = own(&STYTCH, "Support Agent");
        assert!(agent("users.view") && agent("users.password_reset") && !agent("users.write") && !agent("config.view"));
        let none = own(&STYTCH, "No Access");
        let granted = (STYTCH.own_permissions)().iter().map(|it| it.name).filter(|name| none(name));
        assert_eq!(granted.collect::<Vec<_>>(), ["team.view", "projects.list"]);
        for (template, owner) in [(&PROPELAUTH, "Owner"), (&STYTCH, "Admin")] {
            assert_eq!(template.roles[0].name, owner);
            assert!(template.grants(&template.roles[0]).all(|granted| granted));
        }
    }

    /// The built-in permissions of a role follow from its team.view and team.manage.
    #[test]
    fn w5_the_built_in_permissions_follow_the_permissions_for_the_team() {
        for template in [&PROPELAUTH, &STYTCH] {
            for role in &template.roles[1..] {
                let own = own(template, role.name);
                for (name, _) in BUILT_INS {
                    let expected = match name {
                        CAN_VIEW_OTHER_MEMBERS => own("team.view"),
                        CAN_INVITE | CAN_CHANGE_ROLES | CAN_REMOVE_USERS | CAN_EDIT_ORG_ACCESS => own("team.manage"),
                        _ => false,
                    };
                    assert_eq!((role.built_ins)(name), expected, "{} {name}", role.name);
                }
            }
        }
    }
}
