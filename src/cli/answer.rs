//! Prints answers: a table or a sentence for people, JSON for programs.

use std::io::{self, Write};

use anstream::{AutoStream, ColorChoice};
use serde::Serialize;

use super::trouble::{BUG, Trouble};

/// The exit codes of commands that only read, for their help.
pub const EXIT_CODES: &str = "Exit codes: 0 answered; 2 no answer, with the reason on stderr.";

/// The answer to a command. Its JSON is an interface: fields may be added, but not renamed or removed.
pub trait Answer: Serialize {
    /// Returns the text for people: coloured, with a newline at its end. Empty if there is nothing to say.
    fn text(&self) -> String;
}

/// Prints an answer as text or JSON.
pub fn print(answer: &impl Answer, json: bool) -> Result<(), Trouble> {
    write(&if json { as_json(answer)? } else { answer.text() }).map(|_| ())
}

/// Prints a text. Removes colours and trailing blanks if the standard output takes no colours. Returns false if nobody reads
/// it any more.
pub fn write(text: &str) -> Result<bool, Trouble> {
    let choice = AutoStream::choice(&io::stdout());
    let text = if choice == ColorChoice::Never { plain_lines(text) } else { text.into() };
    let mut out = AutoStream::new(io::stdout(), choice).lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // A reader such as `head` closes the pipe after the first lines.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => {
            Err(Trouble::new(format!("the answer cannot be written: {error}"), "check where the output goes"))
        }
        Ok(()) => Ok(true),
    }
}

fn as_json(answer: &impl Answer) -> Result<String, Trouble> {
    match serde_json::to_string_pretty(answer) {
        Ok(json) => Ok(json + "\n"),
        Err(error) => Err(Trouble::new(format!("the answer has no JSON: {error}"), BUG)),
    }
}

fn plain_lines(text: &str) -> String {
    let plain = anstream::adapter::strip_str(text).to_string();
    plain.lines().flat_map(|line| [line.trim_end(), "\n"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_without_colours_end_with_their_last_word() {
        assert_eq!(plain_lines("\u{1b}[1mROLE  \u{1b}[0m\n\u{1b}[32mOwner \u{1b}[0m  \n"), "ROLE\nOwner\n");
        assert_eq!(plain_lines(""), "");
    }
}
