//! Reads the files of an import.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::marker::PhantomData;
use std::path::Path;

use serde::de::value::SeqAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::error::Category;

use crate::cli::table::plain;
use crate::cli::trouble::Trouble;

/// The mark with which some programs begin a file in UTF-8.
const UTF8_MARK: &[u8] = b"\xEF\xBB\xBF";
const UTF16_MARKS: [&[u8]; 2] = [b"\xFF\xFE", b"\xFE\xFF"];

/// Serde's words, and those of somebody who wrote JSON.
const WORDS: [(&str, &str); 4] = [
    ("invalid type: sequence", "invalid type: list"),
    ("invalid type: map", "invalid type: object"),
    ("expected a sequence", "expected a list"),
    ("expected a map", "expected an object"),
];

/// Calls `take` with each JSON value of a file. A file may hold several, such as the pages of a list. `take` returns false for
/// a value that holds none of what is known.
pub fn json<T: DeserializeOwned>(path: &Path, mut take: impl FnMut(T) -> bool) -> Result<(), Trouble> {
    let mut any = false;
    for value in serde_json::Deserializer::from_reader(open(path)?).into_iter::<T>() {
        if !take(value.map_err(|error| no_json(path, error))?) {
            return Err(malformed(path, "it has none of the fields of the files that can be imported"));
        }
        any = true;
    }
    if any { Ok(()) } else { Err(malformed(path, "it is empty")) }
}

/// Opens a file for reading, after its byte order mark if it has one.
pub fn open(path: &Path) -> Result<BufReader<File>, Trouble> {
    let mut file = BufReader::new(File::open(path).map_err(|error| unreadable(path, &error))?);
    // The first read of a folder fails.
    let start = file.fill_buf().map_err(|error| unreadable(path, &error))?;
    if UTF16_MARKS.iter().any(|mark| start.starts_with(mark)) {
        return Err(malformed(path, "it is UTF-16; save it as UTF-8"));
    }
    let mark = if start.starts_with(UTF8_MARK) { UTF8_MARK.len() } else { 0 };
    if start.len() == mark {
        return Err(malformed(path, "it is empty"));
    }
    file.consume(mark);
    Ok(file)
}

pub fn unreadable(path: &Path, error: &std::io::Error) -> Trouble {
    let what = format!("`{}` cannot be read: {error}", plain(&path.display().to_string()));
    Trouble::new(what, "check the name of the file")
}

pub fn malformed(path: &Path, why: &str) -> Trouble {
    let what = format!("`{}` is not what was expected: {}", plain(&path.display().to_string()), in_words(why));
    Trouble::new(what, "docs/import.md says what the files hold")
}

/// Returns an error of serde in the words of its reader.
pub fn in_words(why: &str) -> String {
    WORDS.iter().fold(plain(why), |why, (serde, ours)| why.replacen(serde, ours, 1))
}

/// Returns why a text is not the expected JSON.
pub fn no_json(path: &Path, error: serde_json::Error) -> Trouble {
    match error.classify() {
        Category::Io => unreadable(path, &error.into()),
        Category::Syntax => malformed(path, &format!("it is no JSON: {error}")),
        Category::Eof => malformed(path, &format!("it is no JSON: it ends too early, in line {}", error.line())),
        Category::Data => malformed(path, &error.to_string()),
    }
}

/// A list, or an object with one entry for each id.
pub struct ListOrMap<T>(pub Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ListOrMap<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Entries(PhantomData)).map(Self)
    }
}

/// Reads each entry by itself, so that an error names its field and its place.
struct Entries<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list, or an object with one entry for each id")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some((_, entry)) = entries.next_entry::<String, T>()? {
            all.push(entry);
        }
        Ok(all)
    }
}
