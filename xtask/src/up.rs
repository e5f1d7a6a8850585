//! The stack that stays: everything it needs, started, and stopped again.

use std::fs::{self, File};

use anyhow::{Context, Result};

use crate::artifacts;
use crate::base_image;
use crate::docker;
use crate::images;
use crate::names;
use crate::node;
use crate::preparing;
use crate::repo::Repo;
use crate::report::Report;
use crate::stack::queue::{Carrier, Queue};
use crate::stack::{self, Stack, broker};
use crate::step::{Lane, Plan, Step, all_good, say};
use crate::tools::{self, Tool};

/// Where `up` serves unless told otherwise.
pub const PORT: u16 = 8787;

/// What a stack needs to begin with.
const RUNS: [&str; 6] = [
    names::WORKER,
    names::PAGE,
    names::PACKAGES,
    names::EXECUTOR,
    names::FIRST_IMAGES,
    names::ENGINE,
];

/// Sets up what is missing, starts what does not run, and gives the page's address.
pub fn up(repo: &Repo, port: u16, queue: Option<Queue>) -> Result<String> {
    let _lock = lock(repo)?;
    let carrier = Carrier::choose(queue)?;
    let mut plan = run_needs(repo)?;
    // The others are built in the background, once it runs.
    let first: Vec<String> = images::FIRST.map(str::to_owned).into();
    plan.push(images::languages_step(repo, names::FIRST_IMAGES, &first));
    plan.keep(&RUNS);
    if carrier.needs_program() {
        plan.extend(broker::install_step());
    }
    let carrier = &carrier;
    let stack = move || Stack::kept(repo, port, carrier.clone());
    plan.push(
        Step::new("start edge", Lane::Processor, move |_| {
            stack()?.start_edge()?;
            Report::done()
        })
        .after(&[names::WORKER, names::PAGE, names::PACKAGES]),
    );
    plan.push(
        Step::new("start executor", Lane::Processor, move |work| {
            let mut stack = stack()?;
            stack.start_executor(work)?;
            Report::noted(format!("jobs go through {}", stack.carrier()))
        })
        .after(&["start edge", names::BROKER])
        .after(&[names::EXECUTOR, names::FIRST_IMAGES, names::ENGINE]),
    );
    plan.announce()?;
    all_good(&plan.run(&repo.state_dir().join("logs")))?;
    tools::forget_compiled(repo)?;
    preparing::begin(repo)?;
    Ok(format!("http://127.0.0.1:{port}"))
}

/// Stops what `up` started.
pub fn down(repo: &Repo) -> Result<()> {
    let _lock = lock(repo)?;
    let mut stopped = stack::stop(&repo.state_dir())?;
    stopped.extend(stack::stop(&docker::state_dir(repo))?);
    if stopped.is_empty() {
        say("nothing was running");
    } else {
        say(&format!("stopped {}", stopped.join(", ")));
    }
    Ok(())
}

/// All that a stack on workerd needs, in an order that lets steps overlap well.
pub fn run_needs(repo: &Repo) -> Result<Plan<'_>> {
    let wasm_bindgen = Tool::wasm_bindgen(repo)?;
    let worker_build = Tool::worker_build(repo)?;
    let mut plan = Plan::default();
    plan.extend(tools::targets_step(repo));
    plan.extend(node::packages_step(repo));
    plan.extend(tools::libraries_step(&worker_build));
    plan.extend(docker::engine_step(repo));
    plan.extend(base_image::step());
    // First of what is compiled, because the images wait for it.
    plan.push(artifacts::agent_step(repo));
    plan.extend(preparing::wait_step(repo));
    plan.push(images::languages_step(repo, names::IMAGES, &[]).after(&[names::PREPARING]));
    plan.extend(node::page_step(repo)?);
    plan.push(artifacts::executor_step(repo));
    plan.extend(wasm_bindgen.step(names::WASM_BINDGEN, repo));
    plan.extend(worker_build.step(names::WORKER_BUILD, repo));
    plan.extend(artifacts::worker_step(repo)?);
    Ok(plan)
}

/// The images of the languages that are named, and what they need; all if none is named.
pub fn images<'a>(repo: &'a Repo, only: &[String]) -> Result<Plan<'a>> {
    let mut plan = Plan::default();
    plan.extend(tools::targets_step(repo));
    plan.extend(docker::engine_step(repo));
    plan.extend(base_image::step());
    plan.push(artifacts::agent_step(repo));
    // The build in the background is this very command.
    if only.is_empty() {
        plan.extend(preparing::wait_step(repo));
    }
    plan.push(images::languages_step(repo, names::IMAGES, only).after(&[names::PREPARING]));
    Ok(plan)
}

/// Everything that can be built.
pub fn build_steps(repo: &Repo) -> Result<Plan<'_>> {
    let mut plan = run_needs(repo)?;
    plan.push(artifacts::component_step(repo));
    plan.push(artifacts::tests_step(repo));
    Ok(plan)
}

/// Held while services of this clone are started or stopped; waits for another command's.
fn lock(repo: &Repo) -> Result<File> {
    fs::create_dir_all(repo.state_dir())?;
    let lock = File::create(repo.state_dir().join("lock"))?;
    if lock.try_lock().is_err() {
        say("waiting for another `cargo xtask` in this clone");
        lock.lock().context("cannot lock .codecrafter")?;
    }
    Ok(lock)
}
