//! What events say: A1, A2.

use std::collections::BTreeSet;

use prost::Message;
use prost_types::FileDescriptorSet;
use rolecall::domain::Revision;
use rolecall::grpc::DESCRIPTORS;
use rolecall::wire::{self, EventAction};

use crate::contract::{Contract, requests, shop};
use crate::fixture::{in_an_hour, mask, remapping, role, roles, suspending_with_fallback, temporary, texts};
use crate::raw::framed;
use crate::server::{Server, on_both};

impl Server {
    /// Returns all events that a request asks for, the oldest first.
    pub async fn events(&self, request: wire::ListEventsRequest) -> Vec<wire::Event> {
        let order = wire::EventOrder::OldestFirst.into();
        let (mut events, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = wire::ListEventsRequest { order, page_token, ..request.clone() };
            let page = self.list_events(request).await.unwrap();
            events.extend(page.events);
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return events;
            }
        }
    }
}

/// Returns the changes of an event, as `created role Guest: description - > a, b`.
pub fn said(event: &wire::Event) -> Vec<String> {
    let change = |change: &wire::EventChange| {
        let action = match change.action() {
            EventAction::Unspecified => panic!("a change without an action: {change:?}"),
            EventAction::Created => "created",
            EventAction::Changed => "changed",
            EventAction::Deleted => "deleted",
        };
        let about = [&change.role_mapping, &change.name, &change.org_id, &change.user_id];
        let about: Vec<&str> = about.into_iter().map(String::as_str).filter(|text| !text.is_empty()).collect();
        let field = |field: &wire::EventField| {
            let side = |values: &[String], more: i32| match (values, more) {
                ([], _) => "-".into(),
                (values, 0) => values.join(", "),
                (values, more) => format!("{} and {more} more", values.join(", ")),
            };
            format!(
                "{} {} > {}",
                field.name,
                side(&field.before, field.before_more),
                side(&field.after, field.after_more)
            )
        };
        let fields: Vec<String> = change.fields.iter().map(field).collect();
        let about = format!("{action} {} {}", change.noun, about.join("/"));
        format!("{}: {}", about.trim(), fields.join("; ")).trim().into()
    };
    event.changes.iter().map(change).collect()
}

/// Returns what the newest event of callers says.
async fn last_said(server: &Server) -> Vec<String> {
    let request = wire::ListEventsRequest { page_size: 1, ..Default::default() };
    said(&server.list_events(request).await.unwrap().events[0])
}

#[test]
fn a1_every_write_is_an_event_with_its_rpc_caller_and_reason() {
    let contract = Contract::read();
    on_both(async |server| {
        shop(server).await;
        let raw = server.raw().await;
        let mut recorded = BTreeSet::new();
        let writes: BTreeSet<&str> = contract.writes().map(|method| method.path.as_str()).collect();
        for (method, request) in requests(server).await {
            let answer = raw.send(method, &[("rolecall-actor", "carla")], framed(0, &request)).await.unwrap();
            if !writes.contains(method) {
                continue;
            }
            drop(answer);
            let request = wire::ListEventsRequest { actor: "carla".into(), page_size: 1, ..Default::default() };
            let page = server.list_events(request).await.unwrap();
            let [event] = &page.events[..] else { panic!("{method} is no event") };
            assert!(method.ends_with(&format!("/{}", event.kind)), "{method} is the event {}", event.kind);
            assert_eq!(event.actor, "carla", "{method}");
            recorded.insert(event.reason.clone());
            recorded.insert(event.request_id.chars().take(8).collect());
            assert!(!event.changes.is_empty(), "{method} shows no change");
            assert!(event.changes_total as usize >= event.changes.len(), "{method}");
        }
        assert_eq!(recorded, BTreeSet::from(["", "because", "request-"].map(String::from)));
    });
}

/// Returns the numbers of the kinds of changes that the storage format has.
fn kinds_of_changes() -> BTreeSet<i16> {
    let files = FileDescriptorSet::decode(DESCRIPTORS).unwrap().file;
    let messages = files.iter().filter(|file| file.package() == "rolecall.storage.v1").flat_map(|it| &it.message_type);
    let change = messages.into_iter().find(|message| message.name() == "Change").unwrap();
    change.field.iter().map(|field| field.number() as i16).collect()
}

