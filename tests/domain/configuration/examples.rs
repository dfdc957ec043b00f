//! Examples of configurations, in a project that is created from the template `empty`.

use rolecall::domain::{Decision, Question};

use super::*;

/// Returns a state with one project, and its configuration.
fn small() -> (State, wire::Configuration) {
    let configuration = wire::Configuration { default_owner_role: "Owner".into(), ..Default::default() };
    let state = decided(&empty_state(), &create("shop", &configuration), Time(1)).unwrap().next;
    let configuration = wire::configuration::configuration(project(&state, "shop"));
    (state, configuration)
}

fn role(name: &str) -> wire::ConfiguredRole {
    wire::ConfiguredRole { name: name.into(), ..Default::default() }
}

fn renamed(from: &str, name: &str) -> wire::ConfiguredRole {
    wire::ConfiguredRole { renamed_from: from.into(), ..role(name) }
}

fn apply(state: &State, configuration: &wire::Configuration, prune: bool) -> Result<State, Refusal> {
    let request = wire::ApplyConfigurationRequest { prune, ..request("shop", configuration) };
    let decided = decided(state, &command(&request), Time(2))?;
    let again = self::decided(&decided.next, &command(&request), Time(3)).expect("it can be repeated");
    assert_eq!(again.changes, vec![]);
    Ok(decided.next)
}

/// Adds the org `acme`. An empty role mapping is the default one.
fn with_org(state: &State, role_mapping: &str, creator: Option<&str>) -> State {
    let org = Command::CreateOrg(CreateOrg {
        project: ProjectKey::stored("shop"),
        org_id: OrgId::stored("acme"),
        display_name: String::new(),
        metadata: String::new(),
        role_mapping: Some(role_mapping).filter(|name| !name.is_empty()).map(RoleMappingName::stored),
        creator: creator.map(UserId::stored),
        reuse_deleted_id: false,
    });
    decided(state, &org, Time(2)).unwrap().next
}

/// Adds a member to `acme`.
fn with_member(state: &State, user: &str, role: &str) -> State {
    let role = RoleAssignment { role: RoleName::stored(role), expire_time: None, permanent: false };
    let row =
        MemberWrite { org_id: OrgId::stored("acme"), user_id: UserId::stored(user), write: Write::Add(vec![role]) };
    let project = ProjectKey::stored("shop");
    let add = WriteMember { project, row, allow_ownerless: true, keep_invitations: false };
    decided(state, &Command::WriteMember(add), Time(2)).unwrap().next
}

fn mapping(name: &str, disabled: &[&str]) -> wire::ConfiguredRoleMapping {
    let disabled_roles = disabled.iter().map(ToString::to_string).collect();
    wire::ConfiguredRoleMapping { name: name.into(), disabled_roles, ..Default::default() }
}

fn names_of(state: &State) -> Vec<(String, Vec<String>)> {
    let configuration = wire::configuration::configuration(project(state, "shop"));
    configuration.roles.into_iter().map(|role| (role.name, role.aliases)).collect()
}

fn listed(names: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
    let texts = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    names.iter().map(|&(name, aliases)| (name.to_string(), texts(aliases))).collect()
}

#[test]
fn r3_a_chain_of_renames_is_applied_once_in_any_order() {
    let (state, mut configuration) = small();
    configuration.roles.extend([role("A"), role("B")]);
    let state = apply(&state, &configuration, false).unwrap();
    let ids: Vec<_> = project(&state, "shop").role_order.to_vec();
    configuration.roles = vec![role("Owner"), renamed("A", "B"), renamed("B", "C")];
    let after = apply(&state, &configuration, true).unwrap();
    // `B` is now the name of another role, so it is no alias.
    assert_eq!(names_of(&after), listed(&[("Owner", &[]), ("B", &["A"]), ("C", &[])]));
    assert_eq!(project(&after, "shop").role_order.to_vec(), ids);
}

#[test]
fn r3_a_swap_of_names_cannot_be_told_from_a_swap_that_is_done() {
    let (state, mut configuration) = small();
    configuration.roles.extend([role("A"), role("B")]);
    let state = apply(&state, &configuration, false).unwrap();
    configuration.roles = vec![role("Owner"), renamed("B", "A"), renamed("A", "B")];
    let after = apply(&state, &configuration, true).unwrap();
    assert_eq!(names_of(&after), listed(&[("Owner", &[]), ("A", &[]), ("B", &[])]));
    assert_eq!(project(&after, "shop").role_order, project(&state, "shop").role_order);
    // With another case it can be told, but each name is taken until the other role is renamed.
    configuration.roles = vec![role("Owner"), renamed("B", "a"), renamed("A", "B")];
    assert_eq!(apply(&state, &configuration, true).err().unwrap().reason(), Reason::RoleAlreadyExists);
}

