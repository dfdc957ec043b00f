//! `--demo`: fills an empty store with an example, shows who may do what in it, and how to ask.

mod calls;
mod example;

use std::io::Write;

use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table, presets};

use super::Running;
use crate::clock;
use crate::domain::rules::visibility::Visibility;
use crate::domain::{Ask, Call, Decision, OrgId, Project, ProjectKey, Question, Time, UserId};
use example::{Example, PERMISSIONS};

/// Who did it, in the history.
const ACTOR: &str = "demo";

/// Fills the store if it holds nothing but what the first start made; shows the example if it is there.
pub async fn run(server: &Running) -> Result<(), String> {
    let filled = fill(server).await?;
    let published = server.app.engine.pin();
    let now = clock::now();
    let mut text = String::from(filled);
    let project = published.state.project(&ProjectKey::default_project());
    match project.filter(|project| example::is_there(project)) {
        Some(project) => {
            text.push_str(&format!("\nWho may do what, as this server decides it now:\n{}\n", table(project, now)));
            text.push_str("yes: allowed; no: denied; off: the role would grant it, but is disabled on this plan\n");
            text.push_str(&calls::text(&server.addresses, &published.state, now));
        }
        None => text.push_str("Its data is none of the example's, so there is nothing to show.\n"),
    }
    // A closed standard output is no reason to stop serving.
    let mut out = anstream::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    Ok(())
}

/// Writes what is missing of the example; returns what is to be said of it.
async fn fill(server: &Running) -> Result<&'static str, String> {
    let begun = match example::begun(&server.app.engine.pin().state) {
        Example::Elsewhere => return Ok("The store holds data already: the demo changed nothing.\n"),
        Example::Begun(steps) => steps,
    };
    for command in example::steps().into_iter().skip(begun) {
        let call = Call::plain(ACTOR, "example data");
        let written = server.app.writer.submit(command, call).await;
        written
            .map_err(|failure| format!("the demo could not write its example: {failure}; start again with --demo"))?;
    }
    Ok(match begun {
        0 => "The store was empty: it holds the example now.\n",
        _ => "An earlier demo was interrupted: the rest of its example is written now.\n",
    })
}

/// Every member of the example's orgs against every permission, as checks answer it.
fn table(project: &Project, now: Time) -> String {
    let mut table = Table::new();
    table.load_preset(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Disabled);
    // Whether the output takes colours is found out where it is written.
    table.enforce_styling();
    let permissions = PERMISSIONS.iter().map(|(name, _)| name.replace('.', ".\n"));
    let headings = ["org", "plan", "user", "role"].into_iter().map(String::from).chain(permissions);
    table.set_header(headings.map(|heading| Cell::new(heading).add_attribute(Attribute::Bold)));
    for (org_id, user_id) in example::members() {
        let (org_id, user_id) = (OrgId::stored(org_id), UserId::stored(user_id));
        let Some(org) = project.org(org_id.as_str()) else { continue };
        // Whoever was removed since is not shown.
        let Some(record) = project.membership(org, &user_id) else { continue };
        let roles = project.member(org, &user_id, &record, Visibility::All, now).roles;
        let roles: Vec<String> = roles.into_iter().map(|given| given.role.to_string()).collect();
        let plan = project.role_mapping_name(org.record.role_mapping);
        let texts = [org_id.to_string(), plan.to_string(), user_id.to_string(), roles.join(", ")];
        let answers = PERMISSIONS.iter().map(|(permission, _)| {
            let question = Question::Permission(permission);
            answer(project.check(&Ask { org_id: org_id.as_str(), user_id: user_id.as_str(), question }, now))
        });
        table.add_row(texts.into_iter().map(Cell::new).chain(answers));
    }
    table.to_string()
}

fn answer(decision: Decision) -> Cell {
    match decision {
        Decision::Allowed => Cell::new("yes").fg(Color::Green),
        Decision::RoleDisabled => Cell::new("off").fg(Color::Yellow),
        _ => Cell::new("no").fg(Color::DarkGrey),
    }
}
