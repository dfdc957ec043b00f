//! `rolecall backup`: writes all data of a database to a file.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use clap::Parser;
use indicatif::{HumanBytes, HumanCount};
use rustix::fs::{AtFlags, CWD, Mode, OFlags, linkat, open};
use tempfile::TempPath;

use super::database::DatabaseArgs;
use super::progress::Progress;
use super::serve::stop_signal;
use crate::server::backup::{Contents, back_up, revision};

const AFTER_LONG_HELP: &str = "\
Servers go on answering and writing meanwhile. The backup holds everything at one revision: projects, orgs, members, API \
keys (hashed), the history and the audit. It can be restored into SQLite and PostgreSQL, wherever it comes from.

A file appears under its name only when it is whole. It can be read by its owner only. Until then it has no name, and nothing stays \
of a backup that is killed. Where the file system cannot do that, as NFS, `.rolecall-backup-*` stays beside it: delete it.

Exit codes: 0 done; 1 failed or interrupted (Ctrl-C, SIGTERM), and there is no file.

Examples:
  rolecall backup rolecall.backup
  rolecall backup --database-file /run/secrets/rolecall - | ssh store 'cat > rolecall.backup'";

#[derive(Parser)]
#[command(after_long_help = AFTER_LONG_HELP)]
pub struct Args {
    /// The new file. `-` writes to the standard output.
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    database: DatabaseArgs,
}

pub async fn run(args: Args) -> Result<(), String> {
    let database = args.database.url_after_warning()?;
    let stopped = stop_signal()?;
    let done = async {
        let progress = Progress::new("rows");
        let count = |rows: u64| progress.has_read(usize::try_from(rows).unwrap_or(usize::MAX));
        match args.file.as_os_str() == "-" {
            true if io::stdout().is_terminal() => {
                Err("a backup is no text for a terminal; name a file, or redirect the output".into())
            }
            true => back_up(&database, io::stdout(), count).await.map_err(|error| error.to_string()),
            false => {
                let new = NewFile::create(&args.file)?;
                let contents = back_up(&database, new.writer()?, count).await.map_err(|error| error.to_string())?;
                new.keep().map(|()| contents)
            }
        }
    };
    let contents = tokio::select! {
        done = done => done?,
        () = stopped => return Err("interrupted; there is no backup".into()),
    };
    // The standard output may be the backup.
    eprintln!("{}", sentence(&contents));
    Ok(())
}

fn sentence(contents: &Contents) -> String {
    let rows: u64 = contents.tables.iter().map(|table| table.rows).sum();
    let (rows, size) = (HumanCount(rows), HumanBytes(contents.bytes));
    let header = &contents.header;
    format!("backed up {rows} rows at revision {} ({}), {size}", HumanCount(header.revision), revision(header))
}

/// A file that gets its name when it is whole.
struct NewFile<'a> {
    file: File,
    /// The name until then. `None` if it has none, so that nothing stays after SIGKILL.
    name: Option<TempPath>,
    path: &'a Path,
}

impl<'a> NewFile<'a> {
    /// Refuses a path that exists.
    fn create(path: &'a Path) -> Result<Self, String> {
        if path.symlink_metadata().is_ok() {
            return Err(failed(path, &io::ErrorKind::AlreadyExists.into()));
        }
        Self::unnamed(path).map_or_else(|| Self::named(path), Ok)
    }

    /// Returns `None` if the file system has no files without a name, or nothing could name the file later.
    fn unnamed(path: &'a Path) -> Option<Self> {
        let file = open(folder(path), OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR);
        let file = File::from(file.ok()?);
        open_file(&file).symlink_metadata().is_ok().then_some(Self { file, name: None, path })
    }

    fn named(path: &'a Path) -> Result<Self, String> {
        let file = tempfile::Builder::new().prefix(".rolecall-backup-").tempfile_in(folder(path));
        let (file, name) = file.map_err(|error| failed(path, &error))?.into_parts();
        Ok(Self { file, name: Some(name), path })
    }

    fn writer(&self) -> Result<File, String> {
        self.file.try_clone().map_err(|error| failed(self.path, &error))
    }

    /// Gives the file its name, and waits until the disk has it. Refuses a path that exists by now.
    fn keep(self) -> Result<(), String> {
        let failed = |error: io::Error| failed(self.path, &error);
        self.file.sync_all().map_err(failed)?;
        match self.name {
            Some(name) => name.persist_noclobber(self.path).map_err(|error| failed(error.error))?,
            None => linkat(CWD, open_file(&self.file), CWD, self.path, AtFlags::SYMLINK_FOLLOW)
                .map_err(|error| failed(error.into()))?,
        }
        File::open(folder(self.path)).and_then(|folder| folder.sync_all()).map_err(failed)
    }
}

/// Returns the path under which this process finds an open file.
fn open_file(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn failed(path: &Path, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::AlreadyExists {
        return format!("`{}` exists; name a new file", path.display());
    }
    format!("`{}` cannot be written: {error}; name a file in a folder with enough space", path.display())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    #[test]
    fn a_file_that_appears_meanwhile_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.backup");
        let files = || fs::read_dir(folder.path()).unwrap().count();
        for unnamed in [true, false] {
            let new = || if unnamed { NewFile::unnamed(&path) } else { NewFile::named(&path).ok() };
            let Some(late) = new() else { continue };
            let whole = new().unwrap();
            assert_eq!(files(), if unnamed { 0 } else { 2 });
            whole.writer().unwrap().write_all(b"whole").unwrap();
            whole.keep().unwrap();
            let refused = late.keep().unwrap_err();
            assert!(refused.contains("exists; name a new file"), "{refused}");
            assert_eq!((fs::read(&path).unwrap(), files()), (b"whole".to_vec(), 1));
            fs::remove_file(&path).unwrap();
        }
    }
}
