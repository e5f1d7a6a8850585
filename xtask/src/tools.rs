//! What the builds need beside cargo: Rust's compilation targets, and the two tools that make a
//! Worker. The tools are kept by version outside of the clone, for all clones.

use std::env;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::apt;
use crate::names;
use crate::repo::Repo;
use crate::report::{Missing, Report};
use crate::step::{Lane, Step};
use crate::work::{answer, on_path, succeeds};

/// The edge on Cloudflare Workers.
pub const WORKERD_TARGET: &str = "wasm32-unknown-unknown";

/// The edge on Spin.
pub const SPIN_TARGET: &str = "wasm32-wasip2";

/// What worker-build is linked with, on Debian.
const LIBRARIES: [&str; 2] = ["libssl-dev", "pkg-config"];

/// The compiler of C for [`agent_target`], and what Debian has it in.
const MUSL_COMPILER: &str = "musl-gcc";
const MUSL_PACKAGE: &str = "musl-tools";

/// The agent: this machine's processor, statically linked.
pub fn agent_target() -> String {
    format!("{}-unknown-linux-musl", env::consts::ARCH)
}

/// Adds the missing targets to the pinned toolchain.
pub fn targets_step(repo: &Repo) -> Option<Step<'_>> {
    let wanted = [
        WORKERD_TARGET.to_owned(),
        SPIN_TARGET.to_owned(),
        agent_target(),
    ];
    let missing: Vec<String> = wanted
        .into_iter()
        .filter(|target| !has_target(repo, target))
        .collect();
    if missing.is_empty() {
        return None;
    }
    let announced: Vec<Missing> = if on_path("rustup") {
        missing
            .iter()
            .map(|target| Missing::installable(format!("Rust for {target}"), "the toolchain", 100))
            .collect()
    } else {
        let what = format!("Rust for {}", missing.join(", "));
        vec![Missing::by_hand(what, "install Rust by https://rustup.rs")]
    };
    let step = Step::new(names::TARGETS, Lane::Network, move |work| {
        work.run(
            repo.command("rustup")
                .args(["target", "add"])
                .args(&missing),
        )?;
        Report::done()
    });
    Some(step.installs(announced))
}

/// Whether Rust can compile for this target here.
pub fn has_target(repo: &Repo, target: &str) -> bool {
    let mut ask = repo.command("rustc");
    ask.args(["--print", "target-libdir", "--target", target]);
    answer(&mut ask).is_some_and(|folder| PathBuf::from(folder).is_dir())
}

/// A program that cargo can install, at one version.
pub struct Tool {
    package: &'static str,
    program: &'static str,
    version: String,
    folder: PathBuf,
}

impl Tool {
    /// wasm-bindgen's program, which must equal the library.
    pub fn wasm_bindgen(repo: &Repo) -> Result<Self> {
        let version = repo.locked_version("wasm-bindgen")?;
        Ok(Self::new(repo, "wasm-bindgen-cli", "wasm-bindgen", version))
    }

    /// worker-build, which is released together with the library `worker`.
    pub fn worker_build(repo: &Repo) -> Result<Self> {
        let version = repo.locked_version("worker")?;
        Ok(Self::new(repo, "worker-build", "worker-build", version))
    }

    fn new(repo: &Repo, package: &'static str, program: &'static str, version: String) -> Self {
        let folder = repo.tools_dir().join(format!("{package}-{version}"));
        Self {
            package,
            program,
            version,
            folder,
        }
    }

    /// Where the program is once it is installed.
    pub fn program(&self) -> PathBuf {
        self.folder.join("bin").join(self.program)
    }

    fn install(&self, repo: &Repo) -> Command {
        let mut install = repo.cargo(["install", self.package, "--bin", self.program]);
        install
            .args(["--version", &self.version, "--root"])
            .arg(&self.folder)
            // The tools share some of their dependencies, so they share what is compiled.
            .env("CARGO_TARGET_DIR", repo.tools_dir().join("compiled"))
            // Half the time to compile, for some hundredths of a second at each use.
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
        install
    }

    /// Builds the tool unless it is there.
    pub fn step<'a>(self, name: &'static str, repo: &'a Repo) -> Option<Step<'a>> {
        if self.program().is_file() {
            return None;
        }
        let what = format!("{} {}, compiled", self.package, self.version);
        let missing = Missing::installable(what, repo.tools_dir().display().to_string(), 20);
        let step = Step::new(name, Lane::Processor, move |work| {
            // A published lock may name a version that was withdrawn since.
            if work.run(self.install(repo).arg("--locked")).is_err() {
                work.run(&mut self.install(repo))?;
            }
            Report::done()
        });
        Some(step.after(&[names::LIBRARIES]).installs([missing]))
    }
}

/// Installs what worker-build is linked with, where Debian's package manager can say.
pub fn libraries_step(worker_build: &Tool) -> Option<Step<'static>> {
    let installed = || succeeds(Command::new("pkg-config").args(["--exists", "openssl"]));
    if worker_build.program().is_file() || !on_path("apt-get") || installed() {
        return None;
    }
    let step = Step::new(names::LIBRARIES, Lane::Packages, |work| {
        apt::install(work, &LIBRARIES)?;
        Report::done()
    });
    Some(step.installs([apt::missing("Headers of OpenSSL", &LIBRARIES, 15)]))
}

/// Installs the compiler of the deployed executor-host's parts that are in C.
pub fn musl_step() -> Option<Step<'static>> {
    if on_path(MUSL_COMPILER) {
        return None;
    }
    let step = Step::new(names::MUSL, Lane::Packages, |work| {
        apt::install(work, &[MUSL_PACKAGE])?;
        Report::done()
    });
    Some(step.installs([apt::missing("A C compiler for musl", &[MUSL_PACKAGE], 5)]))
}

/// A command that finds the tools by itself: on `PATH` for a build command of others, and by the
/// variables that keep worker-build from downloading them.
pub fn command_with_tools(repo: &Repo, program: impl AsRef<std::ffi::OsStr>) -> Result<Command> {
    let wasm_bindgen = Tool::wasm_bindgen(repo)?.program();
    let worker_build = Tool::worker_build(repo)?.program();
    let mut folders: Vec<PathBuf> = [&wasm_bindgen, &worker_build]
        .into_iter()
        .filter_map(|program| Some(program.parent()?.to_owned()))
        .collect();
    folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    let mut command = repo.command(program);
    command
        .env("PATH", env::join_paths(folders).context("PATH")?)
        .env("WASM_BINDGEN_BIN", wasm_bindgen)
        .env("WASM_OPT_BIN", repo.node_bin("wasm-opt"))
        .env("ESBUILD_BIN", repo.node_bin("esbuild"));
    Ok(command)
}

/// Frees what was only needed to compile the tools, some 500 MB.
pub fn forget_compiled(repo: &Repo) -> Result<()> {
    let compiled = repo.tools_dir().join("compiled");
    if compiled.exists() {
        fs::remove_dir_all(&compiled).with_context(|| compiled.display().to_string())?;
    }
    Ok(())
}
