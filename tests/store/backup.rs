//! Backups: taken while writes go on, restored into both databases, and refused if they are damaged.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rolecall::domain::model::event::Denial;
use rolecall::domain::model::id::OrgNo;
use rolecall::domain::model::project::RoleStructure;
use rolecall::domain::model::time::Day;
use rolecall::domain::{RequestKey, Revision, State, Time};
use rolecall::store::Store;
use rolecall::store::backup::{BackupError, Contents, check};
use sea_orm::{ConnectionTrait, Database, Statement};

use crate::desk::{Desk, create_org, create_project, hash_key, key, open};
use crate::on_both;
use crate::random::Dice;
use crate::round_trip::story;
use crate::support::{self, TestDatabase};

on_both! {
    a_backup_taken_while_writes_go_on_restores_the_store_at_its_revision
    a_cut_or_damaged_backup_is_refused_and_the_database_stays_empty
    a_database_that_holds_anything_is_refused
    a_database_without_tables_has_no_backup
}

const TAKEN_AT: Time = Time(7);

/// A file in memory.
#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A file that takes its first bytes only after five more commits. A backup reads no further than a few blocks until then.
struct Slow {
    buffer: Buffer,
    newest: Arc<AtomicU64>,
    waits: bool,
}

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let begun = self.newest.load(Ordering::SeqCst);
        while self.waits && self.newest.load(Ordering::SeqCst) < begun + 5 {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.waits = false;
        self.buffer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Counts what is read of a file.
struct Counted<R> {
    input: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.input.read(bytes)?;
        self.read.fetch_add(read as u64, Ordering::SeqCst);
        Ok(read)
    }
}

async fn backup(url: &str) -> (Vec<u8>, Contents) {
    let buffer = Buffer::default();
    let store = Store::open_to_read(url).await.unwrap();
    let contents = store.back_up(buffer.clone(), TAKEN_AT, |_, _| {}).await.unwrap();
    store.close().await;
    let bytes = buffer.0.lock().unwrap().clone();
    (bytes, contents)
}

async fn restore(url: &str, contents: &Contents, bytes: impl Read + Send + 'static) -> Result<(), BackupError> {
    let store = Store::open(url).await.unwrap();
    let restored = store.restore(contents, bytes, |_| {}).await;
    store.close().await;
    restored
}

/// Returns the blocks of the tables: what is between the block of the header and the last block, which holds a checksum.
fn table_blocks(bytes: &[u8]) -> &[u8] {
    let length = |at: usize| u32::from_le_bytes(bytes[at + 5..at + 9].try_into().unwrap()) as usize;
    let mut at = 12;
    let begin = at + 13 + length(at);
    while bytes[at] != 4 {
        at += 13 + length(at);
    }
    &bytes[begin..at]
}

/// Writes rows to all tables that the story leaves empty.
async fn fill(desk: &mut Desk) {
    story(desk).await;
    let mut dice = Dice(7);
    for _ in 0..40 {
        desk.try_write((0..10).map(|_| dice.command(desk)).collect()).await;
    }
    let request = RequestKey { caller: "ann".into(), project: key("shop"), request_id: "one".into() };
    let commits = desk.decide(vec![create_project("other", RoleStructure::SingleRole)], Some(request));
    desk.persist(&commits).await;
    desk.write(vec![create_org("other", "acme", None)]).await;
    let project = desk.state.project(&key("other")).unwrap().id;
    desk.store.write_activity(project, Day(20_000), &[OrgNo::new(1).unwrap()]).await.unwrap();
    desk.store.write_denials(vec![(Denial { actor: "eve ü".into(), ..Denial::default() }, None)]).await.unwrap();
    let direct = Database::connect(&desk.database.url).await.unwrap();
    let sql = "INSERT INTO api_keys VALUES (1, 7, $1, '', 'ann', 1, $2, $2, $2, $2, NULL, NULL, 'ann', 5, 9, NULL)";
    let values = [vec![0xff_u8; 32].into(), false.into()];
    direct.execute_raw(Statement::from_sql_and_values(direct.get_database_backend(), sql, values)).await.unwrap();
    direct.close().await.unwrap();
    desk.state = desk.store.load(hash_key()).await.unwrap();
}

