//! A SQLite file that is full, removed, replaced, or reached by two names.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use rolecall::domain::ProjectKey;
use rolecall::server::Running;
use rolecall::store::{Store, StoreError};
use rolecall::writer::Failure;

use crate::database::{create_org, serve, serving, wait_until};
use crate::support::postgres::{run, skipped};
use crate::support::sqlite;

fn knows(server: &Running, org: &str) -> bool {
    let state = server.app.engine.pin();
    state.state.project(&ProjectKey::default_project()).is_some_and(|project| project.org(org).is_some())
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    PathBuf::from(format!("{}{ending}", file.display()))
}

/// Set in the process that runs a test as root of its own namespace.
const IN_A_NAMESPACE: &str = "ROLECALL_TEST_IN_A_NAMESPACE";

/// Mounts. False if this process may not. Then the test has run in another process that may, or is skipped.
fn mounted(mut mount: Command) -> bool {
    if mount.output().is_ok_and(|done| done.status.success()) {
        return true;
    }
    let mut unshare = Command::new("unshare");
    let may_unshare = unshare.args(["-Urm", "true"]).output().is_ok_and(|done| done.status.success());
    if std::env::var_os(IN_A_NAMESPACE).is_some() || !may_unshare {
        skipped("this process may neither mount nor run in a namespace where it may (`unshare -Urm`)");
        return false;
    }
    let test = std::thread::current();
    let mut again = Command::new("unshare");
    again.arg("-Urm").arg(std::env::current_exe().unwrap()).args(["--exact", test.name().unwrap(), "--nocapture"]);
    run(again.env(IN_A_NAMESPACE, "true"));
    false
}

/// A small file system in memory.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` as [`mounted`] says.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=4m", "rolecall-test"]).arg(folder.path());
        mounted(mount).then_some(Self(folder))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file until nothing is free.
    fn fill(&self) {
        use std::io::Write;
        let mut file = std::fs::File::create(self.path("filler")).unwrap();
        while file.write_all(&[7; 4_096]).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mounted_file_is_refused() {
    let database = sqlite();
    serve(&database.url).await.unwrap().stop().await;
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("rolecall.db");
    std::fs::write(&other, "").unwrap();
    let mut mount = Command::new("mount");
    mount.arg("--bind").arg(database.file().unwrap()).arg(&other);
    if !mounted(mount) {
        return;
    }
    let error = Store::open(&format!("sqlite://{}", other.display())).await.err();
    Command::new("umount").arg(&other).status().unwrap();
    assert!(matches!(error, Some(StoreError::MountPoint(_))), "{error:?}");
    serve(&database.url).await.unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writing_goes_on_once_a_full_disk_is_freed() {
    let Some(disk) = SmallDisk::mount() else { return };
    let url = format!("sqlite://{}", disk.path("rolecall.db").display());
    let server = serve(&url).await.unwrap();
    let mut stored = Vec::new();
    for round in 0..3 {
        disk.fill();
        let mut refused = Vec::new();
        for number in 0..2_000 {
            let org = format!("org-{round}-{number}");
            match create_org(&server, &org).await {
                Ok(_) => stored.push(org),
                Err(Failure::NoSpace) => refused.push(org),
                Err(failure) => panic!("{org}: {failure:?}"),
            }
            if refused.len() == 5 {
                break;
            }
        }
        assert_eq!(refused.len(), 5, "the disk was not full");
        assert!(refused.iter().all(|org| !knows(&server, org)));
        std::fs::remove_file(disk.path("filler")).unwrap();
        let org = format!("freed-{round}");
        create_org(&server, &org).await.unwrap();
        stored.push(org);
        create_org(&server, &refused[0]).await.unwrap();
        stored.push(refused.swap_remove(0));
        wait_until("the server is healthy", async || serving(&server, "").await).await;
        let loaded = server.app.store.load(server.app.engine.pin().state.hash_key().clone()).await.unwrap();
        assert!(*server.app.engine.pin().state == loaded, "round {round}");
    }
    server.stop().await;
    let server = serve(&url).await.unwrap();
    assert!(stored.iter().all(|org| knows(&server, org)));
    server.stop().await;
}

/// Serves a file, changes the files, and expects that writes are refused and health says so until the change is undone.
async fn is_noticed(change: impl Fn(&Path), undo: impl Fn(&Path)) {
    let database = sqlite();
    let file = database.file().unwrap();
    let server = serve(&database.url).await.unwrap();
    create_org(&server, "before").await.unwrap();
    change(&file);
    let error = create_org(&server, "lost").await.err();
    assert!(matches!(error, Some(Failure::Unavailable)), "{error:?}");
    wait_until("health says so", async || !serving(&server, "rolecall.v1.OrgService").await).await;
    undo(&file);
    wait_until("health says so", async || serving(&server, "rolecall.v1.OrgService").await).await;
    create_org(&server, "after").await.unwrap();
    server.stop().await;
    let server = serve(&database.url).await.unwrap();
    assert!(knows(&server, "before") && knows(&server, "after") && !knows(&server, "lost"));
    server.stop().await;
}

fn move_away(file: &Path) {
    std::fs::rename(file, beside(file, ".away")).unwrap();
}

fn move_back(file: &Path) {
    std::fs::rename(beside(file, ".away"), file).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_file_is_noticed() {
    is_noticed(move_away, move_back).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_file_is_noticed() {
    let replace = |file: &Path| {
        move_away(file);
        std::fs::copy(beside(file, ".away"), file).unwrap();
    };
    is_noticed(replace, move_back).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_log_is_noticed() {
    is_noticed(|file| move_away(&beside(file, "-wal")), |file| move_back(&beside(file, "-wal"))).await;
}

/// Without a write, too.
#[tokio::test(flavor = "multi_thread")]
async fn health_notices_a_removed_file() {
    let database = sqlite();
    let server = serve(&database.url).await.unwrap();
    let began = Instant::now();
    std::fs::remove_file(database.file().unwrap()).unwrap();
    wait_until("health says so", async || !serving(&server, "rolecall.v1.OrgService").await).await;
    println!("noticed after {:?}", began.elapsed());
    server.stop().await;
}

#[tokio::test]
async fn a_file_with_two_names_is_refused() {
    let database = sqlite();
    let file = database.file().unwrap();
    let first = Store::open(&database.url).await.unwrap();
    let link = file.with_file_name("link.db");
    std::fs::hard_link(&file, &link).unwrap();
    let other = format!("sqlite://{}", link.display());
    let error = Store::open(&other).await.err().unwrap();
    assert!(matches!(error, StoreError::HardLinks(_)), "{error}");
    first.close().await;
    assert!(matches!(Store::open(&database.url).await.err(), Some(StoreError::HardLinks(_))));
    std::fs::remove_file(link).unwrap();
    Store::open(&database.url).await.unwrap().close().await;
}
