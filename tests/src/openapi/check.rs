//! Holds requests and answers against the document.

use anyhow::{Context as _, Result, anyhow};
use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

/// A document whose schemas can be asked.
pub struct Document {
    document: Value,
}

/// A name for the document while its schemas are compiled; nothing is fetched.
const PLACE: &str = "urn:codecrafter:openapi";

impl Document {
    /// The document that a deployment serves.
    #[must_use]
    pub const fn new(document: Value) -> Self {
        Self { document }
    }

    /// Whether `body` is what `method path` answers with `status`.
    ///
    /// # Errors
    /// If the document does not know of such an answer, or it is of another form.
    pub fn answer(&self, method: &str, path: &str, status: u16, body: &Value) -> Result<()> {
        let media_type = if status >= 400 {
            "application/problem+json"
        } else {
            "application/json"
        };
        let status_text = status.to_string();
        let of_status = ["paths", path, method, "responses", &status_text];
        let pointer = pointer(&of_status) + &pointer(&["content", media_type, "schema"]);
        self.holds(&pointer, body)
            .with_context(|| format!("{method} {path} answers {status}"))
    }

    /// Whether `value` is of the component `name`.
    ///
    /// # Errors
    /// If there is no such component, or the value is of another form.
    pub fn component(&self, name: &str, value: &Value) -> Result<()> {
        self.holds(&pointer(&["components", "schemas", name]), value)
            .with_context(|| name.to_owned())
    }

    fn holds(&self, pointer: &str, value: &Value) -> Result<()> {
        let is_there = self.document.pointer(pointer).is_some();
        anyhow::ensure!(is_there, "the document has no {pointer}");
        let mut schemas = Schemas::new();
        let schema = self.compile(pointer, &mut schemas)?;
        schemas
            .validate(value, schema)
            .map_err(|error| anyhow!("{error}"))
    }

    fn compile(&self, pointer: &str, schemas: &mut Schemas) -> Result<SchemaIndex> {
        let mut compiler = Compiler::new();
        compiler.enable_format_assertions();
        compiler
            .add_resource(PLACE, self.document.clone())
            .map_err(|error| anyhow!("{error:#}"))?;
        // Braces do not stand in a URL as they are.
        let fragment = pointer.replace('{', "%7B").replace('}', "%7D");
        compiler
            .compile(&format!("{PLACE}#{fragment}"), schemas)
            .map_err(|error| anyhow!("{error:#}"))
    }
}

/// A JSON Pointer (RFC 6901) to the member with these names.
fn pointer(parts: &[&str]) -> String {
    let escaped = parts
        .iter()
        .map(|part| part.replace('~', "~0").replace('/', "~1"));
    escaped.map(|part| format!("/{part}")).collect()
}
