//! What a program may do: the user that it runs as, and the way to become it for good.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;

use agent_protocol::WORK_DIR;

use super::check;

/// The user, and the group of the same number, that the programs of one job run as. Never root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct User(u32);

impl User {
    /// `None` for root, and for what the kernel takes for "no user".
    pub fn new(id: u32) -> Option<Self> {
        (id != 0 && id != u32::MAX).then_some(Self(id))
    }

    /// Its number.
    pub fn id(self) -> u32 {
        self.0
    }

    /// Becomes this user for good: no capability in any set, none to be had by exec.
    fn become_for_good(self) -> io::Result<()> {
        let Self(id) = self;
        // SAFETY: all of these take numbers, except setgroups, which gets an empty list.
        unsafe {
            // Past the last capability of the running kernel the call fails with EINVAL.
            for capability in 0..64 {
                match check(libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0)) {
                    Err(error) if error.raw_os_error() == Some(libc::EINVAL) => break,
                    other => other.map(drop)?,
                }
            }
            check(libc::setgroups(0, ptr::null()))?;
            check(libc::setresgid(id, id, id))?;
            check(libc::setresuid(id, id, id))?;
            check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
        }
        Ok(())
    }
}

/// Makes the command's process what a program may be: the program's user with nothing to gain
/// rights from, a session of its own, only its three streams, first to die when memory is short.
///
/// `cpu_seconds` is the kernel's own limit on each process, behind the agent's on all of them.
/// `has_terminal` says that its standard input is a terminal, which then is the session's own, so
/// that keys such as Ctrl-C become signals.
pub fn confine(command: &mut Command, user: User, cpu_seconds: u64, has_terminal: bool) {
    let setup = move || {
        // Ours to write only as long as we are root.
        std::fs::write("/proc/self/oom_score_adj", "1000")?;
        limit(libc::RLIMIT_CPU, cpu_seconds)?;
        limit(libc::RLIMIT_CORE, 0)?;
        // Its streams are its own to open by name too (`/dev/stdin`, `/dev/stderr`), though root
        // has made them; nobody of another user comes to where their names lead.
        for stream in 0..3 {
            // SAFETY: takes numbers.
            check(unsafe { libc::fchmod(stream, 0o666) })?;
        }
        user.become_for_good()?;
        // SAFETY: these take numbers and a constant string. The descriptors above 2 are closed
        // by the exec, not here, because the standard library reports its failure by one.
        unsafe {
            check(libc::setsid())?;
            if has_terminal {
                check(libc::ioctl(0, libc::TIOCSCTTY as _, 0))?;
            }
            libc::umask(0o022);
            let all = libc::c_uint::MAX;
            check(libc::syscall(libc::SYS_close_range, 3, all, libc::CLOSE_RANGE_CLOEXEC) as _)?;
        }
        std::env::set_current_dir(WORK_DIR)
    };
    // SAFETY: runs in the child between fork and exec. The agent has one thread, so no lock can
    // be held by another and allocating is fine.
    unsafe { command.pre_exec(setup) };
}

/// Runs `work` in a process of that user and gives what it returned. For files: what
/// the agent touches there, it touches with a program's rights and no more.
pub fn as_user(user: User, work: impl FnOnce() -> io::Result<Vec<u8>>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let hear = |piece: &[u8]| {
        bytes.extend_from_slice(piece);
        Ok(())
    };
    as_user_piece_by_piece(user, |out| out.write_all(&work()?), hear)?;
    Ok(bytes)
}

/// The same for what is too long to be there as a whole: `hear` gets what `work` writes.
pub fn as_user_piece_by_piece(
    user: User,
    work: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    mut hear: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let (mut reader, mut writer) = io::pipe()?;
    let (mut failures, mut failed) = io::pipe()?;
    // SAFETY: the agent has one thread, so the child may go on like any process.
    let pid = check(unsafe { libc::fork() })?;
    if pid == 0 {
        // Or it would wait for itself when nobody else reads any more.
        drop((reader, failures));
        let result = user.become_for_good().and_then(|()| work(&mut writer));
        let code = match result {
            Ok(()) => 0,
            Err(error) => {
                // Nobody to tell that this failed too.
                let _ = failed.write_all(error.to_string().as_bytes());
                1
            }
        };
        // SAFETY: ends the child without running what belongs to the parent.
        unsafe { libc::_exit(code) };
    }
    drop((writer, failed));
    let mut buffer = [0; 64 * 1024];
    let heard = loop {
        match reader.read(&mut buffer) {
            Ok(0) => break Ok(()),
            Ok(length) => match hear(&buffer[..length]) {
                Ok(()) => {}
                failed => break failed,
            },
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
    };
    // A child that still writes fails then, and ends.
    drop(reader);
    let mut failure = Vec::new();
    failures.read_to_end(&mut failure)?;
    let mut status = 0;
    // SAFETY: `status` is valid for writing; `pid` is a child that nobody else waits for.
    while let Err(error) = check(unsafe { libc::waitpid(pid, &raw mut status, 0) }) {
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    heard?;
    if status == 0 {
        Ok(())
    } else {
        let failure = String::from_utf8_lossy(&failure).into_owned();
        Err(io::Error::other(failure))
    }
}

/// Sets both the soft and the hard limit.
fn limit(resource: Resource, value: u64) -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: value as _,
        rlim_max: value as _,
    };
    // SAFETY: the pointer is valid for the call, which reads it only.
    check(unsafe { libc::setrlimit(resource, &raw const limit) }).map(drop)
}

#[cfg(target_env = "gnu")]
type Resource = libc::__rlimit_resource_t;
#[cfg(not(target_env = "gnu"))]
type Resource = libc::c_int;
