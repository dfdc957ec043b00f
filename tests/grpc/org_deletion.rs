//! Updating and deleting orgs: S5.

use rolecall::wire::{self, Decision};

use crate::fixture::{Project, add, remove, roles, row, soon, temporary, texts, wait_until};
use crate::refusals::refused;
use crate::server::{Server, on_both};

const VIEW: &str = "rolecall::can_view_other_members";

fn creating(org_id: &str) -> wire::CreateOrgRequest {
    wire::CreateOrgRequest { org_id: org_id.into(), ..Default::default() }
}

fn again(org_id: &str) -> wire::CreateOrgRequest {
    wire::CreateOrgRequest { reuse_deleted_id: true, ..creating(org_id) }
}

fn updating(display_name: &str, metadata: &str, mask: Option<&[&str]>) -> wire::UpdateOrgRequest {
    wire::UpdateOrgRequest {
        org_id: "acme".into(),
        resource: Some(wire::Org {
            org_id: "ignored".into(),
            display_name: display_name.into(),
            metadata: metadata.into(),
            ..Default::default()
        }),
        update_mask: mask.map(|paths| prost_types::FieldMask { paths: texts(paths) }),
        ..Default::default()
    }
}

async fn read(server: &Server, org_id: &str) -> Result<wire::Org, tonic::Status> {
    let request = wire::GetOrgRequest { org_id: org_id.into(), ..Default::default() };
    server.get_org(request).await.map(|answer| answer.org.unwrap())
}

#[test]
fn s5_an_update_changes_only_the_display_name_and_metadata() {
    on_both(async |server| {
        let project = server.single();
        let created = project.org_with_owner("acme", "ann").await;
        let updated = async |request| server.update_org(request).await.unwrap().org.unwrap();
        let both = updated(updating("Acme", "{}", None)).await;
        assert_eq!(both, wire::Org { display_name: "Acme".into(), metadata: "{}".into(), ..created.clone() });
        assert_eq!(read(server, "acme").await.unwrap(), both);
        let named = updated(updating("Acme Corp.", "", None)).await;
        assert_eq!((named.display_name.as_str(), named.metadata.as_str()), ("Acme Corp.", "{}"));
        let emptied = updated(updating("Ignored", "", Some(&["metadata"]))).await;
        assert_eq!((emptied.display_name.as_str(), emptied.metadata.as_str()), ("Acme Corp.", ""));
        server
            .storing_nothing(async {
                server.update_org(updating("Acme Corp.", "", Some(&["display_name", "metadata"]))).await.unwrap();
                server.update_org(updating("", "", None)).await.unwrap();
                let too_long = updating("", &"m".repeat(4_097), None);
                assert_eq!(refused(server.update_org(too_long).await, "INVALID_FIELD").fields(), ["resource.metadata"]);
                let masked = updating("", &"m".repeat(4_097), Some(&["display_name", "org_id"]));
                assert_eq!(refused(server.update_org(masked).await, "INVALID_FIELD").fields(), ["update_mask"]);
                let nowhere = wire::UpdateOrgRequest { org_id: "nowhere".into(), ..updating("x", "", None) };
                refused(server.update_org(nowhere).await, "ORG_NOT_FOUND");
            })
            .await;
        assert_eq!(project.roles_of("acme", "ann").await, "Owner live");
        let server = server.restarted().await;
        assert_eq!(read(&server, "acme").await.unwrap(), emptied);
    });
}

#[test]
fn s5_a_deleted_org_cannot_be_reached() {
    on_both(async |server| {
        let project = server.single();
        let soon = soon();
        project.org_with_owner("acme", "ann").await;
        project.add("acme", "bob", &roles(&["Member"])).await;
        project.add("acme", "cat", &[temporary("Member", soon)]).await;
        project.org_with_owner("globex", "ann").await;
        server.multi().await.org_with_owner("acme", "ann").await;
        wait_until(&soon).await;
        assert_eq!(project.delete_org("acme").await, 3, "the member with an expired role is counted");
        gone(server).await;
        gone(&server.restarted().await).await;
    });
}

