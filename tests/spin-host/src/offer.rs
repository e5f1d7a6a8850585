//! What a component is offered, from the manifest and the environment: settings that hold for all
//! of its instances.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::key_value::Stores;
use crate::manifest::{Component, Variable};
use crate::outgoing::Allowed;

/// What all instances of a component may use.
pub struct Offer {
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// Folders, and the paths under which the component sees them.
    pub mounts: Vec<(PathBuf, String)>,
    /// Variables of the component.
    pub variables: BTreeMap<String, String>,
    /// The file of each SQLite database that the component may open, by label.
    pub databases: BTreeMap<String, PathBuf>,
    /// Labels of the key-value stores that the component may open.
    pub stores: BTreeSet<String>,
    /// The key-value stores.
    pub key_value: Stores,
    /// Where the component may send requests.
    pub outgoing: Allowed,
}

impl Offer {
    /// What `component` is offered. `root` is the manifest's folder, `state` the one of databases.
    ///
    /// # Errors
    /// A mount that is no folder, outbound hosts of a form that is not served here, or a file that
    /// cannot be opened.
    pub fn new(
        component: &Component,
        values: &BTreeMap<String, String>,
        root: &Path,
        state: &Path,
    ) -> Result<Self> {
        let outgoing = Allowed::parse(&component.allowed_outbound_hosts)?;
        let mut mounts = Vec::new();
        for mount in &component.files {
            let folder = root.join(&mount.source);
            ensure!(
                folder.is_dir(),
                "files: {} is no folder (has it been built?)",
                folder.display()
            );
            mounts.push((folder, mount.destination.clone()));
        }
        let variables = component
            .variables
            .iter()
            .map(|(name, template)| Ok((name.clone(), template.fill(values)?)))
            .collect::<Result<_>>()?;
        let database = |label: &String| (label.clone(), state.join(format!("sqlite-{label}.db")));
        Ok(Self {
            environment: component.environment.clone(),
            mounts,
            variables,
            databases: component.sqlite_databases.iter().map(database).collect(),
            stores: component.key_value_stores.clone(),
            key_value: Stores::open(&state.join("key-value.db"))?,
            outgoing,
        })
    }
}

/// The values of the application's variables: what `environment` has as `SPIN_VARIABLE_<NAME>`,
/// else the default.
///
/// # Errors
/// Names every required variable that has no value.
pub fn values(
    variables: &BTreeMap<String, Variable>,
    environment: impl Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, String>> {
    let mut values = BTreeMap::new();
    let mut missing = Vec::new();
    for (name, variable) in variables {
        let key = format!("SPIN_VARIABLE_{}", name.to_ascii_uppercase());
        match environment(&key).or_else(|| variable.default.clone()) {
            Some(value) => drop(values.insert(name.clone(), value)),
            None => missing.push(key),
        }
    }
    if !missing.is_empty() {
        bail!("set {}", missing.join(" and "));
    }
    Ok(values)
}

/// Makes the folder of the state.
///
/// # Errors
/// What the file system says.
pub fn make_state_folder(state: &Path) -> Result<()> {
    std::fs::create_dir_all(state).with_context(|| format!("cannot make {}", state.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::Manifest;

    const MANIFEST: &str = r#"
        spin_manifest_version = 2
        application = { name = "a" }
        [variables]
        secret = { required = true }
        other_secret = { required = true }
        greeting = { default = "hello" }
        [[trigger.http]]
        route = "/..."
        component = "one"
        [component.one]
        source = "one.wasm"
        variables = { text = "{{ greeting }}/{{ secret }}" }
    "#;

    #[test]
    fn the_environment_goes_before_the_default() {
        let manifest = Manifest::parse(MANIFEST).unwrap();
        let environment = |key: &str| Some(format!("<{key}>"));
        let values = values(&manifest.variables, environment).unwrap();
        assert_eq!(values["greeting"], "<SPIN_VARIABLE_GREETING>");
        let text = &manifest.component["one"].variables["text"];
        assert_eq!(
            text.fill(&values).unwrap(),
            "<SPIN_VARIABLE_GREETING>/<SPIN_VARIABLE_SECRET>"
        );
    }

    #[test]
    fn every_required_variable_without_a_value_is_named() {
        let manifest = Manifest::parse(MANIFEST).unwrap();
        let error = values(&manifest.variables, |_| None).unwrap_err();
        assert_eq!(
            error.to_string(),
            "set SPIN_VARIABLE_OTHER_SECRET and SPIN_VARIABLE_SECRET"
        );
    }
}
