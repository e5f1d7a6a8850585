//! The engine: the connection to it, what it is asked for in every container, and the certainty
//! that what it made is removed.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, Once};
use std::time::Duration;

use bollard::models::ContainerInspectResponse;
use bollard::query_parameters::{
    InspectContainerOptions, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
};
use bollard::{API_DEFAULT_VERSION, Docker};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use super::harden::LABEL_HOST;
use super::{DockerSettings, engine_fault, permanent, retryable, seccomp};
use crate::sandbox::HostFault;

/// An engine that takes longer to say that it is there is not.
const PING_MAX: Duration = Duration::from_secs(5);

/// A connected engine.
#[derive(Debug)]
pub struct Engine {
    pub docker: Docker,
    pub settings: DockerSettings,
    /// The text of the system call profile for its architecture.
    pub seccomp: String,
    /// What starts and removes containers in the background.
    pub tasks: TaskTracker,
    /// Containers that could not be removed yet, by name.
    abandoned: Mutex<Vec<String>>,
    /// Said once that containers' cgroups cannot be seen.
    misses_cgroups: Once,
    /// Which users there are for programs.
    users: Range<u32>,
    /// Users that were given out, and where that began.
    users_given: AtomicU32,
}

/// The users of programs. Nobody else uses them: distributions end below, and the sign bit is
/// above.
const USERS: Range<u32> = 0x7000_0000..0x7fff_ffff;
/// Those of an engine that maps the users of containers to others outside. Of such it has 65,536;
/// an image's own services have the first, nobody has the last.
const USERS_MAPPED: Range<u32> = 10_000..60_000;

/// The users that programs may have on an engine with these security options.
fn users(security_options: &[String]) -> Range<u32> {
    let maps = |option: &String| {
        let name = option
            .split(',')
            .find_map(|part| part.strip_prefix("name="));
        matches!(name, Some("userns" | "rootless"))
    };
    if security_options.iter().any(maps) {
        USERS_MAPPED
    } else {
        USERS
    }
}

impl Engine {
    /// Connects, agrees on a version of the API, and finds out what the engine is.
    pub async fn connect(settings: DockerSettings) -> Result<Self, HostFault> {
        let unreachable =
            |error| engine_fault(format!("the container engine cannot be reached: {error}"));
        let docker = match &settings.socket {
            Some(path) => Docker::connect_with_unix(
                &path.to_string_lossy(),
                settings.request_timeout.as_secs().max(1),
                API_DEFAULT_VERSION,
            ),
            None => Docker::connect_with_unix_defaults(),
        };
        let docker = docker
            .map_err(unreachable)?
            .with_timeout(settings.request_timeout)
            // An engine refuses every request of a client that is newer than itself.
            .negotiate_version()
            .await
            .map_err(unreachable)?;
        let version = docker.version().await.map_err(unreachable)?;
        let architecture = version.arch.unwrap_or_default();
        let seccomp = seccomp::profile(&architecture).ok_or_else(|| {
            permanent(format!(
                "there is no system call profile for the architecture {architecture:?}"
            ))
        })?;
        let about = docker.info().await.map_err(unreachable)?;
        info!(
            engine.version = version.version.as_deref().unwrap_or("unknown"),
            engine.api = %docker.client_version(),
            "connected to the container engine"
        );
        Ok(Self {
            docker,
            settings,
            seccomp,
            tasks: TaskTracker::new(),
            abandoned: Mutex::default(),
            misses_cgroups: Once::new(),
            users: users(&about.security_options.unwrap_or_default()),
            // By chance, so that two hosts on one machine hardly meet.
            users_given: AtomicU32::new(getrandom::u32().unwrap_or_default()),
        })
    }

    /// A container's cgroup cannot be seen from here, as on Docker Desktop or in a container.
    pub fn miss_cgroups(&self) {
        self.misses_cgroups.call_once(|| {
            warn!(
                "the cgroups of containers cannot be seen from here: what programs use is what \
                 their agent counts, and ending one takes the engine instead of the kernel"
            );
        });
    }

