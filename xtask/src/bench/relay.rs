//! Rooms beside other relays for Yjs documents: the same driver, one server after the other.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{self, Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::artifacts;
use crate::names;
use crate::node;
use crate::ports::free_port;
use crate::repo::Repo;
use crate::report::Report;
use crate::stack::{Platform, Stack};
use crate::step::{Lane, Plan, Step, all_good, say};
use crate::up;

/// Where the other servers are installed.
const PEERS: &str = "tests/bench/relay";
/// The step that installs them.
const INSTALLED: &str = "other relays";
/// The step that makes what is sent.
const INPUTS: &str = "edits to replay";
/// What is made last of that.
const TENTH: &str = "tenth.bin";
/// The program of the tests' crate that drives a server.
const DRIVER: &str = "bench-relay";
/// How long a server may take until it listens.
const START: Duration = Duration::from_secs(20);

/// Who is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    /// With its databases where they are in a deployment: every commit waits for the disk.
    Ours,
    /// With its databases in memory, as the others have their documents.
    OursInMemory,
    YWebsocket,
    Hocuspocus,
}

const ALL: [Who; 4] = [
    Who::Ours,
    Who::OursInMemory,
    Who::YWebsocket,
    Who::Hocuspocus,
];

/// A file system in memory.
const MEMORY: &str = "/dev/shm";

impl Who {
    /// As the table calls it.
    const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::OursInMemory => "ours, databases in memory",
            Self::YWebsocket => "y-websocket 2",
            Self::Hocuspocus => "Hocuspocus 4",
        }
    }

    /// As the driver calls it.
    const fn kind(self) -> &'static str {
        match self {
            Self::Ours | Self::OursInMemory => "ours",
            Self::YWebsocket => "y-websocket",
            Self::Hocuspocus => "hocuspocus",
        }
    }
}

/// Measures every row, each of each server in a process of its own.
pub fn bench(repo: &Repo, seconds: u64) -> Result<()> {
    build(repo)?;
    let inputs = inputs_folder(repo);
    let edits = inputs.join("edits.bin").display().to_string();
    let document = inputs.join("document.bin").display().to_string();
    let tenth = inputs.join(TENTH).display().to_string();
    let rows: [&[&str]; 8] = [
        &["one-room", "--edits", &edits],
        &["many-rooms"],
        &["many-rooms", "--per-minute", "120"],
        &["join", "--document", &document],
        // Ten times as many rooms, and a document ten times as large.
        &["many-rooms", "--per-minute", "12"],
        &["many-rooms", "--per-minute", "12", "--rooms", "1000"],
        &["many-rooms", "--rooms", "10", "--document", &tenth],
        &["many-rooms", "--rooms", "10", "--document", &document],
    ];
    println!(
        "| up to {seconds} s each | server | per second | p50 ms | p95 ms | p99 ms \
         | server CPU µs each | RSS MB | frames each | driver CPU |\n\
         |---|---|--:|--:|--:|--:|--:|--:|--:|--:|"
    );
    for row in rows {
        for who in ALL {
            let row = drive(repo, who, seconds, row)?;
            println!("{}", line(who, &row));
        }
    }
    println!(
        "\n| memory | server | before, MB | each socket, KB | each room, KB |\n|---|---|--:|--:|--:|"
    );
    for who in ALL {
        let held = drive(repo, who, seconds, &["idle"])?;
        let number = |name: &str| held[name].as_f64().unwrap_or(f64::NAN);
        println!(
            "| 200 sockets, 200 rooms | {} | {:.0} | {:.1} | {:.1} |",
            who.name(),
            number("before") / 1e6,
            number("perSocket") / 1e3,
            number("perRoom") / 1e3
        );
    }
    println!();
    Ok(())
}

fn line(who: Who, row: &Value) -> String {
    let number = |name: &str| row[name].as_f64().unwrap_or(f64::NAN);
    format!(
        "| {} | {} | {:.0} | {:.2} | {:.2} | {:.2} | {:.2} | {:.0} | {:.2} | {:.0} % |",
        row["name"].as_str().unwrap_or_default(),
        who.name(),
        number("perSecond"),
        number("p50Ms"),
        number("p95Ms"),
        number("p99Ms"),
        number("serverCpuMicros"),
        number("resident") / 1e6,
        number("frames"),
        number("driverCpu") * 100.0,
    )
}

