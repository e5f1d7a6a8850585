//! The version before: a clone that was built, whose edge and hosts can stand in for this one's.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, ensure};

use super::hosts::ECHO_HOST;
use crate::artifacts;
use crate::work::answer;

/// The variable with the clone of the version before: a commit of this repository, with its Worker
/// in `build` and its `echo-host` in `target`.
pub const FROM: &str = "CODECRAFTER_UPGRADE_FROM";

/// A version that was built elsewhere.
#[derive(Debug, Clone)]
pub struct Version {
    /// Its clone.
    pub clone: PathBuf,
    /// Its host.
    pub host: PathBuf,
    /// Its commit.
    pub name: String,
}

impl Version {
    /// The version that the environment names.
    pub fn before() -> Result<Option<Self>> {
        let Some(clone) = std::env::var_os(FROM).filter(|path| !path.is_empty()) else {
            return Ok(None);
        };
        let clone = PathBuf::from(clone);
        let host = artifacts::example_below(&clone.join("target"), ECHO_HOST);
        let module = clone.join(artifacts::WORKER).join("index_bg.wasm");
        for file in [&host, &module] {
            ensure!(file.is_file(), "{FROM}: there is no {}", file.display());
        }
        let mut git = Command::new("git");
        git.arg("-C").arg(&clone);
        let name = answer(git.args(["rev-parse", "--short", "HEAD"]));
        Ok(Some(Self {
            name: name.unwrap_or_else(|| "unknown".into()),
            clone,
            host,
        }))
    }
}
