//! `executor-host drain`: asks the process that serves from a state folder to take nothing more,
//! finish what it has, and end.
//!
//! The process holds a lock in its folder, with its id in the file; whoever asks sends it SIGUSR1
//! and waits until the lock is free.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{sleep, timeout};

use crate::serve::{QUEUE_FILE, WORKER_FILE};

/// How often the lock is tried.
const LOOK: Duration = Duration::from_millis(200);

/// Why nothing was drained.
#[derive(Debug, thiserror::Error)]
pub enum DrainError {
    /// No process serves from this folder, at least none that has something to finish.
    #[error(
        "no executor-host that runs jobs serves from {0}; a link alone has nothing to finish: \
         end it with SIGTERM"
    )]
    Nobody(PathBuf),
    /// The process cannot be asked.
    #[error("process {0} cannot be asked to drain: {1}")]
    Refused(i32, rustix::io::Errno),
    /// It has not ended in time, and goes on draining.
    #[error("process {0} has not finished within {1} s; it goes on, and ends once it has")]
    Late(i32, u64),
}

/// Asks the process that serves from `state_dir` to drain, and waits until it has ended, if there
/// is a limit no longer than that. Returns its id.
///
/// # Errors
///
/// When there is none, it is somebody else's, or the time is over.
pub async fn drain(state_dir: &Path, limit: Option<Duration>) -> Result<i32, DrainError> {
    let nobody = || DrainError::Nobody(state_dir.to_owned());
    let files = [QUEUE_FILE, WORKER_FILE].map(|name| state_dir.join(format!("{name}.lock")));
    let (file, pid) = files.iter().find_map(serving).ok_or_else(nobody)?;
    let process = Pid::from_raw(pid).ok_or_else(nobody)?;
    kill_process(process, Signal::USR1).map_err(|error| DrainError::Refused(pid, error))?;
    let ended = async {
        while is_held(file) {
            sleep(LOOK).await;
        }
    };
    match limit {
        None => ended.await,
        Some(limit) => timeout(limit, ended)
            .await
            .map_err(|_| DrainError::Late(pid, limit.as_secs()))?,
    }
    Ok(pid)
}

/// The process that holds the lock in this file.
fn serving(file: &PathBuf) -> Option<(&Path, i32)> {
    let pid = std::fs::read_to_string(file).ok()?.trim().parse().ok()?;
    is_held(file).then_some((file, pid))
}

fn is_held(file: &Path) -> bool {
    let opened = File::options().read(true).write(true).open(file);
    opened.is_ok_and(|file| matches!(file.try_lock(), Err(TryLockError::WouldBlock)))
}
