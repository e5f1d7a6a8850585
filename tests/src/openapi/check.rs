//! Holds what clients send and are answered against the document.
//!
//! What the document does not describe is an error: a status that it does not list, a code that
//! it does not name, a body of another form, a path that answers and is not there.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, anyhow, ensure};
use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

use super::PREFIX;

/// The document, with its schemas compiled.
pub struct Document {
    document: Value,
    schemas: Schemas,
    /// By the JSON Pointer (RFC 6901) of each in the document.
    compiled: BTreeMap<String, SchemaIndex>,
}

/// One request and its answer.
pub struct Exchange<'a> {
    /// In upper case.
    pub method: &'a str,
    /// From the root, without the query.
    pub path: &'a str,
    /// The body that was sent, if one was.
    pub sent: Option<&'a [u8]>,
    /// The answer's status.
    pub status: u16,
    /// The answer's `Content-Type`, if it has one.
    pub media_type: Option<&'a str>,
    /// The answer's body.
    pub body: &'a [u8],
}

/// A name for the document while its schemas are compiled; nothing is fetched.
const PLACE: &str = "urn:codecrafter:openapi";

impl Document {
    /// Compiles every schema of a request, an answer or a component.
    ///
    /// # Errors
    /// If one is no JSON Schema.
    pub fn new(document: Value) -> Result<Self> {
        let mut compiler = Compiler::new();
        compiler.enable_format_assertions();
        compiler
            .add_resource(PLACE, document.clone())
            .map_err(|error| anyhow!("{error:#}"))?;
        let (mut schemas, mut compiled) = (Schemas::new(), BTreeMap::new());
        for pointer in schema_pointers(&document) {
            // Braces do not stand in a URL as they are.
            let fragment = pointer.replace('{', "%7B").replace('}', "%7D");
            let schema = compiler
                .compile(&format!("{PLACE}#{fragment}"), &mut schemas)
                .map_err(|error| anyhow!("{error:#}"))?;
            compiled.insert(pointer, schema);
        }
        Ok(Self {
            document,
            schemas,
            compiled,
        })
    }

    /// Whether the document describes this exchange. Links are not its business, nor are the files
    /// of the page.
    ///
    /// # Errors
    /// What it does not describe.
    pub fn describes(&self, exchange: &Exchange<'_>) -> Result<()> {
        let Exchange {
            method,
            path,
            status,
            ..
        } = exchange;
        self.check(exchange)
            .with_context(|| format!("{method} {path} → {status}: not as docs/openapi.json says"))
    }

    /// Whether `value` is of the component `name`.
    ///
    /// # Errors
    /// If there is no such component, or the value is of another form.
    pub fn component(&self, name: &str, value: &Value) -> Result<()> {
        self.holds(&pointer(&["components", "schemas", name]), value)
            .with_context(|| name.to_owned())
    }

    fn check(&self, exchange: &Exchange<'_>) -> Result<()> {
        let method = exchange.method.to_lowercase();
        if exchange.path.starts_with("/internal/") || ["head", "options"].contains(&&*method) {
            return Ok(());
        }
        let Some(path) = self.template(exchange.path) else {
            let status = exchange.status;
            ensure!(status == 404, "a path that is not there answers");
            return Ok(());
        };
        let Some(operation) = self.document["paths"][path].get(&method) else {
            ensure!(exchange.status == 405, "a method that is not there answers");
            return Ok(());
        };
        let status = exchange.status.to_string();
        let response = operation["responses"].get(&status);
        let response = response.context("the status is not listed")?;
        let place = pointer(&["paths", path, &method]);
        self.answer(exchange, response, &format!("{place}/responses/{status}"))?;
        match exchange.sent {
            Some(sent) if exchange.status < 300 && operation.get("requestBody").is_some() => {
                let sent = serde_json::from_slice(sent)?;
                let schema = pointer(&["requestBody", "content", "application/json", "schema"]);
                self.holds(&(place + &schema), &sent)
                    .context("what the edge took is forbidden")
            }
            _ => Ok(()),
        }
    }

    fn answer(&self, exchange: &Exchange<'_>, response: &Value, place: &str) -> Result<()> {
        let Some(content) = response["content"].as_object() else {
            ensure!(exchange.body.is_empty(), "there is a body");
            return Ok(());
        };
        let media_type = exchange.media_type.context("there is no media type")?;
        // Beside it, there may be a parameter.
        let media_type = media_type.split(';').next().unwrap_or_default();
        let known = content.get(media_type);
        let known = known.with_context(|| format!("the media type {media_type} is not listed"))?;
        if known.get("schema").is_none() {
            return Ok(());
        }
        let body = serde_json::from_slice(exchange.body).context("the body is not JSON")?;
        let schema = pointer(&["content", media_type, "schema"]);
        self.holds(&format!("{place}{schema}"), &body)
    }

    /// The path of the document that a path of a request is. Those without parameters come first.
    fn template(&self, path: &str) -> Option<&str> {
        let older_name = path.strip_prefix("/api/");
        let older_name = older_name.filter(|rest| !rest.starts_with("v1/"));
        let path = older_name.map_or_else(|| path.to_owned(), |rest| format!("{PREFIX}/{rest}"));
        let fits = |template: &&String| {
            let (wanted, found) = (template.split('/'), path.split('/'));
            wanted.clone().count() == found.clone().count()
                && wanted
                    .zip(found)
                    .all(|(wanted, found)| wanted.starts_with('{') || wanted == found)
        };
        let templates = self.document["paths"].as_object()?;
        let fitting = templates.keys().filter(fits);
        fitting
            .min_by_key(|template| template.matches('{').count())
            .map(String::as_str)
    }

