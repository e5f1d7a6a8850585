//! What others deploy with: wrangler and spin must be able to build from the clone by themselves.

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::artifacts;
use crate::repo::Repo;
use crate::report::Report;
use crate::tools::{SPIN_TARGET, command_with_tools};
use crate::work::{Work, on_path};

/// A dry run of wrangler's deployment, and the build that spin.toml names.
pub fn deploy(repo: &Repo, work: &Work) -> Result<Report> {
    let mut report = Report::default();
    report.case("wrangler deploy --dry-run", wrangler(repo, work));
    report.case("spin build", spin(repo, work));
    Ok(report)
}

fn wrangler(repo: &Repo, work: &Work) -> Result<()> {
    let bundle = repo.target().join("xtask/wrangler");
    if bundle.exists() {
        fs::remove_dir_all(&bundle)?;
    }
    let mut wrangler = command_with_tools(repo, repo.node_bin("wrangler"))?;
    wrangler
        .args(["deploy", "--dry-run", "--outdir"])
        .arg(&bundle)
        .env("WRANGLER_SEND_METRICS", "false")
        .env("CI", "1");
    work.run(&mut wrangler)?;
    ensure!(
        bundle.join("index.js").is_file(),
        "no bundle in {}",
        bundle.display()
    );
    Ok(())
}

fn spin(repo: &Repo, work: &Work) -> Result<()> {
    if on_path("spin") {
        work.run(repo.command("spin").arg("build"))?;
    } else {
        let manifest = fs::read_to_string(repo.path("spin.toml"))?;
        let command = build_command(&manifest).context("spin.toml names no build command")?;
        // Spin hands it to a shell too.
        work.run(repo.command("sh").args(["-c", command]))?;
    }
    let component = repo
        .target()
        .join(SPIN_TARGET)
        .join("release/codecrafter_edge.wasm");
    ensure!(
        component.is_file(),
        "no component in {}",
        component.display()
    );
    artifacts::place_component(repo)
}

/// The value of `command` in `[component.edge.build]`.
fn build_command(manifest: &str) -> Option<&str> {
    let section = manifest.split_once("[component.edge.build]")?.1;
    let line = section
        .lines()
        .find_map(|line| line.strip_prefix("command = "))?;
    line.trim().strip_prefix('"')?.strip_suffix('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_command_is_found_in_its_section() {
        let manifest = "[a]\ncommand = \"no\"\n[component.edge.build]\ncommand = \"cargo build\"\n";
        assert_eq!(build_command(manifest), Some("cargo build"));
    }
}
