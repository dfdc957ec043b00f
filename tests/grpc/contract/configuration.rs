//! Requests of configurations.

use prost::Message;
use rolecall::wire;

use super::Sent;
use crate::fixture::{remapping, suspending_with_fallback, texts};

pub fn reading(token: &str) -> Sent {
    let requirement = Some(wire::consistency::Requirement::AtLeast(token.into()));
    let request = wire::GetConfigurationRequest {
        project: "default".into(),
        consistency: Some(wire::Consistency { requirement }),
    };
    ("rolecall.v1.ConfigurationService/GetConfiguration", request.encode_to_vec())
}

/// Sets every field. What it deletes does not exist.
pub fn applying() -> Sent {
    let role = |name: &str| wire::ConfiguredRole { name: name.into(), ..Default::default() };
    let chief = wire::ConfiguredRole {
        name: "Chief".into(),
        description: "Leads.".into(),
        internal: false,
        manages: texts(&["Member"]),
        aliases: texts(&["Boss"]),
        renamed_from: "Owner".into(),
    };
    let permission = wire::ConfiguredPermission {
        name: "orders.view".into(),
        description: "Sees orders.".into(),
        aliases: texts(&["orders.read"]),
        renamed_from: "orders.see".into(),
    };
    let plan = wire::ConfiguredRoleMapping {
        name: "Plan".into(),
        description: "The only plan.".into(),
        disabled_roles: texts(&["Admin"]),
        grants: vec![wire::ConfiguredGrants { role: "Chief".into(), permissions: texts(&["orders.view"]) }],
        on_disabled: remapping(&[("Admin", "Member")], "Member"),
        aliases: texts(&["Tariff"]),
        renamed_from: "Default".into(),
    };
    let request = wire::ApplyConfigurationRequest {
        project: "deserted".into(),
        configuration: Some(wire::Configuration {
            display_name: "Deserted".into(),
            environment: 0,
            role_structure: wire::RoleStructure::MultiRole.into(),
            default_role: "Member".into(),
            default_owner_role: "Chief".into(),
            default_role_mapping: "Plan".into(),
            permissions: vec![permission],
            roles: vec![chief, role("Admin"), role("Member")],
            role_mappings: vec![plan],
        }),
        deleted_permissions: texts(&["orders.gone"]),
        deleted_roles: vec![wire::DeletedRole { name: "Gone".into(), replacement: "Member".into() }],
        deleted_role_mappings: vec![wire::DeletedRoleMapping {
            name: "Gone".into(),
            move_subscribers_to: "Plan".into(),
            on_disabled: suspending_with_fallback("Member"),
        }],
        prune: true,
        allow_ownerless: true,
        request_id: "request-configuration".into(),
        reason: "because".into(),
        ..Default::default()
    };
    ("rolecall.v1.ConfigurationService/ApplyConfiguration", request.encode_to_vec())
}
