//! The base of the language images: Debian's slim image, from its registry where that can be
//! reached, and otherwise made the same from Debian's archive.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::apt;
use crate::docker::{self, docker};
use crate::names;
use crate::report::{Missing, Report};
use crate::step::{Lane, Step};
use crate::work::{Work, on_path};

/// What the language images stand on.
pub const BASE: &str = "debian:trixie-slim";

/// The release of Debian that the base is made of where it cannot be pulled.
const RELEASE: &str = "trixie";

/// How long a registry may stay silent before it is taken as out of reach.
const REGISTRY_PATIENCE: Duration = Duration::from_secs(20);

/// What a base that is made here is told, as the slim image in the registry is: to keep no
/// archives and lists, and no documents, and to take security updates.
const FILES: [(&str, &str); 3] = [
    (
        "etc/apt/apt.conf.d/docker-clean",
        "DPkg::Post-Invoke { \"rm -f /var/cache/apt/archives/*.deb || true\"; };\n\
         Dir::Cache::pkgcache \"\";\nDir::Cache::srcpkgcache \"\";\n\
         Acquire::Languages \"none\";\n",
    ),
    (
        "etc/dpkg/dpkg.cfg.d/docker",
        "path-exclude /usr/share/doc/*\npath-include /usr/share/doc/*/copyright\n\
         path-exclude /usr/share/info/*\npath-exclude /usr/share/locale/*\n\
         path-exclude /usr/share/man/*\nforce-unsafe-io\n",
    ),
    (
        "etc/apt/sources.list",
        "deb http://deb.debian.org/debian trixie main\n\
         deb http://deb.debian.org/debian trixie-updates main\n\
         deb http://deb.debian.org/debian-security trixie-security main\n",
    ),
];

/// What is not taken from the folder that the base is made in.
const LEFT_OUT: [&str; 6] = [
    "./var/cache/apt/*",
    "./var/lib/apt/lists/*_*",
    "./usr/share/info/*",
    "./usr/share/locale/*",
    "./usr/share/man/*",
    "./var/log/*",
];

/// Gets the base image, unless it is there.
pub fn step() -> Option<Step<'static>> {
    if docker::image_id(BASE).is_some() {
        return None;
    }
    let step = Step::new(names::BASE_IMAGE, Lane::Network, |work| {
        let mut pull = docker();
        pull.args(["pull", BASE]);
        let Err(why) = work.run_if_it_speaks(REGISTRY_PATIENCE, &mut pull) else {
            return Report::done();
        };
        make(work).with_context(|| format!("{BASE} cannot be pulled ({why:#})"))?;
        Report::noted(format!("{BASE} cannot be pulled; made by debootstrap"))
    });
    let missing = Missing::installable(format!("Image {BASE}"), "Docker", 80);
    Some(step.after(&[names::ENGINE]).installs([missing]))
}

/// The same image from Debian's archive. Needs root, because it holds files of many users.
fn make(work: &Work) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        bail!(
            "try again where it can be, or run as root: `sudo env PATH=$PATH cargo xtask images`"
        );
    }
    if !on_path("debootstrap") {
        ensure!(apt::can_install(), "please install debootstrap");
        apt::install(work, &["debootstrap"])?;
    }
    let folder = std::env::temp_dir().join(format!("codecrafter-base-{}", std::process::id()));
    let made = bootstrap_and_import(work, &folder);
    let removed = fs::remove_dir_all(&folder);
    made?;
    removed.with_context(|| format!("cannot remove {}", folder.display()))
}

fn bootstrap_and_import(work: &Work, folder: &Path) -> Result<()> {
    work.run(
        Command::new("debootstrap")
            .args(["--variant=minbase", RELEASE])
            .arg(folder),
    )?;
    for (path, content) in FILES {
        fs::write(folder.join(path), content).with_context(|| path.to_owned())?;
    }
    work.note(&format!("$ tar | docker import - {BASE}"))?;
    let mut tar = Command::new("tar")
        .arg("--numeric-owner")
        .args(LEFT_OUT.map(|path| format!("--exclude={path}")))
        .args(["-c", "."])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start tar")?;
    let archive = tar.stdout.take().context("tar has no output")?;
    let import = docker()
        .args(["import", "-", BASE])
        .stdin(archive)
        .output()
        .context("cannot start docker")?;
    work.note(&String::from_utf8_lossy(&import.stderr))?;
    ensure!(tar.wait()?.success(), "tar failed");
    ensure!(import.status.success(), "docker import failed");
    Ok(())
}
