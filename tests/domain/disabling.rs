//! Short histories that disable and enable roles (M7), delete roles (R4) and convert the structure (P5) while members
//! hold the roles. Long random histories do this too seldom.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use rolecall::domain::commands::command::*;
use rolecall::domain::model::project::RoleStructure;
use rolecall::domain::{OrgId, RoleMappingName, RoleName};

use crate::histories::{agree_on_checks, agree_on_contents};
use crate::history_runner::Comparison;
use crate::placeholders::ALL_OTHERS;
use crate::random_history::{Digest, Step, config};
use crate::random_org::{
    INTERNAL, ORG, RandomOrg, USERS, VISIBLE, acting_user_write, expiry, project, random_org, write,
};

const MAPPINGS: [&str; 3] = ["Default", "Free", "Paid"];
const ORGS: [&str; 2] = [ORG, "globex"];
/// All roles that can be disabled: the default roles cannot.
const CAN_BE_DISABLED: [&str; 5] = ["Admin", "Auditor", "Guest", "Boss", "Spy"];

fn role() -> impl Strategy<Value = RoleName> {
    prop_oneof![6 => select(&VISIBLE[..]), 1 => select(&INTERNAL[..])].prop_map(RoleName::stored)
}

fn mapping() -> impl Strategy<Value = RoleMappingName> {
    prop_oneof![2 => Just("Default"), 3 => select(&MAPPINGS[..])].prop_map(RoleMappingName::stored)
}

fn org() -> impl Strategy<Value = OrgId> {
    prop_oneof![3 => Just(ORGS[0]), 1 => Just(ORGS[1])].prop_map(OrgId::stored)
}

/// Mostly valid strategies: the replacements are roles that are seldom disabled.
fn on_disabled() -> BoxedStrategy<OnDisabled> {
    let replacement = || prop_oneof![12 => select(&["Member", "Owner", "Guest", "Auditor", "Guest", "Auditor"][..]), 1 => select(&INTERNAL[..])];
    let replacement = || replacement().prop_map(RoleName::stored);
    let lost = prop_oneof![6 => subsequence(CAN_BE_DISABLED[..3].to_vec(), 0..3), 1 => subsequence(CAN_BE_DISABLED.to_vec(), 1..3)];
    let entries = (lost, replacement(), replacement());
    let entries = entries.prop_map(|(roles, one, other)| {
        let to = [one, other].into_iter().cycle();
        roles.into_iter().map(RoleName::stored).zip(to).collect::<Vec<_>>()
    });
    let default_replacement = prop_oneof![1 => Just(None), 4 => replacement().prop_map(Some)];
    prop_oneof![
        1 => Just(OnDisabled::Reject),
        2 => Just(OnDisabled::Suspend { fallback_role: None }),
        6 => replacement().prop_map(|role| OnDisabled::Suspend { fallback_role: Some(role) }),
        6 => (entries, default_replacement).prop_map(|(replacements, default_replacement)| OnDisabled::Remap { replacements, default_replacement }),
    ]
    .boxed()
}

/// Two more mappings and another org.
fn plans() -> impl Strategy<Value = Vec<Command>> {
    let off = || subsequence(CAN_BE_DISABLED.to_vec(), 0..4);
    (off(), off()).prop_map(|(free, paid)| {
        let mut commands = Vec::new();
        for (name, off) in [("Free", free), ("Paid", paid)] {
            let disable = off.into_iter().map(RoleName::stored).collect();
            commands.push(Command::CreateRoleMapping(CreateRoleMapping {
                project: project(),
                name: RoleMappingName::stored(name),
                description: String::new(),
                duplicate_of: Some(RoleMappingName::stored("Default")),
                edits: RoleMappingEdits { disable, ..RoleMappingEdits::default() },
                subscribe: vec![],
                on_disabled: OnDisabled::Reject,
            }));
        }
        commands.push(Command::CreateOrg(CreateOrg {
            project: project(),
            org_id: OrgId::stored(ORGS[1]),
            display_name: String::new(),
            metadata: String::new(),
            role_mapping: Some(RoleMappingName::stored("Paid")),
            creator: Some(rolecall::domain::UserId::stored("ann")),
            reuse_deleted_id: false,
        }));
        commands
    })
}

