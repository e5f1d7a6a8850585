//! The containers of deploy/compose.yaml, as somebody would start them who has only Docker: with
//! volumes, a project and a port of their own, which are gone afterwards.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::documents;
use super::programs::{accepted, sign_up, submit};
use crate::apt;
use crate::dist;
use crate::http::{Client, expect, wait_for};
use crate::inputs::hex;
use crate::names;
use crate::ports::free_port;
use crate::repo::Repo;
use crate::report::Report;
use crate::stack::suites_folder;
use crate::step::{Lane, Step};
use crate::work::{Work, succeeds};

/// How long everything may take until the executor offers a language.
const START_LIMIT: Duration = Duration::from_secs(180);

/// The name of the suite's project.
const NAME: &str = "codecrafter-suite";

/// What Debian's relatives call it, the newest first.
const PACKAGES: [&str; 2] = ["docker-compose-v2", "docker-compose"];

/// Installs Docker Compose where the package manager can. Where it cannot, the suite says so and is
/// skipped.
pub fn install_step() -> Option<Step<'static>> {
    if program().is_some() || !apt::can_install() {
        return None;
    }
    let step = Step::new(names::COMPOSE, Lane::Packages, |work| {
        apt::refresh(work)?;
        let known = PACKAGES.into_iter().find(|package| apt::knows(package));
        let installed = known.map_or_else(
            || Err(anyhow::anyhow!("no package of that name")),
            |package| apt::install(work, &[package]),
        );
        match installed {
            Ok(()) => Report::done(),
            Err(why) => Report::noted(format!("cannot be installed: {why:#}")),
        }
    });
    Some(step.installs([apt::missing("Docker Compose", &PACKAGES[1..], 60)]))
}

/// The command; none if there is no Docker Compose. The older one is a program of its own.
fn program() -> Option<Command> {
    let mut plugin = Command::new("docker");
    plugin.arg("compose");
    let asked = |command: &Command| {
        let mut ask = Command::new(command.get_program());
        succeeds(ask.args(command.get_args()).arg("version"))
    };
    [plugin, Command::new("docker-compose")]
        .into_iter()
        .find(asked)
}

/// Brings everything up, runs a program through it, and takes it down.
pub fn compose(repo: &Repo, work: &Work) -> Result<Report> {
    let mut report = Report::default();
    let names = [
        "it refuses to start without secrets",
        "a program runs through edge, broker and executor in containers",
        "all of it comes again after it was taken down",
        "what docs/operations.md does to it loses nothing",
    ];
    if program().is_none() {
        for name in names {
            report.skip(
                name,
                "there is no Docker Compose (docker compose, docker-compose)",
            );
        }
        return Ok(report);
    }
    let project = Project::new(repo)?;
    // An interrupted run may have left its containers.
    project.down(work, &["--volumes"])?;
    report.case(names[0], project.refuses_without_secrets(work));
    let ran = project.runs_a_program(work);
    if ran.is_err() {
        // What the containers said goes to the log, whose end is shown.
        let _ = work.run(
            project
                .command()?
                .args(["logs", "--no-color", "--tail", "15"]),
        );
    }
    let user = ran.as_ref().ok().cloned();
    report.case(names[1], ran.map(drop));
    if let Some((user, id)) = user {
        report.case(names[2], project.comes_again(work, &user, &id));
        project.operate(work, &mut report)?;
        // The user signed in with the secret before.
        report.case(names[3], project.goes_on(&user, &id));
    }
    project.down(work, &["--volumes"])?;
    Ok(report)
}

/// One project of Docker Compose.
struct Project {
    repo: Repo,
    folder: PathBuf,
    port: u16,
}

impl Project {
    fn new(repo: &Repo) -> Result<Self> {
        let project = Self {
            repo: repo.clone(),
            folder: suites_folder(repo).join("compose"),
            port: free_port()?,
        };
        fs::create_dir_all(&project.folder)?;
        let mut random = [0; 64];
        fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
        let (secret, password) = random.split_at(32);
        let _ = fs::remove_file(project.settings());
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        write!(
            options.open(project.settings())?,
            "CODECRAFTER_SECRET={}\nRABBITMQ_PASSWORD={}\nCODECRAFTER_PORT={}\nRABBITMQ_IMAGE={}\n",
            hex(secret),
            hex(password),
            project.port,
            dist::broker_image(),
        )?;
        Ok(project)
    }

