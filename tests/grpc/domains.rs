//! E-mail domains of orgs and joining by them: J1 to J3, and the parts of G1, M7, P7, R4 and R10 about domains.

use rolecall::limits::Limits;
use rolecall::wire::{self, MembershipOrigin};
use tonic::Status;

use crate::fixture::{Project, remapping, roles};
use crate::refusals::refused;
use crate::server::{Server, on_both, on_both_with};

fn spec(domain: &str, roles: &[&str], apply_to_existing: bool) -> wire::OrgDomainSpec {
    let roles = roles.iter().map(ToString::to_string).collect();
    wire::OrgDomainSpec { domain: domain.into(), roles, apply_to_existing }
}

async fn acme(server: &Server) -> Project<'_> {
    let project = server.single();
    project.role("Guest").await;
    project.org_with_owner("acme", "ann").await;
    project.add("acme", "cid", &roles(&["Member"])).await;
    project
}

impl Project<'_> {
    fn listing_domains(&self, org_id: &str, domains: Vec<wire::OrgDomainSpec>) -> wire::SetOrgDomainsRequest {
        wire::SetOrgDomainsRequest { project: self.key.into(), org_id: org_id.into(), domains, ..Default::default() }
    }

    async fn domains(&self, org_id: &str, domains: Vec<wire::OrgDomainSpec>) -> Vec<wire::OrgDomain> {
        self.server.set_org_domains(self.listing_domains(org_id, domains)).await.unwrap().domains
    }

    fn provisioning(&self, org_id: &str, user_id: &str) -> wire::ProvisionMemberRequest {
        wire::ProvisionMemberRequest {
            project: self.key.into(),
            org_id: org_id.into(),
            user_id: user_id.into(),
            email: format!("{user_id}@acme.example"),
            email_verified: true,
            ..Default::default()
        }
    }

    async fn provision(&self, org_id: &str, user_id: &str) -> Result<wire::ProvisionMemberResponse, Status> {
        self.server.provision_member(self.provisioning(org_id, user_id)).await
    }

    async fn get_org(&self, org_id: &str, viewer: &str) -> wire::Org {
        let request = wire::GetOrgRequest {
            project: self.key.into(),
            org_id: org_id.into(),
            viewer_user_id: viewer.into(),
            ..Default::default()
        };
        self.server.get_org(request).await.unwrap().org.unwrap()
    }
}

#[test]
fn j1_domains_are_shown_in_a_label_form_and_survive_a_restart() {
    on_both(async |server| {
        let project = acme(server).await;
        let set = vec![spec("Bücher.Example.", &["Guest"], true), spec("acme.example", &[], false)];
        let shown = project.domains("acme", set).await;
        let names: Vec<&str> = shown.iter().map(|it| it.domain.as_str()).collect();
        assert_eq!(names, ["acme.example", "xn--bcher-kva.example"]);
        assert!(shown.iter().all(|it| it.verified) && shown[1].apply_to_existing && shown[1].roles == ["Guest"]);
        let server = server.restarted().await;
        let project = server.single();
        assert_eq!(project.get_org("acme", "").await.domains, shown);
        assert_eq!(project.get_org("acme", "ann").await.domains, shown, "an owner may edit the access");
        assert!(project.get_org("acme", "cid").await.domains.is_empty());
        let listed = server.list_orgs(wire::ListOrgsRequest::default()).await.unwrap().orgs;
        assert_eq!(listed[0].domains, shown);
        let same = project.listing_domains("acme", vec![spec("acme.example", &[], false)]);
        server.set_org_domains(same.clone()).await.unwrap();
        server.storing_nothing(server.set_org_domains(same)).await.unwrap();
        project.domains("acme", vec![]).await;
        assert!(project.get_org("acme", "").await.domains.is_empty());
    });
}

