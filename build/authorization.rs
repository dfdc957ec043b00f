//! Writes the authorization of every method as Rust, from its option in the proto files (W2).

use std::error::Error;
use std::fmt::Write;

use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, Value,
};

const OPTION: &str = "rolecall.v1.authorization";
/// The packages with services, and where their messages are.
const PACKAGES: [(&str, &str); 2] =
    [("rolecall.v1", "crate::wire"), ("rolecall.replication.v1", "crate::wire::replication")];

/// Returns an implementation of `Authorized` for the request of every method, and the list of all rules. Fails if a method has
/// no option.
pub fn implementations(pool: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    let mut code = String::new();
    let mut rules = String::from("/// The rules of all methods.\npub const RULES: &[&Rule] = &[\n");
    for service in pool.services() {
        let package = PACKAGES.iter().find(|(package, _)| *package == service.package_name());
        let Some((_, messages)) = package else { continue };
        for method in service.methods() {
            let request = format!("{messages}::{}", method.input().name());
            writeln!(rules, "    <{request} as Authorized>::RULE,")?;
            implementation(&mut code, pool, &method, &request)?;
        }
    }
    rules.push_str("];\n");
    Ok(code + &rules)
}

/// Writes the implementation for the request of one method. `type_path` is where its Rust type is.
fn implementation(
    code: &mut String,
    pool: &DescriptorPool,
    method: &MethodDescriptor,
    type_path: &str,
) -> Result<(), Box<dyn Error>> {
    let path = format!("{}/{}", method.parent_service().full_name(), method.name());
    let extension = pool.get_extension_by_name(OPTION).ok_or("options.proto is missing")?;
    let options = method.options();
    if !options.has_extension(&extension) {
        return Err(format!("{path} does not say who may call it: set the option `authorization`").into());
    }
    let value = options.get_extension(&extension);
    let option = value.as_message().ok_or("the option is a message")?;
    let request = method.input();
    let scope = text(option, "scope_field");
    let in_workspace = texts(option, "requires_in_workspace");
    let field = |name: &str| request.get_field_by_name(name);

    writeln!(code, "impl Authorized for {type_path} {{")?;
    writeln!(
        code,
        "    const RULE: &'static Rule = &Rule {{ method: {path:?}, requires: {:?},",
        text(option, "requires")
    )?;
    writeln!(code, "        requires_in_test: {:?},", text(option, "requires_in_test"))?;
    writeln!(code, "        suffices_in_test: {:?},", text(option, "suffices_in_test"))?;
    writeln!(code, "        requires_in_workspace: &{in_workspace:?}, scoped: {},", !scope.is_empty())?;
    let is_set = |field| option.get_field_by_name(field).and_then(|value| value.as_bool()).unwrap_or(false);
    let any_caller = is_set("any_caller");
    let names_project = field("project").is_some();
    let also = option.get_field_by_name("also");
    let also = also.as_deref().and_then(Value::as_list).unwrap_or_default();
    let effect = |effect| {
        format!("Effect {{ requires: {:?}, fields: &{:?} }}", text(effect, "requires"), texts(effect, "fields"))
    };
    let effects: Vec<String> = also.iter().filter_map(Value::as_message).map(effect).collect();
    writeln!(
        code,
        "        any_caller: {any_caller}, names_project: {names_project}, effects: &[{}] }};",
        effects.join(", ")
    )?;
    if names_project {
        let project = match is_set("empty_project_is_all") {
            true => "Some(&*self.project).filter(|project| !project.is_empty())",
            false => "Some(&self.project)",
        };
        writeln!(code, "    fn project(&self) -> Option<&str> {{ {project} }}")?;
    }
    if field("environment").is_some() {
        writeln!(code, "    fn environment(&self) -> i32 {{ self.environment }}")?;
    }
    for name in ["org_id", "acting_user_id"] {
        if field(name).is_some_and(|field| matches!(field.kind(), Kind::String) && !field.is_list()) {
            writeln!(code, "    fn {name}(&self) -> &str {{ &self.{name} }}")?;
        }
    }
    let users = ["acting_user_id", "viewer_user_id"].into_iter().filter(|name| field(name).is_some());
    let users: Vec<String> = users.map(|name| format!("!self.{name}.is_empty()")).collect();
    if !users.is_empty() {
        writeln!(code, "    fn names_user(&self) -> bool {{ {} }}", users.join(" || "))?;
    }
    if !scope.is_empty() {
        let equal = equal(&request, "self", &scope)?;
        writeln!(code, "    fn is_only_about(&self, org: &str) -> bool {{ {equal} }}")?;
    }
    if !also.is_empty() {
        writeln!(code, "    fn for_each_effect(&self, mut needs: impl FnMut(&'static str)) {{")?;
        for effect in also.iter().filter_map(Value::as_message) {
            let fields = texts(effect, "fields");
            let set = fields.iter().map(|path| set(&request, "self", path)).collect::<Result<Vec<_>, _>>()?;
            let condition = if set.is_empty() { "true".into() } else { set.join(" || ") };
            writeln!(code, "        if {condition} {{ needs({:?}); }}", text(effect, "requires"))?;
        }
        writeln!(code, "    }}")?;
    }
    writeln!(code, "}}")?;
    Ok(())
}

