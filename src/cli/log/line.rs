//! An event as lines for people.

use anstyle::{AnsiColor, Style};
use indicatif::HumanCount;

use crate::cli::table::plain;
use crate::wire::{Event, EventAction, EventChange, EventDenial, EventField};

/// Returns the lines of an event: when, who, for whom, the RPC, what changed, and why.
pub fn event(event: &Event, with_project: bool) -> String {
    let (bold, dim) = (Style::new().bold(), Style::new().dimmed());
    let time = event.time.map_or_else(String::new, |mut time| {
        time.nanos = 0;
        time.to_string()
    });
    let actor = if event.actor.is_empty() { "several" } else { &event.actor };
    let mut text = format!("{dim}{time}{dim:#}  {bold}{}{bold:#}", plain(actor));
    if !event.key_id.is_empty() {
        text += &format!(" {dim}(key {}){dim:#}", plain(&event.key_id));
    }
    if !event.acting_user_id.is_empty() {
        text += &format!(" for {}", plain(&event.acting_user_id));
    }
    if !event.kind.is_empty() {
        text += &format!("  {}", plain(&event.kind));
    }
    if with_project && !event.project.is_empty() {
        text += &format!(" {dim}in project {}{dim:#}", plain(&event.project));
    }
    text += "  ";
    let more = event.changes_total - event.changes.len() as i32;
    match (&event.denial, &event.changes[..]) {
        (Some(denial), _) => text += &self::denial(denial),
        (None, [only]) if more == 0 => text += &change(only),
        (None, _) => text += &format!("{} changes", HumanCount(event.changes_total.unsigned_abs().into())),
    }
    if !event.reason.is_empty() {
        text += &format!("  {dim}\"{}\"{dim:#}", plain(&event.reason));
    }
    text.push('\n');
    if event.changes.len() > 1 || more > 0 {
        for it in &event.changes {
            text += &format!("    {}\n", change(it));
        }
        if more > 0 {
            text += &format!("    {dim}and {} more{dim:#}\n", HumanCount(more.unsigned_abs().into()));
        }
    }
    text
}

fn denial(denial: &EventDenial) -> String {
    let red = AnsiColor::Red.on_default().bold();
    let mut text = format!("{red}refused{red:#}");
    if !denial.reason.is_empty() {
        text += &format!(" {}", plain(&denial.reason));
    }
    if !denial.missing_permission.is_empty() {
        text += &format!(", needs {}", plain(&denial.missing_permission));
    }
    if !denial.org_id.is_empty() {
        text += &format!(", org {}", plain(&denial.org_id));
    }
    if denial.count > 1 {
        text += &format!(", {} times", HumanCount(denial.count.unsigned_abs()));
    }
    text
}

/// Returns a sentence such as `changed membership of bea in acme: roles Member → Admin`.
fn change(change: &EventChange) -> String {
    let (verb, color) = match change.action() {
        EventAction::Created => ("created", AnsiColor::Green),
        EventAction::Deleted => ("deleted", AnsiColor::Red),
        EventAction::Changed | EventAction::Unspecified => ("changed", AnsiColor::Yellow),
    };
    let color = color.on_default();
    let mut text = format!("{color}{verb}{color:#} {}", plain(&change.noun));
    let user = if change.noun == "grants" { &change.name } else { &change.user_id };
    let name = match change.noun.as_str() {
        "grants" => "",
        "org" => &change.org_id,
        _ => &change.name,
    };
    if !name.is_empty() {
        text += &format!(" {}", plain(name));
    }
    let place = match change.noun.as_str() {
        "grants" => &change.role_mapping,
        "org" => "",
        _ => &change.org_id,
    };
    match (user.as_str(), place) {
        ("", "") => {}
        ("", place) if name.is_empty() => text += &format!(" of {}", plain(place)),
        ("", place) => text += &format!(" to {}", plain(place)),
        (user, "") => text += &format!(" of {}", plain(user)),
        (user, place) => text += &format!(" of {} in {}", plain(user), plain(place)),
    }
    let fields: Vec<String> = change.fields.iter().map(|it| field(it, change.action())).collect();
    if fields.is_empty() { text } else { format!("{text}: {}", fields.join("; ")) }
}

