//! A cache of answers that drops what a watch says is never wrong, whatever is written.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;
use rolecall::engine::Token;
use rolecall::wire::{self, AccessChange, AccessScope, check_request::Question};

use crate::contract::{Contract, requests, shop};
use crate::refusals::Details;
use crate::server::{Server, on_both};
use crate::watch::Watcher;

const ORGS: [&str; 3] = ["acme", "globex", "initech"];
const USERS: [&str; 8] = ["ann", "bob", "cat", "dan", "ivy", "olga", "yan", "zoe"];

/// Writes that change no answer of the project `default`. Some are about another project.
const SILENT: [&str; 14] = [
    "ApplyConfiguration",
    "ArchiveApiKey",
    "BatchCreateInvitations",
    "ConvertRoleStructure",
    "CreateApiKey",
    "CreateInvitation",
    "CreateProject",
    "DeleteProject",
    "PromoteRoleMapping",
    "RevokeInvitation",
    "SetOrgDomains",
    "UpdateOrg",
    "UpdateProject",
    "VerifyOrgDomain",
];

/// What a cache keeps about a user in an org: the answers without their revision and time.
#[derive(Debug, PartialEq)]
struct Kept {
    decisions: Vec<wire::Decision>,
    access: Result<wire::GetAccessResponse, String>,
}

fn questions() -> [Question; 5] {
    [
        Question::Permission("invoices.view".into()),
        Question::Permission("invoices.pay".into()),
        Question::Role("Guest".into()),
        Question::AtLeastRole("Admin".into()),
        Question::AnyOf(wire::PermissionList { permissions: vec!["invoices.view".into(), "nobody.knows".into()] }),
    ]
}

async fn ask(server: &Server, org: &str, user: &str) -> Kept {
    let mut decisions = Vec::new();
    for question in questions() {
        decisions.push(server.single().ask(org, user, question).await);
    }
    let request = wire::GetAccessRequest { org_id: org.into(), user_id: user.into(), ..Default::default() };
    let access = server.get_access(request).await.map_err(|status| status.reason());
    let access = access.map(|access| wire::GetAccessResponse { revision: String::new(), evaluated_at: None, ..access });
    Kept { decisions, access }
}

impl Kept {
    fn is_concerned(&self, org: &str, user: &str, change: &AccessChange) -> bool {
        match change.scope() {
            AccessScope::Unspecified => panic!("{change:?}"),
            AccessScope::Project => true,
            // The role mapping is known from GetAccess only.
            AccessScope::RoleMapping => match &self.access {
                Ok(answer) => change.role_mappings.contains(&answer.access.as_ref().unwrap().role_mapping),
                Err(_) => true,
            },
            AccessScope::Org => change.org_id == org,
            AccessScope::User => change.user_id == user,
            AccessScope::Member => (&*change.org_id, &*change.user_id) == (org, user),
        }
    }
}

/// The field that every response has.
#[derive(Clone, PartialEq, Message)]
struct AnyResponse {
    #[prost(string, tag = "100")]
    revision: String,
}

#[test]
fn after_every_write_of_the_contract_a_cache_that_drops_what_a_watch_says_is_right() {
    let contract = Contract::read();
    on_both(async |server| {
        shop(server).await;
        let (mut all, mut of_acme) = (Watcher::begin(server, "", "").await, Watcher::begin(server, "acme", "").await);
        let mut kept = BTreeMap::new();
        for (org, user) in ORGS.into_iter().flat_map(|org| USERS.map(|user| (org, user))) {
            kept.insert((org, user), ask(server, org, user).await);
        }
        let writes: BTreeSet<&str> = contract.writes().map(|method| method.path.as_str()).collect();
        let (mut loud, mut silent, mut right) = (BTreeSet::new(), BTreeSet::new(), 0);
        let raw = server.raw().await;
        for (method, request) in requests(server).await {
            if !writes.contains(method) {
                continue;
            }
            let answer = raw.call(method, &request).await.unwrap_or_else(|status| panic!("{method}: {status:?}"));
            let number = Token::decode(&AnyResponse::decode(answer).unwrap().revision).unwrap().number;
            let (changes, acme) = (all.until(number).await, of_acme.until(number).await);
            let kind = method.rsplit('/').next().unwrap();
            assert!(changes.iter().all(|change| change.kind == kind), "{method}: {changes:?}");
            if changes.is_empty() { &mut silent } else { &mut loud }.insert(kind);
            assert!(acme.iter().all(|change| ["", "acme"].contains(&&*change.org_id)), "{acme:?}");
            for ((org, user), kept) in &mut kept {
                let fresh = ask(server, org, user).await;
                // A client that keeps only answers about acme watches only acme.
                let dropped = |changes: &[AccessChange]| changes.iter().any(|it| kept.is_concerned(org, user, it));
                if !dropped(&changes) || *org == "acme" && !dropped(&acme) {
                    assert_eq!(*kept, fresh, "{user} in {org} after {method}: {changes:?} {acme:?}");
                    right += 1;
                }
                *kept = fresh;
            }
        }
        println!("kept {right} answers; silent: {silent:?}; loud: {loud:?}");
        assert_eq!(silent, BTreeSet::from(SILENT));
        assert!(silent.is_disjoint(&loud), "{loud:?}");
        assert!(right > 500, "the cache kept only {right} answers");
    });
}
