//! An upgrade under load: edge and hosts are replaced one after the other, in either order, while
//! users go on asking. Afterwards the books are compared as after a storm, and nothing may have been
//! given up.
//!
//! The version before is a clone that was built, named by [`FROM`](super::version::FROM). Without
//! one, each process is replaced by another of the same version, which is what a rolling restart is.

use std::process::Command;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::artifacts;
use crate::evidence::Evidence;
use crate::repo::Repo;
use crate::step::say;
use crate::work::Work;

use super::clients::Going;
use super::hosts::{LINK, LONE, WORKER_A, WORKER_B, folder};
use super::random::Random;
use super::storm::{SEED, Size, Storm, seed, users};
use super::version::Version;

/// Executions that are accepted between two replacements.
const BETWEEN: usize = 15;
/// How long that may take, while the edge or all of the hosts are away.
const BETWEEN_MAX: Duration = Duration::from_secs(120);

/// Who is replaced first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As docs/operations.md has it.
    EdgeFirst,
    /// The other way round.
    HostsFirst,
}

/// One process that is replaced.
#[derive(Debug, Clone, Copy)]
enum Part {
    Edge,
    Host(&'static str),
}

impl Order {
    /// Workers before their link: a link hands on what its edge sends, and only who is as new knows
    /// all of it.
    fn parts(self) -> Vec<Part> {
        let mut parts: Vec<Part> = [WORKER_A, WORKER_B, LINK, LONE].map(Part::Host).into();
        match self {
            Self::EdgeFirst => parts.insert(0, Part::Edge),
            Self::HostsFirst => parts.push(Part::Edge),
        }
        parts
    }

    const fn size(self) -> Size {
        Size {
            name: match self {
                Self::EdgeFirst => "upgrade-edge-first",
                Self::HostsFirst => "upgrade-hosts-first",
            },
            jobs: BETWEEN * 6,
            slots: 4,
            pause_ms: 900,
            faulty: false,
            containers: false,
        }
    }
}

/// Replaces everything by this version, and where there is a version before, goes back to it in the
/// opposite order.
pub fn upgrade(repo: &Repo, work: &Work, order: Order) -> Result<Evidence> {
    let (size, seed, before) = (order.size(), seed()?, Version::before()?);
    say(&format!("       {}: {SEED}={seed}", size.name));
    let replaced = replace_all(repo, work, order, &Random::new(seed), before.as_ref());
    replaced.with_context(|| format!("{SEED}={seed}"))
}

fn replace_all(
    repo: &Repo,
    work: &Work,
    order: Order,
    random: &Random,
    before: Option<&Version>,
) -> Result<Evidence> {
    let size = order.size();
    let mut storm = Storm::begin_of(repo, work, &size, before)?;
    let from = before.map_or("this version", |version| &version.name);
    storm.evidence.fact(format!("{}: from", size.name), from);
    let mut back = order.parts();
    back.reverse();
    let users = users(&storm.stack)?;
    let users = storm.during(users, &size, random, |storm, going| {
        progress(going)?;
        for part in order.parts() {
            storm.replace(part, before, None)?;
            progress(going)?;
        }
        if before.is_some() {
            for part in back {
                storm.replace(part, None, before)?;
                progress(going)?;
            }
        }
        Ok(())
    })?;
    let sums = storm.compare(users, &size)?;
    ensure!(sums.given_up() == 0, "something was given up: {sums:?}");
    storm.end()
}

/// Waits until some more executions have been accepted: everything is in use then.
fn progress(going: &Going) -> Result<()> {
    let (begun, accepted) = (Instant::now(), going.accepted.load(Ordering::Relaxed));
    while going.accepted.load(Ordering::Relaxed) < accepted + BETWEEN {
        ensure!(
            begun.elapsed() < BETWEEN_MAX,
            "nobody gets on: {} executions were accepted in {} s",
            going.accepted.load(Ordering::Relaxed) - accepted,
            BETWEEN_MAX.as_secs()
        );
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

impl Storm<'_> {
    /// Ends a process of version `from` in good order, and starts version `to` in its place;
    /// nothing names this clone's.
    fn replace(&mut self, part: Part, from: Option<&Version>, to: Option<&Version>) -> Result<()> {
        match part {
            Part::Edge => {
                self.note("the edge is replaced")?;
                self.stack.stop_edge()?;
                let clone = to.map(|version| version.clone.clone());
                self.stack.set_edge_of(clone);
                self.stack.start_edge()?;
            }
            Part::Host(name) => {
                self.note(&format!("{name} is replaced"))?;
                self.leave(name, from)?;
                let program = to.map(|version| &*version.host);
                self.hosts.set_program(name, program);
                self.hosts.start_one(&mut self.stack, name)?;
            }
        }
        self.hosts.wait_until_two_offer(&self.stack)
    }

    /// Two are told to finish all that they have, two to end soon. Another version knows the latter
    /// only.
    fn leave(&mut self, name: &'static str, version: Option<&Version>) -> Result<()> {
        if version.is_none() && matches!(name, WORKER_A | LONE) {
            let mut drain = Command::new(artifacts::executor(self.stack.repo()));
            drain.args(["drain", "--timeout", "60", "--state-dir"]);
            drain.arg(folder(&self.stack, name));
            self.work().run(&mut drain)?;
        }
        let stopped = self.stack.stop_service(name);
        stopped.with_context(|| format!("{name} does not leave"))
    }

    fn note(&self, what: &str) -> Result<()> {
        self.work().note(what)
    }
}