fn field(field: &EventField, action: EventAction) -> String {
    let side = |values: &[String], more: i32| {
        let values = plain(&values.join(", "));
        match more {
            0 if values.is_empty() => "none".into(),
            0 => values,
            more => format!("{values} and {} more", HumanCount(more.unsigned_abs().into())),
        }
    };
    let name = plain(&field.name).replace('_', " ");
    let (before, after) = (side(&field.before, field.before_more), side(&field.after, field.after_more));
    match action {
        EventAction::Created => format!("{name} {after}"),
        EventAction::Deleted => format!("{name} {before}"),
        // The permissions of grants are what a role gained or lost.
        _ if field.name == "permissions_gained" => format!("{name} {after}"),
        _ if field.name == "permissions_lost" => format!("{name} {before}"),
        _ => format!("{name} {before} → {after}"),
    }
}

#[cfg(test)]
mod tests {
    use crate::wire::Timestamp;

    use super::*;

    fn shown(of: &Event) -> String {
        anstream::adapter::strip_str(&event(of, true)).to_string()
    }

    fn roles(before: &[&str], after: &[&str]) -> EventField {
        let texts = |texts: &[&str]| texts.iter().map(|text| text.to_string()).collect();
        EventField { name: "roles".into(), before: texts(before), after: texts(after), ..Default::default() }
    }

    fn membership(user: &str, action: EventAction, field: EventField) -> EventChange {
        EventChange {
            noun: "membership".into(),
            action: action.into(),
            org_id: "acme".into(),
            user_id: user.into(),
            fields: vec![field],
            ..Default::default()
        }
    }

    #[test]
    fn an_event_is_a_sentence_with_when_who_for_whom_what_and_why() {
        let mut of = Event {
            time: Some(Timestamp { seconds: 1_795_946_400, nanos: 5_000 }),
            actor: "carla".into(),
            key_id: "k1".into(),
            acting_user_id: "ann".into(),
            kind: "SetMemberRoles".into(),
            project: "shop".into(),
            reason: "promoted\u{1b}[2J".into(),
            changes: vec![membership("bea", EventAction::Changed, roles(&["Member"], &["Admin", "Clerk"]))],
            changes_total: 1,
            ..Default::default()
        };
        assert_eq!(
            shown(&of),
            "2026-11-29T10:00:00Z  carla (key k1) for ann  SetMemberRoles in project shop  changed membership of bea in acme: \
             roles Member → Admin, Clerk  \"promoted\\u{1b}[2J\"\n"
        );
        of.changes.push(membership("cid", EventAction::Deleted, roles(&["Owner"], &[])));
        of.changes_total = 1_500;
        let text = shown(&of);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("  1,500 changes  "), "{text}");
        assert_eq!(lines[2..], ["    deleted membership of cid in acme: roles Owner", "    and 1,498 more"]);
    }

    #[test]
    fn refused_calls_say_what_was_missing() {
        let denial = EventDenial {
            reason: "MISSING_PERMISSION".into(),
            missing_permission: "orgs.delete".into(),
            org_id: "acme".into(),
            count: 3,
        };
        let mut of =
            Event { actor: "sam".into(), kind: "DeleteOrg".into(), denial: Some(denial), ..Default::default() };
        assert_eq!(
            shown(&of).trim_start(),
            "sam  DeleteOrg  refused MISSING_PERMISSION, needs orgs.delete, org acme, 3 times\n"
        );
        of = Event { denial: Some(EventDenial { count: 1_200, ..Default::default() }), ..Default::default() };
        assert_eq!(shown(&of).trim_start(), "several  refused, 1,200 times\n");
    }

    #[test]
    fn grants_and_orgs_are_named() {
        let of = EventChange {
            noun: "grants".into(),
            action: EventAction::Changed.into(),
            role_mapping: "Paid".into(),
            name: "Admin".into(),
            fields: vec![EventField {
                name: "permissions_gained".into(),
                after: vec!["a".into()],
                after_more: 7,
                ..Default::default()
            }],
            ..Default::default()
        };
        let plain = |of: &EventChange| anstream::adapter::strip_str(&change(of)).to_string();
        assert_eq!(plain(&of), "changed grants of Admin in Paid: permissions gained a and 7 more");
        let org = EventChange { noun: "org".into(), org_id: "acme".into(), action: 1, ..Default::default() };
        assert_eq!(plain(&org), "created org acme");
    }
}
