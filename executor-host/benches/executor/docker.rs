//! Docker without us: containers by the engine's API and by its command line.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use agent_protocol::WORK_DIR;
use bollard::Docker;
use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig,
    SystemInfoCgroupDriverEnum,
};
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, RemoveContainerOptionsBuilder,
    StartContainerOptions, WaitContainerOptions,
};
use futures_util::StreamExt as _;
use tempfile::TempDir;

use crate::Result;
use crate::programs::Program;

/// The engine, and the cgroup that every container of the benchmark is in.
pub struct Engine {
    pub docker: Docker,
    /// As the engine calls it.
    pub cgroup: String,
}

impl Engine {
    pub async fn connect() -> Result<Self> {
        let docker = Docker::connect_with_unix_defaults()?;
        let docker = docker.negotiate_version().await?;
        let driver = docker.info().await?.cgroup_driver;
        let cgroup = match driver {
            Some(SystemInfoCgroupDriverEnum::SYSTEMD) => "codecrafterbench.slice",
            _ => "/codecrafterbench",
        };
        let cgroup = cgroup.to_owned();
        Ok(Self { docker, cgroup })
    }

    /// What it is, as words.
    pub async fn describe(&self) -> Result<String> {
        let info = self.docker.info().await?;
        let or_unknown = |text: Option<String>| text.unwrap_or_else(|| "?".to_owned());
        let version = info.cgroup_version.map(|version| version.to_string());
        Ok(format!(
            "Docker Engine {} with {} on {}, cgroup v{}. Figures of times are p50 / p95 / p99 in \
             milliseconds, and in brackets of how many.",
            or_unknown(info.server_version),
            or_unknown(info.default_runtime),
            or_unknown(info.driver),
            or_unknown(version),
        ))
    }

    /// CPU time of everything that was ever in our cgroup.
    pub fn containers_cpu(&self) -> Duration {
        let name = self.cgroup.trim_start_matches('/');
        let read = |path: String| fs::read_to_string(path).ok();
        if let Some(text) = read(format!("/sys/fs/cgroup/cpuacct/{name}/cpuacct.usage")) {
            return Duration::from_nanos(text.trim().parse().unwrap_or_default());
        }
        let text = read(format!("/sys/fs/cgroup/{name}/cpu.stat")).unwrap_or_default();
        let usage = text
            .lines()
            .find_map(|line| line.strip_prefix("usage_usec "));
        Duration::from_micros(usage.and_then(|text| text.parse().ok()).unwrap_or_default())
    }

    /// Removes the cgroup, which is empty by now. The engine leaves it.
    pub fn forget_cgroup(&self) {
        let name = self.cgroup.trim_start_matches('/');
        let _ = fs::remove_dir(Path::new("/sys/fs/cgroup").join(name));
        let Ok(controllers) = fs::read_dir("/sys/fs/cgroup") else {
            return;
        };
        for controller in controllers.flatten() {
            let _ = fs::remove_dir(controller.path().join(name));
        }
    }

    /// One container from its creation to its removal, with the engine's own defaults but for the
    /// network and the log, of which there are none.
    pub async fn cycle(&self, program: &Program, argv: Vec<String>) -> Result<()> {
        let container = self.create(self.body(program, argv)).await?;
        let docker = &self.docker;
        docker
            .start_container(&container, None::<StartContainerOptions>)
            .await?;
        let mut ended = docker.wait_container(&container, None::<WaitContainerOptions>);
        while let Some(end) = ended.next().await {
            end?;
        }
        self.remove(&container).await
    }

    async fn create(&self, body: ContainerCreateBody) -> Result<String> {
        let options = None::<CreateContainerOptions>;
        Ok(self.docker.create_container(options, body).await?.id)
    }

    async fn remove(&self, container: &str) -> Result<()> {
        let options = RemoveContainerOptionsBuilder::new().force(true).build();
        let removed = self.docker.remove_container(container, Some(options));
        Ok(removed.await?)
    }

