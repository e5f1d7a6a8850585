//! That what the engine was asked to make is removed, whatever happens meanwhile.

use std::sync::Arc;

use bollard::query_parameters::CreateContainerOptionsBuilder;

use super::Request;
use crate::docker::cgroup::Cgroup;
use crate::docker::engine::{self, Engine, status};
use crate::docker::engine_fault;
use crate::docker::harden::{self, Spec};
use crate::sandbox::HostFault;

/// A container's name, whether the engine has made it yet or not, and the duty to remove it.
pub struct Guard {
    pub engine: Arc<Engine>,
    pub name: String,
    pub cgroup: Option<Cgroup>,
    removed: bool,
}

impl Guard {
    pub async fn create(engine: Arc<Engine>, request: &Request) -> Result<Self, HostFault> {
        let mut random = [0; 8];
        getrandom::fill(&mut random)
            .map_err(|error| engine_fault(format!("there is no randomness: {error}")))?;
        let name = format!("codecrafter-{:016x}", u64::from_le_bytes(random));
        let settings = &engine.settings;
        let mut body = harden::container(&Spec {
            image: &request.image,
            instance: &settings.instance,
            language: &request.language,
            job: request.job.as_deref(),
            budget: request.budget,
            isolation: settings.isolation,
            user: engine.next_user(),
            nano_cpus: settings.nano_cpus,
            seccomp: &engine.seccomp,
            cgroup_parent: settings.cgroup_parent.as_deref(),
            runtime: request.runtime.as_deref().or(settings.runtime.as_deref()),
        });
        if let Some(weaken) = settings.weakened {
            weaken(&mut body);
        }
        let options = CreateContainerOptionsBuilder::new().name(&name).build();
        if let Err(error) = engine.docker.create_container(Some(options), body).await {
            // Without an answer, the engine may yet make it.
            if status(&error).is_none() {
                engine.abandon(name);
            }
            return Err(engine::fault("a container cannot be made", &error));
        }
        Ok(Self {
            engine,
            name,
            cgroup: None,
            removed: false,
        })
    }

    /// Ends every process, by the kernel where that is possible: at once and without the engine.
    pub fn kill(&self) {
        if let Some(cgroup) = &self.cgroup {
            // Where it cannot, removing it by force kills as well.
            let _ = cgroup.kill();
        }
    }

    pub async fn remove(&mut self) {
        self.kill();
        self.engine.remove(&self.name).await;
        // Only now: a caller who gives up before leaves the rest to `drop`.
        self.removed = true;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.removed {
            return;
        }
        self.kill();
        let (engine, name) = (Arc::clone(&self.engine), std::mem::take(&mut self.name));
        // Without a runtime the process is ending. The agent then loses its input and ends too,
        // and the next start sweeps up what is left of the container.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let tasks = engine.tasks.clone();
            tasks.spawn_on(async move { engine.remove(&name).await }, &runtime);
        }
    }
}
