//! Docker Engine: whether one answers, and starting one where none does.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::apt;
use crate::names;
use crate::process::{Service, Services};
use crate::repo::Repo;
use crate::report::{Missing, Report};
use crate::step::{Lane, Step};
use crate::work::{Work, answer, on_path, succeeds, tail};

/// The engine and what it runs containers with, on Debian.
const PACKAGES: [&str; 4] = ["docker.io", "containerd", "runc", "iptables"];

/// The client, where the engine's package does not bring it.
const CLIENT: &str = "docker-cli";

/// How long a new engine may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(180);

/// Whether an engine answers.
pub fn answers() -> bool {
    succeeds(docker().args(["version", "--format", "{{.Server.Version}}"]))
}

/// The `docker` client.
pub fn docker() -> Command {
    Command::new("docker")
}

/// What an image's label says; none if there is no such image.
pub fn label(image: &str, label: &str) -> Option<String> {
    let format = format!("{{{{index .Config.Labels \"{label}\"}}}}");
    answer(docker().args(["image", "inspect", "--format", &format, image]))
}

/// An image's id; none if there is no such image.
pub fn image_id(image: &str) -> Option<String> {
    answer(docker().args(["image", "inspect", "--format", "{{.Id}}", image]))
}

/// An image's size in bytes, with all of its layers; none if there is no such image.
pub fn image_bytes(image: &str) -> Option<u64> {
    answer(docker().args(["image", "inspect", "--format", "{{.Size}}", image]))?
        .parse()
        .ok()
}

/// Where it is written down that we started the engine. Not with the stack's services: suites
/// start one too.
pub fn state_dir(repo: &Repo) -> PathBuf {
    repo.state_dir().join("docker")
}

/// Installs and starts an engine, unless one answers.
pub fn engine_step(repo: &Repo) -> Option<Step<'_>> {
    if answers() {
        return None;
    }
    let installed = on_path("dockerd");
    let missing = match (installed, rustix::process::geteuid().is_root()) {
        (false, _) => Some(apt::missing("Docker Engine", &PACKAGES, 350)),
        (true, true) => None,
        // Signing in again is what makes the new group count.
        (true, false) => Some(Missing::by_hand(
            "leave to use Docker Engine, then sign in again",
            "sudo systemctl start docker && sudo usermod --append --groups docker $USER",
        )),
    };
    let step = Step::new(names::ENGINE, Lane::Packages, move |work| {
        if !installed {
            apt::refresh(work)?;
            // Newer releases have the client in a package of its own.
            let client = apt::knows(CLIENT).then_some(CLIENT);
            apt::install(work, &[&PACKAGES[..], client.as_slice()].concat())?;
        }
        // Installing it starts it on some systems.
        if answers() {
            return Report::done();
        }
        start(repo, work)
    });
    Some(step.installs(missing))
}

/// Starts the engine, by the system's own means where it has some.
fn start(repo: &Repo, work: &Work) -> Result<Report> {
    // Where systemd runs, the package has made it a service.
    let systemd = Path::new("/run/systemd/system").is_dir();
    if systemd
        && work
            .run(Command::new("systemctl").args(["start", "docker"]))
            .is_ok()
    {
        wait(work.log())?;
        return Report::done();
    }
    let dockerd = Service::new("dockerd", "dockerd", repo.root());
    let mut services = Services::load(&state_dir(repo))?;
    services.start(&dockerd)?;
    wait(&services.log("dockerd"))?;
    Report::noted("started dockerd; `cargo xtask down` stops it")
}

fn wait(log: &Path) -> Result<()> {
    let begun = Instant::now();
    while !answers() {
        if begun.elapsed() > START_LIMIT {
            let seconds = START_LIMIT.as_secs();
            bail!(
                "dockerd does not answer after {seconds} s:\n{}",
                tail(log, 20)
            );
        }
        thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}
