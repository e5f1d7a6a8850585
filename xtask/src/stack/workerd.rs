//! The edge on Cloudflare's own runtime, as deploy/workerd.capnp describes it.

use std::env::consts;
use std::fs;
use std::path::PathBuf;

use anyhow::{Result, bail};

use super::{OTLP, Platform, Stack};
use crate::artifacts;
use crate::process::Service;
use crate::repo::Repo;

pub(super) fn service(stack: &Stack<'_>) -> Result<Service> {
    let repo = stack.repo;
    let state = stack.folder.join("state");
    fs::create_dir_all(&state)?;
    // The configuration names the modules beside it.
    let clone = stack.edge_of.as_deref().unwrap_or(repo.root());
    let config = clone.join("deploy/workerd.capnp");
    let modules = clone.join(artifacts::WORKER);
    Ok(
        Service::new(Platform::Workerd.name(), program(repo)?, repo.root())
            .argument("serve")
            .argument(&config)
            .argument(format!(
                "--socket-addr=http=127.0.0.1:{}",
                stack.setting.port
            ))
            .argument(format!("--directory-path=state={}", state.display()))
            .argument(format!(
                "--directory-path=web={}",
                repo.path("web/dist").display()
            ))
            // It would wait for every open socket and long poll. Its databases do not need it.
            .grace_seconds(2)
            .setting("CODECRAFTER_SECRET", stack.secret()?)
            .setting("CODECRAFTER_CONTRACT", stack.contract())
            .setting(OTLP, stack.otlp())
            .setting("CODECRAFTER_FRAMES_PER_SECOND", stack.frames_per_second())
            .setting("CODECRAFTER_LIMITS", &stack.setting.limits)
            .setting("CODECRAFTER_TRUSTED_PROXIES", stack.trusted_proxies())
            .reads(config)
            .reads(modules.join("index.js"))
            .reads(modules.join("index_bg.wasm")),
    )
}

/// The binary of the npm package for this machine.
pub fn program(repo: &Repo) -> Result<PathBuf> {
    let package = match (consts::OS, consts::ARCH) {
        ("linux", "x86_64") => "workerd-linux-64",
        ("linux", "aarch64") => "workerd-linux-arm64",
        (system, processor) => bail!("there is no workerd for {system} on {processor} here"),
    };
    Ok(repo
        .path("node_modules/@cloudflare")
        .join(package)
        .join("bin/workerd"))
}
