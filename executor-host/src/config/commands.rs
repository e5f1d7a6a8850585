//! The settings of every command but `serve`.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use codecrafter_shared::job::RunLimits;
use codecrafter_shared::limits;
use reqwest::Url;

use super::secret::{self, Secret, secret_text};
use super::{Broker, ConfigError, Docker, Log, LogFormat, Serve, State};
use crate::link::client::is_loopback;

/// How this host enrols with an edge.
#[derive(Debug, Clone, Args)]
pub struct Enrolment {
    /// The deployment's join token. Other users of this machine can see arguments: prefer the
    /// environment variable.
    #[arg(
        long,
        env = "CODECRAFTER_JOIN_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN",
        value_parser = secret_text
    )]
    token: Option<Secret>,

    /// The file that the join token is in, in place of the token.
    #[arg(long, env = "CODECRAFTER_JOIN_TOKEN_FILE", value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// What operators see, 1–100 characters [default: the host's name].
    #[arg(long, env = "CODECRAFTER_HOST_NAME")]
    name: Option<String>,
}

/// Settings of `join`.
#[derive(Debug, Clone, Args)]
pub struct Join {
    /// Where the edge is, such as `https://code.example`.
    #[arg(value_name = "EDGE_URL")]
    edge: String,

    /// How to enrol.
    #[command(flatten)]
    enrolment: Enrolment,

    /// Allow an http:// edge that is not this machine. Everybody on the way can read the join
    /// token and people's code.
    #[arg(long)]
    allow_http: bool,

    /// Enrol anew although this host is enrolled, for example after it was revoked.
    #[arg(long)]
    pub again: bool,

    /// Where state is kept.
    #[command(flatten)]
    pub state: State,
}

/// Settings of `queue`.
#[derive(Debug, Clone, Args)]
pub struct Show {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,

    /// Where state is kept.
    #[command(flatten)]
    pub state: State,

    /// Where jobs are kept.
    #[command(flatten)]
    pub broker: Broker,
}

/// Settings of `dead-letters`.
#[derive(Debug, Clone, Args)]
pub struct DeadLetters {
    /// What to do.
    #[arg(value_enum, default_value_t = LetterAction::List)]
    pub action: LetterAction,

    /// Which, by the id that `list` prints.
    #[arg(required_if_eq_any([("action", "show"), ("action", "put-back")]))]
    pub id: Option<String>,

    /// Print JSON.
    #[arg(long)]
    pub json: bool,

    /// Where state is kept.
    #[command(flatten)]
    pub state: State,

    /// Where jobs are kept.
    #[command(flatten)]
    pub broker: Broker,
}

/// What can be done with dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LetterAction {
    /// Print each with its reason.
    List,
    /// Print what one says. People's code is in it.
    Show,
    /// Put one back into the queue, to be tried again.
    PutBack,
}

/// Settings of `drain`.
#[derive(Debug, Clone, Args)]
pub struct Drain {
    /// Return with 1 if it has not ended within so many seconds [default: wait for as long as it
    /// takes].
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u64>,

    /// The state folder that it serves from.
    #[command(flatten)]
    pub state: State,
}

/// Settings of `languages`.
#[derive(Debug, Clone, Args)]
pub struct Languages {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,

    /// How Docker is used.
    #[command(flatten)]
    pub docker: Docker,

    /// How to log.
    #[command(flatten)]
    pub log: Log,
}

/// Settings of `run`.
#[derive(Debug, Clone, Args)]
pub struct Run {
    /// The program's source.
    pub file: PathBuf,

    /// The program's arguments, after `--`.
    #[arg(last = true)]
    pub args: Vec<String>,

    /// Its language [default: what the file's name says].
    #[arg(long, value_name = "ID")]
    pub language: Option<String>,

    /// Milliseconds of CPU time.
    #[arg(long, default_value_t = limits::CPU_MS_DEFAULT, value_parser = from_to(limits::CPU_MS))]
    cpu_ms: u32,

    /// Milliseconds of wall time, 10–3600000 [default: 10000, or on a terminal 600000].
    #[arg(long, value_parser = from_to(WALL_MS))]
    wall_ms: Option<u32>,

    /// MiB of memory, files included.
    #[arg(
        long,
        default_value_t = (limits::MEMORY_BYTES_DEFAULT >> 20) as u32,
        value_parser = from_to(MEMORY_MIB)
    )]
    memory_mib: u32,

    /// Print the outcome as JSON, and nothing else.
    #[arg(long)]
    pub json: bool,

    /// How Docker is used.
    #[command(flatten)]
    pub docker: Docker,

    /// What to log on standard error, between what the program writes there.
    #[arg(long = "log", value_name = "FILTER", default_value = "warn")]
    log_filter: String,
}

