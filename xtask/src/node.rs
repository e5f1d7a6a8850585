//! Node: its version, the packages of `package-lock.json`, and the page's bundle.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::inputs::{Inputs, Stamp};
use crate::names;
use crate::repo::Repo;
use crate::report::{Missing, Report};
use crate::step::{Lane, Step};
use crate::work::answer;

/// The oldest Node that the packages run on: `engines` of package.json.
const OLDEST: (u32, u32) = (20, 19);

/// Installs the packages unless exactly those of the lock file are there.
pub fn packages_step(repo: &Repo) -> Option<Step<'_>> {
    let node = node_missing();
    if node.is_none() && packages_match(repo.root()).unwrap_or(false) {
        return None;
    }
    let packages = Missing::installable("Node packages", "node_modules", 350);
    let step = Step::new(names::PACKAGES, Lane::Network, |work| {
        let mut install = repo.command("npm");
        install.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
        work.run(&mut install)?;
        Report::done()
    });
    Some(step.installs(node.into_iter().chain([packages])))
}

/// Bundles the page unless it was made from the same sources.
pub fn page_step(repo: &Repo) -> Result<Option<Step<'_>>> {
    let inputs = Inputs::default()
        .path(&repo.path("web"))?
        .path(&repo.path("package-lock.json"))?;
    let stamp = Stamp::new(repo, names::PAGE, inputs);
    if stamp.is_fresh() && repo.path("web/dist/index.html").is_file() {
        return Ok(None);
    }
    let step = Step::new(names::PAGE, Lane::Network, move |work| {
        work.run(repo.command("npm").args(["run", "build"]))?;
        stamp.write()?;
        Report::done()
    });
    Ok(Some(step.after(&[names::PACKAGES])))
}

/// What is to be done about a Node that is missing or too old.
fn node_missing() -> Option<Missing> {
    let found = answer(Command::new("node").arg("--version"));
    let recent = found
        .as_deref()
        .and_then(version)
        .is_some_and(|found| found >= OLDEST);
    if recent {
        return None;
    }
    let (major, minor) = OLDEST;
    let found = found.unwrap_or_else(|| "none".to_owned());
    Some(Missing::by_hand(
        format!("Node {major}.{minor} or newer (found: {found})"),
        "see https://nodejs.org/en/download",
    ))
}

/// `v20.19.2` → (20, 19).
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.strip_prefix('v')?.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// Whether `node_modules` of a folder holds what the lock file says. npm writes what it installed into a lock
/// file of the same form; packages for other machines are only in ours.
pub fn packages_match(root: &Path) -> Result<bool> {
    let wanted = packages(&root.join("package-lock.json"))?;
    let installed = packages(&root.join("node_modules/.package-lock.json"))?;
    Ok(same_packages(&wanted, &installed))
}

fn same_packages(wanted: &Value, installed: &Value) -> bool {
    let (Some(wanted), Some(installed)) = (wanted.as_object(), installed.as_object()) else {
        return false;
    };
    let same = |path: &String| match (wanted.get(path), installed.get(path)) {
        (Some(wanted), Some(installed)) => wanted["version"] == installed["version"],
        (Some(wanted), None) => path.is_empty() || wanted["optional"] == true,
        (None, _) => false,
    };
    wanted.keys().chain(installed.keys()).all(same)
}

fn packages(file: &Path) -> Result<Value> {
    let text = fs::read(file).with_context(|| file.display().to_string())?;
    let mut lock: Value = serde_json::from_slice(&text)?;
    Ok(lock["packages"].take())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn packages_of_other_machines_need_not_be_installed() {
        let wanted =
            json!({"": {}, "a": {"version": "1"}, "b": {"version": "2", "optional": true}});
        assert!(same_packages(&wanted, &json!({"a": {"version": "1"}})));
    }

    #[test]
    fn another_version_a_lacking_and_a_left_over_package_are_noticed() {
        let wanted = json!({"": {}, "a": {"version": "1"}});
        for installed in [
            json!({"a": {"version": "2"}}),
            json!({}),
            json!({"a": {"version": "1"}, "b": {"version": "1"}}),
        ] {
            assert!(!same_packages(&wanted, &installed), "{installed}");
        }
    }

    #[test]
    fn node_versions_compare_as_numbers() {
        assert!(version("v20.9.0") < Some(OLDEST));
        assert!(version("v22.1.0") > Some(OLDEST));
    }
}
