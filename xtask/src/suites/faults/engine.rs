//! A Docker Engine of a storm's own, so that it can be killed while others use the machine's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::http::wait_for;
use crate::process::Service;
use crate::stack::Stack;
use crate::work::{Work, succeeds};

const DOCKERD: &str = "dockerd";
/// How long an engine may take until it answers, containers of before included.
const ANSWERS: Duration = Duration::from_secs(60);
/// What the storm's programs run in.
const IMAGE: &str = "codecrafter/python:dev";

/// The engine.
#[derive(Debug, Clone)]
pub struct Engine {
    folder: PathBuf,
    socket: PathBuf,
}

impl Engine {
    /// Starts an engine that nobody else knows, with the image in it. It ends with the stack; what
    /// it kept on the disk has to be forgotten by [`Engine::forget`].
    pub fn start(stack: &mut Stack<'_>, work: &Work) -> Result<Self> {
        let folder = stack.folder().join(DOCKERD);
        fs::create_dir_all(&folder)?;
        let engine = Self {
            socket: folder.join("docker.sock"),
            folder,
        };
        engine.start_again(stack)?;
        let save = Command::new("docker")
            .args(["save", IMAGE])
            .stdout(Stdio::piped())
            .spawn()?;
        let image = save.stdout.context("no image")?;
        let mut load = engine.docker();
        load.args(["load", "--quiet"]).stdin(image);
        let loaded = load.output()?;
        ensure!(
            loaded.status.success(),
            "docker load: {}",
            String::from_utf8_lossy(&loaded.stderr)
        );
        work.note(&String::from_utf8_lossy(&loaded.stdout))?;
        Ok(engine)
    }

    /// Where it listens.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Starts it and waits until it answers. An engine that ends meanwhile is started again, as
    /// systemd does: dockerd takes the containerd of one that was killed for alive while that is
    /// about to end, waits for it in vain and gives up.
    pub fn start_again(&self, stack: &mut Stack<'_>) -> Result<()> {
        let service = self.service();
        wait_for("an engine that answers", ANSWERS, || {
            stack.start_service(&service)?;
            Ok(succeeds(self.docker().args(["version"])).then_some(()))
        })
    }

    /// Kills it as a crash would. Its containers go on until it is started again.
    pub fn kill(&self, stack: &mut Stack<'_>) -> Result<()> {
        stack.kill_service(DOCKERD)
    }

    /// Stops it in its tracks, or lets it go on.
    pub fn hold(&self, stack: &Stack<'_>, held: bool) -> Result<()> {
        let pid = stack.pid(DOCKERD).and_then(Pid::from_raw);
        let signal = if held { Signal::STOP } else { Signal::CONT };
        Ok(kill_process(pid.context("dockerd has ended")?, signal)?)
    }

    /// Ends it, and removes all that it has kept.
    pub fn forget(&self, stack: &mut Stack<'_>) -> Result<()> {
        let containers = self.docker().args(["ps", "--all", "--quiet"]).output()?;
        let containers = String::from_utf8_lossy(&containers.stdout);
        for container in containers.split_whitespace() {
            succeeds(self.docker().args(["rm", "--force", container]));
        }
        stack.stop_service(DOCKERD)?;
        // dockerd mounts its data on itself, once more after each kill.
        let data = self.folder.join("data");
        while succeeds(Command::new("umount").arg("--lazy").arg(&data)) {}
        fs::remove_dir_all(&self.folder).with_context(|| self.folder.display().to_string())
    }

    fn docker(&self) -> Command {
        let mut docker = Command::new("docker");
        docker.arg(format!("--host=unix://{}", self.socket.display()));
        docker
    }

    fn service(&self) -> Service {
        let below = |name: &str| self.folder.join(name);
        // A network of its own: without a bridge, dockerd removes that of the machine's engine.
        Service::new(DOCKERD, "unshare", &self.folder)
            .argument("--net")
            .argument("dockerd")
            .option("--host", format!("unix://{}", self.socket.display()))
            .option("--data-root", below("data"))
            .option("--exec-root", below("exec"))
            .option("--pidfile", below("dockerd.pid"))
            .option("--bridge", "none")
            .argument("--iptables=false")
            .argument("--ip6tables=false")
            .argument("--ip-forward=false")
            .argument("--ip-masq=false")
    }
}
