//! A storm: users ask for programs all the time, while at random points processes are killed and
//! ways between them cut, held up, half open or slow. Afterwards the books are compared: each
//! execution that was accepted has one final row, with what its program writes. Everything that is
//! random follows from one seed, so a storm can be had again; what is not the same again is how
//! far each process has come when its fault strikes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::evidence::Evidence;
use crate::http::{expect, wait_for};
use crate::repo::Repo;
use crate::stack::queue::Carrier;
use crate::stack::{Platform, Stack};
use crate::step::say;
use crate::work::Work;

use super::clients::{Going, User};
use super::engine::Engine;
use super::hosts::{self, Hosts, LINK, LONE, Sandbox, WORKER_A, WORKER_B};
use super::proxy::{Proxy, Weather};
use super::random::Random;
use super::version::Version;

/// The variable with the seed of a storm that is to be had again.
pub const SEED: &str = "CODECRAFTER_FAULT_SEED";
/// Users, each with at most so many unfinished executions as the edge allows.
const USERS: u64 = 6;
/// After the last fault, everything has come to its end within this time, without anybody's help.
/// The longest pause of a part that tries again is 30 s, a lease lasts as long, and a job that was
/// given back waits for up to 4 s each time.
const RECOVERED: Duration = Duration::from_secs(180);

/// How big a storm is.
pub struct Size {
    /// The stack's name.
    pub name: &'static str,
    /// Executions that are accepted at least.
    pub jobs: usize,
    /// Jobs at a time, in each host.
    pub slots: u32,
    /// Milliseconds that a user waits between two requests at the most.
    pub pause_ms: u64,
    /// Whether some programs make hosts fail.
    pub faulty: bool,
    /// Whether jobs run in containers, of an engine that the storm may kill.
    pub containers: bool,
}

/// Something that goes wrong, and is mended a while later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Kill(&'static str),
    Edge,
    Broker,
    Engine,
    EngineHeld,
    Way(&'static str, Weather),
}

impl Fault {
    /// Every kind of fault at every place, once.
    fn all(containers: bool) -> Vec<Self> {
        let mut all = vec![Self::Edge, Self::Broker];
        all.extend([LINK, WORKER_A, WORKER_B, LONE].map(Self::Kill));
        for way in [
            "to_edge",
            "to_broker",
            "of_worker_a",
            "of_worker_b",
            "of_lone",
        ] {
            let weather = [
                Weather::Cut,
                Weather::Stalled,
                Weather::HalfOpen,
                Weather::Slow(150),
            ];
            all.extend(weather.map(|weather| Self::Way(way, weather)));
        }
        if containers {
            all.extend([Self::Engine, Self::EngineHeld]);
        }
        all
    }

    fn name(self) -> String {
        match self {
            Self::Kill(host) => format!("{host} killed"),
            Self::Edge => "edge killed".into(),
            Self::Broker => "broker killed".into(),
            Self::Engine => "dockerd killed".into(),
            Self::EngineHeld => "dockerd stopped for a while".into(),
            Self::Way(way, weather) => format!("{way} {weather:?}"),
        }
    }
}

/// What a storm runs on.
pub struct Storm<'a> {
    /// Edge and broker.
    pub stack: Stack<'a>,
    /// Everything else.
    pub hosts: Hosts,
    engine: Option<Engine>,
    work: &'a Work,
    /// What was drawn and met, for the record.
    pub evidence: Evidence,
}

/// A storm from its beginning to the comparison of the books.
pub fn storm(repo: &Repo, work: &Work, size: &Size) -> Result<Evidence> {
    let seed = seed()?;
    say(&format!("       {}: {SEED}={seed}", size.name));
    work.note(&format!("{SEED}={seed}"))?;
    of_seed(repo, work, size, seed).with_context(|| format!("{SEED}={seed}"))
}

fn of_seed(repo: &Repo, work: &Work, size: &Size, seed: u64) -> Result<Evidence> {
    let mut storm = Storm::begin(repo, work, size)?;
    storm.evidence.fact(format!("{}: seed", size.name), seed);
    let users = users(&storm.stack)?;
    let (users, counted) = storm.rage(users, size, &Random::new(seed))?;
    let what = format!("{}: faults", size.name);
    storm.evidence.fact(what, shown(&counted));
    let sums = storm.compare(users, size)?;
    ensure!(
        sums.duplicates > 0,
        "no result came second: the storm was none"
    );
    storm.end()
}

