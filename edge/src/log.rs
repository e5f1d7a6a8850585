//! The log as lines of JSON, for platforms that have a console and nothing else. Spans are not
//! kept: what a line must say, it says in its own fields.

use std::fmt;
use std::num::NonZeroU64;

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// The fields of one line: `level`, `target`, and those of the event.
pub type Line = Map<String, Value>;

/// Sends every event of level `info` and above to `write` from now on. Does nothing if it was
/// called before.
pub fn install(write: fn(Level, Line)) {
    // Fails only if there is a subscriber already.
    let _ = tracing::subscriber::set_global_default(Lines { write });
}

struct Lines {
    write: fn(Level, Line),
}

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO && metadata.is_event()
    }

    fn event(&self, event: &Event<'_>) {
        let metadata = event.metadata();
        let mut fields = Fields(Line::new());
        fields.put("level", metadata.level().as_str());
        fields.put("target", metadata.target());
        event.record(&mut fields);
        (self.write)(*metadata.level(), fields.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_non_zero_u64(NonZeroU64::MIN)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Fields(Line);

impl Fields {
    fn put(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field.name(), value);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    static WRITTEN: Mutex<Vec<(Level, Value)>> = Mutex::new(Vec::new());

    fn write(level: Level, line: Line) {
        WRITTEN.lock().unwrap().push((level, line.into()));
    }

    #[test]
    fn a_line_has_the_level_the_target_and_every_field() {
        tracing::subscriber::with_default(Lines { write }, || {
            let cause = "no \"disk\"".to_owned();
            tracing::warn!(target: "edge", cause = %cause, tries = 3_u32, "not written");
            tracing::debug!("not of interest");
        });
        let expected = serde_json::json!({
            "level": "WARN",
            "target": "edge",
            "cause": "no \"disk\"",
            "tries": 3,
            "message": "not written",
        });
        assert_eq!(*WRITTEN.lock().unwrap(), [(Level::WARN, expected)]);
    }
}