#[test]
fn j1_bad_domains_are_refused() {
    on_both(async |server| {
        let project = acme(server).await;
        project.internal_role("Spy").await;
        project.role("Clerk").await;
        project.disable("Default", &["Clerk"]).await;
        for (domains, reason, fields) in [
            (vec![spec("a.example", &[], false), spec("GMAIL.com", &[], false)], "PUBLIC_DOMAIN", "domains[1].domain"),
            (
                vec![spec("a.example", &[], false), spec("A.example.", &[], false)],
                "REPEATED_DOMAIN",
                "domains[1].domain",
            ),
            (vec![spec("a.example", &["Guest", "Guest"], false)], "REPEATED_ROLE", "domains[0].roles"),
            (vec![spec("a.example", &["Guest", "Member"], false)], "TOO_MANY_ROLES", "domains[0].roles"),
            (vec![spec("a.example", &["Clerk"], false)], "ROLE_DISABLED", ""),
            (vec![spec("a.example", &["Spy"], false)], "ROLE_INTERNAL", ""),
        ] {
            let request = project.listing_domains("acme", domains);
            let answer = refused(server.storing_nothing(server.set_org_domains(request)).await, reason);
            assert_eq!(answer.fields().join(""), fields);
        }
    });
}

#[test]
fn j1_a_domain_of_an_acting_user_provisions_nobody_until_it_is_verified() {
    on_both(async |server| {
        let project = acme(server).await;
        let request = project.listing_domains("acme", vec![spec("acme.example", &["Guest"], false)]);
        let by = |user: &str| wire::SetOrgDomainsRequest { acting_user_id: user.into(), ..request.clone() };
        let denied = server.storing_nothing(server.set_org_domains(by("cid"))).await;
        let denied = refused(denied, "ACTING_USER_MISSING_PERMISSION");
        assert_eq!(denied.metadata("permission"), "rolecall::can_edit_org_access");
        assert!(!server.set_org_domains(by("ann")).await.unwrap().domains[0].verified);
        let answer = refused(project.provision("acme", "eve").await, "DOMAIN_NOT_VERIFIED");
        assert_eq!(answer.subjects(), ["domains/acme.example"]);
        let joinable = wire::ListJoinableOrgsRequest {
            email: "eve@acme.example".into(),
            email_verified: true,
            ..Default::default()
        };
        assert!(server.list_joinable_orgs(joinable).await.unwrap().orgs.is_empty());
        let verify = |domain: &str| wire::VerifyOrgDomainRequest {
            org_id: "acme".into(),
            domain: domain.into(),
            ..Default::default()
        };
        let unknown = server.storing_nothing(server.verify_org_domain(verify("b.example"))).await;
        let unknown = refused(unknown, "ORG_DOMAIN_NOT_FOUND");
        assert_eq!(unknown.resource(), ("rolecall.v1.OrgDomain", "b.example"));
        assert!(server.verify_org_domain(verify("ACME.example")).await.unwrap().domains[0].verified);
        let provisioned = project.provision("acme", "eve").await.unwrap();
        assert_eq!(provisioned.member.unwrap().origin(), MembershipOrigin::Domain);
    });
}

#[test]
fn j1_the_orgs_of_a_domain_are_listed_by_page() {
    on_both(async |server| {
        let project = server.single();
        for number in 0..5 {
            let org = format!("org-{number}");
            project.org(&org, "").await;
            project.domains(&org, vec![spec("acme.example", &[], false), spec("x.example", &[], false)]).await;
        }
        project.org("other", "").await;
        project.domains("other", vec![spec("mail.acme.example", &[], false)]).await;
        project.delete_org("org-2").await;
        let mut found = Vec::new();
        let mut page_token = String::new();
        loop {
            let request = wire::ListJoinableOrgsRequest {
                email: "Eve@Acme.Example".into(),
                email_verified: true,
                page_size: 2,
                page_token,
                ..Default::default()
            };
            let page = server.list_joinable_orgs(request).await.unwrap();
            found.extend(page.orgs.into_iter().map(|org| org.org_id));
            page_token = page.next_page_token;
            if page_token.is_empty() {
                break;
            }
        }
        assert_eq!(found, ["org-0", "org-1", "org-3", "org-4"]);
        let unverified = wire::ListJoinableOrgsRequest { email: "eve@acme.example".into(), ..Default::default() };
        refused(server.list_joinable_orgs(unverified).await, "EMAIL_NOT_VERIFIED");
    });
}

