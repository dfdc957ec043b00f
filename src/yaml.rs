//! Reads YAML that people write.

use serde::de::DeserializeOwned;
use serde_saphyr::UserMessageFormatter;

/// Nodes of a file. A request of 16 MiB has fewer.
const NODES_MAX: usize = 20_000_000;

/// Reads one document. The error is one line, with the line and column.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let budget = serde_saphyr::budget! { max_nodes: NODES_MAX, max_events: 2 * NODES_MAX };
    let options = serde_saphyr::options! { with_snippet: false, budget: budget };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let message = error.render_with_formatter(&UserMessageFormatter);
        message.trim_start_matches("error: ").lines().collect::<Vec<_>>().join(" ")
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn an_error_says_where_and_what_in_one_line_without_words_of_the_library() {
        for (text, said) in
            [("a: 1\na: 2\n", "line 2"), ("a: 1\n---\na: 2\n", "line 3"), ("a: [1\n", "line 1"), ("a: x\n", "line 1")]
        {
            let why = read::<BTreeMap<String, u8>>(text).unwrap_err();
            assert!(why.contains(said) && why.lines().count() == 1, "{why}");
            assert!(!["Options", "from_str", "error:"].iter().any(|word| why.contains(word)), "{why}");
        }
    }
}
