//! Reads the files of an import.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::cli::trouble::Trouble;

/// Calls `take` with each JSON value of a file. A file may hold several, such as the pages of a list. `take` returns false for
/// a value that holds none of what is known.
pub fn json<T: DeserializeOwned>(path: &Path, mut take: impl FnMut(T) -> bool) -> Result<(), Trouble> {
    let mut any = false;
    for value in serde_json::Deserializer::from_reader(BufReader::new(open(path)?)).into_iter::<T>() {
        if !take(value.map_err(|error| malformed(path, &error.to_string()))?) {
            return Err(malformed(path, "it has none of the fields of the files that can be imported"));
        }
        any = true;
    }
    if any { Ok(()) } else { Err(malformed(path, "it is empty")) }
}

pub fn open(path: &Path) -> Result<File, Trouble> {
    let failed = |error: std::io::Error| {
        Trouble::new(format!("`{}` cannot be read: {error}", path.display()), "check the name of the file")
    };
    File::open(path).map_err(failed)
}

pub fn malformed(path: &Path, why: &str) -> Trouble {
    Trouble::new(
        format!("`{}` is not what was expected: {why}", path.display()),
        "docs/import.md says what the files hold",
    )
}

/// A list, or a map by id.
#[derive(serde::Deserialize)]
#[serde(untagged)]
pub enum ListOrMap<T> {
    List(Vec<T>),
    Map(std::collections::BTreeMap<String, T>),
}

impl<T> Default for ListOrMap<T> {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl<T> ListOrMap<T> {
    pub fn into_vec(self) -> Vec<T> {
        match self {
            Self::List(list) => list,
            Self::Map(map) => map.into_values().collect(),
        }
    }
}
