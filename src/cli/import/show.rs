//! Shows what an import would do or has done, and its misfits.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use comfy_table::Cell;
use indicatif::HumanCount;
use serde::Serialize;

use super::apply::Outcome;
use super::contents::Misfits;
use super::plan::Plan;
use crate::cli::answer::Answer;
use crate::cli::configuration::{self, diff};
use crate::cli::impact;
use crate::cli::table::{plain, table, text};
use crate::cli::trouble::Trouble;
use crate::wire::ConfigurationStep;

/// Examples of a kind.
const EXAMPLES: usize = 3;
/// Steps of the configuration that are shown.
const STEPS: usize = 20;

#[derive(Serialize)]
pub struct Shown {
    project: String,
    pub applied: bool,
    create_project: bool,
    /// As in `rolecall plan --json`. `None` if the files do not say.
    configuration: Option<configuration::plan::Shown>,
    #[serde(skip)]
    configured: String,
    orgs: Counts,
    members: Counts,
    misfits: Vec<Misfit>,
    /// What differs from the plan, which was shown before.
    #[serde(skip)]
    outcome: String,
    /// True if something in the files was imported before.
    #[serde(skip)]
    any_present: bool,
}

#[derive(Serialize)]
struct Counts {
    new: u64,
    changed: u64,
    present: u64,
}

#[derive(Serialize)]
struct Misfit {
    kind: &'static str,
    count: usize,
    examples: Vec<String>,
}

impl Shown {
    pub fn new(project: &str, plan: &Plan, misfits: &Misfits) -> Self {
        let configured = plan.configuration.as_ref().map(|(_, plan)| plan);
        Self {
            project: project.into(),
            applied: false,
            create_project: plan.creates_project(),
            configuration: configured.map(configuration::plan::Shown::of),
            configured: configured.map(in_words).unwrap_or_default(),
            orgs: Counts {
                new: plan.new_orgs.len() as u64,
                changed: plan.changed_orgs.len() as u64,
                present: plan.orgs_present,
            },
            members: Counts {
                new: plan.new_members.len() as u64,
                changed: plan.changed_members.len() as u64,
                present: plan.members_present,
            },
            misfits: counted(misfits),
            outcome: String::new(),
            any_present: configured.is_some() || plan.listed_orgs_present || plan.members_present > 0,
        }
    }

    /// Adds the roles that members would lose.
    pub fn would_take(&mut self, lost: &Misfits) {
        self.misfits.extend(counted(lost));
    }

    /// Takes off what the server refused, and adds what members have lost.
    pub fn apply(&mut self, outcome: &Outcome) {
        self.applied = true;
        self.orgs.new -= outcome.new_orgs;
        self.members.new -= outcome.new_members;
        self.members.changed -= outcome.changed_members;
        let (refused, taken) = (counted(&outcome.refused), counted(&outcome.taken));
        self.outcome =
            listed("Misfits: refused by the server", &refused) + &listed("Misfits: roles taken away", &taken);
        self.misfits.extend(refused.into_iter().chain(taken));
    }

    /// Returns true if nothing in the files could be imported, now or before.
    pub fn is_in_vain(&self) -> bool {
        self.is_empty() && !self.any_present
    }

    fn is_empty(&self) -> bool {
        let none = |counts: &Counts| counts.new + counts.changed == 0;
        !self.create_project && self.configured.is_empty() && none(&self.orgs) && none(&self.members)
    }

    /// Returns the plan.
    pub fn table(&self) -> String {
        let bold = anstyle::Style::new().bold();
        let new = if self.create_project { " (to be created)" } else { "" };
        let mut all = format!("{bold}Import into the project {}{new}{bold:#}\n", plain(&self.project));
        all.push_str(&self.configured);
        let mut rows = table(["", "NEW", "CHANGED", "PRESENT"].map(String::from));
        for (name, counts) in [("orgs", &self.orgs), ("members", &self.members)] {
            let count = |count| Cell::new(HumanCount(count));
            rows.add_row([Cell::new(name), count(counts.new), count(counts.changed), count(counts.present)]);
        }
        all.push_str(&format!("\n{}{}", text(rows), listed("Misfits", &self.misfits)));
        all
    }
}

