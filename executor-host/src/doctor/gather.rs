//! Finding out what is the case, without changing it.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bollard::models::SystemInfo;
use bollard::{API_DEFAULT_VERSION, Docker};
use codecrafter_shared::job::Acknowledge;
use codecrafter_shared::language::LanguageRow;
use rusqlite::{Connection, OpenFlags};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::facts::{
    Broker, Cgroups, Edge, Engine, Image, Kill, Machine, Queue, Socket, SocketState, State,
    Writable,
};
use crate::config::{Plan, Serve};
use crate::docker::{DockerSettings, has_system_call_profile};
use crate::host::describe;
use crate::link::client::CallError;
use crate::link::{Client, Credentials};
use crate::queue::rabbitmq::{Address, Prefix};
use crate::queue::{Depth, Embedded, RabbitMq};
use crate::serve::QUEUE_FILE;

/// Whoever takes longer for an answer does not answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// A broker may be far away, and tries names and addresses one after the other.
const BROKER_MAX: Duration = Duration::from_secs(15);

const SOCKET: &str = "/var/run/docker.sock";

/// Where the engine's socket should be.
fn socket_path(settings: &DockerSettings) -> PathBuf {
    let of_host = || {
        let host = std::env::var("DOCKER_HOST").ok()?;
        host.strip_prefix("unix://").map(PathBuf::from)
    };
    let chosen = settings.socket.clone().or_else(of_host);
    chosen.unwrap_or_else(|| SOCKET.into())
}

/// The engine's socket, and what is behind it if it answers.
pub(super) async fn engine(settings: &DockerSettings) -> (Socket, Option<(Docker, Engine)>) {
    let path = socket_path(settings);
    let (state, engine) = match connected(&path).await {
        Err(state) => (state, None),
        Ok(docker) => match timeout(ANSWER_MAX, asked(docker)).await {
            Ok(Ok(engine)) => (SocketState::Answers, Some(engine)),
            Ok(Err(error)) => (SocketState::Strange(error.to_string()), None),
            Err(_) => (SocketState::Silent, None),
        },
    };
    (Socket { path, state }, engine)
}

/// Somebody who takes connections at the socket.
async fn connected(path: &Path) -> Result<Docker, SocketState> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(SocketState::Forbidden);
        }
        Err(_) => return Err(SocketState::Missing),
        Ok(found) if !found.file_type().is_socket() => return Err(SocketState::NoSocket),
        Ok(_) => {}
    }
    match timeout(ANSWER_MAX, UnixStream::connect(path)).await {
        Err(_) => return Err(SocketState::Silent),
        Ok(Err(error)) => {
            return Err(match error.kind() {
                io::ErrorKind::PermissionDenied => SocketState::Forbidden,
                io::ErrorKind::ConnectionRefused => SocketState::Deserted,
                io::ErrorKind::NotFound => SocketState::Missing,
                // Its queue of connections is full: somebody is there who takes none.
                io::ErrorKind::WouldBlock => SocketState::Silent,
                _ => SocketState::Strange(error.to_string()),
            });
        }
        Ok(Ok(_)) => {}
    }
    let path = path.to_string_lossy();
    // Longer than anybody here waits, who tells silence from other trouble.
    Docker::connect_with_unix(&path, 2 * ANSWER_MAX.as_secs(), API_DEFAULT_VERSION)
        .map_err(|error| SocketState::Strange(error.to_string()))
}

async fn asked(docker: Docker) -> Result<(Docker, Engine), bollard::errors::Error> {
    let docker = docker.negotiate_version().await?;
    let (version, info) = (docker.version().await?, docker.info().await?);
    let components = version.components.unwrap_or_default();
    let mut components = components.into_iter();
    let runc = components.find(|component| component.name == "runc");
    let architecture = version.arch.unwrap_or_default();
    let engine = Engine {
        version: version.version,
        api: docker.client_version().to_string(),
        has_profile: has_system_call_profile(&architecture),
        architecture,
        runc: runc.map(|runc| runc.version),
        ..told(info)
    };
    Ok((docker, engine))
}

fn told(info: SystemInfo) -> Engine {
    // `name=seccomp,profile=default`
    let name = |option: &String| {
        let mut parts = option.split(',');
        parts.find_map(|part| part.strip_prefix("name=").map(str::to_owned))
    };
    let security = info.security_options.unwrap_or_default();
    let root = info.docker_root_dir.map(PathBuf::from);
    Engine {
        runtimes: info.runtimes.unwrap_or_default().into_keys().collect(),
        security: security.iter().filter_map(name).collect(),
        limits_memory: info.memory_limit,
        limits_swap: info.swap_limit,
        limits_processes: info.pids_limit,
        limits_cpu: info.cpu_cfs_quota,
        warnings: info.warnings.unwrap_or_default(),
        root_free: root.as_deref().and_then(free_bytes),
        root,
        ..Engine::default()
    }
}

