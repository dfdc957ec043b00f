//! Lists that keep the database busy: they do not delay checks, health and other projects.

use std::time::{Duration, Instant};

use rolecall::grpc::generated::membership_service_client::MembershipServiceClient;
use rolecall::grpc::generated::subscription_service_client::SubscriptionServiceClient;
use rolecall::limits::{LISTS_PER_PROJECT_MAX, Limits, TURNS_WAITING_MAX};
use rolecall::wire::{self, Decision, consistency::Requirement};
use sea_orm::{ConnectionTrait, Database, TransactionTrait};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use crate::fixture::suspending;
use crate::server::Server;
use crate::support::on_postgres;

const PATIENCE: Duration = Duration::from_secs(30);
const PREVIEWS: usize = 20;

#[test]
fn k4_lists_delay_neither_the_newest_revision_nor_health_nor_other_projects() {
    on_postgres(async |database| {
        let here = Server::start(database.url.clone(), Limits::default()).await;
        let there = Server::start(database.url.clone(), Limits::default()).await;
        let project = here.single();
        project.org("acme", "").await;
        let other = here.multi().await;
        project.add("acme", "ann", &[]).await;
        let check = |org_id: &str, requirement| wire::CheckRequest {
            consistency: Some(wire::Consistency { requirement: Some(requirement) }),
            ..project.asking(org_id, "ann", "rolecall::can_view_other_members")
        };
        assert!(there.check(check("acme", Requirement::Latest(true))).await.unwrap().allowed);
        // Lists of members now wait until the lock is released, as a slow list would.
        let direct = Database::connect(&database.url).await.unwrap();
        let lock = direct.begin().await.unwrap();
        lock.execute_unprepared("LOCK TABLE memberships IN ACCESS EXCLUSIVE MODE").await.unwrap();
        let list = wire::ListMembersRequest { org_id: "acme".into(), ..Default::default() };
        let mut lists = tokio::task::JoinSet::new();
        for _ in 0..LISTS_PER_PROJECT_MAX + TURNS_WAITING_MAX + 20 {
            let (channel, list) = (there.channel.clone(), list.clone());
            lists.spawn(async move { MembershipServiceClient::new(channel).list_members(list).await });
        }
        // The lists that find no place are refused.
        for _ in 0..20 {
            let refused = lists.join_next().await.unwrap().unwrap().unwrap_err();
            assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
        }
        let created = here.create_org(wire::CreateOrgRequest { org_id: "late".into(), ..Default::default() }).await;
        let revision = created.unwrap().revision;
        for requirement in [Requirement::AtLeast(revision), Requirement::Latest(true)] {
            assert_eq!(there.check(check("late", requirement)).await.unwrap().decision(), Decision::NotAMember);
        }
        let orgs = wire::ListOrgsRequest { project: other.key.into(), ..Default::default() };
        there.list_orgs(orgs).await.unwrap();
        // Longer than the pause between two looks at the database.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let health = HealthClient::new(there.channel.clone()).check(HealthCheckRequest::default()).await.unwrap();
        assert_eq!(health.into_inner().status(), ServingStatus::Serving);
        lock.rollback().await.unwrap();
        while let Some(answer) = lists.join_next().await {
            assert_eq!(answer.unwrap().unwrap().into_inner().members.len(), 1);
        }
        direct.close().await.unwrap();
    });
}

/// A preview names members from the database (R9.d).
#[test]
fn r9_previews_of_one_project_delay_no_list_of_another() {
    on_postgres(async |database| {
        let server = Server::start(database.url.clone(), Limits::default()).await;
        let project = server.single();
        for permission in ["sell", "buy"] {
            project.permission(permission).await;
        }
        project.mapping("Paid").await;
        project.mapping("Free").await;
        project.grant("Paid", "Member", &["sell"]).await;
        project.org("acme", "Paid").await;
        project.add("acme", "ann", &crate::fixture::roles(&["Member"])).await;
        let other = server.multi().await;
        let direct = Database::connect(&database.url).await.unwrap();
        let lock = direct.begin().await.unwrap();
        lock.execute_unprepared("LOCK TABLE memberships IN ACCESS EXCLUSIVE MODE").await.unwrap();
        let preview = wire::SubscribeOrgRequest {
            validate_only: true,
            on_disabled: suspending(),
            ..project.moving("acme", "Free")
        };
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..PREVIEWS {
            let (channel, preview) = (server.channel.clone(), preview.clone());
            calls.spawn(async move {
                let answer = SubscriptionServiceClient::new(channel).subscribe_org(preview).await?.into_inner();
                Ok::<_, Status>(answer.impact.unwrap().sample[0].user_id.clone())
            });
        }
        let waiting = "SELECT count(*) FROM pg_stat_activity
             WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let waiting = sea_orm::Statement::from_string(sea_orm::DbBackend::Postgres, waiting);
        let reading = async || {
            let row = direct.query_one_raw(waiting.clone()).await.unwrap().unwrap();
            row.try_get_by_index::<i64>(0).unwrap() as usize
        };
        let began = Instant::now();
        while reading().await < LISTS_PER_PROJECT_MAX {
            assert!(began.elapsed() < PATIENCE, "{} previews read", reading().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // No more calls read or wait than may, so the rest is refused.
        for _ in 0..LISTS_PER_PROJECT_MAX + TURNS_WAITING_MAX {
            let channel = server.channel.clone();
            let list = wire::ListMembersRequest { org_id: "acme".into(), ..Default::default() };
            calls.spawn(async move {
                let answer = MembershipServiceClient::new(channel).list_members(list).await?.into_inner();
                Ok(answer.members[0].user_id.clone())
            });
        }
        for _ in 0..PREVIEWS {
            let refused = tokio::time::timeout(PATIENCE, calls.join_next()).await.expect("the rest is refused");
            let refused = refused.unwrap().unwrap().unwrap_err();
            assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
        }
        assert_eq!(reading().await, LISTS_PER_PROJECT_MAX);
        let orgs = wire::ListOrgsRequest { project: other.key.into(), ..Default::default() };
        server.list_orgs(orgs).await.unwrap();
        lock.rollback().await.unwrap();
        while let Some(answer) = calls.join_next().await {
            assert_eq!(answer.unwrap().unwrap(), "ann");
        }
        direct.close().await.unwrap();
    });
}