#[test]
fn r3_an_object_is_found_by_its_old_name_and_gets_it_back() {
    let (state, mut configuration) = small();
    configuration.roles = vec![renamed("Owner", "Boss")];
    configuration.default_role = "Boss".into();
    configuration.default_owner_role = "Boss".into();
    configuration.role_mappings[0].grants[0].role = "Boss".into();
    let state = apply(&state, &configuration, true).unwrap();
    assert_eq!(names_of(&state), listed(&[("Boss", &["Owner"])]));
    let (_, configuration) = small();
    let after = apply(&state, &configuration, false).unwrap();
    assert_eq!(names_of(&after), listed(&[("Owner", &["Boss"])]));
    let after = apply(&state, &configuration, true).unwrap();
    assert_eq!(names_of(&after), listed(&[("Owner", &[])]));
}

#[test]
fn r3_a_new_role_gets_the_old_names_of_a_deleted_one() {
    let (state, mut configuration) = small();
    configuration.roles.push(role("Writer"));
    let state = apply(&state, &configuration, false).unwrap();
    configuration.roles =
        vec![role("Owner"), wire::ConfiguredRole { aliases: vec!["Writer".into(), "Scribe".into()], ..role("Editor") }];
    let after = apply(&state, &configuration, true).unwrap();
    assert_eq!(names_of(&after), listed(&[("Owner", &[]), ("Editor", &["Writer", "Scribe"])]));
}

#[test]
fn p7_limits_count_in_the_end() {
    let (state, mut configuration) = small();
    configuration.roles.extend([role("A"), role("B")]);
    let state = apply(&state, &configuration, false).unwrap();
    configuration.roles = vec![role("Owner"), role("C"), role("D")];
    let limits = Limits { roles: 3, ..Limits::default() };
    let request = |prune| wire::ApplyConfigurationRequest { prune, ..request("shop", &configuration) };
    let within = |prune| decided_within(&state, &command(&request(prune)), Time(3), &limits);
    assert!(within(true).is_ok());
    assert_eq!(within(false).err().map(|refusal| refusal.reason()), Some(Reason::LimitExceeded));
}

#[test]
fn p7_a_project_above_lowered_limits_can_be_configured_but_not_grow() {
    let (state, mut configuration) = small();
    configuration.roles.extend([role("A"), role("B")]);
    configuration.role_mappings.push(mapping("Old", &["A", "B"]));
    let state = apply(&state, &configuration, false).unwrap();
    let limits = Limits { permissions: 1, roles: 1, role_mappings: 1, grants: 1, ..Limits::default() };
    let result = |configuration: &wire::Configuration| {
        let request = wire::ApplyConfigurationRequest { prune: true, ..request("shop", configuration) };
        let command = Command::ApplyConfiguration(read(&request, &limits).expect("the request is well-formed"));
        decided_within(&state, &command, Time(3), &limits).map(|decided| decided.next).map_err(|it| it.to_string())
    };
    configuration.roles[1].description = "Other".into();
    configuration.roles[2] = role("C");
    configuration.role_mappings[1].disabled_roles = vec!["A".into(), "C".into()];
    assert_eq!(names_of(&result(&configuration).unwrap()), listed(&[("Owner", &[]), ("A", &[]), ("C", &[])]));
    configuration.roles.push(role("D"));
    let refused = result(&configuration).err().unwrap();
    assert!(refused.starts_with("roles: 4 would be more than 1"), "{refused}");
}

#[test]
fn r5_both_defaults_move_to_new_roles_and_the_old_ones_are_deleted_at_once() {
    let (state, mut configuration) = small();
    let state = with_org(&state, "", Some("ann"));
    configuration.roles = vec![role("Chief"), role("User")];
    configuration.default_owner_role = "Chief".into();
    configuration.default_role = "User".into();
    configuration.role_mappings[0].grants.clear();
    configuration.role_mappings[0].name = "Plan".into();
    configuration.default_role_mapping = "Plan".into();
    let mut request = wire::ApplyConfigurationRequest { prune: true, ..request("shop", &configuration) };
    let refused = |request: &_| decided(&state, &command(request), Time(3)).err().map(|refusal| refusal.reason());
    assert_eq!(refused(&request), Some(Reason::RoleMappingInUse));
    let moved =
        wire::DeletedRoleMapping { name: "Default".into(), move_subscribers_to: "Plan".into(), ..Default::default() };
    request.deleted_role_mappings.push(moved);
    // The replacement is the default role, so the only owner would be none.
    assert_eq!(refused(&request), Some(Reason::LastOwner));
    request.deleted_roles.push(wire::DeletedRole { name: "Owner".into(), replacement: "Chief".into() });
    let after = decided(&state, &command(&request), Time(3)).unwrap().next;
    assert_eq!(names_of(&after), listed(&[("Chief", &[]), ("User", &[])]));
    assert!(project(&after, "shop").has_owner(project(&after, "shop").org("acme").unwrap()));
}