/// Bytes that are free where `folder` is, for whoever is not root.
fn free_bytes(folder: &Path) -> Option<u64> {
    let found = rustix::fs::statvfs(folder).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Which images there are.
pub(super) async fn images(docker: &Docker, rows: &[LanguageRow]) -> Vec<Image> {
    let mut images = Vec::new();
    for row in rows {
        let is_here = match timeout(ANSWER_MAX, docker.inspect_image(&row.image)).await {
            Ok(Ok(_)) => Ok(true),
            Ok(Err(bollard::errors::Error::DockerResponseServerError {
                status_code: 404, ..
            })) => Ok(false),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the engine does not answer".into()),
        };
        images.push(Image {
            language: row.id.clone(),
            name: row.image.clone(),
            is_here,
        });
    }
    images
}

/// What this process sees of the machine.
pub(super) fn machine() -> Machine {
    let root = Path::new("/sys/fs/cgroup");
    let is_there = |path: &str| root.join(path).exists();
    let (cgroups, second) = match (is_there("cgroup.controllers"), is_there("memory")) {
        (true, _) => (Cgroups::V2, Some(root.to_owned())),
        (false, true) if is_there("unified/cgroup.controllers") => {
            (Cgroups::Hybrid, Some(root.join("unified")))
        }
        (false, true) => (Cgroups::V1, None),
        (false, false) => (Cgroups::Unseen, None),
    };
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    Machine {
        cgroups,
        kill: second.map_or(Kill::Missing, |root| kill(&root)),
        available: available(&meminfo),
    }
}

/// Every cgroup but the root has the switch, so that of any below it tells.
fn kill(root: &Path) -> Kill {
    let folders = fs::read_dir(root).into_iter().flatten().flatten();
    let mut switches = folders.map(|folder| folder.path().join("cgroup.kill"));
    match switches.find(|switch| switch.exists()) {
        None => Kill::Missing,
        Some(switch) => match rustix::fs::access(&switch, rustix::fs::Access::WRITE_OK) {
            Ok(()) => Kill::Usable,
            Err(_) => Kill::Forbidden,
        },
    }
}

fn available(meminfo: &str) -> Option<u64> {
    let mut lines = meminfo.lines();
    let line = lines.find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes << 10)
}

/// The state folder and what is in it.
pub(super) fn state(serve: &Serve, plan: Option<&Plan>) -> State {
    let folder = match serve.state.dir() {
        Ok(folder) => folder,
        Err(error) => {
            let why = error.to_string();
            return State {
                folder: Err(why.clone()),
                writable: Err(why),
                credentials_open: None,
                queue: None,
            };
        }
    };
    let credentials = fs::metadata(Credentials::path(&folder));
    let queue = folder.join(QUEUE_FILE);
    let uses_it = !matches!(plan, Some(Plan::Shared { .. }));
    State {
        writable: writable(&folder).map_err(|error| error.to_string()),
        credentials_open: credentials.ok().map(|found| found.mode() & 0o077 != 0),
        queue: (uses_it && queue.exists()).then(|| embedded(&queue)),
        folder: Ok(folder),
    }
}

fn writable(folder: &Path) -> io::Result<Writable> {
    match fs::metadata(folder) {
        Ok(found) if !found.is_dir() => Err(io::ErrorKind::NotADirectory.into()),
        Ok(_) => {
            let trial = folder.join(format!(".doctor-{}", std::process::id()));
            File::create_new(&trial)?;
            fs::remove_file(&trial)?;
            Ok(Writable::Now)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut above = folder.ancestors().skip(1);
            let above = above.find(|folder| folder.exists());
            let above = above.ok_or(io::ErrorKind::NotFound)?;
            let flags = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
            rustix::fs::access(above, flags)?;
            Ok(Writable::Later)
        }
        Err(error) => Err(error),
    }
}

fn embedded(file: &Path) -> Result<Queue, String> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let checked = || -> rusqlite::Result<String> {
        let db = Connection::open_with_flags(file, flags)?;
        db.busy_timeout(ANSWER_MAX)?;
        db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
    };
    match checked() {
        Ok(found) if found == "ok" => {}
        Ok(found) => return Err(found),
        Err(error) => return Err(error.to_string()),
    }
    let depth = Embedded::inspect(file).map_err(|error| describe(&error))?;
    Ok(counts(depth))
}

fn counts(depth: Depth) -> Queue {
    Queue {
        ready: depth.ready,
        results: depth.results,
        parked: depth.parked,
    }
}

/// What is on the broker.
pub(super) async fn broker(address: &Address, prefix: &Prefix) -> Broker {
    let inspected = timeout(BROKER_MAX, RabbitMq::inspect(address.clone(), prefix)).await;
    Broker {
        address: address.to_string(),
        queue: match inspected {
            Ok(Ok(depth)) => Ok(counts(depth)),
            Ok(Err(error)) => Err(describe(&error)),
            Err(_) => Err("it does not answer".into()),
        },
    }
}

/// What the edge says to a request that asks for nothing.
pub(super) async fn edge(serve: &Serve) -> Edge {
    let Ok(folder) = serve.state.dir() else {
        return Edge::NotJoined;
    };
    if !folder.is_dir() {
        return Edge::NotJoined;
    }
    let credentials = match Credentials::load(&folder) {
        Ok(Some(credentials)) => credentials,
        Ok(None) => return Edge::NotJoined,
        Err(error) => return Edge::Unreadable(error.to_string()),
    };
    let url = credentials.edge.to_string();
    let answer = match Client::new(credentials) {
        Ok(client) => {
            client
                .acknowledge(&Acknowledge { leases: Vec::new() })
                .await
        }
        Err(error) => Err(error),
    };
    match answer {
        Ok(_) => Edge::Knows(url),
        Err(error @ CallError::Refused(_)) => Edge::Refused(url, error.to_string()),
        Err(error) => Edge::Away(url, error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_could_give_counts_as_available() {
        let meminfo = "MemTotal:       24684188 kB\nMemFree: 1 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(available(meminfo), Some(2 << 20));
        assert_eq!(available("MemTotal: 1 kB\n"), None);
    }

    #[test]
    fn options_are_named_without_their_profile() {
        let options = [
            "name=apparmor",
            "name=seccomp,profile=default",
            "name=rootless",
        ];
        let info = SystemInfo {
            security_options: Some(options.map(str::to_owned).to_vec()),
            ..SystemInfo::default()
        };
        assert_eq!(told(info).security, ["apparmor", "seccomp", "rootless"]);
    }
}
