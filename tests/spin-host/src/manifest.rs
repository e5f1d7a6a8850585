//! `spin.toml`: what of Spin's manifest, version 2, this host serves. A key that it does not know,
//! or that Spin knows and this host does not serve, is an error: a test must never pass because a
//! line of the manifest was overlooked.
//!
//! Owns the form of the manifest and its inner consistency, not files or the environment.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail, ensure};
use serde::Deserialize;

use crate::routes::Route;
use crate::template::Template;

/// The whole manifest.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    spin_manifest_version: u32,
    /// What the application calls itself.
    pub application: Application,
    /// The application's variables, by name.
    #[serde(default)]
    pub variables: BTreeMap<String, Variable>,
    /// What starts which component.
    pub trigger: Triggers,
    /// The components, by name.
    #[serde(default)]
    pub component: BTreeMap<String, Component>,
}

/// What the application calls itself.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Application {
    /// The name.
    pub name: String,
    #[serde(default, rename = "version")]
    _version: String,
    #[serde(default, rename = "description")]
    _description: String,
    #[serde(default, rename = "authors")]
    _authors: Vec<String>,
}

/// A variable of the application: it has a default, or somebody must give it a value.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// The value where nobody gives one.
    pub default: Option<String>,
    /// Whether somebody must give a value.
    #[serde(default)]
    pub required: bool,
    #[serde(default, rename = "secret")]
    _secret: bool,
    #[serde(default, rename = "description")]
    _description: Option<String>,
}

/// Triggers, of the one kind that is served.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Triggers {
    /// Routes of HTTP.
    pub http: Vec<HttpTrigger>,
}

/// A route, and the component behind it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpTrigger {
    /// The route.
    pub route: Route,
    /// The component's name.
    pub component: String,
    #[serde(default, rename = "id")]
    _id: String,
}

/// A component and all that it may use.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Component {
    /// The WebAssembly file, relative to the manifest.
    pub source: String,
    /// What [`crate::variables`] answers, by name.
    #[serde(default)]
    pub variables: BTreeMap<String, Template>,
    /// Environment variables.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
    /// Folders that the component sees, read-only.
    #[serde(default)]
    pub files: Vec<Mount>,
    /// Where the component may connect to.
    #[serde(default)]
    pub allowed_outbound_hosts: Vec<String>,
    /// Labels of key-value stores.
    #[serde(default)]
    pub key_value_stores: BTreeSet<String>,
    /// Labels of SQLite databases.
    #[serde(default)]
    pub sqlite_databases: BTreeSet<String>,
    #[serde(default, rename = "description")]
    _description: String,
    #[serde(default, rename = "build")]
    _build: Option<Build>,
}

/// A folder as the component sees it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mount {
    /// The folder, relative to the manifest.
    pub source: String,
    /// The absolute path in the component.
    pub destination: String,
}

/// How the component is built; nothing is built here.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Build {
    #[serde(rename = "command")]
    _command: OneOrMany,
    #[serde(default, rename = "workdir")]
    _workdir: Option<String>,
    #[serde(default, rename = "watch")]
    _watch: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(#[expect(dead_code, reason = "only its form is checked")] String),
    Many(#[expect(dead_code, reason = "only its form is checked")] Vec<String>),
}

impl Manifest {
    /// Reads a manifest and checks what can be checked without looking at the disk.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place.
    pub fn parse(text: &str) -> Result<Self> {
        let manifest: Self = toml::from_str(text)?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<()> {
        ensure!(
            self.spin_manifest_version == 2,
            "spin_manifest_version is {}, only 2 is known",
            self.spin_manifest_version
        );
        for (name, variable) in &self.variables {
            check_name(name).with_context(|| format!("variable {name:?}"))?;
            ensure!(
                variable.required != variable.default.is_some(),
                "variable {name:?} must be required or have a default, and not both"
            );
        }
        let mut routes = BTreeSet::new();
        for trigger in &self.trigger.http {
            ensure!(
                self.component.contains_key(&trigger.component),
                "route {} leads to {:?}, which is no component",
                trigger.route,
                trigger.component
            );
            ensure!(
                routes.insert(trigger.route.to_string()),
                "route {} is there twice",
                trigger.route
            );
        }
        for (name, component) in &self.component {
            component
                .check(&self.variables)
                .with_context(|| format!("component {name:?}"))?;
        }
        Ok(())
    }
}

impl Component {
    fn check(&self, variables: &BTreeMap<String, Variable>) -> Result<()> {
        for (name, template) in &self.variables {
            check_name(name).with_context(|| format!("variable {name:?}"))?;
            if let Some(unknown) = template
                .variables()
                .find(|used| !variables.contains_key(*used))
            {
                bail!("variable {name:?} uses {unknown:?}, which the application does not have");
            }
        }
        for mount in &self.files {
            ensure!(
                mount.destination.starts_with('/'),
                "files: destination {:?} is not absolute",
                mount.destination
            );
        }
        for label in self.key_value_stores.iter().chain(&self.sqlite_databases) {
            check_label(label).with_context(|| format!("label {label:?}"))?;
        }
        Ok(())
    }
}

/// Labels become names of files, so they are held to what Spin's own are: words of letters and
/// digits, joined by single dashes or underscores.
fn check_label(label: &str) -> Result<()> {
    let word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric());
    ensure!(
        label.split(['-', '_']).all(word),
        "must be words joined by single dashes or underscores"
    );
    Ok(())
}

/// Checks the name of a variable as Spin does.
///
/// # Errors
/// What is wrong with the name.
pub fn check_name(name: &str) -> Result<()> {
    ensure!(
        name.chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'),
        "only lower-case letters, digits and underscores"
    );
    ensure!(
        name.starts_with(|c: char| c.is_ascii_lowercase()),
        "must start with a letter"
    );
    ensure!(
        !name.ends_with('_') && !name.contains("__"),
        "underscores stand alone between other characters"
    );
    Ok(())
}

#[cfg(test)]
#[path = "manifest_tests.rs"]
mod tests;