#[test]
fn an_object_that_is_wanted_and_deleted_is_a_contradiction() {
    let (state, configuration) = small();
    let deleted_roles = vec![wire::DeletedRole { name: "Owner".into(), replacement: String::new() }];
    let request = wire::ApplyConfigurationRequest { deleted_roles, ..request("shop", &configuration) };
    let refused = decided(&state, &command(&request), Time(2)).err().unwrap();
    assert_eq!(refused.reason(), Reason::Contradiction);
}

#[test]
fn g2_a_single_role_project_takes_no_managed_roles() {
    let (state, mut configuration) = small();
    configuration.roles[0].manages = vec!["Owner".into()];
    assert_eq!(apply(&state, &configuration, false).err().unwrap().reason(), Reason::WrongRoleStructure);
    configuration.role_structure = wire::RoleStructure::MultiRole.into();
    assert!(apply(&state, &configuration, false).is_ok());
}

#[test]
fn m7_a_disabled_role_needs_the_strategy_of_its_role_mapping() {
    let mut runner = HistoryRunner::new(Limits::default());
    for command in crate::random_history::set_up() {
        runner.run(&Step::plain(0, command));
    }
    let mut configuration = exported(project(&runner.state, "single"));
    let free = configuration.role_mappings.iter_mut().find(|mapping| mapping.name == "Free").unwrap();
    free.disabled_roles.push("Auditor".into());
    let result = |configuration: &_| {
        decided(&runner.state, &command(&request("single", configuration)), runner.clock).map(|it| it.impact)
    };
    assert_eq!(result(&configuration).err().unwrap().reason(), Reason::RolesWouldBeDisabled);
    let free = configuration.role_mappings.iter_mut().find(|mapping| mapping.name == "Free").unwrap();
    let strategy = wire::DisabledRoleStrategy::Suspend.into();
    free.on_disabled = Some(wire::OnDisabled { strategy, ..Default::default() });
    assert_eq!(result(&configuration).unwrap().members, 1);
}

#[test]
fn r4_a_replacement_that_is_disabled_only_in_a_deleted_role_mapping_is_enough() {
    let (state, mut configuration) = small();
    let roles = configuration.roles.clone();
    configuration.roles.extend([role("Old role"), role("New role")]);
    configuration.role_mappings.extend([mapping("Old", &["New role"]), mapping("New", &[])]);
    let state = with_org(&apply(&state, &configuration, false).unwrap(), "Old", None);
    let state = with_member(&state, "ann", "Old role");

    configuration.roles = [roles, vec![role("New role")]].concat();
    configuration.role_mappings.retain(|mapping| mapping.name != "Old");
    configuration.role_mappings.iter_mut().for_each(|mapping| mapping.disabled_roles.clear());
    let deleted_roles = vec![wire::DeletedRole { name: "Old role".into(), replacement: "New role".into() }];
    let moved =
        wire::DeletedRoleMapping { name: "Old".into(), move_subscribers_to: "New".into(), ..Default::default() };
    let deleted_role_mappings = vec![moved];
    let request =
        wire::ApplyConfigurationRequest { deleted_roles, deleted_role_mappings, ..request("shop", &configuration) };
    let after = decided(&state, &command(&request), Time(3)).unwrap().next;
    let decision = check(&after, "shop", "acme", "ann", Question::Role("New role"), Time(4));
    assert_eq!(decision, Decision::Allowed);
}

#[test]
fn r4_an_internal_role_can_be_replaced_by_one_that_becomes_internal() {
    let (state, mut configuration) = small();
    let roles = configuration.roles.clone();
    let internal = wire::ConfiguredRole { internal: true, ..role("Support") };
    configuration.roles.extend([internal, role("Staff")]);
    let state = with_org(&apply(&state, &configuration, false).unwrap(), "", None);
    let state = with_member(&state, "ann", "Support");

    let internal = wire::ConfiguredRole { internal: true, ..role("Staff") };
    configuration.roles = [roles, vec![internal]].concat();
    let deleted_roles = vec![wire::DeletedRole { name: "Support".into(), replacement: "Staff".into() }];
    let request = wire::ApplyConfigurationRequest { deleted_roles, ..request("shop", &configuration) };
    let after = decided(&state, &command(&request), Time(3)).unwrap().next;
    assert_eq!(names_of(&after).last().unwrap().0, "Staff");
}

