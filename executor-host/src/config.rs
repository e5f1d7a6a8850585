//! The command line and every setting, each explained where it is declared. A setting is a flag
//! and an environment variable; the flag is stronger. Everything is checked before anything starts.

use std::fmt;
use std::ops::RangeInclusive;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use codecrafter_shared::job::RunLimits;
use codecrafter_shared::{keys, limits};
use reqwest::Url;

use crate::docker::DockerSettings;
use crate::host::HostSettings;
use crate::languages::{self, LanguagesError};
use crate::link::client::is_loopback;
use crate::queue::rabbitmq::{Address, Prefix};

/// Takes jobs from a CodeCrafter edge and runs them in Docker.
#[derive(Debug, Parser)]
#[command(
    name = "executor-host",
    version,
    about,
    args_conflicts_with_subcommands = true
)]
pub struct Cli {
    /// What to do; `serve` unless said otherwise.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// `serve`'s own, for when it is not spelled out.
    #[command(flatten)]
    pub serve: Serve,
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Lease jobs and run them, until SIGTERM or SIGINT. The default.
    Serve(Serve),
    /// Enrol this host with an edge. Harmless to repeat.
    Join(Join),
    /// Print the join token of the deployment whose secret is in CODECRAFTER_SECRET.
    JoinToken,
    /// Print the token with which operators of the same deployment list and revoke hosts.
    OperatorToken,
    /// Print how much waits in the queue; also while it is in use.
    Queue(Show),
    /// Print the languages that this host can run, with versions.
    Languages(Languages),
    /// Run one program here, as a job would be run, and exit as it does.
    Run(Run),
}

/// Where this host keeps what must survive a restart.
#[derive(Debug, Clone, Args)]
pub struct State {
    /// Folder for credentials and the embedded queue [default: /var/lib/codecrafter for root,
    /// else $XDG_STATE_HOME/codecrafter or ~/.local/state/codecrafter].
    ///
    /// One folder belongs to one serving process.
    #[arg(long, env = "CODECRAFTER_STATE_DIR", value_name = "DIR")]
    state_dir: Option<PathBuf>,
}

/// How to log.
#[derive(Debug, Clone, Args)]
pub struct Log {
    /// One line of text, or one JSON object, for each event; on standard error.
    #[arg(long, env = "CODECRAFTER_LOG_FORMAT", value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// What to log: a level, or `target=level` pairs with commas between.
    #[arg(
        long = "log",
        env = "CODECRAFTER_LOG",
        value_name = "FILTER",
        default_value = "info"
    )]
    pub log_filter: String,
}

/// The shape of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// Settings of `serve`.
#[derive(Debug, Clone, Args)]
pub struct Serve {
    /// Where state is kept.
    #[command(flatten)]
    pub state: State,

    /// Jobs that run at a time, 1–256 [default: the number of cores].
    #[arg(long, env = "CODECRAFTER_SLOTS", value_parser = clap::value_parser!(u32).range(1..=256))]
    slots: Option<u32>,

    /// Seconds that running jobs may go on after SIGTERM, 0–600; then they are given back.
    #[arg(
        long,
        env = "CODECRAFTER_GRACE_SECONDS",
        default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(..=600)
    )]
    grace_seconds: u64,

    /// How Docker is used.
    #[command(flatten)]
    pub docker: Docker,

    /// Run only a part of the host. Needs a queue that hosts can share, as RabbitMQ is: leave it
    /// out, and one process does everything.
    #[arg(long, env = "CODECRAFTER_ROLE", value_enum)]
    role: Option<Role>,

    /// Where jobs are kept.
    #[command(flatten)]
    pub broker: Broker,

    /// How to log.
    #[command(flatten)]
    pub log: Log,
}

