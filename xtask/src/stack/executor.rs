//! The executor-host of a stack: joined once, then serving from its own folder.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::queue::{AMQP_PREFIX, AMQP_URL, Carrier};
use super::{EXECUTOR, Stack};
use crate::artifacts;
use crate::inputs::Inputs;
use crate::process::Service;
use crate::work::{Work, answer};

pub(super) fn service(stack: &Stack<'_>) -> Service {
    Service::new(EXECUTOR, artifacts::executor(stack.repo), stack.repo.root())
        .argument("serve")
        .option("--state-dir", folder(stack))
        // Empty if there is no broker: it must not take one from the environment.
        .setting(AMQP_URL, stack.carrier().url())
        .setting(AMQP_PREFIX, prefix(stack))
        .reads(folder(stack).join("credentials.json"))
}

/// Enrols the host with the stack's edge. Harmless to repeat.
pub(super) fn join(stack: &Stack<'_>, work: &Work) -> Result<()> {
    let mut token = command(stack);
    token
        .arg("join-token")
        .env("CODECRAFTER_SECRET", stack.secret()?);
    let token = answer(&mut token).context("executor-host prints no join token")?;
    let join = |again: &[&str]| {
        let mut join = command(stack);
        join.args(["join", &stack.url()]).args(again);
        // Not as an argument: other users of this machine can see those, and so does the log.
        join.arg("--state-dir")
            .arg(folder(stack))
            .env("CODECRAFTER_JOIN_TOKEN", &token);
        work.run(&mut join)
    };
    // It may have joined the same edge on another port.
    join(&[]).or_else(|_| join(&["--again"]))
}

pub(super) fn queue_command(stack: &Stack<'_>) -> Command {
    let mut command = command(stack);
    command
        .args(["queue", "--json", "--state-dir"])
        .arg(folder(stack))
        .env(AMQP_URL, stack.carrier().url())
        .env(AMQP_PREFIX, prefix(stack));
    command
}

/// What the names on a broker begin with. One that others use too may be used by another stack, and
/// neither must be given the other's jobs.
fn prefix(stack: &Stack<'_>) -> OsString {
    let own = || match stack.carrier() {
        Carrier::Found(_) => {
            let folder = Inputs::default().text(stack.folder.display().to_string());
            format!("codecrafter-{:.12}", folder.finish())
        }
        Carrier::Embedded | Carrier::Private(_) => "codecrafter".to_owned(),
    };
    env::var_os(AMQP_PREFIX).unwrap_or_else(|| own().into())
}

fn command(stack: &Stack<'_>) -> Command {
    stack.repo.command(artifacts::executor(stack.repo))
}

fn folder(stack: &Stack<'_>) -> PathBuf {
    stack.folder.join("executor")
}