#[test]
fn r3_a_role_is_deleted_by_its_old_name_too() {
    let (state, mut configuration) = small();
    configuration.roles.push(role("Auditor"));
    let state = apply(&state, &configuration, false).unwrap();
    *configuration.roles.last_mut().unwrap() = renamed("Auditor", "Reviewer");
    let state = apply(&state, &configuration, false).unwrap();
    let delete = |configuration: &wire::Configuration| {
        let deleted_roles = vec![wire::DeletedRole { name: "Auditor".into(), replacement: String::new() }];
        let request = wire::ApplyConfigurationRequest { deleted_roles, ..request("shop", configuration) };
        names_of(&decided(&state, &command(&request), Time(3)).unwrap().next).len()
    };
    assert_eq!(delete(&configuration), 2, "the configuration names the role");
    configuration.roles.pop();
    assert_eq!(delete(&configuration), 1);
}

#[test]
fn r9_the_impact_names_a_role_as_it_is_called_afterwards() {
    let (state, mut configuration) = small();
    configuration.roles.extend([role("Clerk"), role("Gone")]);
    let state = with_org(&apply(&state, &configuration, false).unwrap(), "", None);
    let state = with_member(&state, "ann", "Gone");
    configuration.roles.truncate(1);
    configuration.roles.push(renamed("Clerk", "Accountant"));
    let deleted_roles = vec![wire::DeletedRole { name: "Gone".into(), replacement: "Accountant".into() }];
    let request = wire::ApplyConfigurationRequest { deleted_roles, ..request("shop", &configuration) };
    let impact = decided(&state, &command(&request), Time(3)).unwrap().impact;
    let roles: Vec<_> = impact.roles.iter().map(|it| (it.role.as_str(), it.given, it.removed)).collect();
    assert_eq!(roles, [("Accountant", 1, 0), ("Gone", 0, 1)]);
    assert_eq!(impact.sample[0].roles_given, [RoleName::stored("Accountant")]);
}

#[test]
fn r9_a_conversion_loses_no_management_of_a_role_that_is_deleted_with_it() {
    let (state, mut configuration) = small();
    configuration.roles.extend([role("Clerk"), role("Gone")]);
    let state = apply(&state, &configuration, false).unwrap();
    configuration.roles.pop();
    configuration.role_structure = wire::RoleStructure::MultiRole.into();
    let request = wire::ApplyConfigurationRequest { prune: true, ..request("shop", &configuration) };
    let lost = &decided(&state, &command(&request), Time(3)).unwrap().impact.manages_lost;
    let lost: Vec<_> = lost.first.iter().map(|(role, other)| (role.as_str(), other.as_str())).collect();
    assert_eq!(lost, [("Owner", "Owner"), ("Owner", "Clerk")]);
}

#[test]
fn m9_a_conversion_to_multi_role_changes_no_role_that_manages_none() {
    let (state, mut configuration) = small();
    configuration.roles.push(role("Clerk"));
    let state = apply(&state, &configuration, false).unwrap();
    configuration.role_structure = wire::RoleStructure::MultiRole.into();
    let decided = decided(&state, &command(&request("shop", &configuration)), Time(3)).unwrap();
    assert!(!decided.changes.iter().any(|change| matches!(change, Change::Role(_))), "{:?}", decided.changes);
}

#[test]
fn p7_a_conversion_of_too_many_unnamed_roles_is_refused() {
    let (state, mut configuration) = small();
    configuration.roles.extend(["A", "B", "C"].map(role));
    let state = apply(&state, &configuration, false).unwrap();
    configuration.roles.truncate(1);
    configuration.role_structure = wire::RoleStructure::MultiRole.into();
    let result = |max, prune| {
        let request = wire::ApplyConfigurationRequest { prune, ..request("shop", &configuration) };
        let limits = Limits { managed_roles: max, ..Limits::default() };
        decided_within(&state, &command(&request), Time(3), &limits).map(|_| ()).map_err(|refusal| refusal.reason())
    };
    // A manages B and C, and B manages C.
    assert_eq!(result(2, false), Err(Reason::LimitExceeded));
    assert_eq!([result(3, false), result(0, true)], [Ok(()), Ok(())]);
}
