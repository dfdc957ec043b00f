//! `rolecall operators matrix`: which operator role may call which RPC, by the published roles. Asks no server.

use std::collections::BTreeSet;

use clap::{Parser, ValueEnum};
use comfy_table::{Attribute, Cell, Color};
use serde::Serialize;

use crate::cli::answer::{self, Answer};
use crate::cli::table::{table, text};
use crate::cli::trouble::Trouble;
use crate::domain::model::permission::TEAM_MANAGE;
use crate::domain::model::template::{PROPELAUTH, STYTCH, Template};
use crate::grpc::authz::{RULES, Rule};

#[derive(Parser)]
#[command(after_help = "The roles can be edited in the workspace. The matrix shows them as they are published.")]
pub struct Args {
    /// The published set of roles.
    #[arg(long, default_value = "propelauth", value_name = "SET")]
    roles: OperatorRoles,

    /// Prints JSON and nothing else.
    #[arg(long)]
    json: bool,
}

/// The published sets of dashboard roles (W5).
#[derive(Clone, Copy, ValueEnum)]
pub enum OperatorRoles {
    Propelauth,
    Stytch,
}

impl OperatorRoles {
    pub fn template(self) -> &'static Template {
        match self {
            Self::Propelauth => &PROPELAUTH,
            Self::Stytch => &STYTCH,
        }
    }
}

#[derive(Serialize)]
struct Matrix {
    roles: Vec<&'static str>,
    methods: Vec<Method>,
    notes: Vec<String>,
}

#[derive(Serialize)]
struct Method {
    service: &'static str,
    method: &'static str,
    /// Empty if every known caller may call it.
    requires: String,
    requires_in_workspace: &'static [&'static str],
    /// Numbers of `notes`, from 1.
    notes: Vec<usize>,
    /// For each role.
    allowed: Vec<Allowed>,
}

/// Where a role may call a method.
#[derive(Serialize)]
struct Allowed {
    live: bool,
    test: bool,
    /// Absent if the method names no project.
    #[serde(skip_serializing_if = "Option::is_none")]
    workspace: Option<bool>,
}

pub fn run(args: &Args) -> Result<(), Trouble> {
    answer::print(&Matrix::of(args.roles.template()), args.json)
}

impl Matrix {
    fn of(template: &'static Template) -> Self {
        let granted: Vec<BTreeSet<&str>> = template
            .roles
            .iter()
            .map(|role| {
                let permissions = template.permissions().zip(template.grants(role));
                permissions.filter(|(_, granted)| *granted).map(|((name, _), _)| name).collect()
            })
            .collect();
        let mut notes = Vec::new();
        let mut rules = RULES.to_vec();
        // Stable: the methods of a service keep the order of the contract.
        rules.sort_by_key(|rule| rule.method.split('/').next());
        let methods = rules.into_iter().map(|rule| method(rule, &granted, &mut notes)).collect();
        Self { roles: template.roles.iter().map(|role| role.name).collect(), methods, notes }
    }
}

fn method(rule: &'static Rule, granted: &[BTreeSet<&str>], notes: &mut Vec<String>) -> Method {
    let path = rule.method.rsplit('.').next().unwrap_or_default();
    let (service, method) = path.split_once('/').unwrap_or_default();
    let numbers = rule.effects.iter().map(|effect| {
        let fields: Vec<String> = effect.fields.iter().map(|field| format!("`{field}`")).collect();
        let note = match fields.is_empty() {
            true => format!("also needs {}", effect.requires),
            false => format!("also needs {} if the request sets {}", effect.requires, fields.join(" or ")),
        };
        notes.iter().position(|it| *it == note).unwrap_or_else(|| {
            notes.push(note);
            notes.len() - 1
        }) + 1
    });
    let notes = numbers.collect();
    let requires = match rule {
        Rule { requires, requires_in_test, .. } if !requires_in_test.is_empty() => {
            format!("{requires}, for TEST {requires_in_test}")
        }
        Rule { requires, suffices_in_test, .. } if !suffices_in_test.is_empty() => {
            format!("{requires}, for TEST or {suffices_in_test}")
        }
        Rule { requires, .. } => (*requires).to_string(),
    };
    let requires_in_workspace = rule.requires_in_workspace;
    let allowed = granted.iter().map(|granted| allowed(rule, granted)).collect();
    Method { service, method, requires, requires_in_workspace, notes, allowed }
}

fn allowed(rule: &Rule, granted: &BTreeSet<&str>) -> Allowed {
    let always = || rule.effects.iter().filter(|effect| effect.fields.is_empty());
    let effects = always().all(|effect| granted.contains(effect.requires));
    let live = rule.any_caller || granted.contains(rule.requires) && effects;
    let test = match rule.requires_in_test {
        "" => live || granted.contains(rule.suffices_in_test),
        permission => granted.contains(permission),
    };
    let needed = rule.requires_in_workspace.iter().copied().chain(always().map(|_| TEAM_MANAGE));
    let workspace = needed.into_iter().all(|permission| granted.contains(permission));
    Allowed { live, test, workspace: (!rule.requires_in_workspace.is_empty()).then_some(workspace) }
}

impl Allowed {
    fn text(&self) -> &'static str {
        match (self.live, self.test, self.workspace) {
            (true, true, None | Some(true)) => "yes",
            (true, true, Some(false)) => "outside",
            (false, false, Some(true)) => "workspace",
            (true, false, _) => "LIVE",
            (false, true, Some(true)) => "TEST, workspace",
            (false, true, _) => "TEST",
            (false, false, _) => "-",
        }
    }

    fn cell(&self) -> Cell {
        let text = self.text();
        let color = match text {
            "yes" => Color::Green,
            "-" => Color::DarkGrey,
            _ => Color::Yellow,
        };
        Cell::new(text).fg(color)
    }
}

const LEGEND: &str = "\
yes        everywhere
outside    in all projects but the workspace
workspace  only in the workspace
LIVE TEST  only for LIVE or TEST projects and keys
-          nowhere";

impl Answer for Matrix {
    fn text(&self) -> String {
        let headings = self.roles.iter().map(|role| role.replace(' ', "\n"));
        let headings = [String::from("RPC")].into_iter().chain(headings);
        let mut rows = table(headings.chain(["NEEDS".into(), "IN THE WORKSPACE".into()]));
        let mut service = "";
        for method in &self.methods {
            if method.service != service {
                service = method.service;
                rows.add_row([Cell::new(service).add_attribute(Attribute::Bold)]);
            }
            let notes: String = method.notes.iter().map(|number| format!(" ({number})")).collect();
            let mut row = vec![Cell::new(format!("  {}{notes}", method.method))];
            row.extend(method.allowed.iter().map(Allowed::cell));
            let requires = if method.requires.is_empty() { "a known caller" } else { &method.requires };
            row.extend([Cell::new(requires), Cell::new(method.requires_in_workspace.join(", "))]);
            rows.add_row(row);
        }
        let notes: String = self.notes.iter().enumerate().map(|(at, note)| format!("({})  {note}\n", at + 1)).collect();
        format!("{}\n{LEGEND}\n\n{notes}", text(rows))
    }
}
