//! The settings file, below the command line and the environment.
//!
//! There is one declaration of each setting, for clap. Its environment variable names it in the
//! file too: `CODECRAFTER_GRACE_SECONDS` is `grace_seconds`, `AMQP_URL` is `amqp_url`. What a file
//! says becomes clap's default, so that clap alone decides what is stronger and what is allowed.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory as _, FromArgMatches as _};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::effective::{Effective, Origin};
use super::{Cli, ConfigError};
use crate::queue::rabbitmq::Address;

/// What the names of most variables begin with, and those of keys do not.
const PREFIX: &str = "CODECRAFTER_";
/// The setting that cannot be in the file, because it names the file.
const CONFIG: &str = "config";

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The command line or the environment cannot be understood, or asks for help.
    #[error(transparent)]
    Usage(#[from] clap::Error),
    /// The settings file cannot be used.
    #[error(transparent)]
    File(#[from] ConfigError),
}

/// What was asked for.
#[derive(Debug)]
pub struct Loaded {
    /// The command and its settings.
    pub cli: Cli,
    /// Which values hold, and where they came from.
    pub effective: Effective,
}

/// Reads these arguments (the program's name first), the environment, and the settings file that
/// one of them names.
///
/// # Errors
///
/// [`LoadError`]. Everything that is wrong with the file is told at once, each with its line.
pub fn load(arguments: impl IntoIterator<Item = OsString>) -> Result<Loaded, LoadError> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let command = Cli::command();
    let given = command.clone().try_get_matches_from(&arguments)?;
    let settings = settings(&command);
    let file = innermost(&given).get_one::<PathBuf>(CONFIG);
    let mut entries = match file {
        Some(file) => read(file, &settings)?,
        None => BTreeMap::new(),
    };
    entries.retain(|key, _| !is_overruled(key, &settings, innermost(&given)));

    let defaults: HashMap<&str, &str> = entries
        .iter()
        .map(|(key, entry)| (settings[key].get_id().as_str(), entry.value.as_str()))
        .collect();
    let mut matches = with_defaults(command, &defaults).try_get_matches_from(&arguments)?;
    let effective = Effective::of(&settings, innermost(&matches), |key| {
        let line = entries.get(key)?.line;
        Some(Origin::File(file?.clone(), line))
    });
    let cli = Cli::from_arg_matches_mut(&mut matches)?;
    Ok(Loaded { cli, effective })
}

/// Every setting by its key.
fn settings(command: &Command) -> BTreeMap<String, Arg> {
    let commands = std::iter::once(command).chain(command.get_subcommands());
    let arguments = commands.flat_map(Command::get_arguments);
    arguments
        .filter_map(|argument| Some((key(argument)?, argument.clone())))
        .collect()
}

/// A setting's name in the file; `None` for what is no setting but part of one command.
fn key(argument: &Arg) -> Option<String> {
    let variable = argument.get_env()?.to_str()?;
    let key = variable.strip_prefix(PREFIX).unwrap_or(variable);
    (argument.get_id() != CONFIG).then(|| key.to_lowercase())
}

/// What was given to the command itself.
fn innermost(matches: &ArgMatches) -> &ArgMatches {
    match matches.subcommand() {
        Some((_, matches)) => innermost(matches),
        None => matches,
    }
}

/// Whether the file's entry counts for nothing because its other form, the secret itself or the
/// file that it is in, was given in a stronger way.
fn is_overruled(key: &str, settings: &BTreeMap<String, Arg>, given: &ArgMatches) -> bool {
    let other = match key.strip_suffix("_file") {
        Some(text) => text.to_owned(),
        None => format!("{key}_file"),
    };
    let Some(other) = settings.get(&other).map(|argument| argument.get_id()) else {
        return false;
    };
    let strongly = [ValueSource::CommandLine, ValueSource::EnvVariable];
    let is_known = given.ids().any(|id| id == other);
    let source = is_known
        .then(|| given.value_source(other.as_str()))
        .flatten();
    let mut values = given.try_get_raw(other.as_str()).ok().flatten().into_iter();
    source.is_some_and(|source| strongly.contains(&source))
        && values.all(|mut values| values.any(|value| !value.is_empty()))
}

