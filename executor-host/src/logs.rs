//! What this program writes about itself: lines of text for people, or of JSON for machines.
//!
//! A JSON line is one flat object: `timestamp`, `level`, `message`, `target`, and beside them every
//! field of the event and of the spans around it, with `_` where the code has `.`. So a line about
//! a job has `execution_id` and `attempt_id`, whoever writes it.

use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormattedFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

use crate::clock;
use crate::config::{ConfigError, Log, LogFormat};

/// What receives events, and writes those that `log` lets through to `writer`.
///
/// # Errors
///
/// When the filter is none.
pub fn subscriber<W>(log: &Log, writer: W) -> Result<Box<dyn Subscriber + Send + Sync>, ConfigError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // What the AMQP library has to say, callers say as well, and it quotes whole messages.
    let filter = EnvFilter::try_new(format!("lapin=off,{}", log.log_filter))
        .map_err(|error| ConfigError::new(format!("--log {}: {error}", log.log_filter)))?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer);
    Ok(match log.log_format {
        LogFormat::Text => Box::new(lines.finish()),
        LogFormat::Json => Box::new(
            lines
                .fmt_fields(JsonFields::new())
                .event_format(Flat)
                .finish(),
        ),
    })
}

/// A JSON line.
struct Flat;

#[derive(Serialize)]
struct Line<'a> {
    timestamp: String,
    level: &'a str,
    message: Value,
    target: &'a str,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

impl<S> FormatEvent<S, JsonFields> for Flat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        for span in context
            .event_scope()
            .into_iter()
            .flat_map(|scope| scope.from_root())
        {
            let extensions = span.extensions();
            let text = extensions.get::<FormattedFields<JsonFields>>();
            let known = text.and_then(|text| serde_json::from_str(&text.fields).ok());
            if let Some(Value::Object(known)) = known {
                known
                    .into_iter()
                    .for_each(|(name, value)| fields.add(&name, value));
            }
        }
        event.record(&mut fields);
        let line = Line {
            timestamp: clock::now().to_string(),
            level: event.metadata().level().as_str(),
            message: fields.0.remove("message").unwrap_or_default(),
            target: event.metadata().target(),
            fields: fields.0,
        };
        writer.write_str(&serde_json::to_string(&line).map_err(|_| fmt::Error)?)?;
        writer.write_char('\n')
    }
}

/// Fields as JSON; an inner span's are stronger than an outer one's.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl Fields {
    fn add(&mut self, name: &str, value: impl Into<Value>) {
        self.0.insert(name.replace('.', "_"), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field.name(), value);
    }
}
