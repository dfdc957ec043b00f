//! Shows what an import would do or has done, and what does not fit.

use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use comfy_table::Cell;
use indicatif::HumanCount;
use serde::Serialize;

use super::contents::{Contents, Misfits};
use super::plan::Plan;
use crate::cli::answer::Answer;
use crate::cli::configuration::diff;
use crate::cli::table::{plain, table, text};
use crate::cli::trouble::Trouble;
use crate::wire::{ConfigurationAction, ConfigurationStep};

/// Examples of a kind.
const EXAMPLES: usize = 3;
/// Steps of the configuration that are shown.
const STEPS: usize = 20;

#[derive(Serialize)]
pub struct Shown {
    project: String,
    pub applied: bool,
    create_project: bool,
    configuration: Vec<String>,
    orgs: Counts,
    members: Counts,
    misfits: Vec<Misfit>,
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
    pub fn new(project: &str, plan: &Plan, contents: &Contents) -> Self {
        let misfit = |(kind, all): (&'static str, &[String])| Misfit {
            kind,
            count: all.len(),
            examples: all.iter().take(EXAMPLES).cloned().collect(),
        };
        let steps = plan.configuration.iter().flat_map(|(_, plan)| &plan.steps);
        Self {
            project: project.into(),
            applied: false,
            create_project: plan.creates_project(),
            configuration: steps.map(in_words).collect(),
            orgs: Counts { new: plan.new_orgs.len() as u64, changed: 0, present: plan.orgs_present },
            members: Counts {
                new: plan.new_members.len() as u64,
                changed: plan.changed_members.len() as u64,
                present: plan.members_present,
            },
            misfits: contents.misfits.kinds().map(misfit).collect(),
        }
    }

    fn is_empty(&self) -> bool {
        let none = |counts: &Counts| counts.new + counts.changed == 0;
        !self.create_project && self.configuration.is_empty() && none(&self.orgs) && none(&self.members)
    }

    /// Returns the plan.
    pub fn table(&self) -> String {
        let bold = anstyle::Style::new().bold();
        let new = if self.create_project { " (to be created)" } else { "" };
        let mut all = format!("{bold}Import into the project {}{new}{bold:#}\n", plain(&self.project));
        for step in self.configuration.iter().take(STEPS) {
            all.push_str(&format!("  {step}\n"));
        }
        if self.configuration.len() > STEPS {
            all.push_str(&format!("  and {} more of these\n", HumanCount((self.configuration.len() - STEPS) as u64)));
        }
        let mut rows = table(["", "NEW", "CHANGED", "AS THEY ARE"].map(String::from));
        for (name, counts) in [("orgs", &self.orgs), ("members", &self.members)] {
            let count = |count| Cell::new(HumanCount(count));
            rows.add_row([Cell::new(name), count(counts.new), count(counts.changed), count(counts.present)]);
        }
        all.push_str(&format!("\n{}", text(rows)));
        if !self.misfits.is_empty() {
            all.push_str(&format!("\n{bold}What does not fit{bold:#}\n"));
        }
        for misfit in &self.misfits {
            let more = if misfit.count > misfit.examples.len() { ", …" } else { "" };
            let (count, examples) = (HumanCount(misfit.count as u64), plain(&misfit.examples.join(", ")));
            all.push_str(&format!("  {count} {}: {examples}{more}\n", misfit.kind));
        }
        all
    }
}

fn in_words(step: &ConfigurationStep) -> String {
    let verb = match step.action() {
        ConfigurationAction::Create => "create",
        ConfigurationAction::Delete => "delete",
        ConfigurationAction::Update | ConfigurationAction::Unspecified => "change",
    };
    format!("{verb} {}", step.object.as_ref().map(diff::object).unwrap_or_default())
}

impl Answer for Shown {
    fn text(&self) -> String {
        match (self.applied, self.is_empty()) {
            (true, _) => format!(
                "Imported {} orgs and {} members into the project {}.\n",
                HumanCount(self.orgs.new),
                HumanCount(self.members.new + self.members.changed),
                plain(&self.project)
            ),
            (false, true) => format!("{}\nEverything is imported already: nothing changes\n", self.table()),
            (false, false) => format!("{}\nNothing was changed; --apply writes this\n", self.table()),
        }
    }
}

/// Writes all that does not fit to a new file, one per line.
pub fn write_report(path: &Path, misfits: &Misfits) -> Result<(), Trouble> {
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).and_then(|file| {
        let mut file = BufWriter::new(file);
        for (kind, all) in misfits.kinds() {
            for what in all {
                writeln!(file, "{kind}\t{}", plain(what))?;
            }
        }
        file.flush()
    });
    written.map_err(|error| {
        Trouble::new(
            format!("the report `{}` cannot be written: {error}", path.display()),
            "name a new file with --report",
        )
    })
}
