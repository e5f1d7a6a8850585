//! Where things are: the clone, what cargo builds, what `up` keeps, what is cached between clones.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// One clone of the repository and the folders that belong to it.
#[derive(Debug, Clone)]
pub struct Repo {
    root: PathBuf,
    target: PathBuf,
    cache: PathBuf,
}

impl Repo {
    /// Finds the clone that this program was started in.
    pub fn find() -> Result<Self> {
        // Set by `cargo run`; the other serves a binary that is started by its path.
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
        let root = manifest
            .parent()
            .context("xtask's folder has no parent")?
            .to_owned();
        let mut repo = Self {
            target: root.join("target"),
            cache: cache_dir()?,
            root,
        };
        repo.target = repo.target_directory()?;
        Ok(repo)
    }

    /// The clone's first folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path inside the clone.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// Where cargo puts what it builds; outside of the clone if the user says so.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// What `up` keeps: state, data, secret and logs.
    pub fn state_dir(&self) -> PathBuf {
        self.path(".codecrafter")
    }

    /// Tools that are built once for all clones.
    pub fn tools_dir(&self) -> PathBuf {
        self.cache.join("tools")
    }

    /// What images take from package registries, for all clones.
    pub fn packages_dir(&self) -> PathBuf {
        self.cache.join("packages")
    }

    /// A program of an npm package.
    pub fn node_bin(&self, name: &str) -> PathBuf {
        self.path("node_modules/.bin").join(name)
    }

    /// The one version of `package` in `Cargo.lock`.
    pub fn locked_version(&self, package: &str) -> Result<String> {
        let lock = fs::read_to_string(self.path("Cargo.lock")).context("Cargo.lock")?;
        let name = format!("name = \"{package}\"");
        let mut lines = lock.lines();
        let mut versions = Vec::new();
        while lines.any(|line| line == name) {
            versions.extend(
                lines
                    .next()
                    .and_then(|line| line.strip_prefix("version = \""))
                    .and_then(|rest| rest.strip_suffix('"')),
            );
        }
        ensure!(
            versions.len() == 1,
            "Cargo.lock has {} versions of {package}, expected one: {versions:?}",
            versions.len()
        );
        Ok(versions[0].to_owned())
    }

    /// A cargo command in the clone, as if the user had typed it.
    pub fn cargo<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = self.command("cargo");
        command.args(arguments);
        command
    }

    /// Any command in the clone, without what `cargo run` told only us: build scripts that watch
    /// those variables would run again each time.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .current_dir(&self.root)
            .env("CARGO_TERM_COLOR", "never")
            .env("CARGO_TERM_PROGRESS_WHEN", "never");
        for (name, _) in env::vars_os() {
            let told_by_cargo_run = name.to_str().is_some_and(|name| {
                name.starts_with("CARGO_PKG_")
                    || matches!(
                        name,
                        "CARGO" | "CARGO_MANIFEST_DIR" | "CARGO_MANIFEST_PATH" | "OUT_DIR"
                    )
            });
            if told_by_cargo_run {
                command.env_remove(name);
            }
        }
        command
    }

    fn target_directory(&self) -> Result<PathBuf> {
        let output = self
            .cargo(["metadata", "--no-deps", "--format-version=1", "--offline"])
            .output()
            .context("cannot start cargo")?;
        ensure!(
            output.status.success(),
            "cargo metadata failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        metadata["target_directory"]
            .as_str()
            .map(PathBuf::from)
            .context("cargo metadata names no target directory")
    }
}

/// `$XDG_CACHE_HOME/codecrafter`, or the same under `~/.cache`.
fn cache_dir() -> Result<PathBuf> {
    let base = match env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()) {
        Some(base) => PathBuf::from(base),
        None => {
            PathBuf::from(env::var_os("HOME").context("neither XDG_CACHE_HOME nor HOME is set")?)
                .join(".cache")
        }
    };
    Ok(base.join("codecrafter"))
}
