//! The demo: two people write a program at once, run it, and watch its output.

use std::fmt;
use std::process::Stdio;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use serde_json::Value;

use crate::repo::Repo;
use crate::stack::Stack;
use crate::step::say;
use crate::up;

/// What carries jobs between the executor-host's parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Queue {
    /// In the executor-host itself.
    #[default]
    Embedded,
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("embedded"),
        }
    }
}

/// Runs the demo on the stack of `up`. One that does not run is started for it, and stopped after.
pub fn demo(repo: &Repo, queue: Queue, json: bool) -> Result<()> {
    let running = Stack::found(repo, &repo.state_dir())
        .ok()
        .filter(Stack::is_up);
    if let Some(stack) = running {
        return show(&stack, queue, json);
    }
    say("nothing is running: starting a stack for the demo");
    let shown = up::up(repo, up::PORT)
        .and_then(|_| Stack::found(repo, &repo.state_dir()))
        .and_then(|stack| show(&stack, queue, json));
    up::down(repo)?;
    shown
}

fn show(stack: &Stack<'_>, queue: Queue, json: bool) -> Result<()> {
    let mut driver = driver(stack, queue)?;
    if json {
        let output = driver
            .arg("--json")
            .stderr(Stdio::inherit())
            .output()
            .context("node")?;
        let text = String::from_utf8_lossy(&output.stdout);
        let line = result_line(&text)?;
        println!("{line}");
        ensure!(output.status.success(), "the demo failed");
    } else {
        ensure!(
            driver.status().context("node")?.success(),
            "the demo failed"
        );
    }
    Ok(())
}

/// The demo's program, for a stack whose queue is the one that was asked for.
pub fn driver(stack: &Stack<'_>, queue: Queue) -> Result<std::process::Command> {
    let found = stack.queue()?;
    let found = found["queue"].as_str().context("the queue has no name")?;
    if found != queue.to_string() {
        bail!("the executor-host uses the queue {found}, not {queue}");
    }
    let mut driver = stack.command("node")?;
    driver.args([
        "tests/interop/demo.mjs",
        "--url",
        &stack.url(),
        "--queue",
        found,
    ]);
    Ok(driver)
}

/// The one line of JSON that the driver prints.
pub fn result_line(output: &str) -> Result<&str> {
    let line = output.trim();
    serde_json::from_str::<Value>(line).with_context(|| format!("no result: {line}"))?;
    ensure!(!line.contains('\n'), "the result has several lines");
    Ok(line)
}