fn build(repo: &Repo) -> Result<()> {
    let mut plan: Plan<'_> = up::run_needs(repo)?;
    plan.push(artifacts::relay_bench_step(repo));
    let peers = repo.path(PEERS);
    let mut wanted = vec![names::WORKER, names::PAGE, names::PACKAGES, names::BENCH];
    if !node::packages_match(&peers).unwrap_or(false) {
        plan.push(Step::new(INSTALLED, Lane::Network, move |work| {
            let mut install = repo.command("npm");
            // None of what they bring has to be compiled for this.
            install
                .args(["ci", "--no-audit", "--no-fund", "--ignore-scripts"])
                .current_dir(&peers);
            work.run(&mut install)?;
            Report::done()
        }));
        wanted.push(INSTALLED);
    }
    let inputs = inputs_folder(repo);
    if !inputs.join(TENTH).is_file() {
        let step = Step::new(INPUTS, Lane::Processor, move |work| {
            let mut make = repo.command("node");
            make.arg(repo.path(PEERS).join("inputs.mjs")).arg(&inputs);
            work.run(&mut make)?;
            Report::done()
        });
        plan.push(step.after(&[names::PACKAGES]));
        wanted.push(INPUTS);
    }
    plan.keep(&wanted);
    plan.announce()?;
    all_good(&plan.run(&repo.state_dir().join("logs")))
}

fn inputs_folder(repo: &Repo) -> PathBuf {
    repo.target().join("xtask/relay")
}

/// Starts the server, lets the driver measure one row, and ends the server.
fn drive(repo: &Repo, who: Who, seconds: u64, row: &[&str]) -> Result<Value> {
    say(&format!("{}: {}", who.name(), row[0]));
    let program = artifacts::native_program(repo, DRIVER);
    if matches!(who, Who::Ours | Who::OursInMemory) {
        // Dropped after the stack that uses it.
        let in_memory = InMemory::below(MEMORY)?;
        let mut stack = Stack::of_bench(repo, "bench-relay", Platform::Workerd)?;
        if who == Who::OursInMemory {
            symlink(&in_memory.0, stack.folder().join("state"))?;
        }
        stack.start_edge()?;
        let pid = stack.edge_pid().context("the edge has ended")?;
        let url = stack.url();
        return measured(
            stack.command(program)?,
            who,
            &url,
            pid.try_into()?,
            seconds,
            row,
        );
    }
    let peer = Peer::start(repo, who)?;
    let url = format!("http://127.0.0.1:{}", peer.port);
    measured(
        repo.command(program),
        who,
        &url,
        peer.process.id(),
        seconds,
        row,
    )
}

fn measured(
    mut driver: Command,
    who: Who,
    url: &str,
    pid: u32,
    seconds: u64,
    row: &[&str],
) -> Result<Value> {
    driver
        .args(["--kind", who.kind(), "--url", url])
        .args(["--server-pid", &pid.to_string()])
        .args(["--seconds", &seconds.to_string()])
        .args(row)
        .stderr(Stdio::inherit());
    let output = driver.output().context(DRIVER)?;
    ensure!(output.status.success(), "{} failed at {row:?}", who.name());
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// A folder of this process. It is removed when it is dropped.
struct InMemory(PathBuf);

impl InMemory {
    fn below(parent: &str) -> Result<Self> {
        let folder = Path::new(parent).join(format!("codecrafter-{}", process::id()));
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        Ok(Self(folder))
    }
}

impl Drop for InMemory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Another relay. It ends when it is dropped.
struct Peer {
    process: Child,
    port: u16,
}

impl Peer {
    fn start(repo: &Repo, who: Who) -> Result<Self> {
        let port = free_port()?;
        let folder = repo.path(PEERS);
        let mut command = repo.command("node");
        command.current_dir(&folder);
        match who {
            Who::Hocuspocus => command.arg("hocuspocus.mjs").arg(port.to_string()),
            _ => command
                .arg(Path::new("node_modules/y-websocket/bin/server.cjs"))
                .env("HOST", "127.0.0.1")
                .env("PORT", port.to_string()),
        };
        let log = fs::File::create(repo.state_dir().join("logs/relay.log"))?;
        let process = command.stdout(log.try_clone()?).stderr(log).spawn()?;
        let peer = Self { process, port };
        let limit = Instant::now() + START;
        // Whoever asked by listening there would be in its way.
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            ensure!(Instant::now() < limit, "{} does not listen", who.name());
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(peer)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It has no state, and may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
