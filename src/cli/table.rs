//! Tables without lines, in the colours of a terminal.

use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets};

/// Returns a table with these headings. It wraps text at the width of the terminal.
pub fn table(headings: impl IntoIterator<Item = String>) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    // `answer::print` removes the colours if the output takes none.
    table.enforce_styling();
    table.set_header(headings.into_iter().map(|heading| Cell::new(heading).add_attribute(Attribute::Bold)));
    table
}

/// Returns the printed table. Empty without rows.
pub fn text(mut table: Table) -> String {
    if table.is_empty() {
        return String::new();
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    format!("{table}\n")
}

pub fn enabled(enabled: bool) -> Cell {
    match enabled {
        true => Cell::new("enabled").fg(Color::Green),
        false => Cell::new("disabled").fg(Color::Yellow),
    }
}

pub fn names(names: &[String]) -> String {
    plain(&names.join(", "))
}

/// Escapes control characters, which a terminal would obey. Names have none, but descriptions and messages may.
pub fn plain(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_under_their_headings_and_are_coloured() {
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