fn step() -> BoxedStrategy<Step> {
    let names = prop_oneof![2 => subsequence(CAN_BE_DISABLED[..3].to_vec(), 1..3), 1 => subsequence(CAN_BE_DISABLED.to_vec(), 1..4)];
    let toggle = (names, prop_oneof![2 => Just(false), 1 => Just(true)]);
    let toggle = toggle.prop_map(|(names, enable)| {
        let names = names.into_iter().map(RoleName::stored).collect();
        let (enable, disable) = if enable { (names, vec![]) } else { (vec![], names) };
        RoleMappingEdits { enable, disable, grants: vec![] }
    });
    let edit = (mapping(), toggle, on_disabled()).prop_map(|(name, edits, on_disabled)| {
        Command::UpdateRoleMapping(UpdateRoleMapping {
            project: project(),
            name,
            etag: None,
            new_name: None,
            description: None,
            aliases: None,
            edits,
            on_disabled,
        })
    });
    let move_one = (org(), mapping(), on_disabled()).prop_map(|(org_id, to, on_disabled)| {
        Command::SubscribeOrg(SubscribeOrg {
            project: project(),
            org_id,
            to: SubscribeTo::RoleMapping(to),
            on_disabled,
        })
    });
    let move_all = (mapping(), on_disabled()).prop_map(|(to, on_disabled)| {
        let org_ids = ORGS.map(OrgId::stored).to_vec();
        Command::BatchSubscribeOrgs(BatchSubscribeOrgs {
            project: project(),
            org_ids,
            to: SubscribeTo::RoleMapping(to),
            on_disabled,
        })
    });
    let delete_mapping = (mapping(), mapping(), on_disabled()).prop_map(|(name, to, on_disabled)| {
        let (etag, move_subscribers_to) = (None, Some(to));
        Command::DeleteRoleMapping(DeleteRoleMapping {
            project: project(),
            name,
            etag,
            move_subscribers_to,
            on_disabled,
        })
    });
    let delete = (role(), proptest::option::of(role())).prop_map(|(name, replacement)| {
        Command::DeleteRole(DeleteRole { project: project(), name, etag: None, replacement })
    });
    let flag = (role(), any::<bool>()).prop_map(|(name, internal)| {
        Command::UpdateRole(UpdateRole {
            project: project(),
            name,
            etag: None,
            new_name: None,
            description: None,
            internal: Some(internal),
            aliases: None,
            manages: None,
        })
    });
    let convert = (any::<bool>(), vec(role(), 0..4), any::<bool>()).prop_map(|(multi, mut order, allow_ownerless)| {
        let to = if multi { RoleStructure::MultiRole } else { RoleStructure::SingleRole };
        if multi {
            order.clear();
        } else {
            let mut distinct = std::collections::BTreeSet::new();
            order.retain(|role| distinct.insert(role.clone()));
            order.push(RoleName::stored(ALL_OTHERS));
        }
        Command::ConvertRoleStructure(ConvertRoleStructure {
            project: project(),
            etag: None,
            to,
            order,
            allow_ownerless,
        })
    });
    let given =
        (role(), expiry()).prop_map(|(role, expire_time)| RoleAssignment { role, expire_time, permanent: false });
    let member = (select(&USERS[..4]), vec(given, 1..4), any::<bool>(), org());
    let member = member.prop_map(|(user, given, add, org_id)| {
        let Command::WriteMember(mut command) = write(user, if add { Write::Add(given) } else { Write::Set(given) })
        else {
            unreachable!("write() writes a member")
        };
        command.row.org_id = org_id;
        command.allow_ownerless = true;
        Command::WriteMember(command)
    });
    let advance = prop_oneof![4 => 0i64..4, 1 => 4i64..30];
    let digest = prop_oneof![6 => Just(Digest::None), 1 => Just(Digest::Fitting)];
    let command = prop_oneof![
        12 => edit.boxed(),
        14 => move_one.boxed(),
        3 => move_all.boxed(),
        1 => delete_mapping.boxed(),
        2 => delete.boxed(),
        1 => flag.boxed(),
        2 => convert.boxed(),
        6 => member.boxed(),
    ];
    prop_oneof![
        9 => (advance, command, digest).prop_map(|(advance, command, digest)| Step { digest, ..Step::plain(advance, command) }),
        2 => acting_user_write(&USERS, &VISIBLE),
    ]
    .boxed()
}

