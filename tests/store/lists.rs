//! Lists of orgs: complete, by pages, in one order on both databases. Pages of the largest size.

use rolecall::domain::commands::command::{RoleMappingEdits, Write};
use rolecall::domain::model::project::RoleStructure;
use rolecall::domain::model::refusal::Noun;
use rolecall::domain::rules::member_list::MemberFilter;
use rolecall::domain::{Command, OrgId, ProjectKey, RoleMappingName};
use rolecall::limits::PAGE_SIZE_MAX;
use rolecall::store::{ListMembers, ListOrgs, ListUserMemberships, OrgRow, ReadError};

use crate::desk::{Desk, create_mapping, create_org, create_project, key, mapping, rename_mapping, user, write_member};
use crate::on_both;
use crate::support::TestDatabase;

on_both! {
    ids_are_in_byte_order
    s3_orgs_are_listed_by_role_mapping
    the_largest_page_is_answered
}

/// Returns all pages of a list. One row more than `limit` means that another page follows.
pub async fn whole<T, K, E: std::fmt::Debug>(
    limit: u32,
    key: impl Fn(&T) -> K,
    mut page: impl AsyncFnMut(Option<K>) -> Result<Vec<T>, E>,
) -> Vec<T> {
    let mut all = Vec::new();
    loop {
        let rows = page(all.last().map(&key)).await.unwrap();
        assert!(rows.len() <= limit as usize + 1);
        let more = rows.len() > limit as usize;
        all.extend(rows.into_iter().take(limit as usize));
        if !more {
            return all;
        }
    }
}

pub fn listing(
    project: &ProjectKey,
    role_mapping: Option<&RoleMappingName>,
    after: Option<OrgId>,
    limit: u32,
) -> ListOrgs {
    ListOrgs { project: project.clone(), role_mapping: role_mapping.cloned(), ownerless: false, after, limit }
}

/// Returns all pages of a list of orgs.
async fn orgs(desk: &Desk, role_mapping: Option<&RoleMappingName>, limit: u32) -> Vec<OrgRow> {
    let page = async |after| {
        let page = desk.store.list_orgs(listing(&key("shop"), role_mapping, after, limit)).await?;
        assert_eq!(page.revision, desk.revision());
        Ok::<_, ReadError>(page.rows)
    };
    whole(limit, |row: &OrgRow| row.profile.org_id.clone(), page).await
}

async fn ids_are_in_byte_order(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let mut ids = ["b", "B", "a", "ä", "Z", "z", "_", "-", "ab", "a-b", "aB", "é", "e", "管", "0", "10", "9"];
    let mut commands = vec![create_project("shop", RoleStructure::SingleRole)];
    commands.extend(ids.iter().map(|id| create_org("shop", id, None)));
    desk.write(commands).await;
    ids.sort_unstable();
    for limit in [1, 2, 5, 100] {
        let orgs = orgs(&desk, None, limit).await;
        assert_eq!(orgs.iter().map(|row| row.profile.org_id.as_str()).collect::<Vec<_>>(), ids);
    }
}

async fn s3_orgs_are_listed_by_role_mapping(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let mut commands = vec![
        create_project("shop", RoleStructure::SingleRole),
        create_mapping("shop", "Paid", None, RoleMappingEdits::default()),
    ];
    let ids: Vec<String> = (0..20).map(|number| format!("org-{number:02}")).collect();
    let plan = |number: usize| if number.is_multiple_of(3) { Some("Paid") } else { None };
    commands.extend(ids.iter().enumerate().map(|(number, id)| create_org("shop", id, plan(number))));
    desk.write(commands).await;
    let paid = mapping("Paid");
    for limit in 1..=8 {
        let orgs = orgs(&desk, Some(&paid), limit).await;
        assert_eq!(orgs.len(), 7);
        assert!(orgs.iter().all(|row| row.role_mapping == paid));
        assert_eq!(&*orgs[0].profile.display_name, "The org org-00");
        assert_eq!(&*orgs[0].profile.metadata, r#"{"seats": 3}"#);
    }
    // Also by an old name (R3), which is looked up exactly (R1).
    desk.write(vec![rename_mapping("shop", "Paid", Some("Gold"), None)]).await;
    assert_eq!(orgs(&desk, Some(&paid), 100).await.len(), 7);
    for name in ["gold", "paid", "Free"] {
        let list = desk.store.list_orgs(listing(&key("shop"), Some(&mapping(name)), None, 1)).await;
        assert!(matches!(list, Err(ReadError::NotFound(Noun::RoleMapping, _))), "{name}");
    }
    let list = desk.store.list_orgs(listing(&key("none"), None, None, 1)).await;
    assert!(matches!(list, Err(ReadError::NotFound(Noun::Project, _))));
}

/// A page may have more rows than one statement can bind values.
async fn the_largest_page_is_answered(database: TestDatabase) {
    let mut desk = Desk::new(database).await;
    let names: Vec<String> = (0..=PAGE_SIZE_MAX).map(|number| format!("name-{number:04}")).collect();
    desk.write(vec![create_project("shop", RoleStructure::SingleRole)]).await;
    let commands = names.iter().flat_map(|name| {
        let ann = write_member("shop", name, "ann", Write::Add(Vec::new()));
        let others = write_member("shop", &names[0], name, Write::Add(Vec::new()));
        [create_org("shop", name, None), ann, others]
    });
    let commands: Vec<Command> = commands.collect();
    for group in commands.chunks(2_000) {
        desk.write(group.to_vec()).await;
    }
    let full = PAGE_SIZE_MAX as usize + 1;
    let page = desk.store.list_orgs(listing(&key("shop"), None, None, PAGE_SIZE_MAX)).await.unwrap();
    assert_eq!(page.rows.len(), full);
    let (at, project) = (desk.revision(), desk.state.project(&key("shop")).unwrap().clone());
    let org = project.org(&names[0]).unwrap().clone();
    let (now, limit) = (desk.now, PAGE_SIZE_MAX);
    let ask = ListUserMemberships {
        at,
        project: project.clone(),
        user_id: user("ann"),
        filter: MemberFilter::ALL,
        after: None,
        limit,
        now,
    };
    assert_eq!(desk.store.list_user_memberships(&ask).await.unwrap().len(), full);
    let ask = ListMembers { at, project, org, filter: MemberFilter::ALL, after: None, limit, now };
    assert_eq!(desk.store.list_members(&ask).await.unwrap().len(), full);
}