    fn body(&self, program: &Program, argv: Vec<String>) -> ContainerCreateBody {
        let environment = program.environment().into_iter();
        ContainerCreateBody {
            image: Some(program.row.image.clone()),
            entrypoint: Some(argv),
            env: Some(
                environment
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect(),
            ),
            host_config: Some(HostConfig {
                network_mode: Some("none".to_owned()),
                cgroup_parent: Some(self.cgroup.clone()),
                log_config: Some(HostConfigLogConfig {
                    typ: Some("none".to_owned()),
                    config: None,
                }),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        }
    }

    /// A container that only has the image's files mounted, for processes that are in none.
    pub async fn mount(&self, program: &Program) -> Result<Mounted<'_>> {
        let mut body = self.body(program, ["sleep", "infinity"].map(str::to_owned).to_vec());
        let tmpfs = ["/work", "/tmp", "/dev/shm"];
        let tmpfs = tmpfs.map(|path| (path.to_owned(), "rw,exec,mode=1777".to_owned()));
        if let Some(host) = body.host_config.as_mut() {
            host.readonly_rootfs = Some(true);
            host.tmpfs = Some(tmpfs.into());
            // So that a runtime which looks itself up in /proc finds itself.
            host.pid_mode = Some("host".to_owned());
            host.cgroupns_mode = Some(HostConfigCgroupnsModeEnum::HOST);
        }
        let container = self.create(body).await?;
        let mut mounted = Mounted {
            engine: self,
            container,
            root: PathBuf::new(),
        };
        let started = self
            .docker
            .start_container(&mounted.container, None::<StartContainerOptions>)
            .await;
        let pid = match started {
            Ok(()) => self.pid(&mounted.container).await,
            Err(error) => Err(error.into()),
        };
        match pid {
            Ok(pid) => {
                mounted.root = PathBuf::from(format!("/proc/{pid}/root"));
                Ok(mounted)
            }
            Err(error) => {
                mounted.unmount().await?;
                Err(error)
            }
        }
    }

    /// The id that a container's first process has here.
    pub async fn pid(&self, container: &str) -> Result<i64> {
        let inspected = self
            .docker
            .inspect_container(container, None::<InspectContainerOptions>)
            .await?;
        let pid = inspected.state.and_then(|state| state.pid);
        pid.filter(|pid| *pid > 0)
            .ok_or_else(|| "the container does not run".into())
    }
}

/// The files of an image, mounted.
pub struct Mounted<'a> {
    engine: &'a Engine,
    container: String,
    /// Where.
    pub root: PathBuf,
}

impl Mounted<'_> {
    pub async fn unmount(self) -> Result<()> {
        self.engine.remove(&self.container).await
    }
}

/// `docker run`, for one program.
pub struct CommandLine {
    arguments: Vec<String>,
    /// The work directory.
    _folder: TempDir,
}

impl CommandLine {
    pub fn new(engine: &Engine, program: &Program) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        for (path, content) in program.files() {
            fs::write(folder.path().join(path), content)?;
        }
        let mut words = vec![program.command()];
        words.splice(0..0, program.compiler());
        let mut arguments: Vec<String> = ["run", "--rm", "--network", "none"]
            .map(str::to_owned)
            .to_vec();
        arguments.push(format!("--cgroup-parent={}", engine.cgroup));
        arguments.push(format!("--volume={}:{WORK_DIR}", folder.path().display()));
        arguments.push(format!("--workdir={WORK_DIR}"));
        for (name, value) in program.environment() {
            arguments.push(format!("--env={name}={value}"));
        }
        let lines: Vec<String> = words.iter().map(|argv| line(argv)).collect();
        arguments.push("--entrypoint=sh".to_owned());
        arguments.push(program.row.image.clone());
        arguments.push("-c".to_owned());
        arguments.push(lines.join(" && "));
        Ok(Self {
            arguments,
            _folder: folder,
        })
    }

    pub async fn run(&self) -> Result<Duration> {
        let begun = Instant::now();
        let output = tokio::process::Command::new("docker")
            .args(&self.arguments)
            .stdin(Stdio::null())
            .output()
            .await?;
        let took = begun.elapsed();
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(format!("docker {:?}: {said}", self.arguments).into());
        }
        Ok(took)
    }
}

/// A command as a line of the shell.
fn line(argv: &[String]) -> String {
    let quoted = argv
        .iter()
        .map(|word| format!("'{}'", word.replace('\'', "'\\''")));
    quoted.collect::<Vec<_>>().join(" ")
}
