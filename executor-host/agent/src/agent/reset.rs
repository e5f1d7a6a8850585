//! Between two jobs of one container: nothing of the first may be there for the second.
//!
//! First everything is taken away that a program can leave: processes, files, attributes, IPC
//! objects. Then it is proven that the container is as it was before its first job. What cannot
//! be taken away, such as the counters of a network device that was used, makes the proof fail,
//! and the container serves nobody any more. What remains for a program to see are numbers that
//! only grow: of processes, of files, of CPU time.

use std::fs::{self, File, FileTimes, Permissions};
use std::io;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::time::SystemTime;

use agent_protocol::WORK_DIR;

use super::sys::{self, Children, Used, User};
use super::workspace::{SCRATCH_DIRS, empty};

/// What the kernel tells of things that are neither files nor processes.
const TABLES: &[&str] = &[
    "/proc/sysvipc/shm",
    "/proc/sysvipc/sem",
    "/proc/sysvipc/msg",
    // Every packet is counted here, on the loopback device too, and so is what was not sent.
    "/proc/net/dev",
    "/proc/net/snmp",
    "/proc/net/snmp6",
    "/proc/net/netstat",
];

/// How a container is before its first job.
#[derive(Debug, PartialEq, Eq)]
pub struct Pristine {
    used: Vec<Option<Used>>,
    /// Of the work directory, the only one that belongs to programs.
    flags: i32,
    tables: Vec<String>,
}

impl Pristine {
    /// As it is now.
    pub fn look() -> io::Result<Self> {
        let used = places().map(|place| match Used::at(place) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            used => used.map(Some),
        });
        let tables = TABLES.iter().map(fs::read_to_string);
        Ok(Self {
            used: used.collect::<io::Result<_>>()?,
            flags: sys::flags(Path::new(WORK_DIR))?,
            // Another kernel may not have all of them.
            tables: tables.map(Result::unwrap_or_default).collect(),
        })
    }
}

/// Takes away what the programs of `before` left, and proves it. `next` owns the work directory
/// then.
///
/// # Errors
/// Something is left, or the system refused to look.
pub fn reset(pristine: &Pristine, before: User, next: User, children: &Children) -> io::Result<()> {
    // Returns once the kernel finds no process but this one.
    children.kill_all()?;
    sys::as_user(before, || {
        sys::remove_ipc_objects();
        for place in places() {
            empty(place)?;
        }
        let work = Path::new(WORK_DIR);
        sys::remove_attributes(work)?;
        fs::set_permissions(work, Permissions::from_mode(0o755))?;
        Ok(Vec::new())
    })?;
    // Ours for a moment, so that the one user no more and the other not yet could change it.
    chown(WORK_DIR, Some(0), Some(0))?;
    for place in places() {
        prove_empty(place)?;
    }
    if Pristine::look()? != *pristine {
        return Err(io::Error::other("a job left more than files"));
    }
    chown(WORK_DIR, Some(next.id()), Some(next.id()))
}

fn places() -> impl Iterator<Item = &'static Path> {
    let all = std::iter::once(&WORK_DIR).chain(SCRATCH_DIRS);
    all.map(|place| Path::new(*place))
}

/// Sees that there is nothing in a directory, and hides when there last was.
fn prove_empty(place: &Path) -> io::Result<()> {
    let mut entries = match fs::read_dir(place) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    if let Some(left) = entries.next() {
        let left = left?.path();
        return Err(io::Error::other(format!("{} is left", left.display())));
    }
    let now = SystemTime::now();
    let times = FileTimes::new().set_accessed(now).set_modified(now);
    File::open(place)?.set_times(times)
}
