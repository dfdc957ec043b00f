//! The numbers of a project and the activity of its orgs: U4, I3.

use rolecall::domain::ProjectKey;
use rolecall::domain::model::time::{Day, Time};
use rolecall::wire::{self, Decision, check_request::Question, consistency::Requirement};

use crate::fixture::{Project, micros, role, roles, soon, suspending, temporary, texts, wait_until};
use crate::refusals::refused;
use crate::server::{Server, on_both};

impl Project<'_> {
    async fn insights(&self) -> wire::GetInsightsResponse {
        let request = wire::GetInsightsRequest { project: self.key.into(), consistency: None };
        self.server.get_insights(request).await.unwrap()
    }

    /// Returns the orgs that were active in the last 7 days, so that a test may pass midnight.
    async fn active(&self) -> i32 {
        self.insights().await.weekly_active_orgs
    }

    /// Stores a day of activity as another server would.
    async fn store_activity(&self, org_id: &str, day: Day) {
        let app = self.server.app();
        let key = if self.key.is_empty() { "default" } else { self.key };
        let published = app.engine.pin();
        let project = published.state.project(&ProjectKey::stored(key.to_string())).unwrap();
        let org = project.org(org_id).unwrap().no;
        app.store.write_activity(project.id, day, &[org]).await.unwrap();
    }
}

/// Creates orgs that each have the member ann, who may read, and the internal member sam, who may too.
async fn orgs<'a>(server: &'a Server, orgs: &[&str]) -> Project<'a> {
    let project = server.single();
    project.permission("read").await;
    project.internal_role("Support").await;
    for role in ["Member", "Support"] {
        project.grant("Default", role, &["read"]).await;
    }
    for org in orgs {
        project.org(org, "").await;
        project.add(org, "ann", &roles(&["Member"])).await;
        project.add(org, "sam", &roles(&["Support"])).await;
    }
    project
}

#[test]
fn u4_counts_orgs_visible_and_internal_members_by_what_they_hold() {
    on_both(async |server| {
        let project = orgs(server, &["acme", "globex"]).await;
        let expiry = soon();
        project.add("acme", "tom", &[temporary("Member", expiry)]).await;
        project.add("acme", "tess", &[temporary("Support", expiry)]).await;
        // Internal once the visible role has expired.
        project.add("acme", "lee", &[role("Support"), temporary("Member", expiry)]).await;
        let before = project.insights().await;
        if micros(before.evaluated_at.as_ref().unwrap()) < micros(&expiry) {
            assert_eq!((before.orgs, before.visible_members, before.internal_members), (2, 4, 3));
        }
        wait_until(&expiry).await;
        let after = project.insights().await;
        assert_eq!((after.orgs, after.visible_members, after.internal_members), (2, 2, 3));
        // Suspended roles are held, and a block removes nobody.
        let request = wire::UpdateRoleMappingRequest {
            disable_roles: texts(&["Support"]),
            on_disabled: suspending(),
            ..project.updating("Default")
        };
        server.update_role_mapping(request).await.unwrap();
        server.block_user(wire::BlockUserRequest { user_id: "ann".into(), ..Default::default() }).await.unwrap();
        let after = project.insights().await;
        assert_eq!((after.visible_members, after.internal_members), (2, 3));
        project.delete_org("globex").await;
        let after = project.insights().await;
        assert_eq!((after.orgs, after.visible_members, after.internal_members), (1, 1, 2));
        let multi = server.multi().await.insights().await;
        assert_eq!((multi.orgs, multi.visible_members, multi.internal_members), (0, 0, 0));
        let unknown = wire::GetInsightsRequest { project: "nowhere".into(), consistency: None };
        refused(server.get_insights(unknown).await, "PROJECT_NOT_FOUND");
    });
}

#[test]
fn u4_an_allowed_check_of_any_question_makes_the_org_active_and_a_denied_one_does_not() {
    let one = || wire::PermissionList { permissions: texts(&["read"]) };
    let questions = [
        Question::Permission("read".into()),
        Question::Role("Member".into()),
        Question::AtLeastRole("Member".into()),
        Question::AllOf(one()),
        Question::AnyOf(one()),
    ];
    on_both(async |server| {
        let project = orgs(server, &["a", "b", "c", "d", "e", "quiet"]).await;
        for (org, permission) in [("a", "fly"), ("a", "rolecall::can_invite"), ("nowhere", "read")] {
            assert_ne!(project.check(org, "ann", permission).await, Decision::Allowed);
        }
        assert_ne!(project.check("a", "nobody", "read").await, Decision::Allowed);
        assert_eq!(project.active().await, 0);
        let before = server.head().await;
        for (at, question) in questions.iter().enumerate() {
            let org = ["a", "b", "c", "d", "e"][at];
            assert_eq!(project.ask(org, "ann", question.clone()).await, Decision::Allowed);
            assert_eq!(project.ask(org, "ann", question.clone()).await, Decision::Allowed);
            assert_eq!(project.active().await, at as i32 + 1, "{question:?}");
        }
        assert_eq!(server.head().await, before, "activity has no revision");
        let multi = server.multi().await;
        assert_eq!(multi.active().await, 0, "of another project");
    });
}

