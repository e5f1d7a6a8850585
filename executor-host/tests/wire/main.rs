//! Versions of edge and hosts that meet during an upgrade. What earlier versions have said is
//! recorded beside this file, a file for each whose messages differ; this version reads all of it.
//! And each reads past what it does not know, so what is added later is read by this version too.
//!
//! `now.json` is what this version says: a change of the wire is seen there, made anew by
//! `CODECRAFTER_REFRESH=1 cargo test -p codecrafter-executor-host --test wire`. With a release, it
//! stays under a name of its own.

mod said;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use codecrafter_shared::job::{
    Acknowledge, Acknowledged, Control, Enrol, Enrolled, Job, LeaseRequest, Leases, LinkClaims,
    Report, Reports, ReportsTaken,
};
use executor_host::crew::Announcement;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/wire")
}

/// What each recorded version has said, by kind of message.
fn recorded() -> BTreeMap<String, BTreeMap<String, Value>> {
    let files = folder()
        .read_dir()
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
    let read = |path: PathBuf| {
        let said = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        (
            path.file_stem().unwrap().to_string_lossy().into_owned(),
            said,
        )
    };
    files.map(read).collect()
}

/// What this version understands of a message, as it would say it itself.
fn understood(kind: &str, message: Value) -> Result<Value, serde_json::Error> {
    fn of<T: DeserializeOwned + Serialize>(message: Value) -> Result<Value, serde_json::Error> {
        serde_json::to_value(serde_json::from_value::<T>(message)?)
    }
    match kind {
        "enrol" => of::<Enrol>(message),
        "enrolled" => of::<Enrolled>(message),
        "linkClaims" => of::<LinkClaims>(message),
        "leaseRequest" => of::<LeaseRequest>(message),
        "leases" => of::<Leases>(message),
        "acknowledge" => of::<Acknowledge>(message),
        "acknowledged" => of::<Acknowledged>(message),
        "reports" => of::<Reports>(message),
        "reportsTaken" => of::<ReportsTaken>(message),
        // On the broker.
        "job" => of::<Job>(message),
        "result" => of::<Report>(message),
        "control" => of::<Control>(message),
        "announcement" => of::<Announcement>(message),
        other => panic!("nobody says {other}"),
    }
}

/// Whether all that `part` says is in `whole`.
fn says(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(name, part)| whole.get(name).is_some_and(|whole| says(whole, part))),
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(w, p)| says(w, p))
        }
        _ => whole == part,
    }
}

/// The same with a field more in each object.
fn with_more(message: &Value) -> Value {
    match message {
        Value::Object(fields) => {
            let fields = fields
                .iter()
                .map(|(name, value)| (name.clone(), with_more(value)));
            let more = ("addedLater".to_owned(), json!({ "type": ["unknown"] }));
            fields.chain([more]).collect()
        }
        Value::Array(items) => items.iter().map(with_more).collect(),
        other => other.clone(),
    }
}

#[test]
fn what_each_recorded_version_said_is_understood_whole() {
    for (version, messages) in recorded() {
        for (kind, message) in messages {
            let read = understood(&kind, message.clone());
            let read = read.unwrap_or_else(|error| panic!("{kind} of {version}: {error}"));
            assert!(
                says(&read, &message),
                "{kind} of {version}: {message}, not {read}"
            );
        }
    }
}

#[test]
fn what_is_added_later_is_read_past() {
    for (kind, message) in said::all() {
        let more = understood(&kind, with_more(&message));
        let more = more.unwrap_or_else(|error| panic!("{kind}: {error}"));
        assert_eq!(more, message, "{kind}");
    }
}

#[test]
fn what_this_version_says_is_recorded() {
    let file = folder().join("now.json");
    let said = said::all();
    if std::env::var_os("CODECRAFTER_REFRESH").is_some() {
        let text = serde_json::to_string_pretty(&said).unwrap();
        std::fs::write(&file, text + "\n").unwrap();
    }
    assert_eq!(recorded().remove("now"), Some(said), "{}", file.display());
}
