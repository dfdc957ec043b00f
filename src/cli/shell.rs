//! Words of a shell, for printed commands.

/// Returns a word in the quotes that it needs.
pub fn word(text: &str) -> String {
    match shlex::try_quote(text) {
        // A terminal obeys control characters, and a pasted line ends at the first newline.
        Ok(quoted) if !text.chars().any(char::is_control) => quoted.into_owned(),
        _ => format!("$'{}'", text.chars().map(escaped).collect::<String>()),
    }
}

/// Returns the words that give a flag this value. A separate value that begins with a dash would be read as a flag.
pub fn flag(name: &str, value: &str) -> Vec<String> {
    if value.starts_with('-') { vec![format!("{name}={value}")] } else { vec![name.into(), value.into()] }
}

/// Returns a character for use between `$'` and `'`. bash and zsh read bytes there, of at most three octal digits.
fn escaped(c: char) -> String {
    match c {
        '\'' | '\\' => format!("\\{c}"),
        '\n' => r"\n".into(),
        '\t' => r"\t".into(),
        _ if c.is_control() => c.encode_utf8(&mut [0; 4]).bytes().map(|byte| format!("\\{byte:03o}")).collect(),
        _ => c.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_read_something_else() {
        for plain in ["acme", "billing.manage", "unix:/r.sock", "127.0.0.1:7", "--dry-run"] {
            assert_eq!(word(plain), plain);
        }
        assert_eq!(word("Billing Manager"), "'Billing Manager'");
        assert_eq!(word("it's $HOME"), r#""it's "'$HOME'"#);
        assert_eq!(word("[::1]:7"), "'[::1]:7'");
        assert_eq!(word(""), "''");
    }

    #[test]
    fn control_characters_are_written_so_that_a_shell_makes_them_again() {
        assert_eq!(word("two\nlines\t"), r"$'two\nlines\t'");
        assert_eq!(word("it's \\n\r\n"), r"$'it\'s \\n\015\n'");
        // A digit that follows is not part of the escape. Characters beyond ASCII are written as bytes.
        assert_eq!(word("\u{1b}7\u{85}ü"), r"$'\0337\302\205ü'");
        for text in ["two\nlines\t", "it's \\n\r\n", "\u{1b}7\u{85}ü", "\u{7f}\\", "no control \\n", "$'\n'"] {
            let line = format!("printf %s {}", word(text));
            assert!(!line.chars().any(char::is_control), "{line:?}");
            let printed = std::process::Command::new("bash").args(["-c", &line]).output().unwrap();
            assert_eq!(String::from_utf8(printed.stdout).unwrap(), text, "{line}");
        }
    }

    #[test]
    fn a_value_that_begins_with_a_dash_is_joined_to_its_flag() {
        assert_eq!(flag("--reason", "it is over - for now"), ["--reason", "it is over - for now"]);
        assert_eq!(flag("--reason", "-"), ["--reason=-"]);
        assert_eq!(flag("--reason", "--dry-run"), ["--reason=--dry-run"]);
        assert_eq!(flag("--reason", ""), ["--reason", ""]);
    }
}