#[test]
fn u4_a_batch_makes_the_orgs_of_its_allowed_items_active() {
    on_both(async |server| {
        let project = orgs(server, &["a", "b", "c", "d"]).await;
        let item = |org: &str, user: &str, permission: &str| wire::CheckItem {
            org_id: org.into(),
            user_id: user.into(),
            permission: permission.into(),
        };
        let items = vec![
            item("a", "ann", "read"),
            item("b", "ann", "fly"),
            item("", "ann", ""),
            item("c", "sam", "read"),
            item("a", "ann", "read"),
            item("d", "nobody", "read"),
        ];
        let batch = |no_activity| wire::BatchCheckRequest {
            items: items.clone(),
            defaults: Some(item("d", "", "read")),
            no_activity,
            ..Default::default()
        };
        server.batch_check(batch(true)).await.unwrap();
        assert_eq!(project.active().await, 0);
        let decisions: Vec<_> = server.batch_check(batch(false)).await.unwrap().decisions().collect();
        assert_eq!(
            (decisions[0], decisions[2], decisions[3]),
            (Decision::Allowed, Decision::Allowed, Decision::Allowed)
        );
        assert_eq!(project.active().await, 2, "a and d");
    });
}

#[test]
fn u4_no_activity_and_questions_beside_checks_make_no_org_active() {
    on_both(async |server| {
        let project = orgs(server, &["acme"]).await;
        let request = wire::CheckRequest { no_activity: true, ..project.asking("acme", "ann", "read") };
        assert!(server.check(request).await.unwrap().allowed);
        let explain = wire::ExplainRequest {
            org_id: "acme".into(),
            user_id: "ann".into(),
            question: Some(wire::explain_request::Question::Permission("read".into())),
            ..Default::default()
        };
        assert!(server.explain(explain).await.unwrap().allowed);
        let access = wire::GetAccessRequest { org_id: "acme".into(), user_id: "ann".into(), ..Default::default() };
        server.get_access(access).await.unwrap();
        assert_eq!(project.active().await, 0);
        // A revision that the answer must reach is no past revision: the check is of the present.
        let at_least = Some(wire::Consistency { requirement: Some(Requirement::AtLeast(server.token().await)) });
        let request = wire::CheckRequest { consistency: at_least, ..project.asking("acme", "ann", "read") };
        assert!(server.check(request).await.unwrap().allowed);
        assert_eq!(project.active().await, 1);
    });
}

#[test]
fn i3_internal_members_never_make_an_org_active() {
    on_both(async |server| {
        let project = orgs(server, &["acme", "globex"]).await;
        let expiry = soon();
        project.add("acme", "lee", &[role("Support"), temporary("Member", expiry)]).await;
        wait_until(&expiry).await;
        for user in ["sam", "lee"] {
            assert_eq!(project.check("acme", user, "read").await, Decision::Allowed, "{user}");
        }
        assert_eq!(project.active().await, 0);
        // A temporary internal role overrides the visible one, which is then not live (B5).
        project.add("globex", "tom", &[role("Member"), temporary("Support", crate::fixture::in_an_hour())]).await;
        assert_eq!(project.check("globex", "tom", "read").await, Decision::Allowed);
        assert_eq!(project.active().await, 0);
        // Members with both kinds are visible, whichever role allows it.
        let multi = server.multi().await;
        multi.internal_role("Support").await;
        multi.permission("read").await;
        multi.grant("Default", "Support", &["read"]).await;
        multi.org("acme", "").await;
        multi.add("acme", "sam", &roles(&["Support"])).await;
        assert_eq!(multi.check("acme", "sam", "read").await, Decision::Allowed);
        assert_eq!(multi.active().await, 0);
        multi.add("acme", "lee", &roles(&["Support", "Member"])).await;
        assert_eq!(multi.check("acme", "lee", "read").await, Decision::Allowed);
        assert_eq!(multi.active().await, 1);
    });
}

#[test]
fn u4_a_day_is_to_be_written_until_it_is_written_and_then_noted_no_more() {
    on_both(async |server| {
        let project = orgs(server, &["acme", "globex"]).await;
        let app = server.app();
        let activity = &app.engine.activity;
        let check = async |org| assert_eq!(project.check(org, "ann", "read").await, Decision::Allowed);
        // Checks need no database. What cannot be written is kept.
        app.store.clone().close().await;
        check("acme").await;
        check("acme").await;
        let [(id, acme, day)] = activity.unwritten()[..] else { panic!("{:?}", activity.unwritten()) };
        check("globex").await;
        assert_eq!(activity.unwritten().len(), 2);
        activity.written(&[(id, acme, day.minus(1))]);
        assert_eq!(activity.unwritten().len(), 2, "the day has changed since");
        activity.written(&[(id, acme, day)]);
        assert_eq!(activity.unwritten().len(), 1);
        check("acme").await;
        if rolecall::clock::now().day() == day {
            assert_eq!(activity.unwritten().len(), 1);
        }
        // In another history the numbers may be those of other orgs.
        let published = app.engine.pin();
        let state = rolecall::domain::State::clone(&published.state);
        app.engine.replace(published.state.revision(), app.engine.store_id(), state, &[]);
        assert_eq!(activity.unwritten(), []);
        check("acme").await;
        assert_eq!(activity.unwritten().len(), 1);
    });
}

