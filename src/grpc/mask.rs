//! Field masks (AIP-134, AIP-161): which fields of a resource an update takes.

use prost_types::FieldMask;
use tonic::Status;

use super::status;

/// The fields that an update sets.
#[derive(Debug)]
pub struct Mask<'a> {
    /// `None`: the fields that are not empty.
    paths: Option<&'a [String]>,
}

impl<'a> Mask<'a> {
    /// Reads the mask in `field` of a request. An empty mask means the same as an absent one. Refuses paths not in `allowed`.
    pub fn read(field: &str, mask: Option<&'a FieldMask>, allowed: &[&str]) -> Result<Self, Status> {
        let paths = mask.map_or(&[][..], |mask| &mask.paths);
        match paths.iter().find(|path| !allowed.contains(&path.as_str())) {
            Some(_) => Err(status::invalid(field, format!("must contain only these fields: {}", listed(allowed)))),
            None => Ok(Self { paths: Some(paths).filter(|paths| !paths.is_empty()) }),
        }
    }

    /// Returns true if the update sets a field. `populated` is true if the field is not empty.
    pub fn takes(&self, path: &str, populated: bool) -> bool {
        self.paths.map_or(populated, |paths| paths.iter().any(|named| named == path))
    }

    /// Reads a field if the update sets it.
    pub fn take<T>(
        &self,
        path: &str,
        populated: bool,
        read: impl FnOnce() -> Result<T, Status>,
    ) -> Result<Option<T>, Status> {
        if self.takes(path, populated) { read().map(Some) } else { Ok(None) }
    }
}

fn listed(paths: &[&str]) -> String {
    paths.iter().map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(paths: &[&str]) -> FieldMask {
        FieldMask { paths: paths.iter().map(|path| path.to_string()).collect() }
    }

    #[test]
    fn an_empty_mask_takes_what_is_not_empty() {
        let empty = mask(&[]);
        for read in [Mask::read("update_mask", None, &["name"]), Mask::read("update_mask", Some(&empty), &["name"])] {
            let read = read.unwrap();
            assert!(read.takes("name", true) && !read.takes("name", false));
        }
    }

    #[test]
    fn a_mask_takes_the_named_fields_also_if_empty_or_named_twice() {
        let named = mask(&["name", "name"]);
        let read = Mask::read("update_mask", Some(&named), &["name", "description"]).unwrap();
        assert!(read.takes("name", false) && read.takes("name", true));
        assert!(!read.takes("description", true));
    }

    #[test]
    fn a_path_that_cannot_be_taken_is_refused() {
        for path in ["", "*", "Name", "create_time", "role.name", "name.first", " name"] {
            let named = mask(&["name", path]);
            let refused = Mask::read("update_mask", Some(&named), &["name"]).unwrap_err();
            assert_eq!(refused.message(), "`update_mask` must contain only these fields: `name`", "{path:?}");
        }
    }
}
