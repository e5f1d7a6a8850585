//! What the documents tell people to type, typed: the shell blocks of README.md and docs/, against
//! a stack of its own.
//!
//! A document's blocks run in their order and in one shell, in a copy of the clone, so that one
//! block has what the block before it set. The variables of README.md are there in every other
//! document. A block that is not run says why behind its ```` ```sh ````: `by=…` if something else
//! runs it, `needs=…` if it needs what is not here. Anything else there is a mistake.

mod blocks;
mod desk;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use self::blocks::{Block, COMPOSE, Fate, read_all};
use self::desk::{Desk, find};
use crate::apt;
use crate::artifacts;
use crate::names;
use crate::repo::Repo;
use crate::report::Report;
use crate::stack::{Platform, Stack};
use crate::step::{Lane, Step};
use crate::work::{Work, on_path};

/// The unit that docs/executor.md tells people to install.
const UNIT: &str = "deploy/executor-host.service";

/// Installs curl, in which examples of HTTP are written, unless it is there.
pub fn install_step() -> Option<Step<'static>> {
    if on_path("curl") || !apt::can_install() {
        return None;
    }
    let step = Step::new(names::CURL, Lane::Packages, |work| {
        apt::install(work, &["curl"])?;
        Report::done()
    });
    Some(step.installs([apt::missing("curl", &["curl"], 2)]))
}

/// Runs every block that can be run, and says why the others were not.
pub fn documents(repo: &Repo, work: &Work) -> Result<Report> {
    let documents = read_all(repo)?;
    let mut stack = Stack::of_suite(repo, "documents", Platform::Workerd)?;
    stack.start_edge()?;
    stack.start_executor(work)?;
    let desk = Desk::new(repo, "documents", stack.url())?;
    // As after `up`, with the secret and the state of this stack.
    symlink(stack.folder(), desk.clone_folder().join(".codecrafter"))?;
    symlink(
        artifacts::executor(repo),
        desk.programs().join("executor-host"),
    )?;

    let mut report = Report::default();
    let mut left = Vec::new();
    let mut variables = BTreeMap::new();
    for document in &documents {
        let mut run = Vec::new();
        for block in &document.blocks {
            let place = document.place(block);
            match block.fate() {
                Ok(Fate::Run) => run.push(block),
                Ok(Fate::RunElsewhere(why)) => left.push(format!("{place}: {why}")),
                Ok(Fate::Needs(why)) => report.skip(&place, why),
                Err(why) => report.case(&place, Err(why)),
            }
        }
        if !run.is_empty() {
            desk.run(work, document, &run, &mut variables, &mut report)?;
        }
    }
    match check_unit(repo, &desk) {
        Ok(Some(())) => report.case(UNIT, Ok(())),
        Ok(None) => report.skip(UNIT, "there is no systemd-analyze to check it"),
        Err(why) => report.case(UNIT, Err(why)),
    }
    if !left.is_empty() {
        report.say(format!("{} blocks are run elsewhere:", left.len()));
        left.iter().for_each(|line| report.say(format!("  {line}")));
    }
    Ok(report)
}

/// Runs the blocks for a deployment by Docker Compose, whose edge is at `url`, in a copy of
/// `deploy/` with the lines `settings` as its `.env`. `program` is what `docker compose` is called
/// here.
pub fn on_compose(
    repo: &Repo,
    work: &Work,
    url: String,
    settings: &str,
    program: &Command,
    report: &mut Report,
) -> Result<()> {
    let mut desk = Desk::new(repo, "documents-compose", url)?;
    desk.start = desk.clone_folder().join("deploy");
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let mut env = options.open(desk.start.join(".env"))?;
    env.write_all(settings.as_bytes())?;
    if program.get_program() != "docker" {
        let docker = find("docker").context("there is no docker")?;
        let script = format!(
            "test \"$1\" = compose && shift && exec '{}' \"$@\"\nexec '{}' \"$@\"",
            program.get_program().display(),
            docker.display()
        );
        desk.stand_in("docker", &script)?;
    }
    for document in read_all(repo)? {
        let wanted = |block: &&Block| block.note == format!("by={COMPOSE}");
        let blocks: Vec<&Block> = document.blocks.iter().filter(wanted).collect();
        if !blocks.is_empty() {
            desk.run(work, &document, &blocks, &mut BTreeMap::new(), report)?;
        }
    }
    Ok(())
}

/// Whether systemd takes the unit; none if it cannot be asked.
fn check_unit(repo: &Repo, desk: &Desk) -> Result<Option<()>> {
    if !on_path("systemd-analyze") {
        return Ok(None);
    }
    let unit = fs::read_to_string(repo.path(UNIT))?;
    let installed = "/usr/local/bin/executor-host";
    ensure!(
        unit.contains(installed),
        "{UNIT} does not start {installed}"
    );
    // It looks whether the program is there.
    let built = desk.programs().join("executor-host");
    let copy = desk.folder.join("executor-host.service");
    fs::write(&copy, unit.replace(installed, &built.display().to_string()))?;
    let mut verify = repo.command("systemd-analyze");
    let said = verify
        .args(["verify", "--man=no"])
        .arg(&copy)
        .output()?
        .stderr;
    let said = String::from_utf8_lossy(&said);
    // A misspelt key is a warning only; and units that this one names may have faults of their own.
    let own: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("executor-host.service"))
        .collect();
    ensure!(own.is_empty(), "systemd says:\n    {}", own.join("\n    "));
    Ok(Some(()))
}
