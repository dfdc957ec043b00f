//! A plan as text and as JSON.

use serde::Serialize;

use super::{NotRenamed, Plan};
use crate::cli::answer::Answer;
use crate::cli::configuration::diff;
use crate::cli::impact;
use crate::cli::table::plain;
use crate::wire::{ConfigurationChange, ConfigurationObject, ConfigurationStep, Impact};

/// See the module.
#[derive(Serialize)]
pub struct Shown {
    project: String,
    create: bool,
    steps: Vec<ShownStep>,
    unmanaged: Vec<ShownObject>,
    not_renamed: Vec<ShownNotRenamed>,
    impact: Impact,
    etag: String,
    #[serde(skip)]
    text: String,
}

#[derive(Serialize)]
struct ShownStep {
    action: String,
    #[serde(flatten)]
    object: ShownObject,
    changes: Vec<ConfigurationChange>,
}

#[derive(Serialize)]
struct ShownObject {
    kind: String,
    name: String,
}

#[derive(Serialize)]
struct ShownNotRenamed {
    #[serde(flatten)]
    object: ShownObject,
    renamed_from: String,
}

impl Shown {
    pub fn of(plan: &Plan) -> Self {
        let object = |object: &ConfigurationObject| ShownObject {
            kind: object.kind().as_str_name().trim_start_matches("CONFIGURATION_OBJECT_KIND_").into(),
            name: object.name.clone(),
        };
        let step = |step: &ConfigurationStep| ShownStep {
            action: step.action().as_str_name().trim_start_matches("CONFIGURATION_ACTION_").into(),
            object: object(&step.object.clone().unwrap_or_default()),
            changes: step.changes.clone(),
        };
        Self {
            project: plan.request.project.clone(),
            create: plan.create,
            steps: plan.steps.iter().map(step).collect(),
            unmanaged: plan.unmanaged.iter().map(object).collect(),
            not_renamed: plan
                .not_renamed
                .iter()
                .map(|it| ShownNotRenamed { object: object(&it.object), renamed_from: it.renamed_from.clone() })
                .collect(),
            impact: plan.impact.clone(),
            etag: plan.etag.clone(),
            text: text(plan),
        }
    }
}

impl Answer for Shown {
    fn text(&self) -> String {
        self.text.clone()
    }
}

fn text(plan: &Plan) -> String {
    let (bold, dim) = (anstyle::Style::new().bold(), anstyle::Style::new().dimmed());
    let project = plain(&plan.request.project);
    let mut text = match (plan.steps.is_empty(), plan.create) {
        (true, true) => format!("{bold}{project} would be created.{bold:#}\n"),
        (true, false) => format!("{bold}{project} is as the document says: there is nothing to change.{bold:#}\n"),
        (false, true) => format!("{bold}{project} would be created with {}.{bold:#}\n\n", diff::summary(&plan.steps)),
        (false, false) => format!("{bold}{project}: {}.{bold:#}\n\n", diff::summary(&plan.steps)),
    };
    text.push_str(&diff::diff(&plan.steps));
    if !plan.steps.is_empty() && !plan.create {
        let affected = impact::sentence(&plan.impact);
        text.push_str(&format!("\n{bold}This would affect {affected}.{bold:#}\n{}", impact::tables(&plan.impact)));
    }
    let yellow = anstyle::AnsiColor::Yellow.on_default();
    for NotRenamed { object, renamed_from } in &plan.not_renamed {
        let (object, old) = (diff::object(object), plain(renamed_from));
        text.push_str(&format!("\n{yellow}! {object} is new: its `renamed_from: {old}` names nothing.{yellow:#}\n"));
    }
    if !plan.unmanaged.is_empty() {
        text.push_str(&format!("\n{dim}# not in the document, and left as it is; --prune deletes it{dim:#}\n"));
        plan.unmanaged.iter().for_each(|object| text.push_str(&format!("  {}\n", diff::object(object))));
    }
    text
}
