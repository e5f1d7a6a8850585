//! The executor-host of a stack: joined once, then serving from its own folder.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::queue::{AMQP_PREFIX, AMQP_URL, Carrier};
use super::{EXECUTOR, OTLP, Stack};
use crate::artifacts;
use crate::inputs::Inputs;
use crate::process::Service;
use crate::work::{Work, answer};

pub(super) fn service(stack: &Stack<'_>) -> Service {
    let service = Service::new(EXECUTOR, artifacts::executor(stack.repo), stack.repo.root())
        .argument("serve")
        .option("--state-dir", folder(stack))
        // Empty if there is no broker: it must not take one from the environment.
        .setting(AMQP_URL, stack.carrier().url())
        .setting(AMQP_PREFIX, prefix(stack))
        .reads(folder(stack).join("credentials.json"));
    let service = match &stack.collector {
        Some(_) => service.setting(OTLP, stack.otlp()),
        None => service,
    };
    let settings = stack.executor_settings.iter();
    settings.fold(service, |service, (variable, value)| {
        service.setting(variable, value)
    })
}

/// Enrols the host with the stack's edge. Harmless to repeat.
pub(super) fn join(stack: &Stack<'_>, work: &Work) -> Result<()> {
    join_at(stack, work, &folder(stack), &stack.url())
}

/// Enrols a host that keeps its state in `folder` with the stack's edge, which it knows as `url`.
pub(super) fn join_at(stack: &Stack<'_>, work: &Work, folder: &Path, url: &str) -> Result<()> {
    let mut token = command(stack);
    token
        .arg("join-token")
        .env("CODECRAFTER_SECRET", stack.secret()?);
    let token = answer(&mut token).context("executor-host prints no join token")?;
    let join = |again: &[&str]| {
        let mut join = command(stack);
        join.args(["join", url]).args(again);
        // Not as an argument: other users of this machine can see those, and so does the log.
        join.arg("--state-dir")
            .arg(folder)
            .env("CODECRAFTER_JOIN_TOKEN", &token);
        work.run(&mut join)
    };
    // It may have joined the same edge on another port.
    join(&[]).or_else(|_| join(&["--again"]))
}

pub(super) fn queue_command(stack: &Stack<'_>) -> Command {
    let mut command = embedded_queue_command(stack, &folder(stack));
    command
        .env(AMQP_URL, stack.carrier().url())
        .env(AMQP_PREFIX, prefix(stack));
    command
}

/// Asks for the embedded queue of a host that keeps its state in `folder`.
pub(super) fn embedded_queue_command(stack: &Stack<'_>, folder: &Path) -> Command {
    let mut command = command(stack);
    command
        .args(["queue", "--json", "--state-dir"])
        .arg(folder)
        .env(AMQP_URL, "");
    command
}

/// The operator token of the stack's edge.
pub(super) fn operator_token(stack: &Stack<'_>) -> Result<String> {
    let mut token = command(stack);
    token
        .arg("operator-token")
        .env("CODECRAFTER_SECRET", stack.secret()?);
    answer(&mut token).context("executor-host prints no operator token")
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
