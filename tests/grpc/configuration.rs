//! Reading and applying configurations. tests/domain/configuration.rs has the properties.

use rolecall::wire::{self, ConfigurationAction, ConfigurationObjectKind, Decision};

use crate::fixture::{Project, remapping, roles, texts};
use crate::operators;
use crate::refusals::refused;
use crate::server::{Server, on_both};

async fn read(project: Project<'_>) -> wire::GetConfigurationResponse {
    let request = wire::GetConfigurationRequest { project: project.key.into(), ..Default::default() };
    project.server.get_configuration(request).await.unwrap()
}

fn applying(project: Project<'_>, configuration: &wire::Configuration) -> wire::ApplyConfigurationRequest {
    let (project, configuration) = (project.key.into(), Some(configuration.clone()));
    wire::ApplyConfigurationRequest { project, configuration, ..Default::default() }
}

/// A project with two plans, and members whom the tests move.
async fn shop(server: &Server) -> Project<'_> {
    let project = server.single();
    project.permission("invoices.view").await;
    project.permission("invoices.pay").await;
    for name in ["Accountant", "Auditor"] {
        project.role(name).await;
    }
    project.mapping("Paid").await;
    project.grant("Default", "Accountant", &["invoices.view"]).await;
    project.grant("Paid", "Accountant", &["invoices.view", "invoices.pay"]).await;
    project.org("acme", "Default").await;
    project.org("globex", "Paid").await;
    for org in ["acme", "globex"] {
        project.add(org, "ann", &roles(&["Owner"])).await;
        project.add(org, "bob", &roles(&["Accountant"])).await;
        project.add(org, "cid", &roles(&["Auditor"])).await;
    }
    project
}

/// Returns `UPDATE ROLE Clerk: name, description`.
fn shown(steps: &[wire::ConfigurationStep]) -> Vec<String> {
    let shown = |step: &wire::ConfigurationStep| {
        let object = step.object.clone().unwrap();
        let action = step.action().as_str_name().trim_start_matches("CONFIGURATION_ACTION_");
        let kind = object.kind().as_str_name().trim_start_matches("CONFIGURATION_OBJECT_KIND_");
        let fields: Vec<_> = step.changes.iter().map(|change| change.field.as_str()).collect();
        format!("{action} {kind} {}: {}", object.name, fields.join(" ")).trim_end_matches(": ").to_string()
    };
    steps.iter().map(shown).collect()
}

#[test]
fn an_unchanged_configuration_writes_nothing() {
    on_both(async |server| {
        let project = shop(server).await;
        let is = read(project).await;
        let configuration = is.configuration.unwrap();
        let request = wire::ApplyConfigurationRequest { prune: true, ..applying(project, &configuration) };
        let applied = server.storing_nothing(server.apply_configuration(request)).await.unwrap();
        assert_eq!((applied.steps, applied.unmanaged, applied.etag), (vec![], vec![], is.etag));
        assert_eq!(applied.revision, is.revision);
    });
}

