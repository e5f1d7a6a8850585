//! The edge on Cloudflare's own runtime, as deploy/workerd.capnp describes it.

use std::env::consts;
use std::fs;
use std::path::PathBuf;

use anyhow::{Result, bail};

use super::{Platform, Stack};
use crate::artifacts;
use crate::process::Service;
use crate::repo::Repo;

pub(super) fn service(stack: &Stack<'_>) -> Result<Service> {
    let repo = stack.repo;
    let state = stack.folder.join("state");
    fs::create_dir_all(&state)?;
    let config = repo.path("deploy/workerd.capnp");
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
            .reads(config)
            .reads(artifacts::worker(repo).join("index.js"))
            .reads(artifacts::worker(repo).join("index_bg.wasm")),
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
