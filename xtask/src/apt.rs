//! Debian's packages: what is there, and installing what is not.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::Result;

use crate::report::Missing;
use crate::work::{Work, on_path, succeeds};

/// How old the package lists may be before they are fetched again.
const LISTS_MAX_AGE: Duration = Duration::from_secs(24 * 3600);

/// Whether packages can be installed without asking anybody.
pub fn can_install() -> bool {
    on_path("apt-get") && rustix::process::geteuid().is_root()
}

/// Packages to be installed, or the command by which a person can.
pub fn missing(what: &str, packages: &[&str], megabytes: u32) -> Missing {
    if can_install() {
        let what = format!("{what} ({})", packages.join(", "));
        Missing::installable(what, "the system, by apt", megabytes)
    } else {
        let list = packages.join(" ");
        Missing::by_hand(
            what,
            format!("sudo apt-get install --no-install-recommends {list}"),
        )
    }
}

/// Installs packages and nothing that they merely recommend.
pub fn install(work: &Work, packages: &[&str]) -> Result<()> {
    refresh(work)?;
    let install = |work: &Work| {
        work.run(
            apt_get()
                .args(["install", "--yes", "--no-install-recommends"])
                .args(packages),
        )
    };
    // Lists of yesterday may name files that are gone.
    install(work).or_else(|_| {
        work.run(apt_get().arg("update"))?;
        install(work)
    })
}

/// Fetches the lists of packages, unless they are recent.
pub fn refresh(work: &Work) -> Result<()> {
    if lists_are_recent() {
        return Ok(());
    }
    work.run(apt_get().arg("update"))
}

/// Whether this release of Debian has the package.
pub fn knows(package: &str) -> bool {
    succeeds(Command::new("apt-cache").args(["show", package]))
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["-q", "-o", "DPkg::Lock::Timeout=300"]);
    command
}

fn lists_are_recent() -> bool {
    let lists = Path::new("/var/lib/apt/lists");
    let has_lists = lists.read_dir().is_ok_and(|entries| {
        entries.flatten().any(|entry| {
            let name = entry.file_name();
            name.to_string_lossy().contains("_Packages")
        })
    });
    let changed = lists.metadata().and_then(|data| data.modified());
    has_lists
        && changed.is_ok_and(|at| {
            SystemTime::now()
                .duration_since(at)
                .is_ok_and(|age| age < LISTS_MAX_AGE)
        })
}
