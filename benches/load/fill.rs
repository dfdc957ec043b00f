//! Fills a database with memberships by SQL, which is much faster than calls.

use rolecall::server::{Config, Running};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};

const ORG_MEMBERS: u64 = 100;
const COMMITS: u32 = 70_000;
const ROLES: u32 = 3;

struct Dialect {
    uuid: &'static str,
    random: &'static str,
    /// The numbers `n` from 1 to `LAST`.
    series: &'static str,
    setup: &'static str,
    index_names: &'static str,
    index_definitions: &'static str,
    tidy: &'static str,
}

const SQLITE: Dialect = Dialect {
    uuid:
        "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-' || hex(randomblob(2)) || '-' || hex(randomblob(2))
        || '-' || hex(randomblob(6)))",
    random: "abs(random() % 1000000)",
    series: "(WITH RECURSIVE all_n(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM all_n WHERE n < LAST) SELECT n FROM all_n)",
    setup: "PRAGMA synchronous = OFF; PRAGMA cache_size = -400000; PRAGMA temp_store = MEMORY",
    index_names: "SELECT name FROM sqlite_master WHERE sql IS NOT NULL AND type = 'index' AND tbl_name = 'memberships'",
    index_definitions: "SELECT sql FROM sqlite_master WHERE sql IS NOT NULL AND type = 'index' AND tbl_name = 'memberships'",
    tidy: "PRAGMA wal_checkpoint(TRUNCATE)",
};

const POSTGRES: Dialect = Dialect {
    uuid: "gen_random_uuid()::text",
    random: "floor(random() * 1000000)::bigint",
    series: "(SELECT n FROM generate_series(1, LAST) n) series",
    setup: "SET synchronous_commit = off; SET maintenance_work_mem = '1GB'; SET statement_timeout = 0",
    index_names: "SELECT indexname::text FROM pg_indexes WHERE tablename = 'memberships' AND indexname NOT LIKE '%pkey'",
    index_definitions: "SELECT indexdef FROM pg_indexes WHERE tablename = 'memberships' AND indexname NOT LIKE '%pkey'",
    tidy: "VACUUM ANALYZE",
};

/// Fills an empty database. Does nothing with one that has memberships.
pub async fn fill(url: &str, memberships: u64) {
    // A first start makes the tables and the project `default`.
    Running::start(Config::new(url, Vec::new())).await.unwrap().stop().await;
    let sqlite = url.starts_with("sqlite:");
    let db = Database::connect(sea_orm::ConnectOptions::new(url).max_connections(1).sqlx_logging(false).to_owned());
    let db = db.await.unwrap();
    if !ask(&db, "SELECT CAST(count(*) AS text) FROM (SELECT 1 FROM memberships LIMIT 1) found")
        .await
        .contains(&"0".into())
    {
        db.close().await.unwrap();
        return;
    }
    let began = std::time::Instant::now();
    let dialect = if sqlite { SQLITE } else { POSTGRES };
    let Dialect { uuid, random, setup, .. } = dialect;
    let series = |last: u64| dialect.series.replace("LAST", &last.to_string());
    let orgs = memberships.div_ceil(ORG_MEMBERS);
    run(&db, setup).await;
    // Indexes are made again at the end: rows with random keys take long to insert into them.
    let names = ask(&db, dialect.index_names).await;
    let definitions = ask(&db, dialect.index_definitions).await;
    assert!(!names.is_empty());
    for name in names {
        run(&db, &format!("DROP INDEX {name}")).await;
    }
    run(&db, "DELETE FROM role_sets").await;
    run(&db, "DELETE FROM role_set_roles").await;
    for role in 1..=ROLES {
        run(&db, &format!("INSERT INTO role_sets (project, id, migrated, revision) VALUES (1, {role}, FALSE, 0)"))
            .await;
        run(
            &db,
            &format!(
                "INSERT INTO role_set_roles (project, role_set, role, migrated) VALUES (1, {role}, {role}, FALSE)"
            ),
        )
        .await;
    }
    run(&db, &format!(
        r#"INSERT INTO orgs (project, "no", org_id, display_name, metadata, role_mapping, create_time, deleted_at, purged)
        SELECT 1, n, {uuid}, 'Org ' || n, '', 1, 1700000000000000, NULL, FALSE FROM {}"#,
        series(orgs)
    ))
    .await;
    run(
        &db,
        &format!(
            "INSERT INTO memberships (project, org, user_id, role_set, origin, revision, temporary, other_origins)
        SELECT 1, (n - 1) / {ORG_MEMBERS} + 1, {uuid}, 1 + {random} % {ROLES}, 1, 1, FALSE, FALSE FROM {}",
            series(memberships)
        ),
    )
    .await;
    for definition in definitions {
        run(&db, &definition).await;
    }
    run(&db, &format!("UPDATE projects SET next_org = {}, next_role_set = {} WHERE id = 1", orgs + 1, ROLES + 1)).await;
    // The tags of the newest commits are kept in memory.
    run(
        &db,
        &format!(
            r#"INSERT INTO commits (revision, tag, "at", kind, actor, reason, digest, project,
            shown_changes)
        SELECT head.revision + n, {random}, head."at" + n, 'fill', 'system', '', 0, 1, 0 FROM head, {} ORDER BY n"#,
            series(COMMITS.into())
        ),
    )
    .await;
    run(
        &db,
        r#"UPDATE head SET revision = newest.revision, tag = newest.tag, "at" = newest."at"
        FROM (SELECT revision, tag, "at" FROM commits ORDER BY revision DESC LIMIT 1) newest"#,
    )
    .await;
    run(&db, dialect.tidy).await;
    db.close().await.unwrap();
    println!("filled {memberships} memberships in {:.0?}", began.elapsed());
}

async fn run(db: &DatabaseConnection, sql: &str) {
    db.execute_unprepared(sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn ask(db: &DatabaseConnection, sql: &str) -> Vec<String> {
    let backend: DbBackend = db.get_database_backend();
    let rows = db.query_all_raw(Statement::from_string(backend, sql)).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}
