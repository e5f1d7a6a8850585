//! The edge beside a Worker that only answers `ok`: sizes, cold starts, requests, costs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::cold;
use crate::artifacts;
use crate::names;
use crate::ports::free_port;
use crate::repo::Repo;
use crate::report::Report;
use crate::stack::{Platform, Stack, workerd};
use crate::step::{Lane, Plan, Step, all_good, say};
use crate::up;

const PLATFORMS: [Platform; 2] = [Platform::Workerd, Platform::Spin];

/// Cold starts of each server.
const STARTS: usize = 10;

/// Measures everything, one thing at a time.
pub fn bench(repo: &Repo, seconds: u64) -> Result<()> {
    build(repo)?;
    sizes(repo)?;
    cold_starts(repo)?;
    requests(repo, seconds)?;
    costs(repo)
}

fn build(repo: &Repo) -> Result<()> {
    let mut plan: Plan<'_> = up::build_steps(repo)?;
    plan.push(artifacts::bench_step(repo));
    let compiled = "edge compiled ahead for the benchmark";
    let compile = Step::new(compiled, Lane::Processor, |work| {
        let mut host = repo.command(artifacts::native_program(repo, artifacts::SPIN_HOST));
        host.arg("--compile")
            .arg("--manifest")
            .arg(repo.path("spin.toml"));
        work.run(&mut host)?;
        Report::done()
    });
    plan.push(compile.after(&[names::COMPONENT, names::BENCH]));
    plan.keep(&[names::WORKER, names::PAGE, names::PACKAGES, compiled]);
    plan.announce()?;
    all_good(&plan.run(&repo.state_dir().join("logs")))
}

fn sizes(repo: &Repo) -> Result<()> {
    println!("| module | bytes | gzipped |\n|---|--:|--:|");
    let modules = [
        (
            "workerd, `index_bg.wasm`",
            artifacts::worker(repo).join("index_bg.wasm"),
        ),
        ("Spin, the component", artifacts::component(repo)),
    ];
    for (name, module) in modules {
        let bytes = fs::metadata(&module)
            .with_context(|| module.display().to_string())?
            .len();
        println!("| {name} | {bytes} | {} |", gzipped(&module)?);
    }
    println!();
    Ok(())
}

fn gzipped(file: &Path) -> Result<usize> {
    let packed = Command::new("gzip")
        .arg("-9")
        .arg("-c")
        .arg(file)
        .output()
        .context("gzip")?;
    ensure!(packed.status.success(), "gzip failed");
    Ok(packed.stdout.len())
}

/// From starting the process, with an empty state, to the first answer of `/health`.
fn cold_starts(repo: &Repo) -> Result<()> {
    println!(
        "| cold start, {STARTS} times | least ms | median ms | greatest ms |\n|---|--:|--:|--:|"
    );
    let row = |name: &str, times: Vec<Duration>| -> Result<()> {
        let [least, median, greatest] = cold::spread(times)?;
        println!("| {name} | {least:.1} | {median:.1} | {greatest:.1} |");
        Ok(())
    };
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let begun = Instant::now();
        let reference = Reference::start(repo)?;
        times.push(cold::first_answer(reference.port, "/", begun)?);
    }
    row("a Worker that answers `ok`", times)?;
    for platform in PLATFORMS {
        let mut times = Vec::new();
        for _ in 0..STARTS {
            let mut stack = Stack::of_bench(repo, "bench", platform)?;
            let port = port_of(&stack)?;
            let begun = Instant::now();
            stack.spawn_edge()?;
            times.push(cold::first_answer(port, "/health", begun)?);
        }
        row(&format!("the edge on {}", platform.name()), times)?;
    }
    println!();
    Ok(())
}

fn port_of(stack: &Stack<'_>) -> Result<u16> {
    let url = stack.url();
    let (_, port) = url.rsplit_once(':').context("an address without a port")?;
    Ok(port.parse()?)
}

