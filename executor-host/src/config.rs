//! The command line and every setting, each explained where it is declared. A setting is a flag,
//! an environment variable and a key of a settings file, of which the first is the strongest
//! ([`load`]). Everything is checked before anything starts.
//!
//! [`commands`] are the settings of what is not `serve`, [`secret`] what is never shown, [`file`]
//! the settings file, [`effective`] which value holds and where it came from.

mod commands;
mod effective;
mod file;
mod secret;

use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::docker::DockerSettings;
use crate::docker::demand::WAITING_BYTES;
use crate::docker::harden::Isolation;
use crate::host::HostSettings;
use crate::languages::{self, LanguagesError};
use crate::queue::rabbitmq::{Address, Prefix};

use self::secret::{Secret, secret_text};

pub use commands::{
    Config, DeadLetters, Doctor, Drain, Enrolment, Join, Languages, LetterAction, Run, Show,
};
pub use effective::{Effective, Origin};
pub use file::{LoadError, Loaded, load};
pub use secret::secret;

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

    /// Read settings from this TOML file, too: `slots = 4` is the same as CODECRAFTER_SLOTS=4.
    /// Flags and environment variables are stronger.
    #[arg(long, global = true, env = "CODECRAFTER_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

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
    /// List, show or put back what was put aside: messages that could not be read, and jobs that
    /// were given up; also while the queue is in use.
    DeadLetters(DeadLetters),
    /// Have the process that serves from the state folder take nothing more, finish what it has,
    /// and end; returns when it has.
    Drain(Drain),
    /// Print the languages that this host can run, with versions.
    Languages(Languages),
    /// Run one program here, as a job would be run, and exit as it does.
    Run(Run),
    /// Name what is missing or weak on this host, and how to mend it. Exits with 1 if something
    /// is broken.
    Doctor(Doctor),
    /// Print every setting, where it comes from, and whether all can be used.
    Config(Config),
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

    /// Answer /health, /ready and /metrics at this address, such as 127.0.0.1:9464 [default: at
    /// none]. They need no password and tell no secret.
    #[arg(long, env = "CODECRAFTER_METRICS", value_name = "ADDRESS:PORT")]
    pub metrics: Option<SocketAddr>,

    /// Send OpenTelemetry spans of jobs to this collector, by OTLP over HTTP, such as
    /// http://127.0.0.1:4318 [default: to nobody]. Ids and languages are in them, no code.
    #[arg(long, env = "CODECRAFTER_OTLP", value_name = "URL")]
    pub otlp: Option<String>,

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

    /// The file that the broker's URL is in, in place of the URL.
    #[arg(long, env = "AMQP_URL_FILE", value_name = "FILE")]
    amqp_url_file: Option<PathBuf>,

    /// The file with the certificates (PEM) of who vouches for a broker at an `amqps://` URL, beside
    /// whom the system trusts.
    #[arg(long, env = "CODECRAFTER_AMQP_CA_FILE", value_name = "FILE")]
    amqp_ca_file: Option<PathBuf>,

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

    /// How jobs are kept from each other: `fresh`, a container each, or `reuse`, where a container
    /// serves one after the other, with nothing of the first left for the second.
    #[arg(
        long,
        env = "CODECRAFTER_ISOLATION",
        value_name = "HOW",
        default_value = "fresh",
        value_parser = isolation
    )]
    isolation: Isolation,

    /// Jobs that a container serves at the most with `--isolation reuse`, 1–100000.
    #[arg(
        long,
        env = "CODECRAFTER_JOBS_PER_CONTAINER",
        default_value_t = 250,
        value_parser = clap::value_parser!(u32).range(1..=100_000)
    )]
    jobs_per_container: u32,

    /// Containers that are kept ready for each language in demand, 0–64 [default: 1, or with
    /// `--isolation reuse` one for each slot].
    #[arg(
        long,
        env = "CODECRAFTER_WARM",
        value_parser = clap::value_parser!(u8).range(..=64)
    )]
    warm: Option<u8>,

    /// MiB of memory for what compilers have made, so that an equal job is not compiled again,
    /// 0–65536; 0 for none.
    #[arg(
        long,
        env = "CODECRAFTER_COMPILED_MIB",
        default_value_t = 64,
        value_parser = clap::value_parser!(u64).range(..=65_536)
    )]
    compiled_mib: u64,

    /// The language table [default: the one that comes with the program].
    #[arg(long = "languages", env = "CODECRAFTER_LANGUAGES", value_name = "FILE")]
    languages: Option<PathBuf>,
}

fn isolation(text: &str) -> Result<Isolation, String> {
    match text {
        "fresh" => Ok(Isolation::Fresh),
        "reuse" => Ok(Isolation::Reuse),
        _ => Err("`fresh` or `reuse`".to_owned()),
    }
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

/// A setting that cannot be used, and what would be right.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ConfigError(String);

impl ConfigError {
    pub(crate) const fn new(what: String) -> Self {
        Self(what)
    }
}

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
    /// When the URL cannot be used, or its file cannot be read. The error does not show it.
    pub fn queue(&self) -> Result<QueueChoice, ConfigError> {
        let (text, file) = (self.amqp_url.as_ref(), self.amqp_url_file.as_deref());
        let Some(url) = secret::given("AMQP_URL", text, file)? else {
            return Ok(QueueChoice::Embedded);
        };
        let address = url.parse::<Address>();
        let mut address = address.map_err(|error| ConfigError(format!("AMQP_URL: {error}")))?;
        if let Some(file) = &self.amqp_ca_file {
            let wrong = |why: &dyn std::fmt::Display| {
                let name = "CODECRAFTER_AMQP_CA_FILE";
                ConfigError(format!("{name}: {}: {why}", file.display()))
            };
            let pem = std::fs::read_to_string(file).map_err(|error| wrong(&error))?;
            address = address.trusting(pem).map_err(|error| wrong(&error))?;
        }
        Ok(QueueChoice::RabbitMq(address, self.amqp_prefix.clone()))
    }
}

impl Docker {
    /// The sandbox's settings, for so many jobs at a time, under the name `instance`, which no
    /// other process may use at the same time.
    ///
    /// # Errors
    ///
    /// When the language table cannot be used.
    pub fn sandbox(&self, instance: String, slots: u32) -> Result<DockerSettings, LanguagesError> {
        let languages = languages::load(self.languages.as_deref())?;
        let each = match self.isolation {
            Isolation::Fresh => 1,
            Isolation::Reuse => slots as usize,
        };
        let warm = self.warm.map_or(each, usize::from);
        let defaults = DockerSettings::new(instance, languages);
        Ok(DockerSettings {
            socket: self.docker_socket.clone(),
            runtime: self.docker_runtime.clone(),
            cgroup_parent: self.cgroup_parent.clone(),
            isolation: self.isolation,
            jobs_per_container: self.jobs_per_container,
            warm,
            // Enough for three languages however many containers each has.
            warm_bytes: defaults.warm_bytes.max(3 * warm as u64 * WAITING_BYTES),
            compiled_bytes: self.compiled_mib << 20,
            ..defaults
        })
    }
}