fn with_defaults(command: Command, defaults: &HashMap<&str, &str>) -> Command {
    let argument = |argument: Arg| match defaults.get(argument.get_id().as_str()) {
        Some(value) if key(&argument).is_some() => argument
            .default_value((*value).to_owned())
            // What a secret is must not be told by `--help`.
            .hide_default_value(true),
        _ => argument,
    };
    command
        .mut_args(argument)
        .mut_subcommands(|command| with_defaults(command, defaults))
}

/// What a file says of one setting.
#[derive(Debug)]
struct Entry {
    value: String,
    /// From 1.
    line: usize,
}

fn read(
    file: &Path,
    settings: &BTreeMap<String, Arg>,
) -> Result<BTreeMap<String, Entry>, ConfigError> {
    let name = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| ConfigError(format!("the settings file {name}: {error}")))?;
    parse(&text, settings).map_err(|faults| {
        let line = |(line, why): &(usize, String)| format!("{name}:{line}: {why}");
        ConfigError(faults.iter().map(line).collect::<Vec<_>>().join("\n"))
    })
}

/// What is wrong, and in which line.
type Faults = Vec<(usize, String)>;

fn parse(text: &str, settings: &BTreeMap<String, Arg>) -> Result<BTreeMap<String, Entry>, Faults> {
    let line = |at: usize| 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
    let table = DeTable::parse(text).map_err(|error| {
        // Not the parser's whole words: they quote the line, in which there may be a secret.
        let at = error.span().map_or(0, |span| span.start);
        vec![(line(at), format!("this is no TOML: {}", error.message()))]
    })?;
    let (mut entries, mut faults) = (BTreeMap::new(), Faults::new());
    for (key, value) in table.into_inner() {
        let line = line(key.span().start);
        let key = key.into_inner().into_owned();
        match entry(&key, value, settings) {
            Ok(value) => drop(entries.insert(key, Entry { value, line })),
            Err(why) => faults.push((line, why)),
        }
    }
    faults.sort();
    if faults.is_empty() {
        Ok(entries)
    } else {
        Err(faults)
    }
}

/// A setting's value as text, if it is one.
fn entry(
    key: &str,
    value: Spanned<DeValue<'_>>,
    settings: &BTreeMap<String, Arg>,
) -> Result<String, String> {
    let argument = settings.get(key).ok_or_else(|| unknown(key, settings))?;
    let text = match value.into_inner() {
        DeValue::String(text) => text.into_owned(),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_err(|_| format!("{key}: the number is too large"))?
            .to_string(),
        other => {
            return Err(format!(
                "{key}: {}, not a text or a whole number",
                other.type_str()
            ));
        }
    };
    let refused = refusal(argument, &text);
    refused.map_or(Ok(text), |why| Err(format!("{key}: {why}")))
}

/// Why the setting cannot have this value, without the value where it is a secret.
fn refusal(argument: &Arg, value: &str) -> Option<String> {
    // The one text that clap takes as it is, because clap would show it.
    if argument.get_id() == "amqp_url" && !value.is_empty() {
        return value
            .parse::<Address>()
            .err()
            .map(|error| error.to_string());
    }
    let alone = Command::new("setting").no_binary_name(true).arg(argument);
    let flag = format!("--{}={value}", argument.get_long()?);
    let error = alone.try_get_matches_from([flag]).err()?;
    if let Some(ContextValue::Strings(valid)) = error.get(ContextKind::ValidValue)
        && !valid.is_empty()
    {
        return Some(format!("{value:?} is not one of {}", valid.join(", ")));
    }
    match std::error::Error::source(&error) {
        Some(why) => Some(why.to_string()),
        None if error.kind() == ErrorKind::InvalidValue && value.is_empty() => {
            Some("it is empty; leave it out".into())
        }
        None => Some("it cannot be used".into()),
    }
}

