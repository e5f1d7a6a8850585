//! What is checked without running anything: format, lints on every target, that arm64 compiles,
//! documentation, and the licences and sources of dependencies.

use anyhow::Result;

use crate::arm;
use crate::names;
use crate::repo::Repo;
use crate::report::Report;
use crate::step::{Lane, Plan, Step};
use crate::tools::{self, SPIN_TARGET, WORKERD_TARGET};
use crate::work::{Work, on_path};

/// The crates that are compiled to WebAssembly.
const WASM_CRATES: [&str; 4] = ["-p", "codecrafter-edge", "-p", "codecrafter-shared"];

/// The suite's name.
pub const NAME: &str = "check";

/// The checks and what they need.
pub fn steps(repo: &Repo) -> Plan<'_> {
    let mut plan = Plan::default();
    plan.extend(tools::targets_step(repo));
    plan.extend(arm::install_step(repo));
    plan.push(step(repo));
    plan
}

/// All checks as one step, a case each; one that fails does not hide the others.
pub fn step(repo: &Repo) -> Step<'_> {
    let step = Step::new(NAME, Lane::Processor, |work| {
        let mut report = Report::default();
        report.case(
            "format",
            work.run(&mut repo.cargo(["fmt", "--all", "--check"])),
        );
        report.case(
            "clippy",
            clippy(repo, work, &["--workspace", "--all-targets"]),
        );
        for target in [WORKERD_TARGET, SPIN_TARGET] {
            let arguments = [&WASM_CRATES[..], &["--target", target]].concat();
            report.case(
                &format!("clippy for {target}"),
                clippy(repo, work, &arguments),
            );
        }
        arm::check(repo, work, &mut report);
        report.case("documentation", documentation(repo, work));
        dependencies(repo, work, &mut report);
        Ok(report)
    });
    step.after(&[names::TARGETS, names::ARM])
}

fn clippy(repo: &Repo, work: &Work, arguments: &[&str]) -> Result<()> {
    let mut clippy = repo.cargo(["clippy", "--locked"]);
    clippy.args(arguments).args(["--", "-D", "warnings"]);
    work.run(&mut clippy)
}

fn documentation(repo: &Repo, work: &Work) -> Result<()> {
    let mut doc = repo.cargo(["doc", "--locked", "--workspace", "--no-deps"]);
    work.run(doc.env("RUSTDOCFLAGS", "-D warnings"))
}

/// Licences, bans and sources need nothing but the clone. Advisories come from a repository that
/// not every machine can reach.
fn dependencies(repo: &Repo, work: &Work, report: &mut Report) {
    let name = "licences, bans and sources";
    if !on_path("cargo-deny") {
        let why = "cargo-deny is not installed (cargo install cargo-deny)";
        report.skip(name, why);
        report.skip("advisories", why);
        return;
    }
    let deny = |arguments: &[&str]| work.run(repo.cargo(["deny"]).args(arguments));
    report.case(name, deny(&["check", "licenses", "bans", "sources"]));
    let fetched = deny(&["fetch", "db"]);
    match fetched {
        Ok(()) => report.case(
            "advisories",
            deny(&["check", "--disable-fetch", "advisories"]),
        ),
        Err(_) => report.skip("advisories", "the database is out of reach"),
    }
}
