//! How a host uses Docker.

use std::path::PathBuf;
use std::time::Duration;

use bollard::models::ContainerCreateBody;
use codecrafter_shared::language::LanguageRow;

use super::harden::Isolation;

/// How this host uses Docker.
#[derive(Debug, Clone)]
pub struct DockerSettings {
    /// Names this executor-host among all that share the engine. Containers carry it, and at the
    /// start all that carry it are removed: two processes must never have the same.
    pub instance: String,
    /// The engine's socket; the usual one (or `DOCKER_HOST`) if absent.
    pub socket: Option<PathBuf>,
    /// The languages; [`crate::languages::load`].
    pub languages: Vec<LanguageRow>,
    /// Containers that are kept ready for each language that is in demand; 0 for none.
    pub warm: usize,
    /// Memory for containers that are kept ready, in bytes, at about 16 MiB each.
    pub warm_bytes: u64,
    /// How jobs are kept from each other.
    pub isolation: Isolation,
    /// Jobs that a container serves at the most, where it may serve several; at least 1.
    pub jobs_per_container: u32,
    /// Memory for what compilers have made, in bytes; 0 to compile every job anew.
    pub compiled_bytes: u64,
    /// CPU time that a container may use at a time, in billionths of a core.
    pub nano_cpus: i64,
    /// The engine's runtime, such as `runsc`, if it is not to be the default.
    pub runtime: Option<String>,
    /// A cgroup above all containers of this host, to cap them together.
    pub cgroup_parent: Option<String>,
    /// Whether to look at containers through this machine's cgroups where they can be seen.
    /// Without them, counts come from the agent and ending a container takes the engine longer.
    pub host_cgroups: bool,
    /// How long a container may take from its creation until its agent is ready.
    pub start_timeout: Duration,
    /// How long the engine may take to answer.
    pub request_timeout: Duration,
    /// For tests alone: takes a wall away from every container that is made, so that a test of
    /// that wall can be seen to fail without it. No setting leads here.
    #[doc(hidden)]
    pub weakened: Option<fn(&mut ContainerCreateBody)>,
}

impl DockerSettings {
    /// The usual: one warm container per language in demand, one core per container.
    #[must_use]
    pub fn new(instance: impl Into<String>, languages: Vec<LanguageRow>) -> Self {
        Self {
            instance: instance.into(),
            socket: None,
            languages,
            warm: 1,
            warm_bytes: 128 << 20,
            isolation: Isolation::Fresh,
            jobs_per_container: 250,
            compiled_bytes: 64 << 20,
            nano_cpus: 1_000_000_000,
            runtime: None,
            cgroup_parent: None,
            host_cgroups: true,
            start_timeout: Duration::from_secs(20),
            request_timeout: Duration::from_secs(60),
            weakened: None,
        }
    }
}