#[test]
fn r9_a_plan_is_applied_as_it_was_shown_and_survives_a_restart() {
    on_both(async |server| {
        let project = shop(server).await;
        let is = read(project).await;
        let mut wanted = is.configuration.unwrap();
        // Accountant is renamed, Auditor becomes Clerk's, Paid is deleted, and a new role appears.
        let accountant = wanted.roles.iter_mut().find(|role| role.name == "Accountant").unwrap();
        (accountant.name, accountant.renamed_from) = ("Clerk".into(), "Accountant".into());
        wanted.roles.retain(|role| role.name != "Auditor");
        wanted.roles.insert(1, wire::ConfiguredRole { name: "Deputy".into(), ..Default::default() });
        wanted.role_mappings.retain(|mapping| mapping.name != "Paid");
        let plan = &mut wanted.role_mappings[0];
        plan.disabled_roles = texts(&["Admin", "Clerk"]);
        plan.on_disabled = remapping(&[("Clerk", "Deputy")], "Member");
        plan.grants.iter_mut().for_each(|row| row.role = row.role.replace("Accountant", "Clerk"));
        plan.grants.push(wire::ConfiguredGrants { role: "Deputy".into(), permissions: texts(&["invoices.pay"]) });
        let moved = wire::DeletedRoleMapping {
            name: "Paid".into(),
            move_subscribers_to: "Default".into(),
            on_disabled: remapping(&[], "Deputy"),
        };
        let request = wire::ApplyConfigurationRequest {
            deleted_roles: vec![wire::DeletedRole { name: "Auditor".into(), replacement: "Accountant".into() }],
            deleted_role_mappings: vec![moved],
            etag: is.etag.clone(),
            ..applying(project, &wanted)
        };
        let preview = wire::ApplyConfigurationRequest { validate_only: true, ..request.clone() };
        let preview = server.storing_nothing(server.apply_configuration(preview)).await.unwrap();
        assert_eq!(
            shown(&preview.steps),
            [
                "CREATE ROLE Deputy: position",
                "UPDATE ROLE Clerk: name aliases",
                "DELETE ROLE Auditor",
                "UPDATE ROLE_MAPPING Default: disabled_roles grants",
                "DELETE ROLE_MAPPING Paid",
            ]
        );
        let impact = preview.impact.clone().unwrap();
        // What an owner of globex may do changes too, with the plan.
        assert_eq!((impact.orgs, impact.members), (2, 5));

        let digest = |impact_digest: &str| wire::ApplyConfigurationRequest {
            impact_digest: impact_digest.into(),
            ..request.clone()
        };
        refused(server.apply_configuration(digest("stale")).await, "IMPACT_CHANGED");
        let real = wire::ApplyConfigurationRequest { request_id: "once".into(), ..digest(&impact.digest) };
        let applied = server.apply_configuration(real.clone()).await.unwrap();
        assert_eq!((&applied.steps, &applied.etag), (&preview.steps, &preview.etag));
        let again = server.apply_configuration(real).await.unwrap();
        assert_eq!(again, wire::ApplyConfigurationResponse { replayed: true, ..applied });

        let is = read(project).await;
        assert_eq!(is.etag, again.etag);
        for org in ["acme", "globex"] {
            assert_eq!(project.roles_of(org, "ann").await, "Owner live");
            for user in ["bob", "cid"] {
                assert_eq!(project.roles_of(org, user).await, "Deputy live", "{org} {user}");
                assert_eq!(project.check(org, user, "invoices.pay").await, Decision::Allowed);
            }
        }
        let restarted = server.restarted().await;
        let same = Project { server: &restarted, key: project.key };
        let after = read(same).await;
        assert_eq!((after.configuration, after.etag), (is.configuration, is.etag));
        for org in ["acme", "globex"] {
            assert_eq!(same.roles_of(org, "cid").await, "Deputy live");
        }
    });
}

#[test]
fn m9_a_stale_plan_is_refused() {
    on_both(async |server| {
        let project = shop(server).await;
        let is = read(project).await;
        let mut wanted = is.configuration.unwrap();
        wanted.display_name = "Shop".into();
        let request = wire::ApplyConfigurationRequest { etag: is.etag, ..applying(project, &wanted) };
        project.grant("Paid", "Auditor", &["invoices.view"]).await;
        refused(server.storing_nothing(server.apply_configuration(request.clone())).await, "ETAG_MISMATCH");
        let request = wire::ApplyConfigurationRequest { etag: read(project).await.etag, ..request };
        let applied = server.apply_configuration(request).await.unwrap();
        assert_eq!(shown(&applied.steps), ["UPDATE PROJECT default: display_name", "UPDATE ROLE_MAPPING Paid: grants"]);
        // A change of a member does not make it stale. The digest of the impact does that.
        let etag = read(project).await.etag;
        project.add("acme", "dan", &roles(&["Member"])).await;
        assert_eq!(read(project).await.etag, etag);
    });
}

