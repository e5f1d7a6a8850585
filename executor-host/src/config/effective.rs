//! Which value each setting has, and where it came from: for an operator who wonders.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches};
use serde_json::{Value, json};

/// Stands for what must not be shown.
const HIDDEN: &str = "(not shown)";

/// Where a value came from, the strongest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// This flag.
    Flag(String),
    /// This environment variable.
    Environment(String),
    /// This line of this settings file.
    File(PathBuf, usize),
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => f.write_str(flag),
            Self::Environment(variable) => f.write_str(variable),
            Self::File(file, line) => write!(f, "{}:{line}", file.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// The settings of a command, by their keys. Secrets are not in it.
#[derive(Debug)]
pub struct Effective(BTreeMap<String, (Option<String>, Origin)>);

impl Effective {
    pub(super) fn of(
        settings: &BTreeMap<String, Arg>,
        matches: &ArgMatches,
        of_file: impl Fn(&str) -> Option<Origin>,
    ) -> Self {
        let row = |(key, argument): (&String, &Arg)| {
            let id = argument.get_id().as_str();
            let values = matches.try_get_raw(id).ok().flatten();
            let value = values.and_then(|mut values| values.next());
            let value = value.map(|value| match argument.is_hide_env_values_set() {
                true if value.is_empty() => String::new(),
                true => HIDDEN.to_owned(),
                false => value.to_string_lossy().into_owned(),
            });
            let source = value.as_ref().and_then(|_| matches.value_source(id));
            let origin = match source {
                Some(ValueSource::CommandLine) => {
                    Origin::Flag(format!("--{}", argument.get_long().unwrap_or_default()))
                }
                Some(ValueSource::EnvVariable) => {
                    let variable = argument.get_env().unwrap_or_default();
                    Origin::Environment(variable.to_string_lossy().into_owned())
                }
                Some(_) => of_file(key).unwrap_or(Origin::Default),
                None => Origin::Default,
            };
            (key.clone(), (value, origin))
        };
        Self(settings.iter().map(row).collect())
    }

    /// Says what `key` is when nobody says anything.
    pub fn by_default(&mut self, key: &str, value: impl fmt::Display) {
        if let Some((known, Origin::Default)) = self.0.get_mut(key) {
            known.get_or_insert_with(|| value.to_string());
        }
    }

    /// As JSON: `{"slots": {"value": "2", "from": "default"}, …}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let row = |(key, (value, origin)): (&String, &(Option<String>, Origin))| {
            let shown = json!({ "value": value, "from": origin.to_string() });
            (key.clone(), shown)
        };
        Value::Object(self.0.iter().map(row).collect())
    }
}

/// A line for each: key, value, origin.
impl fmt::Display for Effective {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
        let width = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0);
        let keys = width(&mut self.0.keys().map(|key| key.chars().count()));
        let values = self.0.values();
        let values = width(&mut values.map(|(value, _)| shown(value).chars().count()));
        for (key, (value, origin)) in &self.0 {
            writeln!(f, "{key:keys$}  {:values$}  {origin}", shown(value))?;
        }
        Ok(())
    }
}