async fn a_backup_taken_while_writes_go_on_restores_the_store_at_its_revision(database: TestDatabase) {
    let url = database.url.clone();
    let mut desk = Desk::new(database).await;
    fill(&mut desk).await;
    let newest = Arc::new(AtomicU64::new(desk.revision().number));
    let stop = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn({
        let (newest, stop) = (newest.clone(), stop.clone());
        async move {
            let mut states: BTreeMap<u64, State> = BTreeMap::from([(desk.revision().number, desk.state.clone())]);
            let mut dice = Dice(2_026);
            while !stop.load(Ordering::SeqCst) {
                desk.try_write((0..8).map(|_| dice.command(&desk)).collect()).await;
                states.insert(desk.revision().number, desk.state.clone());
                newest.store(desk.revision().number, Ordering::SeqCst);
            }
            (desk, states)
        }
    });
    let mut backups = Vec::new();
    for _ in 0..3 {
        let buffer = Buffer::default();
        let out = Slow { buffer: buffer.clone(), newest: newest.clone(), waits: true };
        // Like `rolecall backup`: connections of its own, beside those of a server.
        let store = Store::open_to_read(&url).await.unwrap();
        let contents = store.back_up(out, TAKEN_AT, |_, _| {}).await.unwrap();
        store.close().await;
        assert!(contents.header.revision + 5 <= newest.load(Ordering::SeqCst), "nothing was written meanwhile");
        let bytes = buffer.0.lock().unwrap().clone();
        backups.push((bytes, contents));
    }
    stop.store(true, Ordering::SeqCst);
    let (desk, states) = writing.await.unwrap();
    let written = all_commits(&desk.store).await;
    for (at, (bytes, contents)) in backups.iter().enumerate() {
        assert_eq!(check(&bytes[..], |_| {}).unwrap(), *contents);
        let empty: Vec<_> = contents.tables.iter().filter(|table| table.rows == 0).collect();
        assert!(at > 0 || empty.is_empty(), "tables without rows prove nothing: {empty:?}");
        let mut targets = vec![support::sqlite()];
        targets.extend(support::postgres().await);
        for target in targets {
            restore(&target.url, contents, io::Cursor::new(bytes.clone())).await.unwrap();
            let (again, _) = backup(&target.url).await;
            assert!(table_blocks(&again) == table_blocks(bytes), "a row differs in {}", target.url);
            let store = open(&target).await;
            let loaded = store.load(hash_key()).await.unwrap();
            let expected = &states[&contents.header.revision];
            assert!(loaded == *expected, "the State differs in {}", target.url);
            assert_eq!(loaded.revision(), expected.revision());
            let commits = all_commits(&store).await;
            assert_eq!(commits.len() as u64, contents.header.revision);
            assert!(commits[..] == written[..commits.len()], "the history differs in {}", target.url);
            // Writes go on from there.
            let mut restored =
                Desk { store, state: loaded, now: desk.now, acting_user: None, key: None, database: target };
            restored.write(vec![create_project("new", RoleStructure::SingleRole)]).await;
            assert!(restored.store.load(hash_key()).await.unwrap() == restored.state);
        }
    }
}

async fn all_commits(store: &Store) -> Vec<(Revision, String, Vec<rolecall::domain::Change>)> {
    let mut all: Vec<(Revision, String, Vec<_>)> = Vec::new();
    loop {
        let since = all.last().map(|last| last.0).unwrap_or_default();
        let commits = store.commits_since(since, 500).await.unwrap();
        if commits.is_empty() {
            return all;
        }
        all.extend(commits.into_iter().map(|it| (it.revision, format!("{} {}", it.kind, it.actor), it.changes)));
    }
}

/// A file whose disk fails after some bytes.
struct Failing<R>(R);

impl<R: Read> Read for Failing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(io::Error::other("the disk failed")),
            read => Ok(read),
        }
    }
}

