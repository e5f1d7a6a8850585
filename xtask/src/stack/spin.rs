//! The edge as a Spin component, in the test host.

use anyhow::Result;

use super::{Platform, Stack};
use crate::artifacts;
use crate::process::Service;

pub(super) fn service(stack: &Stack<'_>) -> Result<Service> {
    let repo = stack.repo;
    let manifest = repo.path("spin.toml");
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
        .reads(manifest)
        .reads(artifacts::component(repo)))
}