const READABLE: &str = "created permission view:
    changed permission view: description - > Sees them.
    changed permission see: name view > see; aliases - > view
    created role Billing:
    changed role Billing: description - > Money; internal false > true
    changed role Accounting: name Billing > Accounting; aliases - > Billing
    changed role order: order Admin, Member, Accounting > Accounting, Admin, Member
    created role mapping Paid:
    changed grants Paid/Admin: permissions_gained - > rolecall::can_invite, see
    changed grants Paid/Admin: permissions_lost see > -
    created org acme: role_mapping - > Default
    created membership acme/ann: roles - > Owner; origin - > CREATOR
    changed org acme: display_name - > Acme Inc.; metadata - > {}
    created membership acme/bea: roles - > Member; origin - > DIRECT
    changed membership acme/bea: roles Member > Admin
    deleted membership acme/eve: roles Member > -; origin DIRECT > -
    created removal acme/eve:
    changed role mapping Paid: disabled_roles - > Admin
    created fallback roles acme: fallback_roles - > Member for Admin
    changed subscription acme: role_mapping Default > Paid
    deleted fallback roles acme: fallback_roles Member for Admin > -
    changed subscription acme: role_mapping Paid > Default
    changed members acme: roles Admin > Member
    changed subscription acme: role_mapping Default > Paid
    created invitation ID/acme: email - > cid@acme.example; roles - > Member; expire_time - > SOON; state - > PENDING
    created membership acme/cid: roles - > Member; origin - > INVITATION
    changed invitation ID/acme: state PENDING > ACCEPTED; accepted_user_id - > cid
    created domains acme: domains - > acme.example: Member
    created block cid:
    deleted block cid:
    changed role mapping Paid: disabled_roles Admin > -
    changed membership acme/bea: roles Member > Admin until SOON, Member
    changed membership acme/cid: roles Member > Admin; origin INVITATION > DIRECT
    changed members: roles Admin > Member
    changed membership acme/bea: roles Admin until SOON, Member > Member; origin DIRECT > MIGRATION
    changed grants Default/Admin: permissions_lost rolecall::can_view_other_members, rolecall::can_invite, \
        rolecall::can_change_roles, rolecall::can_remove_users, rolecall::can_manage_api_keys, \
        rolecall::can_setup_sso, rolecall::can_update_org_metadata > -
    changed grants Paid/Admin: permissions_lost rolecall::can_invite > -
    deleted role Admin: description Administers the organization for its owners. > -
    deleted permission see: description Sees them. > -; aliases view > -
    deleted membership acme/cid: roles Member > -; origin DIRECT > -
    created removal acme/cid:
    deleted org acme: display_name Acme Inc. > -; metadata {} > -; role_mapping Paid > -
    deleted role mapping Paid:
    changed project default: display_name Default > Shop
    changed project default: role_structure SINGLE_ROLE > MULTI_ROLE
    changed role Owner: manages - > Owner, Member
    changed role Accounting: manages - > Member";