async fn a_cut_or_damaged_backup_is_refused_and_the_database_stays_empty(database: TestDatabase) {
    let url = database.url.clone();
    let mut desk = Desk::new(database).await;
    story(&mut desk).await;
    let (bytes, contents) = backup(&url).await;
    assert_eq!(contents.bytes, bytes.len() as u64);
    let target = match url.starts_with("sqlite") {
        true => support::sqlite(),
        false => support::postgres().await.unwrap(),
    };

    // All places at both ends, and many between them.
    let places = (0..bytes.len()).filter(|at| *at < 100 || at + 100 > bytes.len() || at % 23 == 0);
    let places: Vec<usize> = places.collect();
    let (mut damaged, mut cut) = (0, 0);
    for &at in &places {
        match check(&bytes[..at], |_| {}) {
            Err(BackupError::Cut(_)) => cut += 1,
            Err(BackupError::NotABackup) if at < 8 => {}
            other => panic!("cut at {at}: {other:?}"),
        }
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        match check(&flipped[..], |_| {}) {
            Err(BackupError::Damaged(_) | BackupError::Cut(_)) => damaged += 1,
            Err(BackupError::NotABackup) if at < 8 => {}
            Err(BackupError::Format(_)) if (8..12).contains(&at) => {}
            other => panic!("flipped at {at}: {other:?}"),
        }
    }
    assert!(cut > 300 && damaged > 300, "{cut} cut, {damaged} damaged of {} places", places.len());
    let longer = [&bytes[..], &[0]].concat();
    assert!(matches!(check(&longer[..], |_| {}), Err(BackupError::Damaged(_))));

    // A damaged length of a block: 4 GiB before or after compression. It is refused before anything is read.
    for at in [13, 17] {
        let mut endless = bytes[..25].to_vec();
        endless[at..at + 4].fill(0xff);
        let (read, count) = (Arc::new(AtomicU64::new(0)), 1 << 20);
        let input = Counted { input: io::Cursor::new(endless).chain(io::repeat(0)), read: read.clone() };
        assert!(matches!(check(input, |_| {}), Err(BackupError::Damaged(12))));
        assert!(read.load(Ordering::SeqCst) < count, "{} bytes were read", read.load(Ordering::SeqCst));
    }

    // A file that changes or fails after it was checked.
    for at in (0..bytes.len()).step_by(bytes.len() / 9) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        restore(&target.url, &contents, io::Cursor::new(flipped)).await.unwrap_err();
        restore(&target.url, &contents, io::Cursor::new(bytes[..at].to_vec())).await.unwrap_err();
        let failing = Failing(io::Cursor::new(bytes[..at].to_vec()));
        let failed = restore(&target.url, &contents, failing).await.unwrap_err();
        assert!(matches!(failed, BackupError::Read(_)), "{failed}");
    }
    // Another whole backup in its place.
    desk.write(vec![create_org("shop", "later", None)]).await;
    let (other, _) = backup(&url).await;
    let changed = restore(&target.url, &contents, io::Cursor::new(other)).await.unwrap_err();
    assert!(matches!(changed, BackupError::Changed), "{changed}");

    // The database is still empty: it takes a backup.
    restore(&target.url, &contents, io::Cursor::new(bytes.clone())).await.unwrap();
    assert!(table_blocks(&backup(&target.url).await.0) == table_blocks(&bytes));
}

async fn a_database_that_holds_anything_is_refused(database: TestDatabase) {
    let url = database.url.clone();
    let mut desk = Desk::new(database).await;
    desk.write(vec![create_project("shop", RoleStructure::SingleRole)]).await;
    let (bytes, contents) = backup(&url).await;
    let state = desk.state.clone();
    let database = desk.database;
    desk.store.close().await;

    let refused = restore(&url, &contents, io::Cursor::new(bytes.clone())).await.unwrap_err();
    assert!(matches!(refused, BackupError::NotEmpty("head")), "{refused}");
    let store = open(&database).await;
    assert!(store.load(hash_key()).await.unwrap() == state);
    store.close().await;

    // Without its head it is no store, but not empty either.
    let direct = Database::connect(&url).await.unwrap();
    direct.execute_unprepared("DELETE FROM head").await.unwrap();
    let refused = restore(&url, &contents, io::Cursor::new(bytes.clone())).await.unwrap_err();
    assert!(matches!(refused, BackupError::NotEmpty(_)), "{refused}");

    // Tables without rows are an empty database.
    for table in contents.tables.iter().filter(|table| table.rows > 0) {
        direct.execute_unprepared(&format!("DELETE FROM {}", table.table)).await.unwrap();
    }
    direct.close().await.unwrap();
    restore(&url, &contents, io::Cursor::new(bytes)).await.unwrap();
    let store = open(&database).await;
    assert!(store.load(hash_key()).await.unwrap() == state);
}

async fn a_database_without_tables_has_no_backup(database: TestDatabase) {
    Store::open(&database.url).await.unwrap().close().await;
    let store = Store::open_to_read(&database.url).await.unwrap();
    let buffer = Buffer::default();
    let failed = store.back_up(buffer.clone(), TAKEN_AT, |_, _| {}).await.unwrap_err();
    assert!(failed.to_string().contains("rolecall migrate"), "{failed}");
    assert!(buffer.0.lock().unwrap().is_empty());
    let missing = Store::open_to_read("sqlite:///no/such/file.db").await;
    assert!(missing.is_err_and(|error| error.to_string().contains("no such file")));
}
