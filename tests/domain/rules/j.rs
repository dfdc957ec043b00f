//! E-mail domains of orgs, provisioning by them, and removed members (J1 to J3, and what follows roles).

use rolecall::domain::commands::command::{NewOrgDomain, ProvisionMember, SetOrgDomains, VerifyOrgDomain};
use rolecall::domain::model::email::{EmailAddress, EmailDomain};
use rolecall::domain::model::membership::Origin;
use rolecall::domain::{Command, OrgId, Outcome, ProjectKey, Reason, Refusal, RoleName, UserId};

use super::limits;
use crate::fixture::{World, seconds, world};

const DOMAIN: &str = "acme.example";

impl World {
    fn domains_command(&self, domains: &[(&str, &str, bool)]) -> Command {
        let new = |(domain, roles, apply_to_existing): &(&str, &str, bool)| NewOrgDomain {
            domain: EmailDomain::parse(domain).expect("a domain"),
            roles: roles.split(", ").filter(|role| !role.is_empty()).map(RoleName::stored).collect(),
            apply_to_existing: *apply_to_existing,
        };
        Command::SetOrgDomains(SetOrgDomains {
            project: ProjectKey::stored(self.project.as_str()),
            org_id: OrgId::stored("acme"),
            domains: domains.iter().map(new).collect(),
        })
    }

    #[track_caller]
    fn domains(&mut self, domains: &[(&str, &str, bool)]) {
        let command = self.domains_command(domains);
        self.decide(&command).unwrap_or_else(|refusal| panic!("{refusal}"));
    }

    fn domains_by(&mut self, acting: &str, domains: &[(&str, &str, bool)]) -> Result<Outcome, Refusal> {
        let command = self.domains_command(domains);
        self.decide_by(acting, &command)
    }

    fn verify(&mut self, domain: &str) -> Result<Outcome, Refusal> {
        self.decide(&Command::VerifyOrgDomain(VerifyOrgDomain {
            project: ProjectKey::stored(self.project.as_str()),
            org_id: OrgId::stored("acme"),
            domain: EmailDomain::parse(domain).expect("a domain"),
        }))
    }

    fn provisioning(&self, user: &str, email: &str) -> ProvisionMember {
        ProvisionMember {
            project: ProjectKey::stored(self.project.as_str()),
            org_id: OrgId::stored("acme"),
            user_id: UserId::stored(user),
            email: EmailAddress::parse(email).expect("an address"),
            email_verified: true,
            allow_provisioning: false,
        }
    }

