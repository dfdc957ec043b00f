//! `rolecall bench`. No test depends on how fast it is.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Instant;

use rolecall::grpc::generated::role_mapping_service_client::RoleMappingServiceClient;
use rolecall::wire::{DisabledRoleStrategy, OnDisabled, UpdateRoleMappingRequest};
use serde_json::Value;

use crate::run::{PATIENCE, Server, both, output, rolecall};
use crate::support::postgres;

/// A run of a second or two.
const SMALL: [&str; 8] = ["--memberships", "2050", "--seconds", "0.1", "--rounds", "2", "--checks", "1000"];

fn bench(folder: &Path, args: &[&str]) -> Output {
    output(rolecall(folder).arg("bench").args(SMALL).args(args))
}

fn json(folder: &Path, args: &[&str]) -> Value {
    let finished = bench(folder, &[args, &["--json"]].concat());
    assert_eq!(finished.status.code(), Some(0), "{}", both(&finished));
    assert_eq!(String::from_utf8_lossy(&finished.stderr), "", "no progress without a terminal");
    serde_json::from_slice(&finished.stdout).unwrap()
}

/// Checks that a side was measured.
fn measured(side: &Value) {
    for field in ["calls_per_second", "checks_per_second", "p50_us", "p99_us", "p999_us"] {
        assert!(side[field].as_f64().is_some_and(|figure| figure > 0.0), "{field} of {side}");
    }
    for field in ["calls_per_cpu_second", "checks_per_cpu_second", "calls_per_client_cpu_second"] {
        assert!(side.get(field).is_some(), "{field} of {side}");
    }
}

#[test]
fn a_server_of_its_own_is_loaded_verified_and_measured_against_the_echo() {
    let folder = tempfile::tempdir().unwrap();
    let report = json(folder.path(), &["--against-echo", "--writes", "500", "--batch", "100", "--metrics", "both"]);
    assert_eq!(report["transport"], "tcp");
    let workload = &report["workloads"][0];
    assert_eq!(workload["memberships"], 2_050);
    for field in ["load_seconds", "load_memberships_per_second", "start_seconds"] {
        assert!(workload[field].as_f64().is_some_and(|figure| figure > 0.0), "{field} of {workload}");
    }
    for field in ["resident_bytes_after_load", "resident_bytes_after_start", "bytes_per_membership"] {
        assert!(workload.get(field).is_some(), "{field} of {workload}");
    }
    let calls = workload["calls"].as_array().unwrap();
    assert_eq!(calls.iter().map(|calls| calls["mode"].clone()).collect::<Vec<_>>(), ["batch", "check", "columns"]);
    for (calls, checks) in calls.iter().zip([1_000, 1_000, 10_000]) {
        assert_eq!(calls["checks_verified"], 2 * checks, "before and after the rounds: {calls}");
        for side in ["rolecall", "echo", "without_metrics", "with_writes"] {
            measured(&calls[side]);
        }
        assert!(calls.get("ratio_to_echo").is_some() && calls.get("ratio_with_writes").is_some(), "{calls}");
        assert!(calls.get("ratio_to_without_metrics").is_some(), "{calls}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "it leaves nothing");
}

#[test]
fn the_table_has_a_row_for_each_side_and_size() {
    let folder = tempfile::tempdir().unwrap();
    let args = ["bench", "--unix", "--mode", "check", "--against-echo", "--sizes", "1000,2000"];
    let finished = output(rolecall(folder.path()).args(args).args(&SMALL[2..]));
    let text = both(&finished);
    assert_eq!(finished.status.code(), Some(0), "{text}");
    for (size, of) in [("1,000", "rolecall"), ("1,000", "echo"), ("2,000", "rolecall"), ("2,000", "echo")] {
        let row = |line: &str| line.trim_start().starts_with(size) && line.split_whitespace().any(|word| word == of);
        assert_eq!(text.lines().filter(|line| row(line)).count(), 1, "{size} {of}: {text}");
    }
    assert!(text.contains("4,000 decisions verified, 0 wrong"), "{text}");
}

#[tokio::test]
async fn a_database_that_holds_the_workload_is_not_loaded_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut databases = vec!["sqlite://kept.db".to_string()];
    databases.extend(postgres::database().await);
    for database in databases {
        let args = ["--database", &database, "--mode", "batch"];
        assert!(json(folder.path(), &args)["workloads"][0]["load_seconds"].is_f64());
        let again = json(folder.path(), &args);
        assert!(again["workloads"][0]["load_seconds"].is_null(), "{again}");
        assert!(again["workloads"][0]["start_seconds"].is_f64(), "{again}");
    }
    let sizes = |database: &str| {
        let args = ["bench", "--sizes", "100,200", "--mode", "batch", "--database", database];
        both(&output(rolecall(folder.path()).args(args).args(&SMALL[2..])))
    };
    assert!(sizes("sqlite://s.db").contains("one database holds one size"), "{}", sizes("sqlite://s.db"));
    assert!(sizes("sqlite://s-{N}.db").contains("4,000 decisions verified"), "{}", sizes("sqlite://s-{N}.db"));
    assert!(folder.path().join("s-100.db").exists() && folder.path().join("s-200.db").exists());
}

#[test]
fn ready_made_requests_are_replayed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start::<&str>(folder.path(), &[]);
    // Two empty requests.
    std::fs::write(folder.path().join("requests"), [0; 10]).unwrap();
    let args = ["bench-replay", "--server", &server.address, "--path", "/grpc.health.v1.Health/Check"];
    let replay = |more: &[&str]| output(rolecall(folder.path()).args(args).args(["--requests", "requests"]).args(more));
    let kept = replay(&["--answers", "answers"]);
    assert_eq!(kept.status.code(), Some(0), "{}", both(&kept));
    // SERVING, twice.
    assert_eq!(std::fs::read(folder.path().join("answers")).unwrap(), [0, 0, 0, 0, 2, 8, 1].repeat(2));
    let finished = replay(&["--seconds", "0.1", "--checks-per-call", "10"]);
    let side: Value = serde_json::from_slice(&finished.stdout).unwrap();
    measured(&side);
}

