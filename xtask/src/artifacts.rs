//! Everything that is built from the sources: the edge for both platforms, the executor-host, the
//! agent, and the programs of the suites.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::inputs::{Inputs, Stamp};
use crate::names;
use crate::repo::Repo;
use crate::report::Report;
use crate::step::{Lane, Step};
use crate::tools::{self, SPIN_TARGET, agent_target};
use crate::work::Work;

/// The profile of the executor-host, of `[profile.*]` in Cargo.toml. A debug build would take half
/// as long to compile, but unoptimised signatures and JSON add milliseconds to every run, and what
/// is tested here is then what people run.
const EXECUTOR_PROFILE: &str = "native";

/// The component, as spin.toml names it.
const COMPONENT: &str = "target/wasm32-wasip2/release/codecrafter_edge.wasm";

/// The folder of the Worker's modules, in a clone; deploy/workerd.capnp and wrangler.toml name it
/// too.
pub const WORKER: &str = "build";

/// The component's host, for tests.
pub const SPIN_HOST: &str = "codecrafter-spin-host";

/// The agent, which goes into every image.
pub fn agent(repo: &Repo) -> PathBuf {
    repo.target()
        .join(agent_target())
        .join("release/codecrafter-agent")
}

/// The service that runs programs.
pub fn executor(repo: &Repo) -> PathBuf {
    repo.target().join(EXECUTOR_PROFILE).join("executor-host")
}

/// The same for any Linux of this machine's processor: it needs no library of the system.
pub fn static_executor(repo: &Repo) -> PathBuf {
    repo.target()
        .join(agent_target())
        .join(EXECUTOR_PROFILE)
        .join("executor-host")
}

/// A program of the test crates.
pub fn test_program(repo: &Repo, name: &str) -> PathBuf {
    repo.target().join("debug").join(name)
}

/// An example of the crates, which is compiled with their tests.
pub fn example_program(repo: &Repo, name: &str) -> PathBuf {
    example_below(repo.target(), name)
}

/// The same in the target folder of any clone.
pub fn example_below(target: &Path, name: &str) -> PathBuf {
    target.join("debug/examples").join(name)
}

/// A program that is compiled as the executor-host is: for speed.
pub fn native_program(repo: &Repo, name: &str) -> PathBuf {
    repo.target().join(EXECUTOR_PROFILE).join(name)
}

/// The folder of the Worker's modules.
pub fn worker(repo: &Repo) -> PathBuf {
    repo.path(WORKER)
}

/// The edge for Spin, where spin.toml looks for it.
pub fn component(repo: &Repo) -> PathBuf {
    repo.path(COMPONENT)
}

/// Builds the agent.
pub fn agent_step(repo: &Repo) -> Step<'_> {
    let step = Step::new(names::AGENT, Lane::Processor, |work| {
        let target = agent_target();
        build(
            repo,
            work,
            &["-p", "codecrafter-agent", "--release", "--target", &target],
        )
    });
    step.after(&[names::TARGETS])
}

/// Builds the executor-host.
pub fn executor_step(repo: &Repo) -> Step<'_> {
    Step::new(names::EXECUTOR, Lane::Processor, |work| {
        build(
            repo,
            work,
            &[
                "-p",
                "codecrafter-executor-host",
                "--profile",
                EXECUTOR_PROFILE,
            ],
        )
    })
}

/// Builds what `bench edge` measures with, for speed.
pub fn bench_step(repo: &Repo) -> Step<'_> {
    Step::new(names::BENCH, Lane::Processor, |work| {
        build(
            repo,
            work,
            &[
                "-p",
                "codecrafter-tests",
                "--bin",
                "bench-edge",
                "-p",
                SPIN_HOST,
                "--bin",
                SPIN_HOST,
                "--profile",
                EXECUTOR_PROFILE,
            ],
        )
    })
}

/// Builds what `bench relay` measures with.
pub fn relay_bench_step(repo: &Repo) -> Step<'_> {
    Step::new(names::BENCH, Lane::Processor, |work| {
        let driver = ["-p", "codecrafter-tests", "--bin", "bench-relay"];
        let profile = ["--profile", EXECUTOR_PROFILE];
        build(repo, work, &[&driver[..], &profile].concat())
    })
}

/// Builds what rings the exam bell for `bench executor`.
pub fn bell_bench_step(repo: &Repo) -> Step<'_> {
    Step::new(names::BENCH, Lane::Processor, |work| {
        let driver = ["-p", "codecrafter-tests", "--bin", "bench-bell"];
        let profile = ["--profile", EXECUTOR_PROFILE];
        build(repo, work, &[&driver[..], &profile].concat())
    })
}

/// Builds what `bench executor` measures with.
pub fn executor_bench_step(repo: &Repo) -> Step<'_> {
    Step::new(names::EXECUTOR_BENCH, Lane::Processor, |work| {
        work.run(&mut executor_bench(repo, &["--no-run"]))?;
        Report::done()
    })
}