    /// A user that no other container or job of this host has, for as long as there are others.
    pub fn next_user(&self) -> u32 {
        let number = self.users_given.fetch_add(1, Ordering::Relaxed);
        let Range { start, end } = self.users;
        start + number % (end - start)
    }

    /// The id of an image, or `None` if there is no such image here.
    pub async fn image_id(&self, name: &str) -> Result<Option<String>, HostFault> {
        match self.docker.inspect_image(name).await {
            Ok(image) => Ok(image.id),
            Err(error) if status(&error) == Some(404) => Ok(None),
            Err(error) => Err(engine_fault(format!(
                "the image {name} cannot be looked up: {error}"
            ))),
        }
    }

    /// What the engine knows of a container.
    pub async fn inspect(&self, name: &str) -> Result<ContainerInspectResponse, HostFault> {
        let inspected = self
            .docker
            .inspect_container(name, None::<InspectContainerOptions>)
            .await;
        inspected.map_err(|error| fault("a container cannot be looked at", &error))
    }

    /// Whether it answers at all.
    pub async fn answers(&self) -> bool {
        matches!(timeout(PING_MAX, self.docker.ping()).await, Ok(Ok(_)))
    }

    /// Ends and removes a container. One that is not there is fine. One that cannot be removed
    /// now is remembered for [`Self::remove_abandoned`].
    pub async fn remove(&self, name: &str) {
        let options = RemoveContainerOptionsBuilder::new()
            .force(true)
            .v(true)
            .build();
        match self.docker.remove_container(name, Some(options)).await {
            // 409: it is being removed already.
            Ok(()) => {}
            Err(error) if matches!(status(&error), Some(404 | 409)) => {}
            Err(error) => {
                warn!(container.name = name, %error, "a container could not be removed; will try again");
                self.abandon(name.to_owned());
            }
        }
    }

    /// Remembers a container that may exist, to be removed later.
    pub fn abandon(&self, name: String) {
        self.abandoned().push(name);
    }

    /// Tries again to remove what could not be removed before.
    pub async fn remove_abandoned(&self) {
        let names = std::mem::take(&mut *self.abandoned());
        for name in names {
            self.remove(&name).await;
        }
    }

    fn abandoned(&self) -> std::sync::MutexGuard<'_, Vec<String>> {
        self.abandoned
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Removes every container of this host's instance and gives their number.
    pub async fn sweep(&self) -> Result<usize, HostFault> {
        let label = format!("{LABEL_HOST}={}", self.settings.instance);
        let filters = HashMap::from([("label".to_owned(), vec![label])]);
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&filters)
            .build();
        let found = self
            .docker
            .list_containers(Some(options))
            .await
            .map_err(|error| engine_fault(format!("containers cannot be listed: {error}")))?;
        let ids: Vec<_> = found
            .into_iter()
            .filter_map(|container| container.id)
            .collect();
        for id in &ids {
            self.remove(id).await;
        }
        Ok(ids.len())
    }
}

/// What `error` is a sign of: what the engine refuses may be the image's fault, and what it does
/// not answer is its own.
pub fn fault(what: &str, error: &bollard::errors::Error) -> HostFault {
    let what = format!("{what}: {error}");
    match status(error) {
        Some(_) => retryable(what),
        None => engine_fault(what),
    }
}

/// The HTTP status of an engine's refusal.
pub fn status(error: &bollard::errors::Error) -> Option<u16> {
    match error {
        bollard::errors::Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_of_those_that_the_engine_maps() {
        let options =
            |options: &[&str]| users(&options.iter().map(|o| (*o).to_owned()).collect::<Vec<_>>());
        assert_eq!(
            options(&["name=seccomp,profile=default", "name=cgroupns"]),
            USERS
        );
        assert_eq!(options(&[]), USERS);
        assert_eq!(
            options(&["name=seccomp,profile=default", "name=userns"]),
            USERS_MAPPED
        );
        assert_eq!(options(&["name=rootless"]), USERS_MAPPED);
    }
}
