//! Reads the file that says who may do what.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek};
use std::path::Path;

use flate2::read::MultiGzDecoder;

/// All users, all permissions, and the different sets of permissions that users have.
pub struct Matrix {
    pub users: Vec<User>,
    pub permissions: Vec<String>,
    /// Numbers of permissions, ascending.
    pub sets: Vec<Vec<usize>>,
    /// The same sets with one `bool` per permission.
    granted: Vec<Vec<bool>>,
}

/// A user, and the number of the user's set of permissions.
pub struct User {
    pub id: String,
    pub set: usize,
}

impl Matrix {
    pub fn read(path: &Path) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
        let mut file = File::open(path).map_err(failed)?;
        let mut magic = [0; 2];
        let gzipped = file.read(&mut magic).map_err(failed)? == 2 && magic == [0x1f, 0x8b];
        file.rewind().map_err(failed)?;
        let reader: Box<dyn Read> = if gzipped { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };

        let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
        let mut permissions = Vec::new();
        let mut users: BTreeMap<String, BTreeSet<usize>> = BTreeMap::new();
        for (number, line) in BufReader::new(reader).lines().enumerate() {
            let line = line.map_err(failed)?;
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Some((user, permission)) = line.split_once('\t') else {
                return Err(format!("{}, line {}: expected `user TAB permission`", path.display(), number + 1));
            };
            let permission = *numbers.entry(permission.into()).or_insert_with(|| {
                permissions.push(permission.to_owned());
                permissions.len() - 1
            });
            users.entry(user.into()).or_default().insert(permission);
        }
        if users.is_empty() {
            return Err(format!("{} contains no grant", path.display()));
        }
        Ok(Self::of(users, permissions))
    }

    fn of(grants: BTreeMap<String, BTreeSet<usize>>, permissions: Vec<String>) -> Self {
        let mut numbers: BTreeMap<Vec<usize>, usize> = BTreeMap::new();
        let mut users = Vec::with_capacity(grants.len());
        for (id, set) in grants {
            let next = numbers.len();
            let set = *numbers.entry(set.into_iter().collect()).or_insert(next);
            users.push(User { id, set });
        }
        let mut sets = vec![Vec::new(); numbers.len()];
        let mut granted = vec![vec![false; permissions.len()]; numbers.len()];
        for (set, number) in numbers {
            set.iter().for_each(|&permission| granted[number][permission] = true);
            sets[number] = set;
        }
        Self { users, permissions, sets, granted }
    }

    /// Returns the number of granted pairs of user and permission.
    pub fn grants(&self) -> u64 {
        self.users.iter().map(|user| self.sets[user.set].len() as u64).sum()
    }

    /// Returns the number of all pairs of user and permission.
    pub fn pairs(&self) -> u64 {
        self.users.len() as u64 * self.permissions.len() as u64
    }

    /// Returns the user and the permission of a pair.
    pub fn pair(&self, pair: u64) -> (&str, &str) {
        let permissions = self.permissions.len() as u64;
        (&self.users[(pair / permissions) as usize].id, &self.permissions[(pair % permissions) as usize])
    }

    /// Returns true if the file contains the pair.
    pub fn is_granted(&self, pair: u64) -> bool {
        let permissions = self.permissions.len() as u64;
        let set = self.users[(pair / permissions) as usize].set;
        self.granted[set][(pair % permissions) as usize]
    }
}