fn counted(misfits: &Misfits) -> Vec<Misfit> {
    let misfit = |(kind, all): (&'static str, &[String])| Misfit {
        kind,
        count: all.len(),
        examples: all.iter().take(EXAMPLES).cloned().collect(),
    };
    misfits.kinds().map(misfit).collect()
}

/// Returns the misfits after a heading. Empty if there are none.
fn listed(heading: &str, misfits: &[Misfit]) -> String {
    if misfits.is_empty() {
        return String::new();
    }
    let bold = anstyle::Style::new().bold();
    let mut all = format!("\n{bold}{heading}{bold:#}\n");
    for misfit in misfits {
        let more = if misfit.count > misfit.examples.len() { ", …" } else { "" };
        let (count, examples) = (HumanCount(misfit.count as u64), plain(&misfit.examples.join(", ")));
        all.push_str(&format!("  {} ({count}): {examples}{more}\n", misfit.kind));
    }
    all
}

/// Returns what changes for permissions, roles and role mappings. Of a new project only the first names: everything is new.
fn in_words(plan: &configuration::plan::Plan) -> String {
    if plan.steps.is_empty() {
        return String::new();
    }
    if !plan.create {
        let (changes, affected) = (diff::diff(&plan.steps), impact::sentence(&plan.impact));
        return format!("{changes}\nThis would affect {affected}.\n{}", impact::tables(&plan.impact));
    }
    let object = |step: &ConfigurationStep| step.object.as_ref().map(diff::object).unwrap_or_default();
    let mut all: String = plan.steps.iter().take(STEPS).map(|step| format!("  create {}\n", object(step))).collect();
    if plan.steps.len() > STEPS {
        all.push_str(&format!("  and {} more of these\n", HumanCount((plan.steps.len() - STEPS) as u64)));
    }
    all
}

impl Answer for Shown {
    fn text(&self) -> String {
        if self.applied {
            return format!(
                "Imported {} and {} into the project {}.\n{}",
                counted_noun(self.orgs.new + self.orgs.changed, "org"),
                counted_noun(self.members.new + self.members.changed, "member"),
                plain(&self.project),
                self.outcome
            );
        }
        let conclusion = match (self.is_empty(), self.is_in_vain(), self.misfits.is_empty()) {
            (false, ..) => "\nNothing was changed; --apply writes this\n",
            (true, true, _) => "",
            (true, false, true) => "\nEverything is imported already: nothing changes\n",
            (true, false, false) => "\nEverything but the misfits is imported already: nothing changes\n",
        };
        self.table() + conclusion
    }
}

/// Returns `1 org`, `2 orgs`.
fn counted_noun(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", HumanCount(count), if count == 1 { "" } else { "s" })
}

/// A new file for all misfits, one per line.
pub struct Report {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Report {
    /// Creates the file. Refuses one that exists.
    pub fn create(path: &Path) -> Result<Self, Trouble> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|error| unwritten(path, &error))?;
        Ok(Self { path: path.into(), file: BufWriter::new(file) })
    }

    pub fn write(&mut self, misfits: &Misfits) -> Result<(), Trouble> {
        let mut lines = misfits.kinds().flat_map(|(kind, all)| all.iter().map(move |what| (kind, what)));
        let written = lines.try_for_each(|(kind, what)| writeln!(self.file, "{kind}\t{}", plain(what)));
        written.and_then(|()| self.file.flush()).map_err(|error| unwritten(&self.path, &error))
    }
}

fn unwritten(path: &Path, error: &io::Error) -> Trouble {
    let what = format!("the report `{}` cannot be written: {error}", path.display());
    Trouble::new(what, "name a new file with --report")
}
