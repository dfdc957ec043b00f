//! Words as a shell takes them, for commands that are printed to be pasted.

/// One word, in quotes where it needs them; brackets would be a pattern.
pub fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._:-".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text.into() } else { format!("'{}'", text.replace('\'', r"'\''")) }
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
        assert_eq!(word("it's $HOME"), r"'it'\''s $HOME'");
        assert_eq!(word("[::1]:7"), "'[::1]:7'");
        assert_eq!(word(""), "''");
    }
}
