//! What must hold on the host after every case.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use bollard::models::{ContainerInspectResponse, ContainerSummary, ContainerSummaryStateEnum};
use bollard::query_parameters::{InspectContainerOptionsBuilder, ListContainersOptionsBuilder};
use executor_host::docker::harden::LABEL_HOST;

use crate::world::{Mode, World, until};

/// Descriptors that this process may have more of than at first: connections to the engine are
/// kept for the next request.
const DESCRIPTORS: usize = 32;
/// Memory that this process may have more of: what its allocator keeps, and every sandbox's own.
const OWN_BYTES: u64 = 64 << 20;
/// The same of the engine, which serves others as well. One flood that it kept would be more.
const ENGINE_BYTES: u64 = 128 << 20;
/// Bytes of logs and volumes that the engine may have more of, likewise.
const DISK_BYTES: u64 = 16 << 20;

/// Fails unless nothing is left of a case: no container but idle ones, no process, descriptor,
/// memory or file.
pub async fn is_as_before(world: &World) {
    let idle = until("only idle containers are left", async || {
        let containers = world.containers().await;
        let idle = world.mode == Mode::Reuse && containers.iter().all(is_idle);
        if !idle && !containers.is_empty() {
            return None;
        }
        let mut idle = Vec::new();
        for container in containers {
            // One that has gone meanwhile was not idle.
            idle.push(inspected(world, &container.id?).await?);
        }
        Some(idle)
    })
    .await;
    idle.into_iter().for_each(has_written_nothing);
    until(
        "no process is left of a container that has gone",
        async || {
            let found = container_processes();
            let known = world.known_containers().await;
            found
                .iter()
                .all(|process| known.contains(&process.container))
                .then_some(())
        },
    )
    .await;
    let before = Resources::at_first();
    let mut now = Resources::default();
    let settled = async || {
        now = Resources::now();
        now.is_near(before).then_some(())
    };
    until(&format!("as much is in use as before, {before:?}"), settled).await;
}

fn is_running(container: &ContainerSummary) -> bool {
    container.state == Some(ContainerSummaryStateEnum::RUNNING)
}

/// Whether an agent waits in it, and nobody else is there. One that was ended may be told of as
/// running until the engine has noticed.
fn is_idle(container: &ContainerSummary) -> bool {
    let id = container.id.as_deref().unwrap_or_default();
    let processes = processes_in(&[id]);
    is_running(container) && !processes.is_empty() && processes.iter().all(Process::is_agent)
}

/// What the engine knows of a container, if that is there.
async fn inspected(world: &World, id: &str) -> Option<ContainerInspectResponse> {
    let options = InspectContainerOptionsBuilder::new().size(true).build();
    let inspected = world.docker.inspect_container(id, Some(options));
    inspected.await.ok()
}

/// A container's own layer, its log and its volumes are where a program could write to a disk.
fn has_written_nothing(inspected: ContainerInspectResponse) {
    assert_eq!(inspected.size_rw.unwrap_or(0), 0, "{inspected:#?}");
    assert_eq!(inspected.log_path.as_deref().unwrap_or_default(), "");
    assert_eq!(inspected.mounts.unwrap_or_default(), []);
}

impl World {
    /// Every container of this instance, running or not.
    pub async fn containers(&self) -> Vec<ContainerSummary> {
        let label = format!("{LABEL_HOST}={}", self.instance);
        let filters = HashMap::from([("label".to_owned(), vec![label])]);
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&filters);
        self.docker
            .list_containers(Some(options.build()))
            .await
            .unwrap()
    }

    /// The ids of all containers that the engine knows.
    async fn known_containers(&self) -> HashSet<String> {
        let options = ListContainersOptionsBuilder::new().all(true).build();
        let known = self.docker.list_containers(Some(options)).await.unwrap();
        known
            .into_iter()
            .filter_map(|container| container.id)
            .collect()
    }

    /// The processes of this instance's containers, as the host sees them.
    pub async fn processes(&self) -> Vec<Process> {
        let containers = self.containers().await;
        let ids: Vec<&str> = containers.iter().filter_map(|c| c.id.as_deref()).collect();
        processes_in(&ids)
    }
}

/// A process of a container, as the host sees it.
#[derive(Debug)]
pub struct Process {
    pub pid: u32,
    pub container: String,
    pub name: String,
    pub threads: usize,
}

impl Process {
    /// Whether it is the agent, who is there for as long as its container.
    pub fn is_agent(&self) -> bool {
        self.name == "agent"
    }

    /// Whether it is of a program, and not of what starts containers or of the agent.
    pub fn is_programs(&self) -> bool {
        !self.is_agent() && !self.name.starts_with("runc")
    }
}

fn processes_in(containers: &[&str]) -> Vec<Process> {
    let mut all = container_processes();
    all.retain(|process| containers.contains(&process.container.as_str()));
    all
}

/// Every process on this machine that is in a container of the engine's.
fn container_processes() -> Vec<Process> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(process).collect()
}

/// A process, if it is in a container. One that ends meanwhile is not.
fn process(pid: u32) -> Option<Process> {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    // The engine names a container's cgroup by its id, behind a `/` or a `-`.
    let mut words = groups.split(|c: char| !c.is_ascii_alphanumeric());
    let container = words.find(|word| is_id(word))?.to_owned();
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).ok()?;
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?.count();
    Some(Process {
        pid,
        container,
        name: name.trim_end().to_owned(),
        threads,
    })
}

fn is_id(word: &str) -> bool {
    word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What this process and the engine have of the machine.
#[derive(Debug, Default, Clone, Copy)]
struct Resources {
    descriptors: usize,
    own_bytes: u64,
    /// 0 where the engine is not on this machine, or not called by its usual name.
    engine_bytes: u64,
    /// 0 where the engine's folder cannot be read.
    disk_bytes: u64,
}

impl Resources {
    /// As it was when the first case had ended.
    fn at_first() -> Self {
        static FIRST: OnceLock<Resources> = OnceLock::new();
        *FIRST.get_or_init(Self::now)
    }

    fn now() -> Self {
        Self {
            descriptors: fs::read_dir("/proc/self/fd").unwrap().count(),
            own_bytes: resident("self").unwrap(),
            engine_bytes: engine().and_then(|pid| resident(&pid)).unwrap_or(0),
            disk_bytes: ["containers", "volumes"]
                .map(|folder| size(&Path::new(ENGINE_ROOT).join(folder)))
                .iter()
                .sum(),
        }
    }

    fn is_near(&self, before: Self) -> bool {
        self.descriptors <= before.descriptors + DESCRIPTORS
            && self.own_bytes <= before.own_bytes + OWN_BYTES
            && self.engine_bytes <= before.engine_bytes + ENGINE_BYTES
            && self.disk_bytes <= before.disk_bytes + DISK_BYTES
    }
}

/// Where the engine keeps what containers write.
const ENGINE_ROOT: &str = "/var/lib/docker";

/// The engine's process.
fn engine() -> Option<String> {
    static ENGINE: OnceLock<Option<String>> = OnceLock::new();
    let find = || {
        let mut entries = fs::read_dir("/proc").ok()?.flatten();
        entries.find_map(|entry| {
            let name = fs::read_to_string(entry.path().join("comm")).ok()?;
            (name == "dockerd\n").then(|| entry.file_name().into_string().ok())?
        })
    };
    ENGINE.get_or_init(find).clone()
}

/// Memory that a process has of its own now, in bytes: not what it reads of its program's file.
fn resident(process: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Bytes of all files below a folder, as far as they can be seen.
fn size(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