#[test]
fn u4_activity_survives_a_restart() {
    on_both(async |server| {
        let project = orgs(server, &["acme", "globex", "initech"]).await;
        assert_eq!(project.check("acme", "ann", "read").await, Decision::Allowed);
        assert_eq!(project.check("globex", "ann", "read").await, Decision::Allowed);
        let before = project.insights().await;
        let server = server.restarted().await;
        let project = server.single();
        let after = project.insights().await;
        assert_eq!(after.monthly_active_orgs, 2);
        assert_eq!((before.weekly_active_orgs, &before.revision), (2, &after.revision));
        assert_eq!(project.check("acme", "ann", "read").await, Decision::Allowed);
        assert_eq!(project.check("initech", "ann", "read").await, Decision::Allowed);
        assert_eq!(project.active().await, 3);
    });
}

#[test]
fn u4_orgs_are_active_in_the_last_1_7_and_30_days_by_utc() {
    on_both(async |server| {
        let ages = [0, 1, 6, 7, 29, 30];
        let names = ["today", "yesterday", "week", "eight", "month", "old"];
        let project = orgs(server, &names).await;
        let today = |answer: &wire::GetInsightsResponse| Time(micros(answer.evaluated_at.as_ref().unwrap())).day();
        let before = today(&project.insights().await);
        for (name, age) in names.iter().zip(ages) {
            project.store_activity(name, before.minus(age)).await;
        }
        let counted = project.insights().await;
        let windows = [counted.daily_active_orgs, counted.weekly_active_orgs, counted.monthly_active_orgs];
        if today(&counted) == before {
            assert_eq!(windows, [1, 3, 5]);
        }
        // A server whose clock is behind never takes a later day away.
        project.store_activity("today", before.minus(40)).await;
        project.store_activity("week", before.minus(20)).await;
        project.store_activity("old", before.minus(3)).await;
        let counted = project.insights().await;
        let windows = [counted.daily_active_orgs, counted.weekly_active_orgs, counted.monthly_active_orgs];
        if today(&counted) == before {
            assert_eq!(windows, [1, 4, 6]);
        }
    });
}

#[test]
fn u4_activity_goes_with_its_org_and_a_new_org_has_none() {
    on_both(async |server| {
        let project = orgs(server, &["acme", "globex"]).await;
        for org in ["acme", "globex"] {
            assert_eq!(project.check(org, "ann", "read").await, Decision::Allowed);
        }
        let (app, today) = (server.app(), rolecall::clock::now().day());
        let state = app.engine.pin();
        let default = state.state.project(&ProjectKey::default_project()).unwrap();
        let acme = default.org("acme").unwrap().no;
        project.store_activity("acme", today).await;
        let stored = async || {
            let rows = app.store.active_orgs(default.id, today.minus(30)).await.unwrap();
            rows.iter().any(|(org, _)| *org == acme)
        };
        assert!(stored().await);
        project.delete_org("acme").await;
        assert_eq!(project.active().await, 1);
        server.settled().await;
        assert!(!stored().await, "purged with its org");
        // A server that has not seen the deletion stores nothing for it.
        app.store.write_activity(default.id, today, &[acme]).await.unwrap();
        assert!(!stored().await);
        let request = wire::CreateOrgRequest {
            org_id: "acme".into(),
            creator_user_id: "ann".into(),
            reuse_deleted_id: true,
            ..Default::default()
        };
        server.create_org(request).await.unwrap();
        assert_eq!(project.active().await, 1);
        assert_eq!(project.check("acme", "ann", "rolecall::can_delete_org").await, Decision::Allowed);
        assert_eq!(project.active().await, 2);
    });
}

#[test]
fn u4_activity_of_a_deleted_project_is_purged() {
    on_both(async |server| {
        let project = server.multi().await;
        project.org_with_owner("acme", "ann").await;
        let (app, today) = (server.app(), rolecall::clock::now().day());
        project.store_activity("acme", today).await;
        let id = app.project_id(&ProjectKey::stored("multi".to_string())).unwrap();
        assert_eq!(app.store.active_orgs(id, today).await.unwrap().len(), 1);
        let request = wire::DeleteProjectRequest {
            project: "multi".into(),
            confirm: "multi".into(),
            force: true,
            ..Default::default()
        };
        server.delete_project(request).await.unwrap();
        server.settled().await;
        assert_eq!(app.store.active_orgs(id, today).await.unwrap(), []);
    });
}
