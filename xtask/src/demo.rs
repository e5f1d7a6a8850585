//! The demo: two people write a program at once, run it, and watch its output; then one program in
//! every language.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::preparing;
use crate::repo::Repo;
use crate::stack::queue::{Carrier, Queue};
use crate::stack::{Platform, Stack, broker};
use crate::step::{all_good, say};
use crate::tools;
use crate::up;
use crate::work::Work;

/// Runs the demo on the stack of `up`, if it runs and has the queue that was asked for. Otherwise a
/// stack of its own is started for it, which ends with it.
pub fn demo(repo: &Repo, queue: Option<Queue>, json: bool) -> Result<()> {
    let running = Stack::found(repo, &repo.state_dir())
        .ok()
        .filter(Stack::is_up);
    match running {
        Some(stack) if queue.is_none_or(|queue| queue == stack.carrier().queue()) => {
            preparing::finish(repo)?;
            show(&stack, json)
        }
        found => {
            match (found, queue) {
                (Some(stack), Some(queue)) => {
                    let used = stack.carrier().queue();
                    say(&format!(
                        "the running stack uses the {used} queue: starting another, with {queue}"
                    ));
                }
                _ => say("nothing is running: starting a stack for the demo"),
            }
            show_on_a_new_stack(repo, queue, json)
        }
    }
}

fn show_on_a_new_stack(repo: &Repo, queue: Option<Queue>, json: bool) -> Result<()> {
    let carrier = match queue {
        // Not one that is found: what other programs have in it is not for a demo to touch.
        Some(Queue::Rabbitmq) => Carrier::private()?,
        queue => Carrier::choose(queue)?,
    };
    let logs = repo.state_dir().join("logs");
    let mut plan = up::run_needs(repo)?;
    if carrier.needs_program() {
        plan.extend(broker::install_step());
    }
    plan.announce()?;
    all_good(&plan.run(&logs))?;
    tools::forget_compiled(repo)?;
    let stack = Stack::of_suite_on(repo, "show", Platform::Workerd, carrier)?;
    let mut stack = stack.with_limits_of_users()?;
    say(&format!("jobs go through {}", stack.carrier()));
    stack.start_edge()?;
    stack.start_executor(&Work::begin(&logs, "demo")?)?;
    show(&stack, json)
}

fn show(stack: &Stack<'_>, json: bool) -> Result<()> {
    let mut driver = driver(stack)?;
    if json {
        let output = driver
            .arg("--json")
            .stderr(Stdio::inherit())
            .output()
            .context("node")?;
        ensure!(output.status.success(), "the demo failed");
        let text = String::from_utf8_lossy(&output.stdout);
        println!("{}", result_line(&text)?);
    } else {
        ensure!(
            driver.status().context("node")?.success(),
            "the demo failed"
        );
    }
    Ok(())
}

/// The demo's program. The queue that it names is what the executor-host says of itself.
pub fn driver(stack: &Stack<'_>) -> Result<Command> {
    let queue = stack.queue()?;
    let found = queue["queue"].as_str().context("the queue has no name")?;
    let meant = stack.carrier().queue();
    if found != meant.name() {
        bail!("the executor-host uses the queue {found}, not {meant}");
    }
    let mut driver = stack.command("node")?;
    driver
        .args(["tests/interop/demo.mjs", "--url", &stack.url()])
        .args(["--queue", found]);
    Ok(driver)
}

/// The one line of JSON that the driver prints.
pub fn result_line(output: &str) -> Result<&str> {
    let line = output.trim();
    serde_json::from_str::<Value>(line).with_context(|| format!("no result: {line}"))?;
    ensure!(!line.contains('\n'), "the result has several lines");
    Ok(line)
}