/// Checks that acme cannot be reached, and that globex and the acme of another project are unchanged.
async fn gone(server: &Server) {
    let project = server.single();
    refused(read(server, "acme").await, "ORG_NOT_FOUND");
    refused(project.member("acme", "ann").await, "ORG_NOT_FOUND");
    let members = wire::ListMembersRequest { org_id: "acme".into(), ..Default::default() };
    refused(server.list_members(members).await, "ORG_NOT_FOUND");
    let subscription = wire::GetSubscriptionRequest { org_id: "acme".into(), ..Default::default() };
    refused(server.get_subscription(subscription).await, "ORG_NOT_FOUND");
    refused(server.subscribe_org(project.moving("acme", "Default")).await, "ORG_NOT_FOUND");
    refused(server.add_member(project.adding("acme", "dan", &[])).await, "ORG_NOT_FOUND");
    refused(server.remove_member(project.removing("acme", "ann")).await, "ORG_NOT_FOUND");
    refused(server.update_org(updating("Acme", "", None)).await, "ORG_NOT_FOUND");
    let rows = project.writing(vec![row("globex", "eve", add(&[])), row("acme", "bob", remove())]);
    assert_eq!(refused(server.batch_write_members(rows).await, "ORG_NOT_FOUND").fields(), ["rows[1]"]);
    let deleting = wire::DeleteOrgRequest { org_id: "acme".into(), ..Default::default() };
    refused(server.delete_org(deleting).await, "ORG_NOT_FOUND");
    for user in ["ann", "bob", "cat", "nobody"] {
        assert_eq!(project.check("acme", user, VIEW).await, Decision::OrgNotFound);
    }
    assert_eq!(project.check("globex", "ann", VIEW).await, Decision::Allowed);
    let orgs = server.list_orgs(wire::ListOrgsRequest::default()).await.unwrap().orgs;
    assert_eq!(orgs.iter().map(|org| org.org_id.as_str()).collect::<Vec<_>>(), ["globex"]);
    let memberships = wire::ListUserMembershipsRequest { user_id: "ann".into(), ..Default::default() };
    let memberships = server.list_user_memberships(memberships).await.unwrap().memberships;
    assert_eq!(memberships.iter().map(|member| member.org_id.as_str()).collect::<Vec<_>>(), ["globex"]);
    let other = Project { server, key: "multi" };
    assert_eq!(other.roles_of("acme", "ann").await, "Owner live");
    assert_eq!(other.check("acme", "ann", VIEW).await, Decision::Allowed);
}

#[test]
fn s5_a_deleted_id_is_retired_unless_the_request_reuses_it() {
    on_both(async |server| {
        let project = server.single();
        project.org_with_owner("acme", "ann").await;
        project.delete_org("acme").await;
        server
            .storing_nothing(async {
                let retired = refused(server.create_org(creating("acme")).await, "ORG_ID_RETIRED");
                assert_eq!(retired.resource(), ("rolecall.v1.Org", "acme"));
                assert_eq!(retired.metadata("rule"), "S5");
            })
            .await;
        let server = server.restarted().await;
        refused(server.create_org(creating("acme")).await, "ORG_ID_RETIRED");
        server.create_org(again("acme")).await.unwrap();
        // The org exists, so the flag does not help.
        refused(server.create_org(again("acme")).await, "ORG_ALREADY_EXISTS");
        // The flag is accepted for an id that was never used.
        server.create_org(again("globex")).await.unwrap();
        // The id is not retired in another project.
        let other = server.multi().await;
        other.org("acme", "").await;
    });
}

#[test]
fn s5_nothing_of_the_old_org_reaches_the_new_one() {
    on_both(async |server| {
        let project = server.single();
        project.mapping("Paid").await;
        let old = wire::CreateOrgRequest {
            display_name: "Old".into(),
            metadata: "old".into(),
            role_mapping: "Paid".into(),
            creator_user_id: "ann".into(),
            ..creating("acme")
        };
        server.create_org(old).await.unwrap();
        for user in ["bob", "cat"] {
            project.add("acme", user, &roles(&["Admin"])).await;
        }
        for round in 0..3 {
            assert_eq!(project.delete_org("acme").await, 3, "round {round}");
            let new = server.create_org(again("acme")).await.unwrap().org.unwrap();
            assert_eq!((new.display_name.as_str(), new.metadata.as_str()), ("", ""));
            assert_eq!(new.role_mapping, "Default");
            assert_eq!(read(server, "acme").await.unwrap(), new);
            has_no_members(project).await;
            for user in ["ann", "bob", "dan"] {
                project.add("acme", user, &roles(&["Owner"])).await;
            }
            assert_eq!(project.check("acme", "cat", VIEW).await, Decision::NotAMember);
        }
        let server = server.restarted().await;
        let project = server.single();
        assert_eq!(project.check("acme", "cat", VIEW).await, Decision::NotAMember);
        assert_eq!(project.roles_of("acme", "bob").await, "Owner live");
        let count = project.get_mapping("Paid").await.subscriber_count;
        assert_eq!(count, 0);
    });
}

async fn has_no_members(project: Project<'_>) {
    let server = project.server;
    let members = wire::ListMembersRequest { org_id: "acme".into(), ..Default::default() };
    assert!(server.list_members(members).await.unwrap().members.is_empty());
    for user in ["ann", "bob", "cat", "dan"] {
        assert_eq!(project.check("acme", user, VIEW).await, Decision::NotAMember);
        refused(project.member("acme", user).await, "MEMBER_NOT_FOUND");
        let memberships = wire::ListUserMembershipsRequest { user_id: user.into(), ..Default::default() };
        assert!(server.list_user_memberships(memberships).await.unwrap().memberships.is_empty());
    }
}