proptest! {
    #![proptest_config(config(2_000))]

    #[test]
    fn m7_disabling_and_enabling_roles_gives_each_member_the_roles_of_the_model(
        random_org in random_org(),
        plans in plans(),
        steps in vec(step(), 14),
    ) {
        let (runner, model) = RandomOrg { disabled: vec![], ..random_org }.run_with_model();
        let mut comparison = Comparison::new(runner, model);
        let set_up: Vec<Step> = plans.into_iter().map(|command| Step::plain(0, command)).collect();
        for step in set_up.iter().chain(&steps) {
            comparison.step(step).map_err(|it| TestCaseError::fail(format!("{step:?}: {it}")))?;
        }
        let now = comparison.runner.state.revision().at;
        agree_on_contents(&comparison.runner.state, &comparison.model, now)?;
        agree_on_checks(&comparison.runner.state, &comparison.model, now.max(comparison.runner.clock), |asked| asked % 3 == 0)?;
    }
}

/// The histories must contain what they are made for.
#[test]
fn short_histories_reach_every_strategy_and_every_refusal_of_an_acting_user() {
    use std::collections::BTreeMap;

    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;

    let mut test_runner = TestRunner::deterministic();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let histories = (random_org(), plans(), vec(step(), 14), vec(acting_user_write(&USERS, &VISIBLE), 4));
    for _ in 0..1_200 {
        let (random_org, plans, steps, writes) =
            histories.new_tree(&mut test_runner).expect("strategies do not filter").current();
        let mut runner = RandomOrg { disabled: vec![], ..random_org }.run();
        let plans: Vec<Step> = plans.into_iter().map(|command| Step::plain(0, command)).collect();
        for step in writes.iter().chain(&plans).chain(&steps) {
            let outcome = runner.run(step);
            let by = if step.acting_user.is_some() { " by an acting user" } else { "" };
            let name = match &outcome.result {
                Ok(outcome) if outcome.changed => format!("{}{by}", step.command.kind()),
                Ok(_) => "unchanged".into(),
                Err(reason) => format!("{reason:?}"),
            };
            *counts.entry(name).or_default() += 1;
            for change in outcome.commit.iter().flat_map(|commit| &commit.changes) {
                let kind = format!("{change:?}");
                *counts.entry(kind.split('(').next().unwrap_or_default().to_string()).or_default() += 1;
            }
            for impact in outcome.impact.iter() {
                let roles = |count: fn(&rolecall::domain::impact::report::RoleImpact) -> u64| {
                    impact.roles.iter().map(count).sum()
                };
                let role_counts: [(&str, u64); 2] =
                    [("suspended", roles(|it| it.suspended)), ("reactivated", roles(|it| it.reactivated))];
                for (name, count) in role_counts {
                    *counts.entry(name.into()).or_default() += count as usize;
                }
            }
            let project = runner.state.project_keyed(crate::random_org::PROJECT).expect("there").clone();
            for fallbacks in ORGS.iter().filter_map(|org| project.org(org)).map(|org| org.fallbacks()) {
                let chained = fallbacks.iter().any(|it| fallbacks.iter().any(|other| other.role == it.fallback_role));
                *counts.entry("a chain of fallback roles".into()).or_default() += usize::from(chained);
            }
        }
    }
    let wanted = [
        "Fallbacks",
        "Remap",
        "Subscription",
        "a chain of fallback roles",
        "suspended",
        "reactivated",
        "SubscribeOrg",
        "BatchSubscribeOrgs",
        "UpdateRoleMapping",
        "DeleteRoleMapping",
        "DeleteRole",
        "ConvertRoleStructure",
        "AddMember by an acting user",
        "SetMemberRoles by an acting user",
        "RemoveMember by an acting user",
        "RolesWouldBeDisabled",
        "ReplacementUnsuitable",
        "RoleInUse",
        "ActingUserNotAMember",
        "ActingUserMissingPermission",
        "RoleOutOfScope",
        "OutlastsGranter",
        "MemberAlreadyExists",
        "MemberNotFound",
    ];
    let missed: Vec<_> = wanted.iter().filter(|name| counts.get(**name).is_none_or(|&times| times < 8)).collect();
    assert!(missed.is_empty(), "too rare: {missed:?} of {counts:#?}");
}
