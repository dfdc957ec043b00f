//! Reads the file. Each line is a role.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;

/// The permissions of each role, by the name of the role.
pub struct Catalogue {
    pub roles: BTreeMap<String, BTreeSet<String>>,
    pub permissions: Vec<String>,
}

impl Catalogue {
    pub fn read(path: &Path) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
        let mut text = String::new();
        GzDecoder::new(File::open(path).map_err(failed)?).read_to_string(&mut text).map_err(failed)?;
        let mut roles = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let mut fields = line.split('\t');
            let (Some(role), permissions) = (fields.next(), fields.nth(2)) else { continue };
            let permissions = permissions.unwrap_or_default().split(' ').filter(|name| !name.is_empty());
            // This is Google's full name. Without the prefix `Owner` would collide with the role of the project.
            roles.insert(format!("roles/{role}"), permissions.map(str::to_owned).collect::<BTreeSet<String>>());
        }
        let permissions: BTreeSet<String> = roles.values().flatten().cloned().collect();
        Ok(Self { roles, permissions: permissions.into_iter().collect() })
    }

    /// Returns the number of (role, permission) pairs.
    pub fn grants(&self) -> usize {
        self.roles.values().map(BTreeSet::len).sum()
    }
}