    /// Provisions a user and returns the skipped roles.
    fn provision(&mut self, user: &str) -> Result<String, Reason> {
        let command = Command::ProvisionMember(self.provisioning(user, &format!("{user}@{DOMAIN}")));
        match self.decide(&command).map_err(|refusal| refusal.reason())? {
            Outcome::Provisioned(_, skipped) => {
                Ok(skipped.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
            }
            _ => panic!("another outcome"),
        }
    }

    /// Returns the domains as `acme.example: Admin, Member (unverified)`.
    fn listed(&self) -> String {
        let project = self.project();
        let shown = project.shown_domains(project.org("acme").expect("the org exists")).into_iter().map(|shown| {
            let roles = shown.roles.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let verified = if shown.verified { "" } else { " (unverified)" };
            format!("{}: {roles}{verified}", shown.domain)
        });
        shown.collect::<Vec<_>>().join("; ")
    }
}

fn single() -> World {
    world("role Guest\n org acme by ann\n add bob to acme: Admin\n add cid to acme")
}

fn multi() -> World {
    world("project shop MULTI\n role Guest\n role Helper\n org acme by ann\n add cid to acme: Guest")
}

#[test]
fn j1_domains_are_compared_in_a_label_form_exactly_and_without_subdomains() {
    let mut world = single();
    world.domains(&[("BÜCHER.example.", "Guest", false), (DOMAIN, "", false)]);
    assert_eq!(world.listed(), "acme.example: ; xn--bcher-kva.example: Guest");
    let provisioned = world.provisioning("eve", "Eve+x@bücher.example");
    world.decide(&Command::ProvisionMember(provisioned)).unwrap();
    assert_eq!(world.role_states("acme", "eve"), "Guest live");
    let subdomain = Command::ProvisionMember(world.provisioning("dan", "dan@mail.acme.example"));
    assert_eq!(world.decide(&subdomain).err().unwrap().reason(), Reason::DomainNotListed);
    assert_eq!(world.provision("dan"), Ok(String::new()));
    assert_eq!(world.role_states("acme", "dan"), "Member live", "the default role");
    world.domains(&[]);
    assert_eq!(world.listed(), "");
    assert_eq!(world.provision("fay"), Err(Reason::DomainNotListed));
}

#[test]
fn j1_malformed_lists_are_refused() {
    let mut world = single();
    world.run("internal role Spy below Owner\n suspending edit Default: off Guest");
    for (domains, reason) in [
        (&[("gmail.com", "", false)][..], Reason::PublicDomain),
        (&[(DOMAIN, "", false), (DOMAIN, "Guest", false)], Reason::RepeatedDomain),
        (&[(DOMAIN, "Ghost", false)], Reason::RoleNotFound),
        (&[(DOMAIN, "Spy", false)], Reason::RoleInternal),
        (&[(DOMAIN, "Guest", false)], Reason::RoleDisabled),
        (&[(DOMAIN, "Admin, Member", false)], Reason::TooManyRoles),
        (&[(DOMAIN, "Admin, Admin", false)], Reason::RepeatedRole),
    ] {
        let command = world.domains_command(domains);
        let before = world.state.clone();
        assert_eq!(world.decide(&command).err().map(|refusal| refusal.reason()), Some(reason), "{domains:?}");
        assert!(world.state == before);
    }
    world.limits = limits(|limits| limits.org_domains = 1);
    let two = world.domains_command(&[(DOMAIN, "", false), ("b.example", "", false)]);
    assert_eq!(world.decide(&two).err().unwrap().reason(), Reason::LimitExceeded);
}

#[test]
fn j1_a_domain_of_an_acting_user_is_unverified_until_a_call_without_one_verifies_it() {
    let mut world = single();
    world.domains_by("ann", &[(DOMAIN, "Member", false)]).unwrap();
    assert_eq!(world.listed(), "acme.example: Member (unverified)");
    assert_eq!(world.provision("eve"), Err(Reason::DomainNotVerified));
    // Writing back what was read verifies nothing.
    world.domains(&[(DOMAIN, "Member", false), ("b.example", "", false)]);
    assert_eq!(world.listed(), "acme.example: Member (unverified); b.example: ");
    assert_eq!(world.verify("c.example").err().unwrap().reason(), Reason::OrgDomainNotFound);
    world.verify(DOMAIN).unwrap();
    world.provision("eve").unwrap();
    // The domain stays verified with other roles.
    world.domains_by("ann", &[(DOMAIN, "Admin", false)]).unwrap();
    assert_eq!(world.listed(), "acme.example: Admin");
}

#[test]
fn g1_an_acting_user_lists_only_domains_whose_roles_it_may_invite_to() {
    let mut world = single();
    world.run("edit Default: Admin +rolecall::can_edit_org_access\n permission x");
    let mut refused = |acting: &str, domains: &[(&str, &str, bool)], reason: Reason| {
        let refusal = world.domains_by(acting, domains).err();
        assert_eq!(refusal.map(|refusal| refusal.reason()), Some(reason), "{acting} {domains:?}");
    };
    refused("eve", &[], Reason::ActingUserNotAMember);
    refused("cid", &[], Reason::ActingUserMissingPermission);
    refused("bob", &[(DOMAIN, "Admin", false)], Reason::RoleOutOfScope);
    refused("bob", &[(DOMAIN, "Owner", false)], Reason::RoleOutOfScope);
    world.domains_by("bob", &[(DOMAIN, "Guest", false)]).unwrap();
    world.domains(&[(DOMAIN, "Owner", false)]);
    // What the org lists already may be repeated or removed, but not widened.
    world.domains_by("bob", &[(DOMAIN, "Owner", false), ("b.example", "", false)]).unwrap();
    let wider = world.domains_by("bob", &[(DOMAIN, "Owner", true)]).err().unwrap();
    assert_eq!(wider.reason(), Reason::RoleOutOfScope);
    world.domains_by("bob", &[]).unwrap();
    world.run("set bob in acme: Admin until 60");
    let longer = world.domains_by("bob", &[(DOMAIN, "Guest", false)]).err().unwrap();
    assert_eq!(longer.reason(), Reason::OutlastsGranter, "a domain gives its roles permanently");
}

#[test]
fn j2_a_new_member_gets_the_enabled_roles_and_the_others_are_named() {
    let mut world = multi();
    world.domains(&[(DOMAIN, "Admin, Guest, Helper", false)]);
    world.run("suspending edit Default: off Guest");
    assert_eq!(world.provision("eve"), Ok("Guest".into()));
    assert_eq!(world.role_states("acme", "eve"), "Admin live, Helper live");
    let roles = world.roles_and_origins("acme", "eve").unwrap();
    assert!(roles.iter().all(|(_, expire_time, origin)| (*expire_time, *origin) == (None, Origin::Domain)));
    world.run("suspending edit Default: off Admin; off Helper");
    assert_eq!(world.provision("dan"), Err(Reason::NoEnabledRole));
    let unverified = ProvisionMember { email_verified: false, ..world.provisioning("dan", "dan@acme.example") };
    let refusal = world.decide(&Command::ProvisionMember(unverified)).err().unwrap();
    assert_eq!(refusal.reason(), Reason::EmailNotVerified);
    world.run("block dan\n edit Default: on Admin");
    assert_eq!(world.provision("dan"), Err(Reason::UserNotAvailable));
}

#[test]
fn j2_existing_members_change_only_if_the_domain_says_so() {
    let mut world = multi();
    world.domains(&[(DOMAIN, "Helper", false)]);
    world.provision("cid").unwrap();
    assert_eq!(world.role_states("acme", "cid"), "Guest live");
    world.domains(&[(DOMAIN, "Helper", true)]);
    world.provision("cid").unwrap();
    assert_eq!(world.role_states("acme", "cid"), "Guest live, Helper live");
    let before = world.state.clone();
    world.provision("cid").unwrap();
    assert!(world.state == before, "again changes nothing");

    let mut world = single();
    world.domains(&[(DOMAIN, "Guest", true)]);
    world.provision("eve").unwrap();
    world.provision("cid").unwrap();
    assert_eq!(world.role_states("acme", "cid"), "Member live", "it did not come from a domain");
    world.domains(&[(DOMAIN, "Admin", true)]);
    world.provision("eve").unwrap();
    assert_eq!(world.role_states("acme", "eve"), "Admin live");
    world.run("set eve in acme: Admin, Guest until 60");
    world.domains(&[(DOMAIN, "Member", true)]);
    world.provision("eve").unwrap();
    assert_eq!(world.role_states("acme", "eve"), "Member overridden, Guest live until 60");
}

#[test]
fn j2_applying_a_domain_again_leaves_no_org_without_an_owner() {
    let mut world = single();
    world.domains(&[(DOMAIN, "Owner", true)]);
    world.provision("eve").unwrap();
    world.run("remove ann from acme");
    world.domains(&[(DOMAIN, "Guest", true)]);
    assert_eq!(world.provision("eve"), Err(Reason::LastOwner));
}

#[test]
fn j3_a_user_removed_by_somebody_else_does_not_come_back_by_a_domain() {
    let mut world = single();
    world.domains(&[(DOMAIN, "", false)]);
    world.run("as:ann remove cid from acme\n write: remove bob from acme");
    for user in ["cid", "bob"] {
        assert_eq!(world.provision(user), Err(Reason::RemovedBefore), "{user}");
    }
    // Until somebody adds the user.
    world.run("add bob to acme\n as:bob remove bob from acme");
    world.provision("bob").unwrap();
    let allowed = ProvisionMember { allow_provisioning: true, ..world.provisioning("cid", "cid@acme.example") };
    world.decide(&Command::ProvisionMember(allowed)).unwrap();
    world.run("as:cid remove cid from acme");
    world.provision("cid").unwrap();
    world.run("delete user cid");
    assert_eq!(world.provision("cid"), Err(Reason::RemovedBefore));
}

#[test]
fn j3_a_removal_is_of_one_org_and_is_purged_with_it() {
    let mut world = single();
    world.domains(&[(DOMAIN, "", false)]);
    world.run("remove cid from acme\n org globex by cid\n delete org acme");
    assert!(world.purge_all(1) > 0);
    assert!(world.project().orgs_being_purged().is_empty());
    world.run("reuse org acme by ann");
    world.domains(&[(DOMAIN, "", false)]);
    world.provision("cid").unwrap();
}

#[test]
fn r4_the_roles_of_a_domain_are_replaced() {
    let mut world = single();
    world.domains(&[(DOMAIN, "Guest", false), ("b.example", "Admin", false)]);
    world.run("delete role Guest for Admin");
    assert_eq!(world.listed(), "acme.example: Admin; b.example: Admin");
    world.run("role Clerk\n mapping Free: off Clerk\n subscribe acme to Free");
    let refusal = world.refused("delete role Admin for Clerk", Reason::ReplacementDisabled);
    assert!(refusal.to_string().contains("Clerk"));
    world.run("delete role Admin");
    assert_eq!(world.listed(), "acme.example: Member; b.example: Member");
    world.provision("eve").unwrap();
    assert_eq!(world.roles_and_origins("acme", "eve").unwrap(), [("Member".into(), None, Origin::Domain)]);
}

#[test]
fn m7_the_roles_of_a_domain_are_refused_replaced_or_suspended() {
    let mut world = single();
    world.domains(&[(DOMAIN, "Guest", false)]);
    world.refused("edit Default: off Guest", Reason::RolesWouldBeDisabled);
    world.run("suspending edit Default: off Guest");
    assert_eq!((world.listed().as_str(), world.provision("eve")), ("acme.example: Guest", Err(Reason::NoEnabledRole)));
    world.run("edit Default: on Guest");
    world.provision("eve").unwrap();
    world.run("remove eve from acme\n remapping:Guest=Member edit Default: off Guest");
    assert_eq!(world.listed(), "acme.example: Member");
}

#[test]
fn p5_a_domain_keeps_the_role_that_p5_prefers() {
    let mut world = multi();
    world.run("mapping Free: off Admin\n org globex on Free");
    world.domains(&[(DOMAIN, "Admin, Guest, Helper", false)]);
    world.run("convert SINGLE: Owner, Admin, *");
    assert_eq!(world.listed(), "acme.example: Admin");
    world.provision("eve").unwrap();
    assert_eq!(world.role_states("acme", "eve"), "Admin live");
}

#[test]
fn r10_a_role_of_a_domain_cannot_become_internal() {
    let mut world = single();
    world.domains(&[(DOMAIN, "Guest", false)]);
    world.refused("update role Guest: internal", Reason::RoleInUse);
    world.domains(&[]);
    world.run("update role Guest: internal");
}

#[test]
fn p7_the_role_set_of_a_domain_is_kept() {
    let mut world = multi();
    world.domains(&[(DOMAIN, "Guest, Helper", false)]);
    let sets = world.project().role_sets.len() as u64;
    world.limits = limits(|limits| limits.role_sets = sets);
    world.refused("add dan to acme: Admin, Guest", Reason::LimitExceeded);
    assert_eq!(world.listed(), "acme.example: Guest, Helper");
    world.provision("eve").unwrap();
    assert_eq!(world.role_states("acme", "eve"), "Guest live, Helper live");
}

#[test]
fn s5_the_domains_of_a_deleted_org_are_purged() {
    let mut world = single();
    world.domains(&[(DOMAIN, "Guest", false)]);
    let no = world.project().org("acme").unwrap().no;
    world.run("remove cid from acme\n delete org acme");
    world.purge_all(10);
    assert!(world.project().org_numbered(no).is_none());
    world.at(60).run("reuse org acme by ann");
    assert_eq!((world.listed().as_str(), seconds(60)), ("", world.now));
}