/// The command that builds it unless that is done, and runs it.
pub fn executor_bench(repo: &Repo, arguments: &[&str]) -> Command {
    let mut cargo = repo.cargo(["bench", "--locked", "--profile", EXECUTOR_PROFILE]);
    cargo
        .args(["-p", "codecrafter-executor-host", "--bench", "executor"])
        .args(arguments);
    cargo
}

/// Builds the executor-host that is deployed.
pub fn static_executor_step(repo: &Repo) -> Step<'_> {
    let step = Step::new(names::STATIC_EXECUTOR, Lane::Processor, |work| {
        let target = agent_target();
        let executor = [
            "-p",
            "codecrafter-executor-host",
            "--profile",
            EXECUTOR_PROFILE,
        ];
        build(
            repo,
            work,
            &[&executor[..], &["--target", &target]].concat(),
        )
    });
    step.after(&[names::TARGETS, names::MUSL])
}

/// Builds the edge for Cloudflare Workers, unless it was made from the same sources.
pub fn worker_step(repo: &Repo) -> Result<Option<Step<'_>>> {
    let inputs = edge_inputs(repo)?.path(&repo.path("package-lock.json"))?;
    let stamp = Stamp::new(repo, names::WORKER, inputs);
    let modules = ["index.js", "index_bg.wasm"];
    if stamp.is_fresh()
        && modules
            .iter()
            .all(|module| worker(repo).join(module).is_file())
    {
        return Ok(None);
    }
    let step = Step::new(names::WORKER, Lane::Processor, move |work| {
        build_worker(repo, work)?;
        stamp.write()?;
        Report::done()
    });
    Ok(Some(step.after(&[
        names::TARGETS,
        names::PACKAGES,
        names::WASM_BINDGEN,
        names::WORKER_BUILD,
    ])))
}

/// Runs worker-build as wrangler.toml does, with every tool at hand.
fn build_worker(repo: &Repo, work: &Work) -> Result<()> {
    let mut command = tools::command_with_tools(repo, tools::Tool::worker_build(repo)?.program())?;
    command.args(["edge", "--release", "--out-dir", "../build"]);
    work.run(&mut command)
}

/// Builds the edge for Spin, and puts it where spin.toml looks.
pub fn component_step(repo: &Repo) -> Step<'_> {
    let step = Step::new(names::COMPONENT, Lane::Processor, |work| {
        build(
            repo,
            work,
            &[
                "-p",
                "codecrafter-edge",
                "--release",
                "--target",
                SPIN_TARGET,
            ],
        )?;
        place_component(repo)?;
        Report::done()
    });
    step.after(&[names::TARGETS])
}

/// Has the component's host compile it once for all suites.
pub fn compile_component_step(repo: &Repo) -> Step<'_> {
    let step = Step::new(names::COMPILED, Lane::Processor, |work| {
        let mut host = repo.command(test_program(repo, SPIN_HOST));
        host.arg("--compile")
            .arg("--manifest")
            .arg(repo.path("spin.toml"));
        work.run(&mut host)?;
        Report::done()
    });
    step.after(&[names::COMPONENT, names::TESTS])
}

/// spin.toml has one path for everybody; with CARGO_TARGET_DIR, cargo has another.
pub fn place_component(repo: &Repo) -> Result<()> {
    let built = repo
        .target()
        .join(SPIN_TARGET)
        .join("release/codecrafter_edge.wasm");
    let place = component(repo);
    if built != place {
        fs::create_dir_all(place.parent().unwrap_or(Path::new(".")))?;
        fs::copy(&built, &place).with_context(|| built.display().to_string())?;
    }
    Ok(())
}

/// Builds every test and every program of the workspace, for this machine and for debugging.
pub fn tests_step(repo: &Repo) -> Step<'_> {
    Step::new(names::TESTS, Lane::Processor, |work| {
        // The same selection as `cargo test --workspace`, so that dependencies are built once.
        build(repo, work, &["--workspace", "--all-targets"])
    })
}

fn build(repo: &Repo, work: &Work, arguments: &[&str]) -> Result<Report> {
    work.run(repo.cargo(["build", "--locked"]).args(arguments))?;
    Report::done()
}

/// All that the edge is compiled from.
fn edge_inputs(repo: &Repo) -> Result<Inputs> {
    let mut inputs = Inputs::default();
    for path in [
        "edge",
        "shared",
        "docs/openapi.json",
        "Cargo.toml",
        "Cargo.lock",
        "rust-toolchain.toml",
        "wrangler.toml",
    ] {
        let path = repo.path(path);
        ensure!(path.exists(), "{} is missing", path.display());
        inputs = inputs.path(&path)?;
    }
    Ok(inputs)
}