fn text(message: &DynamicMessage, field: &str) -> String {
    message.get_field_by_name(field).and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

fn texts(message: &DynamicMessage, field: &str) -> Vec<String> {
    let value = message.get_field_by_name(field);
    let list = value.as_deref().and_then(Value::as_list).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Returns the field that a path begins with, and the rest of the path.
fn first<'a>(message: &MessageDescriptor, path: &'a str) -> Result<(FieldDescriptor, Option<&'a str>), String> {
    let (name, rest) = path.split_once('.').map_or((path, None), |(name, rest)| (name, Some(rest)));
    let field = message.get_field_by_name(name).filter(|field| field.containing_oneof().is_none());
    Ok((field.ok_or(format!("{} has no field `{path}`, or it is in a oneof", message.full_name()))?, rest))
}

/// Returns Rust that is true if the field at the path is set.
fn set(message: &MessageDescriptor, at: &str, path: &str) -> Result<String, String> {
    let (field, rest) = first(message, path)?;
    let name = field.name();
    match (field.kind(), rest) {
        (Kind::Message(nested), Some(rest)) if !field.is_list() => {
            Ok(format!("{at}.{name}.as_ref().is_some_and(|it| {})", set(&nested, "it", rest)?))
        }
        (Kind::Message(nested), Some(rest)) => {
            Ok(format!("{at}.{name}.iter().any(|it| {})", set(&nested, "it", rest)?))
        }
        (Kind::Bool, None) if !field.is_list() => Ok(format!("{at}.{name}")),
        (Kind::String, None) => Ok(format!("!{at}.{name}.is_empty()")),
        (Kind::Message(_), None) if !field.is_list() => Ok(format!("{at}.{name}.is_some()")),
        (_, None) if field.is_list() => Ok(format!("!{at}.{name}.is_empty()")),
        _ => Err(format!("`{path}` of {} cannot have an authorization", message.full_name())),
    }
}

/// Returns Rust that is true if all texts at the path are `org`.
fn equal(message: &MessageDescriptor, at: &str, path: &str) -> Result<String, String> {
    let (field, rest) = first(message, path)?;
    let name = field.name();
    match (field.kind(), rest) {
        (Kind::Message(nested), Some(rest)) if field.is_list() => {
            Ok(format!("{at}.{name}.iter().all(|it| {})", equal(&nested, "it", rest)?))
        }
        (Kind::Message(nested), Some(rest)) => {
            Ok(format!("{at}.{name}.as_ref().is_some_and(|it| {})", equal(&nested, "it", rest)?))
        }
        (Kind::String, None) if field.is_list() => Ok(format!("{at}.{name}.iter().all(|it| it == org)")),
        (Kind::String, None) => Ok(format!("{at}.{name} == org")),
        _ => Err(format!("`{path}` of {} is no field of org ids", message.full_name())),
    }
}