/// The seed that was asked for, else one of the clock's.
pub fn seed() -> Result<u64> {
    match std::env::var(SEED) {
        Ok(text) => text.parse().with_context(|| format!("{SEED}={text}")),
        Err(_) => Ok(u64::from(
            SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos(),
        )),
    }
}

/// New users of the stack.
pub fn users(stack: &Stack<'_>) -> Result<Vec<User>> {
    let edge = stack.client();
    (1..=USERS).map(|number| User::new(&edge, number)).collect()
}

fn shown(counted: &BTreeMap<String, u32>) -> String {
    let counted = counted.iter().map(|(what, n)| format!("{what} {n}"));
    counted.collect::<Vec<_>>().join(", ")
}

impl<'a> Storm<'a> {
    /// Starts everything, and waits until it can be used.
    pub fn begin(repo: &'a Repo, work: &'a Work, size: &Size) -> Result<Self> {
        Self::begin_of(repo, work, size, None)
    }

    /// As [`begin`](Self::begin), with everything as it was in another version.
    pub fn begin_of(
        repo: &'a Repo,
        work: &'a Work,
        size: &Size,
        version: Option<&Version>,
    ) -> Result<Self> {
        let mut stack =
            Stack::of_suite_on(repo, size.name, Platform::Workerd, Carrier::private()?)?;
        stack.set_edge_of(version.map(|version| version.clone.clone()));
        let mut engine = None;
        let mut sandbox = Sandbox::Echo;
        if size.containers {
            let started = Engine::start(&mut stack, work)?;
            sandbox = Sandbox::Containers(started.socket().to_owned());
            engine = Some(started);
        }
        stack.start_edge()?;
        stack.start_broker()?;
        let program = version.map(|version| &*version.host);
        let hosts = Hosts::start(&mut stack, work, sandbox, size.slots, program)?;
        Ok(Self {
            stack,
            hosts,
            engine,
            work,
            evidence: Evidence::default(),
        })
    }

    /// Lets the users go on while `disturb` does what it does, and until there are enough
    /// executions.
    pub fn during(
        &mut self,
        mut users: Vec<User>,
        size: &Size,
        random: &Random,
        disturb: impl FnOnce(&mut Self, &Going) -> Result<()>,
    ) -> Result<Vec<User>> {
        let going = Going {
            faulty: size.faulty,
            ..Going::default()
        };
        let sandbox = match &self.engine {
            Some(engine) => Sandbox::Containers(engine.socket().to_owned()),
            None => Sandbox::Echo,
        };
        thread::scope(|scope| {
            let (going, sandbox) = (&going, &sandbox);
            let asking: Vec<_> = users
                .iter_mut()
                .zip(1..)
                .map(|(user, number)| {
                    let random = random.of(number);
                    scope.spawn(move || user.go(going, sandbox, size.pause_ms, random))
                })
                .collect();
            let disturbed = disturb(self, going);
            going.stop.store(true, Ordering::Relaxed);
            for user in asking {
                match user.join() {
                    Ok(met) => met?,
                    Err(_) => bail!("a user panicked"),
                }
            }
            disturbed
        })?;
        Ok(users)
    }

    /// Fault after fault, sometimes two at a time: each at least once, and until there are enough
    /// executions. Returns how often each struck.
    fn rage(
        &mut self,
        users: Vec<User>,
        size: &Size,
        random: &Random,
    ) -> Result<(Vec<User>, BTreeMap<String, u32>)> {
        let mut counted = BTreeMap::new();
        let users = self.during(users, size, random, |storm, going| {
            let mut random = random.of(0);
            loop {
                let mut deck = Fault::all(size.containers);
                random.shuffle(&mut deck);
                while !deck.is_empty() {
                    thread::sleep(Duration::from_millis(random.between(300, 2_000)));
                    let count = if random.between(1, 3) == 1 { 2 } else { 1 };
                    let faults = deck.split_off(deck.len().saturating_sub(count));
                    for fault in &faults {
                        *counted.entry(fault.name()).or_default() += 1;
                        storm.work.note(&format!("fault: {}", fault.name()))?;
                        storm.strike(*fault)?;
                    }
                    thread::sleep(Duration::from_millis(random.between(100, 2_500)));
                    for fault in &faults {
                        storm.mend(*fault)?;
                        storm.work.note(&format!("mended: {}", fault.name()))?;
                    }
                }
                if going.accepted.load(Ordering::Relaxed) >= size.jobs {
                    return Ok(());
                }
            }
        })?;
        Ok((users, counted))
    }