#[test]
fn a1_every_kind_of_change_is_readable() {
    on_both(async |server| {
        let shop = server.single();
        let mut log = Vec::new();
        macro_rules! step {
            ($call:expr) => {{
                let done = $call.await;
                log.push(last_said(server).await.join("\n"));
                done
            }};
        }
        step!(server.create_permission(shop.creating_permission("view"))).unwrap();
        let described = wire::Permission { description: "Sees them.".into(), ..Default::default() };
        step!(server.update_permission(shop.updating_permission("view", described))).unwrap();
        step!(shop.rename_permission("view", "see"));
        step!(shop.role("Billing"));
        let edited = wire::Role { description: "Money".into(), internal: true, ..Default::default() };
        step!(server.update_role(shop.updating_role("Billing", edited))).unwrap();
        step!(shop.rename_role("Billing", "Accounting"));
        step!(server.reorder_roles(shop.reordering(&["Owner", "Accounting", "Admin", "Member"]))).unwrap();
        step!(shop.mapping("Paid"));
        step!(shop.grant("Paid", "Admin", &["see", "rolecall::can_invite"]));
        step!(shop.take("Paid", "Admin", &["see"]));
        step!(shop.org_with_owner("acme", "ann"));
        let named = wire::Org { display_name: "Acme Inc.".into(), metadata: "{}".into(), ..Default::default() };
        let renaming = wire::UpdateOrgRequest {
            org_id: "acme".into(),
            resource: Some(named),
            update_mask: mask(&["display_name", "metadata"]),
            ..Default::default()
        };
        step!(server.update_org(renaming)).unwrap();
        step!(shop.add("acme", "bea", &roles(&["Member"])));
        step!(shop.set("acme", "bea", &roles(&["Admin"])));
        shop.add("acme", "eve", &roles(&["Member"])).await;
        step!(shop.remove_by("ann", "acme", "eve")).unwrap();
        step!(shop.disable("Paid", &["Admin"]));
        let moving = wire::SubscribeOrgRequest {
            on_disabled: suspending_with_fallback("Member"),
            ..shop.moving("acme", "Paid")
        };
        step!(server.subscribe_org(moving)).unwrap();
        step!(shop.subscribe("acme", "Default"));
        let moving = wire::SubscribeOrgRequest {
            on_disabled: remapping(&[("Admin", "Member")], ""),
            ..shop.moving("acme", "Paid")
        };
        step!(server.subscribe_org(moving)).unwrap();
        let invitation = step!(shop.invite("acme", "cid@acme.example", &["Member"]));
        step!(shop.accept(&invitation, "cid"));
        let domain =
            wire::OrgDomainSpec { domain: "acme.example".into(), roles: texts(&["Member"]), ..Default::default() };
        let listing = wire::SetOrgDomainsRequest { org_id: "acme".into(), domains: vec![domain], ..Default::default() };
        step!(server.set_org_domains(listing)).unwrap();
        let blocking = wire::BlockUserRequest { user_id: "cid".into(), ..Default::default() };
        step!(server.block_user(blocking)).unwrap();
        let unblocking = wire::UnblockUserRequest { user_id: "cid".into(), ..Default::default() };
        step!(server.unblock_user(unblocking)).unwrap();
        step!(shop.enable("Paid", &["Admin"]));
        let expiry = in_an_hour();
        step!(shop.set("acme", "bea", &[role("Member"), temporary("Admin", expiry)]));
        step!(shop.set("acme", "cid", &roles(&["Admin"])));
        step!(shop.delete_role("Admin", "Member"));
        step!(server.delete_permission(shop.deleting_permission("see"))).unwrap();
        step!(shop.remove("acme", "cid"));
        step!(shop.delete_org("acme"));
        step!(server.delete_role_mapping(shop.deleting("Paid", ""))).unwrap();
        let resource = wire::Project { display_name: "Shop".into(), ..Default::default() };
        step!(server.update_project(shop.updating_project(resource))).unwrap();
        step!(server.convert_role_structure(shop.converting_to_multi())).unwrap();
        let log = log.join("\n").replace(&invitation.invitation_id, "ID");
        let log =
            log.replace(&invitation.expire_time.unwrap().to_string(), "SOON").replace(&expiry.to_string(), "SOON");
        let expected: Vec<&str> = READABLE.lines().map(str::trim).collect();
        assert_eq!(log.lines().collect::<Vec<_>>(), expected);
        server.operator("olga", "Owner").await;
        let events = server.events(wire::ListEventsRequest { project: "workspace".into(), ..Default::default() }).await;
        let key = &events.iter().find(|event| event.kind == "CreateApiKey").unwrap().changes[0];
        assert!(key.noun == "API key" && key.name.starts_with("ak_"), "{key:?}");
        let fields: Vec<&str> = key.fields.iter().map(|field| &*field.name).collect();
        assert_eq!(fields, ["display_name", "operator", "environment"], "and no hash");
        let commits = server.commits_since(Revision::default()).await;
        let changes = commits.iter().flat_map(|commit| &commit.changes);
        let seen: BTreeSet<i16> = changes.map(rolecall::wire::change::noun).collect();
        assert_eq!(seen, kinds_of_changes(), "the story has every kind of change");
    });
}
