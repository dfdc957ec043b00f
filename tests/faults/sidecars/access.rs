//! What sidecars answer, and to whom.

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use rolecall::grpc::generated::check_service_client::CheckServiceClient;
use rolecall::grpc::generated::membership_service_client::MembershipServiceClient;
use rolecall::grpc::generated::org_service_client::OrgServiceClient;
use rolecall::grpc::generated::project_service_client::ProjectServiceClient;
use rolecall::grpc::generated::role_service_client::RoleServiceClient;
use rolecall::wire::{self, Decision, check_request::Question};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::{Fixture, add, has, is_member, reason, token};
use crate::processes::{Address, PATIENCE, Process};

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_refused_and_the_error_names_the_upstream() {
    let fixture = Fixture::new().await;
    let sidecar = fixture.sidecar(&[]).started().await;
    let channel = sidecar.channel();
    let org = wire::CreateOrgRequest { org_id: "globex".into(), ..Default::default() };
    let member = wire::AddMemberRequest { org_id: "acme".into(), user_id: "ann".into(), ..Default::default() };
    let role = wire::DeleteRoleRequest { name: "Admin".into(), ..Default::default() };
    let refused: Vec<Status> = vec![
        OrgServiceClient::new(channel.clone()).create_org(org).await.unwrap_err(),
        MembershipServiceClient::new(channel.clone()).add_member(member).await.unwrap_err(),
        RoleServiceClient::new(channel).delete_role(role).await.unwrap_err(),
    ];
    for status in refused {
        assert_eq!((status.code(), &*reason(&status)), (Code::FailedPrecondition, "SIDECAR_READ_ONLY"), "{status:?}");
        let metadata = status.get_details_error_info().unwrap().metadata;
        assert_eq!(metadata["upstream"], fixture.way_address());
    }
    assert!(!is_member(&sidecar, "ann").await.unwrap().0);
}

/// Asks for a role in a project. Returns the decision, or the reason of the error.
async fn ask(process: &Process, project: &str) -> Result<Decision, String> {
    let request = wire::CheckRequest {
        project: project.into(),
        org_id: if project == "workspace" { "team" } else { "acme" }.into(),
        user_id: "ann".into(),
        question: Some(Question::Role("Owner".into())),
        ..Default::default()
    };
    let answer = CheckServiceClient::new(process.channel()).check(request).await;
    answer.map(|answer| answer.into_inner().decision()).map_err(|status| reason(&status))
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_named_projects_are_followed_and_never_the_workspace() {
    let fixture = Fixture::new().await;
    let mut newest = None;
    for key in ["shop", "other"] {
        let project = wire::CreateProjectRequest {
            key: key.into(),
            environment: wire::Environment::Live as i32,
            ..Default::default()
        };
        ProjectServiceClient::new(fixture.server.channel()).create_project(project).await.unwrap();
        let org = wire::CreateOrgRequest {
            project: key.into(),
            org_id: "acme".into(),
            creator_user_id: "ann".into(),
            ..Default::default()
        };
        let answer = OrgServiceClient::new(fixture.server.channel()).create_org(org).await.unwrap();
        newest = Some(token(&answer.into_inner().revision));
    }
    let unknown = || Err("PROJECT_NOT_FOUND".to_owned());
    assert_eq!(ask(&fixture.server, "workspace").await, Ok(Decision::NotAMember));
    let one = fixture.sidecar(&["--projects", "shop"]).started().await;
    let upstreams = [fixture.way_address()];
    let all = Process::sidecar("all", &upstreams, Address::free(), fixture.folder(), &[]).started().await;
    for round in 0..2 {
        has(&one, newest.unwrap()).await;
        has(&all, newest.unwrap()).await;
        for project in ["shop", "other", "default"] {
            let expected = if project == "default" { Decision::NotAMember } else { Decision::Allowed };
            assert_eq!(ask(&all, project).await, Ok(expected), "{project}");
        }
        assert_eq!(ask(&one, "shop").await, Ok(Decision::Allowed));
        for project in ["other", "default", "workspace"] {
            assert_eq!(ask(&one, project).await, unknown(), "{project}");
        }
        assert_eq!(ask(&all, "workspace").await, unknown());
        // Commits of other projects are followed too, without their changes. And the file has no more than the memory.
        newest = Some(add(&fixture.server, &format!("user-{round}")).await);
        has(&one, newest.unwrap()).await;
        for sidecar in [&one, &all] {
            sidecar.kill();
            sidecar.start();
            sidecar.wait_until_answering().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_allowed_users_are_let_in() {
    let fixture = Fixture::new().await;
    let socket = fixture.folder().join("sidecar.sock");
    let me = rustix::process::getuid().as_raw();
    let others = format!("{},{}", me + 1, me + 2);
    let closed = fixture.sidecar_at(Address::Unix(socket.clone()), &["--allow-uid", &others]);
    closed.start();
    let deadline = Instant::now() + PATIENCE;
    loop {
        let refused = closed.info().await.expect_err("this user is not let in");
        if reason(&refused) == "UID_NOT_ALLOWED" {
            assert_eq!(refused.code(), Code::PermissionDenied);
            break;
        }
        assert!(Instant::now() < deadline, "{refused:?} {}", closed.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let refused = is_member(&closed, "ann").await.unwrap_err();
    assert_eq!(reason(&refused), "UID_NOT_ALLOWED", "{refused:?}");
    closed.kill();
    let open = fixture.sidecar_at(Address::Unix(socket), &["--allow-uid", &format!("{others},{me}")]).started().await;
    assert!(!is_member(&open, "ann").await.unwrap().0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_socket_has_the_mode_that_was_asked_for() {
    let fixture = Fixture::new().await;
    let socket = fixture.folder().join("sidecar.sock");
    for (asked, mode) in [(None, 0o660), (Some("0600"), 0o600), (Some("0666"), 0o666)] {
        let arguments: Vec<&str> = asked.map(|mode| ["--socket-mode", mode]).into_iter().flatten().collect();
        let sidecar = fixture.sidecar_at(Address::Unix(socket.clone()), &arguments).started().await;
        assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, mode);
        // The file has user ids: nobody else reads it, whatever the mode of the socket is.
        let file = std::fs::metadata(fixture.folder().join("sidecar.snapshot")).unwrap();
        assert_eq!(file.permissions().mode() & 0o777, 0o600);
        sidecar.kill();
    }
}
