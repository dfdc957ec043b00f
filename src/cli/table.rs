//! Tables without lines: columns that stand under their headings, in the colours of a terminal.

use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets};

/// A table with these headings. On a terminal, what is too long for its width goes on in the next line.
pub fn table(headings: impl IntoIterator<Item = String>) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    // Whether the output takes colours is found out where it is written.
    table.enforce_styling();
    table.set_header(headings.into_iter().map(|heading| Cell::new(heading).add_attribute(Attribute::Bold)));
    table
}

/// The table as it is printed; nothing where it has no rows.
pub fn text(mut table: Table) -> String {
    if table.is_empty() {
        return String::new();
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    format!("{table}\n")
}

/// Whether a role is enabled.
pub fn enabled(enabled: bool) -> Cell {
    match enabled {
        true => Cell::new("enabled").fg(Color::Green),
        false => Cell::new("disabled").fg(Color::Yellow),
    }
}

/// Names after each other.
pub fn names(names: &[String]) -> String {
    plain(&names.join(", "))
}

/// Text that a terminal shows and does not obey. Names have no control characters, but descriptions and messages may.
pub fn plain(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_under_their_headings_and_are_coloured() {
        let mut table = table(["ROLE", "ENABLED", "PERMISSIONS"].map(String::from));
        table.add_row([Cell::new("Owner"), enabled(true), Cell::new("a, b")]);
        table.add_row([Cell::new("Billing Manager"), enabled(false), Cell::new("")]);
        let text = text(table);
        assert!(text.contains("\u{1b}[38;5;10menabled"), "{text:?}");
        assert!(text.contains("\u{1b}[38;5;11mdisabled"), "{text:?}");
        let plain = anstream::adapter::strip_str(&text).to_string();
        let starts: Vec<Option<usize>> =
            plain.lines().zip(["ENABLED", "enabled", "disabled"]).map(|(line, word)| line.find(word)).collect();
        assert_eq!(starts, [Some(17); 3], "{plain}");
        assert!(plain.lines().all(|line| !line.starts_with(' ')), "{plain}");
    }

    #[test]
    fn a_table_without_rows_is_nothing() {
        assert_eq!(text(table(["ROLE".to_string()])), "");
    }

    #[test]
    fn control_characters_are_shown_and_not_obeyed() {
        assert_eq!(plain("a\u{1b}[2Jb\nü"), "a\\u{1b}[2Jb\\nü");
    }
}