/// Where jobs wait, if not in the state folder.
#[derive(Debug, Clone, Args)]
pub struct Broker {
    /// Keep jobs on the RabbitMQ at this URL, such as `amqp://user:password@host:5672/vhost`
    /// [default: the embedded queue]. Other users of this machine can see arguments: prefer the
    /// environment variable.
    #[arg(
        long,
        env = "AMQP_URL",
        hide_env_values = true,
        value_name = "URL",
        value_parser = secret_text
    )]
    amqp_url: Option<Secret>,

    /// What the names of everything on the broker begin with. Deployments that share a broker
    /// have one each.
    #[arg(
        long,
        env = "CODECRAFTER_AMQP_PREFIX",
        value_name = "PREFIX",
        default_value_t = Prefix::default()
    )]
    amqp_prefix: Prefix,
}

/// Text that is not shown.
#[derive(Clone)]
struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

fn secret_text(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret(text.to_owned()))
}

/// Which queue jobs are kept in.
#[derive(Debug, Clone)]
pub enum QueueChoice {
    /// The one in the state folder.
    Embedded,
    /// One on a broker.
    RabbitMq(Address, Prefix),
}

/// What `serve` is to run in this process (X8).
#[derive(Debug, Clone)]
pub enum Plan {
    /// Link and worker, around the embedded queue.
    Alone,
    /// One part or both, around a queue that hosts share.
    Shared {
        /// Where the broker is.
        address: Address,
        /// Which queue there.
        prefix: Prefix,
        /// Whether to talk to the edge.
        link: bool,
        /// Whether to run jobs.
        worker: bool,
    },
}

/// How this host uses Docker.
#[derive(Debug, Clone, Args)]
pub struct Docker {
    /// The engine's socket [default: that of DOCKER_HOST, else /var/run/docker.sock].
    #[arg(long, env = "CODECRAFTER_DOCKER_SOCKET", value_name = "PATH")]
    docker_socket: Option<PathBuf>,

    /// The engine's runtime for containers, such as `runsc` [default: the engine's own default].
    #[arg(long, env = "CODECRAFTER_DOCKER_RUNTIME", value_name = "NAME")]
    docker_runtime: Option<String>,

    /// A cgroup above all containers of this host, to cap them together.
    #[arg(long, env = "CODECRAFTER_CGROUP_PARENT", value_name = "CGROUP")]
    cgroup_parent: Option<String>,

    /// Containers that are kept ready for each language, 0–64.
    #[arg(
        long,
        env = "CODECRAFTER_WARM",
        default_value_t = 1,
        value_parser = clap::value_parser!(u8).range(..=64)
    )]
    warm: u8,

    /// The language table [default: the one that comes with the program].
    #[arg(long = "languages", env = "CODECRAFTER_LANGUAGES", value_name = "FILE")]
    languages: Option<PathBuf>,
}

/// A part of the host (X8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// Talks to the edge.
    Link,
    /// Runs jobs.
    Worker,
    /// Serves direct clients.
    Gateway,
}

/// Settings of `join`.
#[derive(Debug, Clone, Args)]
pub struct Join {
    /// Where the edge is, such as `https://code.example`.
    #[arg(value_name = "EDGE_URL")]
    edge: String,

    /// The deployment's join token. Other users of this machine can see arguments: prefer the
    /// environment variable.
    #[arg(
        long,
        env = "CODECRAFTER_JOIN_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    pub token: String,

    /// What operators see, 1–100 characters [default: the host's name].
    #[arg(long, env = "CODECRAFTER_HOST_NAME")]
    name: Option<String>,

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

    /// Milliseconds of wall time.
    #[arg(long, default_value_t = limits::WALL_MS_DEFAULT, value_parser = from_to(limits::WALL_MS))]
    wall_ms: u32,

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
    pub fn limits(&self) -> RunLimits {
        RunLimits {
            cpu_ms: self.cpu_ms,
            wall_ms: self.wall_ms,
            memory_bytes: u64::from(self.memory_mib) << 20,
            ..RunLimits::default()
        }
    }
}