    fn holds(&self, pointer: &str, value: &Value) -> Result<()> {
        let schema = self.compiled.get(pointer);
        let schema = *schema.with_context(|| format!("the document has no {pointer}"))?;
        self.schemas
            .validate(value, schema)
            .map_err(|error| anyhow!("{error}"))
    }
}

/// Where schemas of bodies and components are.
fn schema_pointers(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let names = |value: &Value| -> Vec<String> {
        let map = value.as_object();
        map.into_iter()
            .flat_map(|map| map.keys().cloned())
            .collect()
    };
    for name in names(&document["components"]["schemas"]) {
        found.push(pointer(&["components", "schemas", &name]));
    }
    for path in names(&document["paths"]) {
        for method in names(&document["paths"][&path]) {
            let operation = &document["paths"][&path][&method];
            let place = pointer(&["paths", &path, &method]);
            for media_type in names(&operation["requestBody"]["content"]) {
                let body = pointer(&["requestBody", "content", &media_type, "schema"]);
                found.push(format!("{place}{body}"));
            }
            for status in names(&operation["responses"]) {
                let content = &operation["responses"][&status]["content"];
                for media_type in names(content) {
                    if content[&media_type].get("schema").is_none() {
                        continue;
                    }
                    let body = pointer(&["responses", &status, "content", &media_type, "schema"]);
                    found.push(format!("{place}{body}"));
                }
            }
        }
    }
    found
}

/// A JSON Pointer to the member with these names.
fn pointer(parts: &[&str]) -> String {
    let escaped = parts
        .iter()
        .map(|part| part.replace('~', "~0").replace('/', "~1"));
    escaped.map(|part| format!("/{part}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::openapi::document;

    const JSON: Option<&str> = Some("application/json");
    const PROBLEM: Option<&str> = Some("application/problem+json");

    fn get(path: &str, status: u16, media_type: Option<&str>, body: &Value) -> Result<()> {
        let body = match body {
            Value::Null => Vec::new(),
            body => body.to_string().into_bytes(),
        };
        Document::new(document::document())?.describes(&Exchange {
            method: "GET",
            path,
            sent: None,
            status,
            media_type,
            body: &body,
        })
    }

    fn problem(code: &str) -> Value {
        json!({ "type": "", "title": "", "status": 404, "code": code })
    }

    #[test]
    fn what_the_document_describes_is_right() {
        let health = json!({ "status": "ok", "timestamp": "2026-11-20T12:00:00.000Z", "new": 1 });
        get("/health", 200, JSON, &health).unwrap();
        get("/api/health", 200, JSON, &health).unwrap();
        let path = "/api/v1/sessions/01a1fb7f-2c08-7f3a-9b1e-5a1d3e7c9f20";
        get(path, 404, PROBLEM, &problem("session_not_found")).unwrap();
        get(&format!("{path}/content"), 304, None, &Value::Null).unwrap();
        get("/nowhere", 404, PROBLEM, &problem("route_not_found")).unwrap();
        get("/internal/leases", 200, None, &json!("anything")).unwrap();
    }

    #[test]
    fn what_the_document_does_not_describe_is_wrong() {
        let health = json!({ "status": "ok", "timestamp": "2026-11-20T12:00:00.000Z" });
        get("/health", 201, JSON, &health).expect_err("a status that is not listed");
        get("/health", 200, None, &health).expect_err("no media type");
        get("/health", 200, PROBLEM, &health).expect_err("another media type");
        get("/health", 200, JSON, &json!({ "status": "ok" })).expect_err("a missing field");
        let noon = json!({ "status": "ok", "timestamp": "noon" });
        get("/health", 200, JSON, &noon).expect_err("a field of another form");
        get("/nowhere", 200, JSON, &health).expect_err("a path that is not there");
        get("/api/v1/auth/login", 200, JSON, &health).expect_err("a method that is not there");
        let path = "/api/v1/sessions/01a1fb7f-2c08-7f3a-9b1e-5a1d3e7c9f20";
        let other = problem("execution_not_found");
        get(path, 404, PROBLEM, &other).expect_err("a code of another operation");
        get(&format!("{path}/content"), 304, None, &health).expect_err("a body where none is");
    }

    #[test]
    fn what_was_taken_must_be_allowed() {
        let body = crate::openapi::examples::examples();
        let signed_in = body.iter().find(|(name, _)| *name == "SignedIn").unwrap();
        let signed_in = signed_in.1.to_string();
        let login = |sent: &str| {
            Document::new(document::document())?.describes(&Exchange {
                method: "POST",
                path: "/api/v1/auth/login",
                sent: Some(sent.as_bytes()),
                status: 200,
                media_type: JSON,
                body: signed_in.as_bytes(),
            })
        };
        login(r#"{ "login": "ada", "password": "plain long words" }"#).unwrap();
        login(r#"{ "login": "ada" }"#).expect_err("a field is missing");
    }
}