    fn strike(&mut self, fault: Fault) -> Result<()> {
        match fault {
            Fault::Kill(host) => self.stack.kill_service(host),
            Fault::Edge => self.stack.kill_edge(),
            Fault::Broker => self.stack.kill_broker(),
            Fault::Engine => self.engine()?.kill(&mut self.stack),
            Fault::EngineHeld => self.engine()?.hold(&self.stack, true),
            Fault::Way(way, weather) => {
                self.way(way).set(weather);
                Ok(())
            }
        }
    }

    fn mend(&mut self, fault: Fault) -> Result<()> {
        match fault {
            Fault::Kill(host) => self.hosts.start_one(&mut self.stack, host),
            Fault::Edge => self.stack.start_edge(),
            Fault::Broker => self.stack.start_broker(),
            Fault::Engine => self.engine()?.start_again(&mut self.stack),
            Fault::EngineHeld => self.engine()?.hold(&self.stack, false),
            Fault::Way(way, _) => {
                self.way(way).set(Weather::Fair);
                Ok(())
            }
        }
    }

    /// Where what is done is written down.
    pub const fn work(&self) -> &Work {
        self.work
    }

    fn engine(&self) -> Result<Engine> {
        self.engine.clone().context("there is no engine to disturb")
    }

    fn way(&self, name: &str) -> &Proxy {
        match name {
            "to_edge" => &self.hosts.to_edge,
            "to_broker" => &self.hosts.to_broker,
            "of_worker_a" => &self.hosts.of_worker_a,
            "of_worker_b" => &self.hosts.of_worker_b,
            _ => &self.hosts.of_lone,
        }
    }

    /// Waits until everything has ended by itself, and compares what was accepted with what the
    /// Directory has.
    pub fn compare(&mut self, mut users: Vec<User>, size: &Size) -> Result<Sums> {
        let begun = Instant::now();
        self.wait_until_idle()?;
        let recovered = begun.elapsed();
        let mut sums = Sums::default();
        for user in &mut users {
            sums.add(user)?;
        }
        let lone = hosts::folder(&self.stack, LONE);
        let queues = [self.stack.queue()?, self.stack.queue_of(&lone)?];
        let dead = queues.iter().filter_map(|queue| queue["parked"].as_u64());
        let dead: u64 = dead.sum();
        ensure!(
            dead >= sums.given_up,
            "{} were given up, and there are {dead} dead letters",
            sums.given_up
        );
        let mut fact = |what: &str, value: u64| {
            self.evidence.fact(format!("{}: {what}", size.name), value);
        };
        fact("executions accepted", sums.accepted);
        fact("final rows in the Directory", sums.rows);
        fact("requests without an answer", sums.unanswered);
        fact("requests refused for now", sums.refused);
        fact("attempts", sums.attempts);
        fact("executions with more than one attempt", sums.again);
        fact("duplicates received", sums.duplicates);
        fact("ended by what was given up", sums.given_up);
        fact("dead letters", dead);
        fact("seconds until all had ended", recovered.as_secs());
        sums.judge(size)?;
        Ok(sums)
    }

    /// Nothing waits, nothing is held, and every queue is empty but for dead letters.
    fn wait_until_idle(&self) -> Result<()> {
        let lone = hosts::folder(&self.stack, LONE);
        wait_for("everything to come to its end", RECOVERED, || {
            let ready = expect(200, self.stack.client().get("/ready")?)?;
            let executors = self.stack.executors()?;
            let held = executors["items"].as_array().context("no items")?.iter();
            let held: u64 = held.filter_map(|host| host["held"].as_u64()).sum();
            let queues = [self.stack.queue()?, self.stack.queue_of(&lone)?];
            let left = |queue: &Value| {
                let counts = ["ready", "running", "results"];
                counts.map(|of| queue[of].as_u64().unwrap_or(0))
            };
            let is_empty = queues.iter().all(|queue| left(queue) == [0; 3]);
            ensure!(
                ready["waitingExecutions"] == 0 && held == 0 && is_empty,
                "{ready}, held {held}, {queues:?}"
            );
            Ok(Some(()))
        })
    }

