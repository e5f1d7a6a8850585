//! The schemas of all types of the table, as components of the document.

use codecrafter_shared::error::Problem;
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value};

use super::{Type, examples, rules};

/// Collects schemas while operations are written down. Requests and answers are described apart,
/// because a field that a request may leave out is always there in an answer.
pub struct Schemas {
    requests: SchemaGenerator,
    answers: SchemaGenerator,
}

impl Schemas {
    /// Nothing but what every operation needs.
    pub fn new() -> Self {
        let settings = SchemaSettings::draft2020_12().with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        });
        let mut answers = settings.clone().for_serialize().into_generator();
        answers.subschema_for::<Problem>();
        Self {
            requests: settings.for_deserialize().into_generator(),
            answers,
        }
    }

    /// The schema of a request's body.
    pub fn request(&mut self, body: Type) -> Value {
        plain(body(&mut self.requests))
    }

    /// The schema of an answer's body.
    pub fn answer(&mut self, body: Type) -> Value {
        plain(body(&mut self.answers))
    }

    /// Everything that was asked for, by name, with rules and examples.
    ///
    /// # Panics
    /// If one name means two things, or a rule or an example names what is not there. Only tests
    /// call this.
    pub fn into_components(mut self) -> Map<String, Value> {
        let mut all = self.answers.take_definitions(true);
        for (name, schema) in self.requests.take_definitions(true) {
            let other = all.insert(name.clone(), schema.clone());
            let same = other.is_none_or(|other| other == schema);
            assert!(same, "{name} differs between requests and answers");
        }
        for schema in all.values_mut() {
            describe(schema);
        }
        for rule in rules::rules() {
            let field = format!("{}.{}", rule.type_name, rule.field);
            let schema = all.get_mut(rule.type_name);
            let schema = schema.and_then(|schema| schema["properties"].get_mut(rule.field));
            let schema = schema.and_then(Value::as_object_mut);
            let schema = schema.unwrap_or_else(|| panic!("a rule for {field}, which is not there"));
            let keywords = rule.keywords.as_object().cloned().unwrap_or_default();
            schema.extend(keywords);
        }
        for (name, example) in examples::examples() {
            let schema = all.get_mut(name);
            let schema = schema.unwrap_or_else(|| panic!("an example of {name}: no such type"));
            schema["examples"] = Value::Array(vec![example]);
        }
        all
    }
}

fn plain(schema: Schema) -> Value {
    let mut schema = schema.to_value();
    describe(&mut schema);
    schema
}

/// Makes descriptions of doc comments readable outside of Rust, and drops what only says how a
/// number is stored.
fn describe(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::String(text)) = map.get_mut("description") {
                *text = prose(text);
            }
            if let Some(Value::String(format)) = map.get("format")
                && (format.starts_with("uint") || format == "int64")
            {
                map.remove("format");
            }
            for (_, inner) in map.iter_mut() {
                describe(inner);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(describe),
        _ => {}
    }
}

/// A doc comment without line breaks, links of Rust and ids of requirements.
pub fn prose(text: &str) -> String {
    let mut rest = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut prose = String::new();
    while let Some((before, after)) = rest.split_once("[`") {
        prose.push_str(before);
        let (name, after) = after.split_once("`]").unwrap_or((after, ""));
        prose.push_str(&format!("`{}`", wire_name(name)));
        rest = after.to_owned();
    }
    prose.push_str(&rest);
    let mut kept = String::new();
    let mut rest = prose.as_str();
    while let Some((before, after)) = rest.split_once(" (") {
        let (inside, behind) = after.split_once(')').unwrap_or((after, ""));
        kept.push_str(before);
        if !inside.split(", ").all(is_requirement) {
            kept.push_str(&format!(" ({inside})"));
        }
        rest = behind;
    }
    kept.push_str(rest);
    kept
}

/// Such as `X-07`, `E7` or `CC-SESS-25`.
fn is_requirement(text: &str) -> bool {
    let id = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '-';
    text.chars().all(id)
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text.ends_with(|c: char| c.is_ascii_digit())
}

/// `RunLimits::cpu_ms` as `RunLimits.cpuMs`; `crate::limits::…` keeps its last name.
fn wire_name(path: &str) -> String {
    let names: Vec<&str> = path.split("::").collect();
    let shown = names
        .iter()
        .position(|name| name.starts_with(|c: char| c.is_ascii_uppercase()));
    let names = names.get(shown.unwrap_or(names.len() - 1)..).unwrap_or(&[]);
    let names: Vec<String> = names.iter().map(|name| camel_case(name)).collect();
    names.join(".")
}

fn camel_case(name: &str) -> String {
    if name.chars().any(|c| c.is_ascii_uppercase()) {
        return name.to_owned();
    }
    let mut parts = name.split('_');
    let mut camel = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut letters = part.chars();
        camel.extend(letters.next().map(|c| c.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_are_written_for_clients() {
        let text = "Raised by every\n\nchange (E7). As [`RunLimits::cpu_ms`] (of a run).";
        assert_eq!(
            prose(text),
            "Raised by every change. As `RunLimits.cpuMs` (of a run)."
        );
        assert_eq!(prose("[`crate::job::Verdict`] (X-01, CC-A-2)"), "`Verdict`");
    }
}
