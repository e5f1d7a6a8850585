//! `executor-host doctor`: what is missing or weak on this host, and how to mend it.
//!
//! [`gather`] and [`probes`] find out what is the case, as [`facts`]; [`rules`] say what follows,
//! without looking at anything themselves. Nothing on the host is changed: what probes start is
//! removed, and an edge and a broker are asked nothing that counts.

pub mod facts;
mod gather;
mod probes;
mod rules;

use std::fmt;

use serde::Serialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::config::{self, Plan};

use self::facts::Wants;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Names it for machines; stays the same from version to version.
    pub id: &'static str,
    /// Names it for people.
    pub what: &'static str,
    /// What was found.
    pub result: Finding,
}

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// It is as it should be.
    Ok {
        /// What it is.
        detail: String,
    },
    /// Jobs run, but less safely, less quickly or fewer of them than they could.
    Weak {
        /// What is the case, and what of it.
        why: String,
        /// What to do about it.
        mend: String,
    },
    /// Jobs do not run, or must not.
    Broken {
        /// What is the case.
        why: String,
        /// What to do about it.
        mend: String,
    },
}

impl Finding {
    fn ok(detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self::Ok { detail }
    }

    fn weak(why: impl Into<String>, mend: impl Into<String>) -> Self {
        let (why, mend) = (why.into(), mend.into());
        Self::Weak { why, mend }
    }

    fn broken(why: impl Into<String>, mend: impl Into<String>) -> Self {
        let (why, mend) = (why.into(), mend.into());
        Self::Broken { why, mend }
    }

    const fn word(&self) -> &'static str {
        match self {
            Self::Ok { .. } => "ok",
            Self::Weak { .. } => "weak",
            Self::Broken { .. } => "broken",
        }
    }
}

impl Check {
    const fn new(id: &'static str, what: &'static str, result: Finding) -> Self {
        Self { id, what, result }
    }
}

/// All that was looked at, in the order in which a job needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The checks.
    pub checks: Vec<Check>,
}

impl Report {
    /// Whether nothing is broken. Weak is well enough.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.count("broken") == 0
    }

    fn count(&self, word: &str) -> usize {
        let of_word = |check: &&Check| check.result.word() == word;
        self.checks.iter().filter(of_word).count()
    }

    /// As JSON: `{"healthy": …, "checks": [{"id", "what", "result", "detail" | "why", "mend"}]}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({ "healthy": self.is_healthy(), "checks": self.checks })
    }
}

impl Serialize for Check {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (id, what, result) = (self.id, self.what, self.result.word());
        let shown = match &self.result {
            Finding::Ok { detail } => {
                json!({ "id": id, "what": what, "result": result, "detail": detail })
            }
            Finding::Weak { why, mend } | Finding::Broken { why, mend } => {
                json!({ "id": id, "what": what, "result": result, "why": why, "mend": mend })
            }
        };
        shown.serialize(serializer)
    }
}

/// A line for each check, and one below it that says what to do.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |check: &Check| check.what.chars().count();
        let width = self.checks.iter().map(width).max().unwrap_or(0);
        for check in &self.checks {
            let (word, what) = (check.result.word(), check.what);
            match &check.result {
                Finding::Ok { detail } => writeln!(f, "{word:6}  {what:width$}  {detail}")?,
                Finding::Weak { why, mend } | Finding::Broken { why, mend } => {
                    writeln!(f, "{word:6}  {what:width$}  {why}")?;
                    writeln!(f, "{:6}  {:width$}  → {mend}", "", "")?;
                }
            }
        }
        let [broken, weak, well] = ["broken", "weak", "ok"].map(|word| self.count(word));
        writeln!(f, "{broken} broken, {weak} weak, {well} ok")
    }
}

/// Looks at everything that a service with these settings would need. When `stop` fires, the
/// probes end and what they have found until then counts.
pub async fn examine(settings: &config::Doctor, stop: &CancellationToken) -> Report {
    let serve = &settings.serve;
    let mut checks = Vec::new();
    let plan = serve.plan();
    checks.push(rules::settings(
        plan.as_ref().err().map(ToString::to_string),
    ));
    let (links, works) = match &plan {
        Ok(Plan::Shared { link, worker, .. }) => (*link, *worker),
        Ok(Plan::Alone) | Err(_) => (true, true),
    };
    if works {
        examine_engine(settings, stop, &mut checks).await;
    }
    checks.extend(rules::state(&gather::state(serve, plan.as_ref().ok())));
    if let Ok(Plan::Shared {
        address, prefix, ..
    }) = &plan
    {
        checks.push(rules::broker(&gather::broker(address, prefix).await));
    }
    if links {
        checks.push(rules::edge(&gather::edge(serve).await));
    }
    Report { checks }
}

/// What jobs run in: the engine, the machine below it, the images, and a container.
async fn examine_engine(
    settings: &config::Doctor,
    stop: &CancellationToken,
    checks: &mut Vec<Check>,
) {
    let docker = &settings.serve.docker;
    let instance = format!("doctor-{}", std::process::id());
    let slots = settings.serve.host().slots;
    let sandbox = match docker.sandbox(instance, slots) {
        Ok(mut sandbox) => {
            // Nothing is started ahead: every container is one of a probe.
            sandbox.warm = 0;
            sandbox
        }
        Err(error) => return checks.push(rules::language_table(&error.to_string())),
    };
    let wants = Wants {
        slots,
        runtime: sandbox.runtime.clone(),
    };
    let (socket, engine) = gather::engine(&sandbox).await;
    checks.push(rules::socket(&socket));
    checks.extend(rules::machine(&gather::machine(), &wants));
    let Some((connection, engine)) = engine else {
        return;
    };
    checks.extend(rules::engine(&engine, &wants));
    let images = gather::images(&connection, &sandbox.languages).await;
    if settings.no_probes {
        return checks.extend(rules::images(&images, None));
    }
    let probed = probes::all(sandbox, &images, stop).await;
    checks.extend(rules::images(&images, Some(&probed.languages)));
    checks.extend(rules::probes(&probed));
}