fn unknown(key: &str, settings: &BTreeMap<String, Arg>) -> String {
    let keys = settings.keys();
    // As somebody who knows the flag or the variable would write it.
    let meant = |known: &str, argument: &Arg| {
        let spelt = key.to_lowercase().replace('-', "_");
        let spelt = spelt.strip_prefix("codecrafter_").unwrap_or(&spelt);
        let flag = argument.get_long().unwrap_or_default().replace('-', "_");
        distance(known, spelt).min(distance(&flag, spelt))
    };
    let nearest = settings
        .iter()
        .map(|(known, argument)| (meant(known, argument), known))
        .min();
    match nearest {
        Some((away, known)) if away <= 2 => {
            format!("there is no setting {key:?}; {known:?} is meant, perhaps")
        }
        _ => {
            let all: Vec<_> = keys.map(String::as_str).collect();
            format!("there is no setting {key:?}; there are {}", all.join(", "))
        }
    }
}

/// Letters to add, to take away or to change until one text is the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (number, letter) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = number + 1;
        for (at, wanted) in other.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *wanted);
            diagonal = row[at + 1];
            row[at + 1] = changed.min(diagonal + 1).min(row[at] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Faults {
        parse(text, &settings(&Cli::command())).unwrap_err()
    }

    #[test]
    fn a_key_is_the_variables_name_without_the_prefix() {
        let settings = settings(&Cli::command());
        for key in [
            "slots",
            "grace_seconds",
            "amqp_url",
            "join_token",
            "host_name",
            "log_format",
        ] {
            assert!(settings.contains_key(key), "{key} in {settings:?}");
        }
        assert!(!settings.contains_key("config") && !settings.contains_key("json"));
    }

    #[test]
    fn every_fault_is_told_with_its_line_and_what_would_be_right() {
        let found = faults(
            "slots = 0\n\n# a comment\nslot = 3\nrole = \"boss\"\nwarm = true\ngrace-seconds = 3\n\
             zzzzzzzz = 1\nstate_dir = \"\"\nmetrics = \"9464\"\n[docker]\nsocket = \"x\"\n",
        );
        let expected = [
            (1, "slots: 0 is not in 1..=256"),
            (
                4,
                "there is no setting \"slot\"; \"slots\" is meant, perhaps",
            ),
            (5, "role: \"boss\" is not one of link, worker, gateway"),
            (6, "warm: boolean, not a text or a whole number"),
            (7, "\"grace_seconds\" is meant, perhaps"),
            (8, "there are amqp_ca_file, amqp_prefix, amqp_url"),
            (9, "state_dir: it is empty"),
            (10, "metrics: invalid socket address"),
            (11, "there is no setting \"docker\""),
        ];
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for ((line, why), (expected_line, words)) in found.iter().zip(expected) {
            assert!(
                *line == expected_line && why.contains(words),
                "{line}: {why}"
            );
        }
    }

    #[test]
    fn what_is_no_toml_is_told_without_the_line_itself() {
        let found = faults("slots = 2\namqp_url = amqp://user:hunter2@host\n");
        assert_eq!(found[0].0, 2, "{found:?}");
        assert!(!found[0].1.contains("hunter2"), "{found:?}");
        let found = faults("amqp_url = \"http://user:hunter2@host\"\n");
        assert!(found[0].1.contains("amqp://"), "{found:?}");
        assert!(!found[0].1.contains("hunter2"), "{found:?}");
    }

    #[test]
    fn numbers_may_be_written_as_toml_allows() {
        let settings = settings(&Cli::command());
        let entries = parse(
            "grace_seconds = 0x10\nwarm = 1_0\nslots = \"3\"\n",
            &settings,
        )
        .unwrap();
        let value = |key: &str| entries[key].value.as_str();
        assert_eq!(
            [value("grace_seconds"), value("warm"), value("slots")],
            ["16", "10", "3"]
        );
    }
}