/// Settings of `doctor`: those that `serve` would have.
#[derive(Debug, Clone, Args)]
pub struct Doctor {
    /// Print JSON, and nothing else.
    #[arg(long)]
    pub json: bool,

    /// Start no containers: look only at what can be read.
    #[arg(long)]
    pub no_probes: bool,

    /// What is looked at.
    #[command(flatten)]
    pub serve: Serve,
}

/// Settings of `config`: every one there is.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,

    /// Those of `serve`.
    #[command(flatten)]
    pub serve: Serve,

    /// Those of `join`.
    #[command(flatten)]
    pub enrolment: Enrolment,
}

/// Wall time of a program on one's own machine.
const WALL_MS: RangeInclusive<u32> = 10..=3_600_000;
/// Wall time of a program at whose keyboard somebody sits.
const WALL_MS_ON_TERMINAL: u32 = 600_000;

/// [`limits::MEMORY_BYTES`] in MiB.
const MEMORY_MIB: RangeInclusive<u32> =
    (*limits::MEMORY_BYTES.start() >> 20) as u32..=(*limits::MEMORY_BYTES.end() >> 20) as u32;

fn from_to(range: RangeInclusive<u32>) -> clap::builder::RangedI64ValueParser<u32> {
    let (least, most) = range.into_inner();
    clap::value_parser!(u32).range(i64::from(least)..=i64::from(most))
}

impl Run {
    /// How to log.
    #[must_use]
    pub fn log(&self) -> Log {
        Log {
            log_format: LogFormat::Text,
            log_filter: self.log_filter.clone(),
        }
    }

    /// What the program may use.
    #[must_use]
    pub fn limits(&self, on_terminal: bool) -> RunLimits {
        let wall_ms = match on_terminal {
            true => WALL_MS_ON_TERMINAL,
            false => limits::WALL_MS_DEFAULT,
        };
        RunLimits {
            cpu_ms: self.cpu_ms,
            wall_ms: self.wall_ms.unwrap_or(wall_ms),
            memory_bytes: u64::from(self.memory_mib) << 20,
            ..RunLimits::default()
        }
    }
}

impl Enrolment {
    /// The join token, if one was given.
    ///
    /// # Errors
    ///
    /// When its file cannot be read. The error does not show it.
    pub fn token(&self) -> Result<Option<String>, ConfigError> {
        let (text, file) = (self.token.as_ref(), self.token_file.as_deref());
        secret::given("CODECRAFTER_JOIN_TOKEN", text, file)
    }
}

impl Join {
    /// Scheme, host and port of the edge.
    ///
    /// # Errors
    ///
    /// When it is not such a URL, or would send secrets in the clear.
    pub fn edge(&self) -> Result<Url, ConfigError> {
        let wrong = |why: &str| ConfigError(format!("{}: {why}", self.edge));
        let url: Url = self
            .edge
            .parse()
            .map_err(|_| wrong("not a URL like https://code.example"))?;
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("an edge's URL ends after its host and port"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ConfigError(
                "an edge's URL has no user or password in it".into(),
            ));
        }
        match url.scheme() {
            "https" => Ok(url),
            "http" if self.allow_http || is_loopback(&url) => Ok(url),
            "http" => Err(wrong(
                "use https://, or --allow-http on a network that you trust",
            )),
            _ => Err(wrong("use https://")),
        }
    }

    /// The join token.
    ///
    /// # Errors
    ///
    /// When there is none, or its file cannot be read. The error does not show it.
    pub fn token(&self) -> Result<String, ConfigError> {
        self.enrolment.token()?.ok_or_else(|| {
            let need = "there is no join token: set CODECRAFTER_JOIN_TOKEN, or give --token-file";
            ConfigError(need.into())
        })
    }

    /// The name to enrol under.
    ///
    /// # Errors
    ///
    /// When it is too long or empty.
    pub fn name(&self) -> Result<String, ConfigError> {
        let of_host = || {
            let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
            let name: String = name.trim().chars().take(100).collect();
            if name.is_empty() {
                "executor".into()
            } else {
                name
            }
        };
        let name = self.enrolment.name.clone().unwrap_or_else(of_host);
        if (1..=100).contains(&name.chars().count()) {
            Ok(name)
        } else {
            Err(ConfigError("--name has 1–100 characters".into()))
        }
    }
}
