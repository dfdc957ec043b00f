//! `rolecall restore`: restores a backup into an empty database, or only checks it.

use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use clap::Parser;
use comfy_table::Cell;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use serde::Serialize;

use super::answer::{self, Answer};
use super::database::DatabaseArgs;
use super::table::{plain, table, text};
use super::trouble::Trouble;
use crate::domain::Time;
use crate::server::backup::{Contents, check, restore, revision};
use crate::wire::timestamp;

const AFTER_LONG_HELP: &str = "\
Reads the whole file first, and refuses one that is cut off or damaged before it touches the database. Then writes all rows \
in one transaction: after an error the database is still empty. A database that holds anything is refused.

JSON (--json), one object:
  file                    what was read
  release, database       what wrote the backup: the release, and sqlite or postgres
  store_id                the id in the revisions of the store, hexadecimal
  revision                the revision that it holds, as answers show it
  revision_number         its number
  commit_time, backup_time
                          when the revision was committed, and when the backup was taken
  bytes, rows             its size, and the number of rows
  tables                  table and rows of each table
  restored                false with --check

Exit codes: 0 restored, or whole with --check; 1 refused, and nothing was written.

Examples:
  rolecall restore rolecall.backup --check
  rolecall restore rolecall.backup --database sqlite://new.db";

#[derive(Parser)]
#[command(after_long_help = AFTER_LONG_HELP)]
pub struct Args {
    /// The backup. `-` reads the standard input, into a temporary file (in TMPDIR).
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Only checks the whole file and shows what it holds. Needs no database.
    #[arg(long)]
    check: bool,

    /// Prints JSON and nothing else.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Serialize)]
struct Shown {
    file: String,
    release: String,
    database: String,
    store_id: String,
    revision: String,
    revision_number: u64,
    commit_time: String,
    backup_time: String,
    bytes: u64,
    rows: u64,
    tables: Vec<Rows>,
    restored: bool,
}

#[derive(Serialize)]
struct Rows {
    table: String,
    rows: u64,
}

pub async fn run(args: Args) -> Result<(), String> {
    let file = open(&args.file)?;
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let (checking, shown) = (again(&file)?, bar("checking", length));
    // Decompressing takes the processor for seconds.
    let checked = tokio::task::spawn_blocking(move || check(checking, |bytes| shown.set_position(bytes)));
    let contents = checked.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    if !args.check {
        let database = args.database.url_after_warning()?;
        let shown = bar("restoring", length);
        let restored = restore(&database, &contents, again(&file)?, move |bytes| shown.set_position(bytes)).await;
        restored.map_err(|error| error.to_string())?;
    }
    let shown = Shown::new(&args.file, contents, !args.check);
    answer::print(&shown, args.json).map_err(Trouble::line)
}

/// Opens the backup. A pipe cannot be read twice, so it is copied first.
fn open(path: &Path) -> Result<File, String> {
    let failed = |error: io::Error| format!("`{}` cannot be read: {error}", path.display());
    if path.as_os_str() != "-" {
        return File::open(path).map_err(failed);
    }
    let spooled = tempfile::tempfile().and_then(|mut file| io::copy(&mut io::stdin().lock(), &mut file).map(|_| file));
    spooled.map_err(|error| format!("the backup cannot be copied to a temporary file: {error}; see TMPDIR"))
}

/// Returns the file from its beginning.
fn again(file: &File) -> Result<File, String> {
    let rewound = file.try_clone().and_then(|mut file| file.seek(SeekFrom::Start(0)).map(|_| file));
    rewound.map_err(|error| format!("the backup cannot be read twice: {error}; give it as `-` on the standard input"))
}

/// Returns a bar on stderr if that is a terminal.
fn bar(doing: &'static str, length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length).with_message(doing);
    // The template is fixed, so this does not fail.
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {bytes} of {total_bytes}, {eta} left") {
        bar.set_style(style);
    }
    bar
}

impl Shown {
    fn new(file: &Path, contents: Contents, restored: bool) -> Self {
        let header = &contents.header;
        let time = |micros: i64| timestamp(Time(micros)).to_string();
        Self {
            file: file.display().to_string(),
            release: header.release.clone(),
            database: header.database.clone(),
            store_id: format!("{:08x}", header.store_id),
            revision: revision(header),
            revision_number: header.revision,
            commit_time: time(header.at),
            backup_time: time(header.taken_at),
            bytes: contents.bytes,
            rows: contents.tables.iter().map(|table| table.rows).sum(),
            tables: contents.tables.into_iter().map(|count| Rows { table: count.table, rows: count.rows }).collect(),
            restored,
        }
    }
}

impl Answer for Shown {
    fn text(&self) -> String {
        let mut rows = table(["TABLE", "ROWS"].map(String::from));
        for Rows { table, rows: count } in self.tables.iter().filter(|table| table.rows > 0) {
            rows.add_row([Cell::new(plain(table)), Cell::new(HumanCount(*count))]);
        }
        let bold = anstyle::Style::new().bold();
        let what = if self.restored { "restored" } else { "the backup is whole:" };
        let next = if self.restored { "next: `rolecall serve` on this database\n" } else { "" };
        format!(
            "{bold}{what} store {} at revision {} ({}){bold:#}\ncommitted {}, backed up {} by rolecall {} from {}, {}\n\n{}{next}",
            self.store_id,
            HumanCount(self.revision_number),
            self.revision,
            self.commit_time,
            self.backup_time,
            plain(&self.release),
            plain(&self.database),
            HumanBytes(self.bytes),
            text(rows),
        )
    }
}