#[test]
fn j2_a_user_joins_with_the_enabled_roles_of_the_domain() {
    on_both(async |server| {
        let project = server.multi().await;
        project.role("Guest").await;
        project.role("Helper").await;
        project.org("acme", "").await;
        refused(project.provision("acme", "eve").await, "DOMAIN_NOT_LISTED");
        project.domains("acme", vec![spec("acme.example", &["Guest", "Helper"], false)]).await;
        project.disable("Default", &["Guest"]).await;
        let request = wire::ProvisionMemberRequest { request_id: "once".into(), ..project.provisioning("acme", "eve") };
        let provisioned = server.provision_member(request.clone()).await.unwrap();
        assert_eq!(provisioned.skipped_roles, ["Guest"]);
        assert_eq!(project.roles_of("acme", "eve").await, "Helper live");
        let again = server.storing_nothing(server.provision_member(request)).await.unwrap();
        assert!(again.replayed && again.skipped_roles == ["Guest"]);
        let unchanged = server.storing_nothing(server.provision_member(project.provisioning("acme", "eve"))).await;
        assert_eq!(unchanged.unwrap().member.unwrap().user_id, "eve");
        project.disable("Default", &["Helper"]).await;
        let answer = refused(project.provision("acme", "dan").await, "NO_ENABLED_ROLE");
        assert_eq!(answer.metadata("rule"), "J2");
        project.enable("Default", &["Guest"]).await;
        project.domains("acme", vec![spec("acme.example", &["Guest"], true)]).await;
        project.provision("acme", "eve").await.unwrap();
        assert_eq!(project.roles_of("acme", "eve").await, "Guest live, Helper suspended");
    });
}

#[test]
fn j3_a_removed_member_does_not_sneak_back() {
    on_both(async |server| {
        let project = acme(server).await;
        project.domains("acme", vec![spec("acme.example", &[], false)]).await;
        project.remove("acme", "cid").await;
        let server = server.restarted().await;
        let project = server.single();
        let provision = server.provision_member(project.provisioning("acme", "cid"));
        let answer = refused(server.storing_nothing(provision).await, "REMOVED_BEFORE");
        assert_eq!((answer.metadata("rule"), answer.subjects()), ("J3", vec!["users/cid"]));
        let allowed = wire::ProvisionMemberRequest { allow_provisioning: true, ..project.provisioning("acme", "cid") };
        server.provision_member(allowed).await.unwrap();
        // Who leaves may come back.
        let leaving = wire::RemoveMemberRequest { acting_user_id: "cid".into(), ..project.removing("acme", "cid") };
        server.remove_member(leaving).await.unwrap();
        project.provision("acme", "cid").await.unwrap();
        let block = wire::BlockUserRequest { user_id: "dan".into(), ..Default::default() };
        server.block_user(block).await.unwrap();
        refused(project.provision("acme", "dan").await, "USER_NOT_AVAILABLE");
    });
}

#[test]
fn m7_and_r4_the_roles_of_domains_follow() {
    on_both(async |server| {
        let project = acme(server).await;
        project.domains("acme", vec![spec("acme.example", &["Guest"], false)]).await;
        let disabling =
            wire::UpdateRoleMappingRequest { disable_roles: vec!["Guest".into()], ..project.updating("Default") };
        let plain = server.storing_nothing(server.update_role_mapping(disabling.clone())).await;
        assert_eq!(refused(plain, "ROLES_WOULD_BE_DISABLED").subjects(), ["roles/Guest"]);
        let internal = wire::UpdateRoleRequest {
            name: "Guest".into(),
            resource: Some(wire::Role { internal: true, ..Default::default() }),
            ..Default::default()
        };
        refused(server.storing_nothing(server.update_role(internal)).await, "ROLE_IN_USE");
        let remapped =
            wire::UpdateRoleMappingRequest { on_disabled: remapping(&[("Guest", "Admin")], ""), ..disabling };
        server.update_role_mapping(remapped).await.unwrap();
        assert_eq!(project.get_org("acme", "").await.domains[0].roles, ["Admin"]);
        let deleting = wire::DeleteRoleRequest { name: "Admin".into(), ..Default::default() };
        server.delete_role(deleting).await.unwrap();
        assert_eq!(project.get_org("acme", "").await.domains[0].roles, ["Member"]);
        let server = server.restarted().await;
        assert_eq!(server.single().get_org("acme", "").await.domains[0].roles, ["Member"]);
    });
}

#[test]
fn p7_domains_per_org() {
    on_both_with(Limits { org_domains: 1, ..Limits::default() }, async |server| {
        let project = acme(server).await;
        let two = vec![spec("a.example", &[], false), spec("b.example", &[], false)];
        let two = server.storing_nothing(server.set_org_domains(project.listing_domains("acme", two))).await;
        assert_eq!(refused(two, "LIMIT_EXCEEDED").quotas()[0].0, "org_domains");
    });
}