fn requests(repo: &Repo, seconds: u64) -> Result<()> {
    println!(
        "| requests, {seconds} s each, closed loop | connections | n | per second | p50 ms | p95 ms \
         | p99 ms | server CPU ms each |\n|---|--:|--:|--:|--:|--:|--:|--:|"
    );
    let reference = Reference::start(repo)?;
    cold::first_answer(reference.port, "/", Instant::now())?;
    let mut driver = driver(repo);
    driver
        .args([
            "load",
            "--url",
            &format!("http://127.0.0.1:{}", reference.port),
        ])
        .args(["--constant", "/"]);
    load(
        "a Worker that answers `ok`",
        driver,
        reference.process.id(),
        seconds,
    )?;
    drop(reference);
    for platform in PLATFORMS {
        let mut stack = Stack::of_bench(repo, "bench", platform)?;
        stack.start_edge()?;
        let pid = stack.edge_pid().context("the edge has ended")?;
        let mut driver = stack.command(artifacts::native_program(repo, DRIVER))?;
        driver.args(["load", "--url", &stack.url()]);
        load(
            &format!("{}:", platform.name()),
            driver,
            pid.try_into()?,
            seconds,
        )?;
    }
    println!();
    Ok(())
}

/// The program of the tests' crate that asks and measures.
const DRIVER: &str = "bench-edge";

fn driver(repo: &Repo) -> Command {
    repo.command(artifacts::native_program(repo, DRIVER))
}

/// Runs the driver, and prints a row for each of its lines.
fn load(server: &str, mut driver: Command, pid: u32, seconds: u64) -> Result<()> {
    say(&format!("driving {server}"));
    driver
        .args(["--server-pid", &pid.to_string()])
        .args(["--seconds", &seconds.to_string()])
        .stderr(Stdio::inherit());
    for line in output(&mut driver)?.lines() {
        let row: Value = serde_json::from_str(line).with_context(|| line.to_owned())?;
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let number = |name: &str| row[name].as_f64().unwrap_or(f64::NAN);
        let name = match text("name").as_str() {
            "constant" if !server.ends_with(':') => server.to_owned(),
            name => format!("{server} {name}"),
        };
        println!(
            "| {name} | {} | {} | {:.0} | {:.2} | {:.2} | {:.2} | {:.3} |",
            row["connections"],
            row["n"],
            number("perSecond"),
            number("p50Ms"),
            number("p95Ms"),
            number("p99Ms"),
            number("serverCpuMs"),
        );
    }
    Ok(())
}

/// What Cloudflare charges for, counted in workerd: its own count of rows, calls to objects,
/// messages on sockets (twenty of which are charged as one call), and writes to KV.
fn costs(repo: &Repo) -> Result<()> {
    let mut stack = Stack::of_bench(repo, "bench", Platform::Workerd)?;
    stack.start_edge()?;
    let mut counted = stack.command(artifacts::native_program(repo, DRIVER))?;
    counted
        .args(["costs", "--url", &stack.url()])
        .stderr(Stdio::inherit());
    let counted: BTreeMap<String, Value> = serde_json::from_str(output(&mut counted)?.trim())?;
    let mut typed = stack.command("node")?;
    typed
        .arg("tests/interop/keystrokes.mjs")
        .stderr(Stdio::inherit());
    let mut typed: Value = serde_json::from_str(output(&mut typed)?.trim())?;
    let keystrokes = typed["keystrokes"].as_f64().context("no keystrokes")?;
    for (name, count) in typed.as_object_mut().into_iter().flatten() {
        if name != "keystrokes" {
            *count = (count.as_f64().unwrap_or(0.0) * 1_000.0 / keystrokes).into();
        }
    }
    println!(
        "| what is charged for, on workerd | rows read | rows written | object calls \
         | socket messages | KV writes |\n|---|--:|--:|--:|--:|--:|"
    );
    let row = |name: &str, costs: &Value| {
        let count = |name: &str| costs[name].as_f64().unwrap_or(f64::NAN);
        println!(
            "| {name} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} |",
            count("rowsRead"),
            count("rowsWritten"),
            count("objectRequests"),
            count("socketMessages"),
            count("kvWrites"),
        );
    };
    row("1,000 keystrokes, two people in the room", &typed);
    for (name, costs) in &counted {
        row(&format!("one {name}"), costs);
    }
    Ok(())
}

/// What a command writes; an error if it fails.
fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?} failed");
    Ok(String::from_utf8(output.stdout)?)
}

/// workerd with the Worker of `tests/bench`. It ends when it is dropped.
struct Reference {
    process: Child,
    port: u16,
}

impl Reference {
    fn start(repo: &Repo) -> Result<Self> {
        let port = free_port()?;
        let process = repo
            .command(workerd::program(repo)?)
            .arg("serve")
            .arg(repo.path("tests/bench/ok.capnp"))
            .arg(format!("--socket-addr=http=127.0.0.1:{port}"))
            .spawn()
            .context("workerd")?;
        Ok(Self { process, port })
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        // It has no state, and may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
