//! The database of `serve` and `migrate`: a URL, or a file that holds one.

use std::path::PathBuf;

use clap::Args;
use url::Url;

const DEFAULT: &str = "sqlite://rolecall.db";

#[derive(Args)]
#[group(skip)]
pub struct DatabaseArgs {
    /// The database: `sqlite://FILE` (`serve` creates it) or `postgres://USER@HOST/NAME`. [default: sqlite://rolecall.db]
    #[arg(long, env = "ROLECALL_DATABASE", value_name = "URL", hide_env_values = true)]
    database: Option<String>,

    /// A file that holds the URL of the database, as a mounted secret does. Other users see a password on the command line.
    #[arg(long, env = "ROLECALL_DATABASE_FILE", value_name = "PATH", conflicts_with = "database")]
    database_file: Option<PathBuf>,
}

/// The URL of the database.
pub struct DatabaseUrl {
    pub url: String,
    /// What to tell the operator.
    pub warning: Option<&'static str>,
}

impl DatabaseArgs {
    /// Returns the URL without the blanks and line ends around it. Refuses control characters within it.
    pub fn url(self) -> Result<DatabaseUrl, String> {
        let text = match (self.database_file, self.database) {
            (Some(path), _) => std::fs::read_to_string(&path)
                .map_err(|error| format!("cannot read the URL of the database from `{}`: {error}", path.display()))?,
            (None, Some(url)) => url,
            (None, None) => DEFAULT.into(),
        };
        let url = text.trim().to_owned();
        if url.is_empty() || url.contains(char::is_control) {
            return Err("the URL of the database is empty or has a control character, such as a line end".into());
        }
        let on_command_line = std::env::args_os().any(|argument| argument.to_string_lossy().contains(&url));
        let warning = (on_command_line && has_password(&url)).then_some(
            "other users of this machine see the password in --database; use --database-file or ROLECALL_DATABASE",
        );
        Ok(DatabaseUrl { url, warning })
    }

    /// Returns the URL. Prints the warning about it, if there is one.
    pub fn url_after_warning(self) -> Result<String, String> {
        let DatabaseUrl { url, warning } = self.url()?;
        if let Some(warning) = warning {
            eprintln!("warning: {warning}");
        }
        Ok(url)
    }
}

fn has_password(url: &str) -> bool {
    // A URL that cannot be read is refused later.
    Url::parse(url).is_ok_and(|url| {
        url.password().is_some() || url.query_pairs().any(|(name, _)| name.eq_ignore_ascii_case("password"))
    })
}
