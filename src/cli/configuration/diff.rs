//! The steps of a plan as a coloured diff: one block per object, grants as sets.

use crate::cli::table::plain;
use crate::wire::{
    ConfigurationAction, ConfigurationChange, ConfigurationObject, ConfigurationObjectKind, ConfigurationStep,
};

/// Returns the steps as lines with `+`, `-` and `~`.
pub fn diff(steps: &[ConfigurationStep]) -> String {
    steps.iter().map(block).collect()
}

/// Returns `role Admin`.
pub fn object(object: &ConfigurationObject) -> String {
    let kind = match object.kind() {
        ConfigurationObjectKind::Project => "project",
        ConfigurationObjectKind::Permission => "permission",
        ConfigurationObjectKind::Role => "role",
        ConfigurationObjectKind::RoleMapping => "role mapping",
        ConfigurationObjectKind::Unspecified => "object",
    };
    format!("{kind} {}", plain(&object.name))
}

/// Returns `2 to create, 1 to change`.
pub fn summary(steps: &[ConfigurationStep]) -> String {
    let count = |action| steps.iter().filter(|step| step.action() == action).count();
    let counted = [
        (count(ConfigurationAction::Create), "to create"),
        (count(ConfigurationAction::Update), "to change"),
        (count(ConfigurationAction::Delete), "to delete"),
    ];
    let counted = counted.into_iter().filter(|(count, _)| *count > 0);
    counted.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}

fn block(step: &ConfigurationStep) -> String {
    let (sign, style) = match step.action() {
        ConfigurationAction::Create => ('+', GREEN),
        ConfigurationAction::Delete => ('-', RED),
        ConfigurationAction::Update | ConfigurationAction::Unspecified => ('~', YELLOW),
    };
    let object = step.object.as_ref().map(object).unwrap_or_default();
    let bold = style.bold();
    let mut text = format!("{bold}{sign} {object}{bold:#}\n");
    step.changes.iter().for_each(|change| text.push_str(&lines(change)));
    text
}

const GREEN: anstyle::Style = anstyle::AnsiColor::Green.on_default();
const RED: anstyle::Style = anstyle::AnsiColor::Red.on_default();
const YELLOW: anstyle::Style = anstyle::AnsiColor::Yellow.on_default();

fn lines(change: &ConfigurationChange) -> String {
    let field = match change.role.as_str() {
        "" => plain(&change.field),
        role => format!("{} {}", plain(&change.field), plain(role)),
    };
    let set = |sign: char, style: anstyle::Style, elements: &[String]| -> String {
        let line = |element: &String| format!("    {style}{sign} {field}: {}{style:#}\n", plain(element));
        elements.iter().map(line).collect()
    };
    let (before, after) = (plain(&change.before), plain(&change.after));
    let text = match (before.is_empty(), after.is_empty()) {
        (true, true) => String::new(),
        (true, false) => format!("    {GREEN}+ {field}: {after}{GREEN:#}\n"),
        (false, true) => format!("    {RED}- {field}: {before}{RED:#}\n"),
        (false, false) => format!("    {YELLOW}~ {field}: {before} → {after}{YELLOW:#}\n"),
    };
    text + &set('-', RED, &change.removed) + &set('+', GREEN, &change.added)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(action: ConfigurationAction, name: &str, changes: Vec<ConfigurationChange>) -> ConfigurationStep {
        let kind = ConfigurationObjectKind::RoleMapping.into();
        let object = Some(ConfigurationObject { kind, name: name.into() });
        ConfigurationStep { action: action.into(), object, changes }
    }

    #[test]
    fn a_diff_has_a_block_for_each_object_and_a_line_for_each_element_of_a_set() {
        let grants = ConfigurationChange {
            field: "grants".into(),
            role: "Owner".into(),
            removed: vec!["docs::read".into()],
            added: vec!["docs::write".into(), "docs::\u{1b}[2J".into()],
            ..Default::default()
        };
        let text = |field: &str, before: &str, after: &str| ConfigurationChange {
            field: field.into(),
            before: before.into(),
            after: after.into(),
            ..Default::default()
        };
        let steps = [
            step(ConfigurationAction::Update, "Free", vec![text("name", "Basic", "Free"), grants]),
            step(ConfigurationAction::Create, "Paid", vec![text("description", "", "Pays.")]),
            step(ConfigurationAction::Delete, "Old", vec![]),
        ];
        let shown = diff(&steps);
        assert!(shown.contains("\u{1b}[32m+ grants Owner: docs::write"), "{shown:?}");
        assert_eq!(
            anstream::adapter::strip_str(&shown).to_string(),
            "~ role mapping Free\n    ~ name: Basic → Free\n    - grants Owner: docs::read\n    + grants Owner: docs::write\n    \
             + grants Owner: docs::\\u{1b}[2J\n+ role mapping Paid\n    + description: Pays.\n- role mapping Old\n"
        );
        assert_eq!(summary(&steps), "1 to create, 1 to change, 1 to delete");
    }
}
