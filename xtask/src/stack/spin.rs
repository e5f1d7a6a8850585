//! The edge as a Spin component, in the test host.

use std::fs;
use std::path::PathBuf;

use anyhow::{Result, ensure};

use super::{Platform, Stack};
use crate::artifacts;
use crate::process::Service;

/// What the manifest says of where the component may connect to.
const NOWHERE: &str = "allowed_outbound_hosts = []";

pub(super) fn service(stack: &Stack<'_>) -> Result<Service> {
    let repo = stack.repo;
    let manifest = manifest(stack)?;
    let program = if stack.setting.fast_host {
        artifacts::native_program(repo, artifacts::SPIN_HOST)
    } else {
        artifacts::test_program(repo, artifacts::SPIN_HOST)
    };
    Ok(Service::new(Platform::Spin.name(), program, repo.root())
        .option("--manifest", &manifest)
        .option("--state-dir", stack.folder.join("spin"))
        .option("--listen", format!("127.0.0.1:{}", stack.setting.port))
        .setting("SPIN_VARIABLE_CODECRAFTER_SECRET", stack.secret()?)
        .setting("SPIN_VARIABLE_CODECRAFTER_CONTRACT", stack.contract())
        .setting("SPIN_VARIABLE_CODECRAFTER_OTLP", stack.otlp())
        .setting("SPIN_VARIABLE_CODECRAFTER_LIMITS", &stack.setting.limits)
        .setting(
            "SPIN_VARIABLE_CODECRAFTER_TRUSTED_PROXIES",
            stack.trusted_proxies(),
        )
        .reads(manifest)
        .reads(artifacts::component(repo)))
}

/// The clone's manifest; if spans are to be sent, a copy that allows it, as an operator makes one.
fn manifest(stack: &Stack<'_>) -> Result<PathBuf> {
    let own = stack.repo.path("spin.toml");
    if stack.collector.is_none() {
        return Ok(own);
    }
    let text = fs::read_to_string(&own)?;
    ensure!(text.contains(NOWHERE), "spin.toml allows connections");
    let allowed = format!("allowed_outbound_hosts = [\"{}\"]", stack.otlp());
    // Its paths begin at its folder.
    let root = format!("source = \"{}/", stack.repo.root().display());
    let text = text
        .replace(NOWHERE, &allowed)
        .replace("source = \"", &root);
    let copy = stack.folder.join("spin.toml");
    fs::write(&copy, text)?;
    Ok(copy)
}
