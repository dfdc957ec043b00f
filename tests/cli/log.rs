//! `rolecall log`: A1, A2.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::mpsc::{self, Receiver};

use rolecall::grpc::generated::org_service_client::OrgServiceClient;
use rolecall::wire::CreateOrgRequest;
use serde_json::Value;

use crate::ask::Demo;
use crate::lifecycle::channel;
use crate::run::{PATIENCE, Server, output, rolecall, serve};

#[test]
fn a2_the_log_shows_the_newest_events_last() {
    let demo = Demo::start(&[]);
    let all = demo.says(0, &["log", "-n", "1000"]);
    let globex = "  created org globex: display name Globex Corporation; role mapping Paid  \"example data\"\n";
    assert!(all.contains(&format!("demo  CreateOrg{globex}")), "{all}");
    assert!(all.contains("\n    created membership of bob in globex: roles Billing Manager; origin DIRECT\n"), "{all}");
    assert!(all.contains("demo for ann  CreateInvitation"), "{all}");
    assert!(all.contains("changed subscription of acme: role mapping Paid → Free"), "{all}");
    assert!(all.contains("system  CreateProject"), "{all}");
    assert_eq!(demo.says(0, &["log", "--maintenance", "-n", "1000"]), all, "nothing was purged yet");
    // A line that is not indented begins an event.
    let times = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.starts_with(' ')).map(|line| line[..20].to_string()).collect()
    };
    assert!(times(&all).is_sorted());
    let three = demo.says(0, &["log", "-n", "3"]);
    assert_eq!(times(&three).len(), 3);
    assert!(all.ends_with(&three), "{three}");
    assert_eq!(demo.says(0, &["log", "--since", "1h"]), all);
    assert_eq!(demo.says(0, &["log", "--all-projects", "-n", "1", "--json"]).lines().count(), 1);

    let of_bob = demo.says(0, &["log", "--user", "bob", "--org", "globex"]);
    assert!(of_bob.contains("created membership of bob in globex: roles Billing Manager"), "{of_bob}");
    let json = demo.says(0, &["log", "--kind", "AddMember", "--kind", "CreateOrg", "--json", "-n", "100"]);
    let events: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().all(|event| event["actor"] == "demo" && event["type"] == "EVENT_TYPE_COMMIT"));
    let org = events.iter().find(|event| event["kind"] == "CreateOrg").unwrap();
    assert_eq!(org["changes"][0]["noun"], "org", "{org}");
    assert_eq!(org["changes"][0]["action"], "EVENT_ACTION_CREATED", "{org}");
    assert_eq!(org["reason"], "example data", "{org}");

    let nothing = demo.ask(&["log", "--until", "2020-01-01T00:00:00Z"]);
    assert_eq!((nothing.status.code(), &*nothing.stdout), (Some(0), &b""[..]));
    demo.refuses(&["log", "--org", "nowhere"], &["NOT_FOUND ORG_NOT_FOUND: "]);
    demo.refuses(&["log", "--project", "nowhere"], &["NOT_FOUND PROJECT_NOT_FOUND: "]);
    for wrong in [&["log", "--since", "soon"][..], &["log", "--all-projects", "--org", "acme"], &["log", "--kind"]] {
        assert_eq!(demo.ask(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

/// Waits for a line that contains a text.
fn wait_for(lines: &Receiver<String>, text: &str) -> String {
    loop {
        let line = lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("`{text}` does not come"));
        if line.contains(text) {
            return line;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a2_following_survives_a_restart_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start::<&str>(folder.path(), &[]);
    let create = async |server: &Server, org_id: &str| {
        let request = CreateOrgRequest { org_id: org_id.into(), ..Default::default() };
        OrgServiceClient::new(channel(server).await).create_org(request).await.unwrap();
    };
    create(&server, "before").await;
    let mut follower = rolecall(folder.path())
        .args(["log", "--follow", "--server", &server.address])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = |pipe: Box<dyn std::io::Read + Send>| {
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            BufReader::new(pipe).lines().map_while(Result::ok).for_each(|line| _ = sender.send(line));
        });
        lines
    };
    let shown = lines(Box::new(follower.stdout.take().unwrap()));
    let notes = lines(Box::new(follower.stderr.take().unwrap()));
    wait_for(&shown, "created org before");
    create(&server, "meanwhile").await;
    wait_for(&shown, "created org meanwhile");
    let address = server.address.clone();
    server.stop();
    wait_for(&notes, "waiting");
    let server = Server::listening(serve(folder.path()).args(["--listen", &address]));
    create(&server, "after").await;
    let line = shown.recv_timeout(PATIENCE).unwrap();
    assert!(line.contains("created org after"), "nothing is repeated: {line}");
    follower.kill().unwrap();
    follower.wait().unwrap();
    let finished = output(rolecall(folder.path()).args(["log", "--server", &server.address]));
    assert_eq!(String::from_utf8_lossy(&finished.stdout).matches("  CreateOrg  ").count(), 3);
}
