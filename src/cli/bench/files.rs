//! Reads a workload from the files of a directory, separated by tabs: `mapping.tsv`, `orgs.tsv`, `members.tsv` and
//! `checks.tsv`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::Path;

use super::workload::{Mapping, Model, Row, Workload};
use crate::cli::trouble::Trouble;
use crate::wire::Decision;

const NEXT: &str = "the help of --workload describes the files";

/// What the files contain. Roles, mappings, orgs and permissions are indices.
pub struct Files {
    /// The id of an org and its role mapping.
    pub orgs: Vec<(String, usize)>,
    /// The org of a member, the id of the user, and the role. Sorted by org.
    pub members: Vec<(u32, Box<str>, u16)>,
    /// The member whom a check asks about, and the permission.
    pub checks: Vec<(u32, u16)>,
}

impl Files {
    pub fn members_of(&self, org: usize) -> Range<u64> {
        let begin = |org: usize| self.members.partition_point(|member| (member.0 as usize) < org) as u64;
        begin(org)..begin(org + 1)
    }
}

/// Reads the files. Refuses checks whose answer differs from what the other files say.
pub fn read(folder: &Path) -> Result<Workload, Trouble> {
    let model = model(folder)?;
    let mut orgs = Vec::new();
    lines(folder, "orgs.tsv", |[org_id, mapping]| {
        let mapping = model.mappings.iter().position(|known| known.name == mapping);
        orgs.push((org_id.to_owned(), mapping.ok_or("its role mapping is not in mapping.tsv")?));
        Ok(())
    })?;
    let org_numbers: HashMap<&str, u32> = orgs.iter().zip(0..).map(|((id, _), number)| (id.as_str(), number)).collect();
    let mut members = Vec::new();
    lines(folder, "members.tsv", |[org_id, user_id, role]| {
        let org = org_numbers.get(org_id).ok_or("its org is not in orgs.tsv")?;
        let role = model.roles.iter().position(|known| known == role).ok_or("its role is not in mapping.tsv")?;
        members.push((*org, Box::from(user_id), role as u16));
        Ok(())
    })?;
    members.sort_by_key(|member| member.0);
    let member_numbers: HashMap<(u32, &str), u32> =
        members.iter().zip(0..).map(|(member, number)| ((member.0, &*member.1), number)).collect();
    let permissions: HashMap<&str, usize> =
        model.permissions.iter().zip(0..).map(|(name, number)| (name.as_str(), number)).collect();
    let mut checks = Vec::new();
    lines(folder, "checks.tsv", |[org_id, user_id, _role, _mapping, permission, allowed]| {
        let org = *org_numbers.get(org_id).ok_or("its org is not in orgs.tsv")?;
        let member = *member_numbers.get(&(org, user_id)).ok_or("its member is not in members.tsv")?;
        let permission = *permissions.get(permission).ok_or("its permission is not in mapping.tsv")?;
        let (mapping, role) = (orgs[org as usize].1, usize::from(members[member as usize].2));
        let expected = model.decision(mapping, role, permission) == Decision::Allowed;
        if expected != (allowed == "1") {
            return Err("its answer is not what mapping.tsv and members.tsv say".into());
        }
        checks.push((member, permission as u16));
        Ok(())
    })?;
    if members.is_empty() || checks.is_empty() {
        return Err(Trouble::new(format!("the workload in {} has no members or no checks", folder.display()), NEXT));
    }
    let name = format!("files, {} memberships in {} orgs", members.len(), orgs.len());
    Ok(Workload::of_files(Files { orgs, members, checks }, model, name))
}

fn model(folder: &Path) -> Result<Model, Trouble> {
    let mut model = Model::default();
    let mut rows: Vec<(usize, usize, bool, Vec<usize>)> = Vec::new();
    lines(folder, "mapping.tsv", |[mapping, role, disabled, permissions]| {
        let mapping =
            number_of(mapping, &mut model.mappings, |mapping| &mapping.name, |name| Mapping { name, rows: Vec::new() });
        let role = number_of(role, &mut model.roles, |role| role, |name| name);
        let granted = permissions.split(',').filter(|name| !name.is_empty());
        let granted = granted.map(|name| number_of(name, &mut model.permissions, |name| name, |name| name)).collect();
        rows.push((mapping, role, disabled == "1", granted));
        Ok(())
    })?;
    let empty = Row { disabled: false, grants: vec![false; model.permissions.len()] };
    for mapping in &mut model.mappings {
        mapping.rows = vec![empty.clone(); model.roles.len()];
    }
    for (mapping, role, disabled, granted) in rows {
        let row = &mut model.mappings[mapping].rows[role];
        row.disabled = disabled;
        granted.into_iter().for_each(|permission| row.grants[permission] = true);
    }
    Ok(model)
}

/// Returns the index of a name. Adds it if it is new.
fn number_of<T>(name: &str, known: &mut Vec<T>, of: impl Fn(&T) -> &String, new: impl Fn(String) -> T) -> usize {
    known.iter().position(|known| of(known) == name).unwrap_or_else(|| {
        known.push(new(name.to_owned()));
        known.len() - 1
    })
}

/// Gives the fields of every line to `take`. An error names the file and the line.
fn lines<const N: usize>(
    folder: &Path,
    name: &str,
    mut take: impl FnMut([&str; N]) -> Result<(), String>,
) -> Result<(), Trouble> {
    let path = folder.join(name);
    let unreadable = |error| Trouble::new(format!("cannot read `{}`: {error}", path.display()), NEXT);
    for (line, number) in BufReader::new(File::open(&path).map_err(unreadable)?).lines().zip(1..) {
        let line = line.map_err(unreadable)?;
        let fields: Vec<&str> = line.split('\t').collect();
        let taken = match <[&str; N]>::try_from(fields) {
            Ok(fields) => take(fields),
            Err(fields) => Err(format!("it has {} fields and not {N}", fields.len())),
        };
        taken.map_err(|why| Trouble::new(format!("line {number} of `{}`: {why}", path.display()), NEXT))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workload(checks: &str) -> Result<Workload, Trouble> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("mapping.tsv", "free\towner\t0\tread,write\nfree\tguest\t1\tread\n"),
            ("orgs.tsv", "acme\tfree\nglobex\tfree\n"),
            ("members.tsv", "globex\tann\tguest\nacme\tann\towner\nacme\tbob\tguest\n"),
            ("checks.tsv", checks),
        ] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        read(folder.path())
    }

    #[test]
    fn the_files_give_members_and_checks() {
        let read = workload("acme\tann\towner\tfree\twrite\t1\nglobex\tann\tguest\tfree\tread\t0\n").unwrap();
        assert_eq!((read.memberships, read.orgs, read.members_of(0), read.members_of(1)), (3, 2, 0..2, 2..3));
        let expected: Vec<Decision> = (0..2).map(|number| read.check(number).expected).collect();
        assert_eq!(expected, [Decision::Allowed, Decision::RoleDisabled]);
    }

    #[test]
    fn a_line_that_contradicts_the_others_is_named() {
        for (line, why) in [
            ("acme\tann\towner\tfree\twrite\t0", "its answer is not"),
            ("acme\teve\towner\tfree\twrite\t0", "its member is not"),
            ("acme\tann\towner\tfree\tfly\t0", "its permission is not"),
            ("acme\tann", "2 fields and not 6"),
        ] {
            let trouble = workload(line).err().unwrap();
            assert!(trouble.what.contains("line 1 of") && trouble.what.contains(why), "{}", trouble.what);
        }
    }
}