    fn settings(&self) -> PathBuf {
        self.folder.join("env")
    }

    /// Docker Compose with this project's name and settings.
    fn command(&self) -> Result<Command> {
        self.command_with(&self.settings())
    }

    fn command_with(&self, settings: &Path) -> Result<Command> {
        let program = program().context("no Docker Compose")?;
        let mut command = self.repo.command(program.get_program());
        command
            .args(program.get_args())
            .args(["--project-name", NAME, "--file"])
            .arg(self.repo.path("deploy/compose.yaml"))
            .arg("--env-file")
            .arg(settings);
        // Its own settings and the deployment's come from the file only.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["CODECRAFTER_", "RABBITMQ_", "COMPOSE_"]
                .iter()
                .any(|start| text.starts_with(start))
            {
                command.env_remove(&name);
            }
        }
        Ok(command)
    }

    fn down(&self, work: &Work, more: &[&str]) -> Result<()> {
        let mut down = self.command()?;
        down.args(["down", "--remove-orphans"]);
        work.run(down.args(more))
    }

    fn up(&self, work: &Work) -> Result<()> {
        work.run(self.command()?.args(["up", "--detach"]))
    }

    fn refuses_without_secrets(&self, work: &Work) -> Result<()> {
        let none = self.folder.join("no-secrets");
        fs::write(&none, "")?;
        let accepted = work.run(self.command_with(&none)?.arg("config")).is_ok();
        ensure!(!accepted, "it would start without a secret");
        Ok(())
    }

    /// Gives the user and the execution.
    fn runs_a_program(&self, work: &Work) -> Result<(Client, String)> {
        self.up(work)?;
        let edge = self.ready()?;
        let user = sign_up(&edge)?;
        let id = submit(&user, "print('survived')\n")?;
        let end = accepted(&user, &id)?;
        for measured in ["wallMs", "cpuMs", "peakBytes"] {
            ensure!(end[measured].is_u64(), "no {measured}: {end}");
        }
        let mut queue = self.command()?;
        queue.args(["exec", "-T", "executor", "executor-host", "queue", "--json"]);
        let queue: Value = serde_json::from_str(work.output(&mut queue)?.trim())?;
        ensure!(queue["queue"] == "rabbitmq", "another queue: {queue}");
        Ok((user, id))
    }

    /// The containers are new then; accounts, results and the executor's enrolment are not.
    fn comes_again(&self, work: &Work, user: &Client, id: &str) -> Result<()> {
        self.down(work, &[])?;
        self.up(work)?;
        self.goes_on(user, id)
    }

    /// What there was is there, and programs run.
    fn goes_on(&self, user: &Client, id: &str) -> Result<()> {
        self.ready()?;
        accepted(user, id)?;
        accepted(user, &submit(user, "print('survived')\n")?).map(drop)
    }

    /// Does what the documents tell operators to do.
    fn operate(&self, work: &Work, report: &mut Report) -> Result<()> {
        let settings = fs::read_to_string(self.settings())?;
        let settings = format!("COMPOSE_PROJECT_NAME={NAME}\n{settings}");
        let program = program().context("no Docker Compose")?;
        let url = format!("http://127.0.0.1:{}", self.port);
        documents::on_compose(&self.repo, work, url, &settings, &program, report)
    }

    /// Waits until a program could run.
    fn ready(&self) -> Result<Client> {
        let edge = Client::new(format!("http://127.0.0.1:{}", self.port));
        wait_for("an executor that offers Python", START_LIMIT, || {
            let languages = expect(200, edge.get("/api/v1/languages")?)?;
            let offered = languages["items"].as_array().is_some_and(|items| {
                items
                    .iter()
                    .any(|item| item["id"] == "python" && item["available"] == true)
            });
            Ok(offered.then_some(()))
        })?;
        Ok(edge)
    }
}