#[test]
fn what_is_not_named_stays_and_is_listed() {
    on_both(async |server| {
        let project = shop(server).await;
        let mut wanted = read(project).await.configuration.unwrap();
        wanted.permissions.clear();
        wanted.roles.retain(|role| ["Owner", "Member"].contains(&role.name.as_str()));
        wanted.role_mappings.clear();
        let applied = server.storing_nothing(server.apply_configuration(applying(project, &wanted))).await.unwrap();
        let unmanaged: Vec<_> = applied.unmanaged.iter().map(|object| (object.kind(), object.name.as_str())).collect();
        let (permission, role) = (ConfigurationObjectKind::Permission, ConfigurationObjectKind::Role);
        let mapping = ConfigurationObjectKind::RoleMapping;
        assert_eq!(
            unmanaged,
            [
                (permission, "invoices.view"),
                (permission, "invoices.pay"),
                (role, "Admin"),
                (role, "Accountant"),
                (role, "Auditor"),
                (mapping, "Default"),
                (mapping, "Paid"),
            ]
        );
        assert!(applied.steps.iter().all(|step| step.action() != ConfigurationAction::Delete));
    });
}

#[test]
fn a_configuration_is_refused_by_the_rules_of_what_it_changes() {
    on_both(async |server| {
        let project = shop(server).await;
        let is = read(project).await.configuration.unwrap();
        let refused = async |change: fn(&mut wire::ApplyConfigurationRequest, &mut wire::Configuration), reason| {
            let (mut request, mut configuration) = (applying(project, &is), is.clone());
            change(&mut request, &mut configuration);
            request.configuration = Some(configuration);
            refused(server.storing_nothing(server.apply_configuration(request)).await, reason)
        };
        refused(|_, it| it.default_role = "Nobody".into(), "ROLE_NOT_FOUND").await;
        refused(|_, it| it.default_role_mapping = "Gold".into(), "ROLE_MAPPING_NOT_FOUND").await;
        refused(|_, it| it.role_mappings[0].disabled_roles = texts(&["Owner"]), "DEFAULT_ROLE_DISABLED").await;
        refused(|_, it| it.role_mappings[0].disabled_roles = texts(&["Auditor"]), "ROLES_WOULD_BE_DISABLED").await;
        refused(|_, it| it.role_mappings[0].grants[0].permissions = texts(&["fly"]), "PERMISSION_NOT_FOUND").await;
        refused(|_, it| it.roles.push(it.roles[0].clone()), "ROLE_ALREADY_EXISTS").await;
        refused(|_, it| it.roles[4].internal = true, "ROLE_IN_USE").await;
        refused(|_, it| it.roles[4].manages = texts(&["Member"]), "WRONG_ROLE_STRUCTURE").await;
        refused(|it, _| it.deleted_permissions = texts(&["rolecall::can_invite"]), "CONTRADICTION").await;
        refused(
            |request, it| {
                it.permissions.clear();
                request.deleted_permissions = texts(&["rolecall::can_invite"]);
            },
            "BUILT_IN",
        )
        .await;
        let path =
            refused(|_, it| it.role_mappings[1].on_disabled = remapping(&[("Owner ", "Member")], ""), "INVALID_FIELD");
        let error = path.await;
        let fields = error.fields();
        assert_eq!(fields, ["configuration.role_mappings[1].on_disabled.replacements[0].role"]);
    });
}

#[test]
fn w2_replacing_roles_of_members_needs_the_permission_for_members() {
    operators::on_both(async |server| {
        let dev = operators::Caller::operator(server, "dev", "Developer").await;
        let get = wire::GetConfigurationRequest::default();
        let is: wire::GetConfigurationResponse = dev.call("ConfigurationService/GetConfiguration", &get).await.unwrap();
        let request = applying(server.single(), &is.configuration.unwrap());
        let call = async |request: &wire::ApplyConfigurationRequest| {
            dev.call::<wire::ApplyConfigurationResponse>("ConfigurationService/ApplyConfiguration", request).await
        };
        call(&request).await.unwrap();
        let deleted_roles = vec![wire::DeletedRole { name: "Gone".into(), ..Default::default() }];
        let mut remaps = request.clone();
        remaps.configuration.as_mut().unwrap().role_mappings[0].on_disabled = remapping(&[], "Member");
        for more in [
            wire::ApplyConfigurationRequest { prune: true, ..request.clone() },
            wire::ApplyConfigurationRequest { deleted_roles, ..request.clone() },
            remaps,
        ] {
            refused(call(&more).await, "OPERATOR_PERMISSION_MISSING");
        }
    });
}