#[tokio::test]
async fn a_running_server_is_measured_in_a_project_of_the_bench_only() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start::<&str>(folder.path(), &[]);
    let args = ["--server", &server.address, "--mode", "batch"];
    let pid = server.pid().to_string();
    let report = json(folder.path(), &[&args[..], &["--pid", &pid]].concat());
    let workload = &report["workloads"][0];
    assert!(workload["load_seconds"].is_f64() && workload["start_seconds"].is_null(), "{workload}");

    let refused = |more: &[&str], says: &[&str]| {
        let finished = bench(folder.path(), &[&args[..], more].concat());
        let text = both(&finished);
        assert_eq!(finished.status.code(), Some(2), "{text}");
        assert!(says.iter().all(|part| text.contains(part)), "{says:?}: {text}");
    };
    refused(&["--project", "default"], &["`default` was not made by `rolecall bench`", "--project"]);
    refused(&["--project", "No Key"], &["INVALID_ARGUMENT INVALID_FIELD"]);
    let other = ["bench", "--project", "bench-2050", "--memberships", "100"];
    let finished = output(rolecall(folder.path()).args(other).args(args));
    assert!(both(&finished).contains("holds another workload: seed 42, 2050 memberships"), "{}", both(&finished));

    // Another answer than the workload implies is wrong.
    let mut mappings = RoleMappingServiceClient::connect(format!("http://{}", server.address)).await.unwrap();
    let suspend = OnDisabled { strategy: DisabledRoleStrategy::Suspend.into(), ..Default::default() };
    let disabled = UpdateRoleMappingRequest {
        project: "bench-2050".into(),
        name: "enterprise".into(),
        disable_roles: vec!["admin".into()],
        on_disabled: Some(suspend),
        ..Default::default()
    };
    mappings.update_role_mapping(disabled).await.unwrap();
    let wrong = bench(folder.path(), &args);
    assert_eq!(wrong.status.code(), Some(1), "{}", both(&wrong));
    for part in ["of 1000 decisions are wrong:", "DECISION_ROLE_DISABLED and not DECISION_ALLOWED"] {
        assert!(both(&wrong).contains(part), "{}", both(&wrong));
    }
    assert_eq!(String::from_utf8_lossy(&wrong.stdout), "", "no rate without correct answers");
}

#[test]
fn an_interrupted_run_leaves_no_server_and_no_files() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = rolecall(folder.path());
    let mut running = command.args(["bench", "--memberships", "1000000"]).env("TMPDIR", folder.path()).spawn().unwrap();
    let began = Instant::now();
    let loading = || {
        let folders = std::fs::read_dir(folder.path()).unwrap();
        folders.flatten().any(|folder| folder.path().join("bench.db").exists())
    };
    while !loading() {
        assert!(began.elapsed() < PATIENCE, "it creates no database");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert!(Command::new("kill").args(["-TERM", &running.id().to_string()]).status().unwrap().success());
    assert_eq!(running.wait().unwrap().code(), Some(2));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "the temporary directory is removed");
}

#[test]
fn a_workload_of_files_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("mapping.tsv", "free\tboss\t0\tread,write\nfree\tguest\t1\tread\npro\tboss\t0\tread\npro\tguest\t0\tread\n"),
        ("orgs.tsv", "acme\tfree\nglobex\tpro\n"),
        ("members.tsv", "acme\tann\tboss\nacme\tbob\tguest\nglobex\tbob\tguest\n"),
        (
            "checks.tsv",
            "acme\tann\tboss\tfree\twrite\t1\nacme\tbob\tguest\tfree\tread\t0\nglobex\tbob\tguest\tpro\tread\t1\n",
        ),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let args = ["bench", "--workload", ".", "--json", "--mode", "batch", "--batch", "10"];
    let finished = output(rolecall(folder.path()).args(args).args(&SMALL[2..]));
    assert_eq!(finished.status.code(), Some(0), "{}", both(&finished));
    let report: Value = serde_json::from_slice(&finished.stdout).unwrap();
    assert_eq!(report["workloads"][0]["workload"], "files, 3 memberships in 2 orgs");

    std::fs::write(folder.path().join("orgs.tsv"), "acme\tgold\n").unwrap();
    let finished = output(rolecall(folder.path()).args(args));
    assert_eq!(finished.status.code(), Some(2), "{}", both(&finished));
    assert!(both(&finished).contains("line 1 of `./orgs.tsv`: its role mapping is not in mapping.tsv"));
}