    /// Stops every host in good order.
    pub fn end(mut self) -> Result<Evidence> {
        self.hosts.stop(&mut self.stack)?;
        if let Some(engine) = &self.engine {
            engine.forget(&mut self.stack)?;
        }
        Ok(self.evidence)
    }
}

/// The books of all users.
#[derive(Debug, Default)]
pub struct Sums {
    accepted: u64,
    rows: u64,
    unanswered: u64,
    refused: u64,
    attempts: u64,
    again: u64,
    duplicates: u64,
    given_up: u64,
    /// What is wrong, by execution.
    wrong: Vec<String>,
}

impl Sums {
    /// Executions that ended because hosts kept failing on them.
    pub const fn given_up(&self) -> u64 {
        self.given_up
    }

    fn add(&mut self, user: &mut User) -> Result<()> {
        let rows = user.rows()?;
        let ids: BTreeSet<&String> = rows.iter().map(|(id, _)| id).collect();
        self.wrong(ids.len() != rows.len(), || "a row twice".into());
        for (id, status) in &rows {
            self.wrong(status != "finished", || format!("{id} is {status}"));
        }
        let met = &user.met;
        let lost = met.accepted.keys().filter(|id| !ids.contains(id));
        let lost: Vec<&String> = lost.collect();
        self.wrong(!lost.is_empty(), || format!("lost: {lost:?}"));
        let unknown = (rows.len() + lost.len()).saturating_sub(met.accepted.len()) as u64;
        self.wrong(unknown > met.unanswered, || {
            format!("{unknown} rows that nobody asked for")
        });
        self.accepted += met.accepted.len() as u64;
        self.rows += (rows.len() as u64).saturating_sub(unknown);
        self.unanswered += met.unanswered;
        self.refused += met.refused;
        for (id, program) in &met.accepted {
            let end = user.execution(id)?;
            let count = |name: &str| end[name].as_u64().unwrap_or(0);
            self.attempts += count("attempts");
            self.again += u64::from(count("attempts") > 1);
            self.duplicates += count("duplicates");
            let is_given_up = end["verdict"] == "internal_error";
            self.given_up += u64::from(is_given_up);
            self.wrong(count("attempts") == 0 && !is_given_up, || {
                format!("never begun: {end}")
            });
            let is_right = end["verdict"] == "accepted" && end["stdout"] == *program.writes;
            // What fails hosts as often as it is tried is given up, and never called the program's.
            let is_right = is_right || (is_given_up && program.fails_hosts);
            self.wrong(!is_right, || end.to_string());
            if let Some(seen) = met.ends.get(id) {
                self.wrong(!is_same_end(seen, &end), || {
                    format!("first {seen}, then {end}")
                });
            }
        }
        Ok(())
    }

    fn wrong(&mut self, is_wrong: bool, what: impl FnOnce() -> String) {
        if is_wrong {
            self.wrong.push(what());
        }
    }

    fn judge(&self, size: &Size) -> Result<()> {
        ensure!(
            self.wrong.is_empty(),
            "{} are wrong:\n{}",
            self.wrong.len(),
            self.wrong[..self.wrong.len().min(10)].join("\n")
        );
        ensure!(self.accepted >= size.jobs as u64, "too few: {self:?}");
        ensure!(self.accepted == self.rows, "the books differ: {self:?}");
        Ok(())
    }
}

/// Whether an execution that has ended has stayed as it was. Later results are counted, and another
/// version of the edge may tell more of it or less.
fn is_same_end(first: &Value, then: &Value) -> bool {
    let (Some(first), Some(then)) = (first.as_object(), then.as_object()) else {
        return false;
    };
    first.iter().all(|(name, value)| {
        name == "duplicates" || then.get(name).is_none_or(|then| then == value)
    })
}
