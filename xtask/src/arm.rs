//! The other processor: what runs programs is compiled for arm64 too, on any machine. The agent
//! becomes a whole program; the executor-host is checked, because linking it would take a C library
//! for arm64 as well.

use std::env;

use anyhow::Result;

use crate::apt;
use crate::names;
use crate::repo::Repo;
use crate::report::{Missing, Report};
use crate::step::{Lane, Step};
use crate::tools::has_target;
use crate::work::{Work, on_path};

const TARGET: &str = "aarch64-unknown-linux-musl";

/// What compiles the parts of executor-host that are in C, and what Debian has it in.
const COMPILER: &str = "aarch64-linux-gnu-gcc";
const ARCHIVER: &str = "aarch64-linux-gnu-ar";
const PACKAGES: [&str; 2] = ["gcc-aarch64-linux-gnu", "libc6-dev-arm64-cross"];

/// Installs the compilers, as far as nobody need be asked for it.
pub fn install_step(repo: &Repo) -> Option<Step<'_>> {
    let rust = !has_target(repo, TARGET) && on_path("rustup");
    let c = !on_path(COMPILER) && apt::can_install();
    if is_this_machine() || !(rust || c) {
        return None;
    }
    let mut announced = Vec::new();
    if rust {
        let what = format!("Rust for {TARGET}");
        announced.push(Missing::installable(what, "the toolchain", 100));
    }
    if c {
        announced.push(apt::missing("A C compiler for arm64", &PACKAGES, 150));
    }
    let step = Step::new(names::ARM, Lane::Packages, move |work| {
        if rust {
            work.run(repo.command("rustup").args(["target", "add", TARGET]))?;
        }
        if c {
            apt::install(work, &PACKAGES)?;
        }
        Report::done()
    });
    // Two of rustup at a time would be in each other's way.
    Some(step.after(&[names::TARGETS]).installs(announced))
}

/// A case for the agent and one for executor-host.
pub fn check(repo: &Repo, work: &Work, report: &mut Report) {
    let (agent, executor) = ("agent for arm64", "executor-host for arm64");
    let why_not = if is_this_machine() {
        Some("this machine is one: whatever is compiled here is for it".to_owned())
    } else if !has_target(repo, TARGET) {
        Some(format!(
            "Rust for it is not installed (rustup target add {TARGET})"
        ))
    } else {
        None
    };
    if let Some(why) = why_not {
        report.skip(agent, &why);
        report.skip(executor, &why);
        return;
    }
    report.case(agent, build_agent(repo, work));
    if on_path(COMPILER) {
        report.case(executor, check_executor(repo, work));
    } else {
        let packages = PACKAGES.join(" ");
        let why = format!("there is no C compiler for it (apt-get install {packages})");
        report.skip(executor, &why);
    }
}

fn is_this_machine() -> bool {
    env::consts::ARCH == "aarch64"
}

/// The linker and all that a static program needs come with Rust.
fn build_agent(repo: &Repo, work: &Work) -> Result<()> {
    let mut build = repo.cargo(["build", "--locked", "--target", TARGET]);
    build.args(["-p", "codecrafter-agent"]);
    build.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld");
    work.run(&mut build)
}

fn check_executor(repo: &Repo, work: &Work) -> Result<()> {
    let mut check = repo.cargo(["check", "--locked", "--target", TARGET]);
    check.args(["-p", "codecrafter-executor-host"]);
    check.env("CC_aarch64_unknown_linux_musl", COMPILER);
    check.env("AR_aarch64_unknown_linux_musl", ARCHIVER);
    work.run(&mut check)
}
