//! What an image takes from a package registry: `fetch.toml` in its folder pins packages with
//! their checksums, one for each architecture. They are fetched here and not in `docker build`,
//! by the registry's own client, and kept for all clones.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::apt;
use crate::inputs::hex;
use crate::repo::Repo;
use crate::work::{Work, on_path, succeeds};

/// Where a language's folder lists what it takes.
const LIST: &str = "fetch.toml";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    package: Vec<Package>,
}

/// A file in a registry.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Package {
    /// The machine that it is for, by Rust's name.
    architecture: String,
    registry: Registry,
    name: String,
    version: String,
    /// Which of a Python package's files, by the platform in its name.
    #[serde(default)]
    platform: String,
    /// Of the file as the registry has it, in hexadecimal.
    sha256: String,
    /// The files and folders (with a `/` at the end) in it that the image takes.
    keep: Vec<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Registry {
    Npm,
    Pypi,
}

/// Puts what the language in `folder` takes into `target`, fetched if it is not here yet. Nothing
/// where the folder has no list.
pub fn into(repo: &Repo, work: &Work, folder: &Path, target: &Path) -> Result<()> {
    let list = folder.join(LIST);
    if !list.exists() {
        return Ok(());
    }
    for package in for_this_machine(&list)? {
        let unpacked = package.unpacked(repo, work)?;
        copy(&unpacked, target)?;
    }
    Ok(())
}

fn for_this_machine(list: &Path) -> Result<Vec<Package>> {
    let text = fs::read_to_string(list).with_context(|| list.display().to_string())?;
    let list: List = toml::from_str(&text).with_context(|| list.display().to_string())?;
    let mut packages = list.package;
    packages.retain(|package| package.architecture == std::env::consts::ARCH);
    ensure!(
        !packages.is_empty(),
        "there is no package for {}",
        std::env::consts::ARCH
    );
    Ok(packages)
}

impl Package {
    /// The folder with what the image takes, from the cache if it is there.
    fn unpacked(&self, repo: &Repo, work: &Work) -> Result<PathBuf> {
        let cache = repo.packages_dir();
        // An npm package's name may have a scope, `@scope/name`.
        let name = self.name.replace('/', "+");
        let place = cache.join(format!("{name}-{}-{}", self.version, self.sha256));
        if place.is_dir() {
            return Ok(place);
        }
        // Renamed when it is whole, so that a crash or another clone cannot leave half of it.
        let making = cache.join(format!("making-{name}-{}", std::process::id()));
        if making.exists() {
            fs::remove_dir_all(&making)?;
        }
        fs::create_dir_all(making.join("kept"))?;
        self.fetch(work, &making)
            .with_context(|| format!("cannot fetch {} {}", self.name, self.version))?;
        match fs::rename(making.join("kept"), &place) {
            // Another clone was faster, with the same bytes.
            Err(_) if place.is_dir() => {}
            renamed => renamed.with_context(|| place.display().to_string())?,
        }
        fs::remove_dir_all(&making)?;
        Ok(place)
    }

    /// Fetches the file into `folder`, checks it, and unpacks it into `kept` there.
    fn fetch(&self, work: &Work, folder: &Path) -> Result<()> {
        let (name, version) = (&self.name, &self.version);
        match self.registry {
            Registry::Npm => work.run(
                Command::new("npm")
                    .args(["pack", "--loglevel=error", &format!("{name}@{version}")])
                    .current_dir(folder),
            )?,
            Registry::Pypi => {
                let mut pip = pip(work)?;
                pip.args(["download", "--no-deps", "--only-binary", ":all:"])
                    .args(["--disable-pip-version-check", "--quiet"])
                    .args(["--platform", &self.platform])
                    .arg(format!("{name}=={version}"))
                    .current_dir(folder);
                work.run(&mut pip)?;
            }
        }
        let file = only_file(folder)?;
        let found = hex(&Sha256::digest(fs::read(&file)?));
        ensure!(
            found == self.sha256,
            "its checksum is {found} and not {}",
            self.sha256
        );
        self.unpack(work, &file, &folder.join("kept"))
    }

    fn unpack(&self, work: &Work, file: &Path, target: &Path) -> Result<()> {
        let mut unpack = match self.registry {
            Registry::Npm => {
                let mut tar = Command::new("tar");
                tar.arg("-xzf").arg(file).arg("-C").arg(target);
                tar.args(&self.keep);
                tar
            }
            Registry::Pypi => {
                let mut unzip = Command::new("python3");
                unzip.args(["-m", "zipfile", "-e"]).arg(file).arg(target);
                unzip
            }
        };
        work.run(&mut unpack)?;
        for entry in fs::read_dir(target)? {
            let entry = entry?;
            let name = entry.file_name();
            let wanted = |keep: &String| keep.split('/').next() == name.to_str();
            if !self.keep.iter().any(wanted) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}

/// Python's package client, installed if that is possible here.
fn pip(work: &Work) -> Result<Command> {
    let pip = || {
        let mut command = Command::new("python3");
        command.args(["-m", "pip"]);
        command
    };
    if !on_path("python3") || !succeeds(pip().arg("--version")) {
        if !apt::can_install() {
            bail!("please install Python's pip: sudo apt-get install python3-pip");
        }
        apt::install(work, &["python3-pip"])?;
    }
    Ok(pip())
}

/// The one file that a client left in the folder.
fn only_file(folder: &Path) -> Result<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    files.retain(|path| path.is_file());
    match files.as_slice() {
        [file] => Ok(file.clone()),
        files => bail!("the registry's client left {} files", files.len()),
    }
}

/// Copies a folder's contents, by links where the file system has them: some are large.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else if fs::hard_link(entry.path(), &target).is_err() {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// Every list of the clone: whole, with as many packages for either kind of machine, and the
    /// same file wherever the same package is taken, so that its layer is shared.
    #[test]
    fn the_lists_pin_what_they_name_for_both_architectures_and_all_alike() {
        let images = Path::new(env!("CARGO_MANIFEST_DIR")).join("../executor-host/images");
        let mut pinned: HashMap<String, String> = HashMap::new();
        for entry in fs::read_dir(images).expect("the images") {
            let list = entry.expect("an image").path().join(LIST);
            let Ok(text) = fs::read_to_string(&list) else {
                continue;
            };
            let found: List = toml::from_str(&text).expect("a list");
            let of = |architecture: &str| {
                let packages = found.package.iter();
                let packages = packages.filter(|p| p.architecture == architecture);
                packages.count()
            };
            assert_eq!(of("x86_64"), of("aarch64"), "{}", list.display());
            assert_eq!(of("x86_64") + of("aarch64"), found.package.len());
            for package in found.package {
                assert_eq!(package.sha256.len(), 64, "{}", list.display());
                let key = format!("{} {}", package.name, package.platform);
                let sha256 = pinned.entry(key).or_insert_with(|| package.sha256.clone());
                assert_eq!(*sha256, package.sha256, "{}", list.display());
            }
        }
        assert!(!pinned.is_empty());
    }
}
