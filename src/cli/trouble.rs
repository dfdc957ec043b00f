//! Why a command failed, and what to do.

use std::process::ExitCode;

/// What to do about an error that cannot happen.
pub const BUG: &str = "this is a bug; please report it";

/// Why a question has no answer, and what to do.
#[derive(Debug, PartialEq)]
pub struct Trouble {
    pub what: String,
    pub next: String,
}

impl Trouble {
    pub fn new(what: impl Into<String>, next: impl Into<String>) -> Self {
        Self { what: what.into(), next: next.into() }
    }

    /// Returns the trouble as one line.
    pub fn line(self) -> String {
        format!("{}; {}", self.what, self.next)
    }

    /// Replaces what to do if a server did not answer a write: it may have done it.
    pub fn of_a_write(self, dry_run: bool) -> Self {
        let next = "it may be done: look before you try again; --timeout sets how long to wait";
        if dry_run { self } else { Self { next: next.into(), ..self } }
    }
}

/// Why a command failed, which sets its exit code.
pub enum Failed {
    /// Exit code 1: the server cannot run, or does not serve.
    Server(String),
    /// Exit code 1: the server refused the write. Nothing was changed.
    Refused(Trouble),
    /// Exit code 2: a question has no answer. 1 would mean "denied".
    Question(Trouble),
}

impl From<Trouble> for Failed {
    fn from(trouble: Trouble) -> Self {
        Self::Question(trouble)
    }
}

impl Failed {
    /// Returns what went wrong, whatever the exit code.
    pub fn trouble(self) -> Trouble {
        match self {
            Self::Refused(trouble) | Self::Question(trouble) => trouble,
            Self::Server(what) => Trouble::new(what, BUG),
        }
    }

    /// Prints the error, and returns the exit code.
    pub fn print(self) -> ExitCode {
        let red = anstyle::AnsiColor::Red.on_default().bold();
        let dim = anstyle::Style::new().dimmed();
        let (code, what, next) = match self {
            Self::Server(what) => (1, what, None),
            Self::Refused(Trouble { what, next }) => (1, what, Some(next)),
            Self::Question(Trouble { what, next }) => (2, what, Some(next)),
        };
        anstream::eprintln!("{red}error:{red:#} {what}");
        if let Some(next) = next {
            anstream::eprintln!("{dim}next:{dim:#} {next}");
        }
        ExitCode::from(code)
    }
}