/// A setting that cannot be used, and what would be right.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl State {
    /// The state folder.
    ///
    /// # Errors
    ///
    /// When there is neither a setting nor a home folder.
    pub fn dir(&self) -> Result<PathBuf, ConfigError> {
        if let Some(dir) = &self.state_dir {
            return Ok(dir.clone());
        }
        if std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0) {
            return Ok("/var/lib/codecrafter".into());
        }
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let states = variable("XDG_STATE_HOME").map(PathBuf::from);
        let home = || variable("HOME").map(|home| PathBuf::from(home).join(".local/state"));
        states
            .or_else(home)
            .map(|states| states.join("codecrafter"))
            .ok_or_else(|| {
                let need = "there is no HOME to keep state under; give --state-dir";
                ConfigError(need.into())
            })
    }
}

impl Serve {
    /// What runs in this process, around which queue.
    ///
    /// # Errors
    ///
    /// When the queue's settings cannot be used, or a part was asked for that there is not, or
    /// that cannot be alone around this queue.
    pub fn plan(&self) -> Result<Plan, ConfigError> {
        let queue = self.broker.queue()?;
        if self.role == Some(Role::Gateway) {
            return Err(ConfigError(
                "--role gateway: this version of executor-host has no gateway".into(),
            ));
        }
        match queue {
            QueueChoice::Embedded if self.role.is_none() => Ok(Plan::Alone),
            QueueChoice::Embedded => Err(ConfigError(
                "--role link and --role worker need a queue that several processes can share; \
                 the embedded queue belongs to one process. Set AMQP_URL to use RabbitMQ, or \
                 leave --role out to run both here"
                    .into(),
            )),
            QueueChoice::RabbitMq(address, prefix) => Ok(Plan::Shared {
                address,
                prefix,
                link: self.role != Some(Role::Worker),
                worker: self.role != Some(Role::Link),
            }),
        }
    }

    /// The worker's settings.
    #[must_use]
    pub fn host(&self) -> HostSettings {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let slots = self
            .slots
            .unwrap_or_else(|| u32::try_from(cores()).unwrap_or(1).min(256));
        HostSettings {
            slots,
            grace: Duration::from_secs(self.grace_seconds),
            retry_delay: Duration::from_secs(2),
        }
    }
}

impl Broker {
    /// The queue that was chosen.
    ///
    /// # Errors
    ///
    /// When the URL cannot be used. The error does not show it.
    pub fn queue(&self) -> Result<QueueChoice, ConfigError> {
        let Some(Secret(url)) = self.amqp_url.as_ref().filter(|url| !url.0.is_empty()) else {
            return Ok(QueueChoice::Embedded);
        };
        let address = url
            .parse()
            .map_err(|error| ConfigError(format!("AMQP_URL: {error}")))?;
        Ok(QueueChoice::RabbitMq(address, self.amqp_prefix.clone()))
    }
}

impl Docker {
    /// The sandbox's settings, under the name `instance`, which no other process may use at the
    /// same time.
    ///
    /// # Errors
    ///
    /// When the language table cannot be used.
    pub fn sandbox(&self, instance: String) -> Result<DockerSettings, LanguagesError> {
        let languages = languages::load(self.languages.as_deref())?;
        Ok(DockerSettings {
            socket: self.docker_socket.clone(),
            runtime: self.docker_runtime.clone(),
            cgroup_parent: self.cgroup_parent.clone(),
            warm: self.warm.into(),
            ..DockerSettings::new(instance, languages)
        })
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
        let name = self.name.clone().unwrap_or_else(of_host);
        if (1..=100).contains(&name.chars().count()) {
            Ok(name)
        } else {
            Err(ConfigError("--name has 1–100 characters".into()))
        }
    }
}

/// The deployment's secret from the environment variable CODECRAFTER_SECRET.
///
/// # Errors
///
/// When it is not there or too short.
pub fn secret() -> Result<Vec<u8>, ConfigError> {
    let secret = std::env::var_os("CODECRAFTER_SECRET")
        .unwrap_or_default()
        .into_encoded_bytes();
    match secret.len() {
        0 => Err(ConfigError(
            "set CODECRAFTER_SECRET to the deployment's secret".into(),
        )),
        length if length < keys::SECRET_BYTES_MIN => Err(ConfigError(format!(
            "CODECRAFTER_SECRET has {length} bytes; it needs at least {}",
            keys::SECRET_BYTES_MIN
        ))),
        _ => Ok(secret),
    }
}
