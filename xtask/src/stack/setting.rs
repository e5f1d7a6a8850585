//! What a stack is, written down for other commands.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::Platform;
use super::queue::Carrier;

/// Where it is written down what a stack is.
const SETTING: &str = "stack.json";

/// What a stack is, so that another command finds it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Setting {
    /// What the edge runs on.
    pub platform: Platform,
    /// Where the edge listens.
    pub port: u16,
    /// Whether it has the route `/internal/contract`.
    pub contract: bool,
    /// Whether figures are taken: the component's host is compiled for speed, and a room takes as
    /// many frames of one client as there are.
    #[serde(default)]
    pub fast_host: bool,
    /// What carries the jobs.
    #[serde(default)]
    pub carrier: Carrier,
    /// `CODECRAFTER_LIMITS`, and whether clients of this machine are believed whence they come.
    #[serde(default)]
    pub limits: String,
    #[serde(default)]
    pub believes_clients: bool,
}

impl Setting {
    /// What was written down in a stack's folder.
    pub fn read(folder: &Path) -> Result<Self> {
        let text = fs::read(folder.join(SETTING))
            .with_context(|| format!("no stack in {}", folder.display()))?;
        Ok(serde_json::from_slice(&text)?)
    }

    /// Writes it down, readable by its owner only, because a broker's URL may hold a password.
    pub fn write(&self, folder: &Path) -> Result<()> {
        let (file, new) = (folder.join(SETTING), folder.join("stack.json.new"));
        let _ = fs::remove_file(&new);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600);
        options.open(&new)?.write_all(&serde_json::to_vec(self)?)?;
        fs::rename(&new, &file).with_context(|| file.display().to_string())
    }
}
