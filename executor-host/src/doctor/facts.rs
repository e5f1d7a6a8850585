//! What was found out about a host, before anybody judges it.

use std::path::PathBuf;
use std::time::Duration;

use codecrafter_shared::job::{UsageSource, Verdict};

/// What the settings ask of the host.
#[derive(Debug, Clone)]
pub struct Wants {
    /// Jobs at a time.
    pub slots: u32,
    /// The engine's runtime, if it is not to be the default.
    pub runtime: Option<String>,
}

/// The engine's socket.
#[derive(Debug, Clone)]
pub struct Socket {
    /// Where it should be.
    pub path: PathBuf,
    /// What is there.
    pub state: SocketState,
}

/// What is at the engine's socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketState {
    /// An engine that answers.
    Answers,
    /// Nothing.
    Missing,
    /// Something that is no socket.
    NoSocket,
    /// A socket that this user may not use.
    Forbidden,
    /// A socket that nobody listens on.
    Deserted,
    /// Somebody who does not answer in time.
    Silent,
    /// Somebody who answers as no engine does, and how.
    Strange(String),
}

/// What an engine says of itself.
#[derive(Debug, Clone, Default)]
pub struct Engine {
    /// Its version, such as `20.10.24`.
    pub version: Option<String>,
    /// The version of its API that is spoken.
    pub api: String,
    /// Its architecture, by Go's name for it.
    pub architecture: String,
    /// Whether there is a list of system calls for that architecture.
    pub has_profile: bool,
    /// The version of runc.
    pub runc: Option<String>,
    /// Its runtimes.
    pub runtimes: Vec<String>,
    /// The names of its security options, such as `seccomp`.
    pub security: Vec<String>,
    /// Whether it can limit memory; `None` if it does not say.
    pub limits_memory: Option<bool>,
    /// Whether it can limit swap.
    pub limits_swap: Option<bool>,
    /// Whether it can limit processes.
    pub limits_processes: Option<bool>,
    /// Whether it can limit CPU time.
    pub limits_cpu: Option<bool>,
    /// What it warns of.
    pub warnings: Vec<String>,
    /// Where it keeps images and containers.
    pub root: Option<PathBuf>,
    /// Bytes that are free there, if this process can see the place.
    pub root_free: Option<u64>,
}

/// What this process sees of the machine.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Its cgroups.
    pub cgroups: Cgroups,
    /// Whether a cgroup can be ended at once.
    pub kill: Kill,
    /// Memory that is free or can be made free, in bytes.
    pub available: Option<u64>,
}

/// How cgroups are mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cgroups {
    /// Version 1 only.
    V1,
    /// Version 2 only.
    V2,
    /// The controllers on version 1, and version 2 beside them.
    Hybrid,
    /// They cannot be seen from here.
    Unseen,
}

/// `cgroup.kill`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kill {
    /// It is there and may be used.
    Usable,
    /// It is there, and another user's.
    Forbidden,
    /// There is none.
    Missing,
}

/// A language and its image.
#[derive(Debug, Clone)]
pub struct Image {
    /// The language's id.
    pub language: String,
    /// The image's name.
    pub name: String,
    /// Whether it is here; or why that is not known.
    pub is_here: Result<bool, String>,
}

/// What containers did.
#[derive(Debug, Clone)]
pub struct Probed {
    /// The ids of the languages whose images answered; or why none was asked.
    pub languages: Result<Vec<String>, String>,
    /// The image that the programs ran in; `None` if there was none that they can run in.
    pub image: Option<String>,
    /// A program that takes memory without end.
    pub memory: Option<Ran>,
    /// A program that computes without end.
    pub cpu: Option<Ran>,
    /// A program that sleeps, and is cancelled.
    pub kill: Option<Result<Killed, String>>,
    /// A program that looks around.
    pub inside: Option<Result<Inside, String>>,
}

/// How a probe's program ended, or why it did not run.
pub type Ran = Result<Ended, String>;

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Its verdict.
    pub verdict: Verdict,
    /// CPU time, in milliseconds.
    pub cpu_ms: u64,
    /// Wall time, in milliseconds.
    pub wall_ms: u64,
    /// Who measured that.
    pub source: UsageSource,
}

/// How a program was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Killed {
    /// Its verdict.
    pub verdict: Verdict,
    /// From the order until it was dead.
    pub after: Duration,
    /// Whether it was seen among this machine's processes after that; `None` if it was not seen
    /// before either.
    pub survived: Option<bool>,
}

/// What a program sees of its container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inside {
    /// Routes to somewhere else.
    pub routes: Vec<String>,
    /// How the root is mounted, such as `ro,relatime`.
    pub root: String,
    /// Places outside its own folders that it could write to.
    pub written: Vec<String>,
}

/// The state folder and what is in it.
#[derive(Debug, Clone)]
pub struct State {
    /// Where it is; or why there is none.
    pub folder: Result<PathBuf, String>,
    /// Whether it can be written to; or why not.
    pub writable: Result<Writable, String>,
    /// Whether others may read the credentials in it; `None` if there are none.
    pub credentials_open: Option<bool>,
    /// The queue in it; `None` if there is none, or another one is used.
    pub queue: Option<Result<Queue, String>>,
}

/// That a folder can be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writable {
    /// It is there.
    Now,
    /// It is not there, and can be made.
    Later,
}

/// What is in the embedded queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Queue {
    /// Jobs that wait.
    pub ready: u32,
    /// Results that the edge has not taken.
    pub results: u32,
    /// Messages that cannot be read.
    pub parked: u32,
}

/// The broker.
#[derive(Debug, Clone)]
pub struct Broker {
    /// Where it is, without user and password.
    pub address: String,
    /// What is on it; or why it cannot be used.
    pub queue: Result<Queue, String>,
}

/// The edge.
#[derive(Debug, Clone)]
pub enum Edge {
    /// This host has not joined one.
    NotJoined,
    /// The credentials cannot be read.
    Unreadable(String),
    /// It cannot be reached.
    Away(String, String),
    /// It refuses this host.
    Refused(String, String),
    /// It knows this host.
    Knows(String),
}
