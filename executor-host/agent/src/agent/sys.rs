//! System calls that the standard library lacks, each behind a safe function. The only unsafe
//! code of the workspace's native half.
#![expect(
    unsafe_code,
    reason = "system calls without a wrapper in the standard library"
)]

use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::ptr;
use std::time::Duration;

use agent_protocol::{PROGRAM_UID, WORK_DIR};

/// The value of a call that reports failure as -1.
fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result == -1 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Keeps other users out of this process's `/proc` entry and memory.
pub fn make_undumpable() -> io::Result<()> {
    // SAFETY: changes a flag of this process; takes numbers only.
    check(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) }).map(drop)
}

/// Makes reads and writes return instead of waiting.
pub fn set_nonblocking(fd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: `fd` is open for the call; F_GETFL and F_SETFL take and give numbers.
    let flags = check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_GETFL) })?;
    // SAFETY: as above.
    check(unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) }).map(drop)
}

// ---- Waiting ----

/// What to wait for.
#[derive(Clone, Copy)]
pub enum Interest {
    /// Something to read, or the end.
    Read,
    /// Room to write, or nobody left to write to.
    Write,
    /// Only that the other side has gone.
    Gone,
}

/// One descriptor to wait for.
#[repr(transparent)]
pub struct PollFd(libc::pollfd);

impl PollFd {
    pub fn new(fd: BorrowedFd<'_>, interest: Interest) -> Self {
        let events = match interest {
            Interest::Read => libc::POLLIN,
            Interest::Write => libc::POLLOUT,
            Interest::Gone => 0,
        };
        Self(libc::pollfd {
            fd: fd.as_raw_fd(),
            events,
            revents: 0,
        })
    }

    /// Whether what it waits for has happened, or can no longer happen.
    pub fn is_ready(&self) -> bool {
        self.0.revents != 0
    }
}

/// Waits until one of them is ready or the time is over. A closed descriptor counts as ready.
pub fn poll(fds: &mut [PollFd], timeout: Option<Duration>) -> io::Result<()> {
    // Rounded up: waking before the time would only mean waiting again.
    let milliseconds = timeout.map_or(-1, |t| {
        libc::c_int::try_from(t.as_micros().div_ceil(1000)).unwrap_or(libc::c_int::MAX)
    });
    let count = fds.len() as libc::nfds_t;
    // SAFETY: `PollFd` is a transparent `pollfd`, and `fds` holds `count` of them.
    match check(unsafe { libc::poll(fds.as_mut_ptr().cast(), count, milliseconds) }) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
        _ => Ok(()),
    }
}

// ---- Children ----

/// Every process of the container but this one: orphans come to process 1.
pub struct Children {
    signals: OwnedFd,
}

/// A process that has ended and is gone.
pub struct Reaped {
    pub pid: u32,
    status: libc::c_int,
    usage: libc::rusage,
}

impl Reaped {
    /// The code that it exited with, unless a signal ended it.
    pub fn exit_code(&self) -> Option<i32> {
        libc::WIFEXITED(self.status).then(|| libc::WEXITSTATUS(self.status))
    }

    /// The signal that ended it, or 0.
    pub fn signal(&self) -> i32 {
        libc::WTERMSIG(self.status)
    }

    /// CPU time of it and of those that it had waited for.
    pub fn cpu(&self) -> Duration {
        let duration = |time: libc::timeval| {
            Duration::new(time.tv_sec.unsigned_abs(), 0)
                + Duration::from_micros(time.tv_usec.unsigned_abs())
        };
        duration(self.usage.ru_utime) + duration(self.usage.ru_stime)
    }

    /// The largest resident size of it or of one that it had waited for, in bytes.
    pub fn peak_bytes(&self) -> u64 {
        self.usage.ru_maxrss.unsigned_abs() * 1024
    }
}

/// How to wait for a child.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Only look.
    Look,
    /// Until one ends.
    Block,
}

impl Children {
    /// Starts to notice children that end.
    pub fn watch() -> io::Result<Self> {
        let mut set = MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigemptyset initialises the set before it is used; the calls read it only.
        let fd = unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            libc::sigaddset(set.as_mut_ptr(), libc::SIGCHLD);
            check(libc::sigprocmask(
                libc::SIG_BLOCK,
                set.as_ptr(),
                ptr::null_mut(),
            ))?;
            check(libc::signalfd(
                -1,
                set.as_ptr(),
                libc::SFD_CLOEXEC | libc::SFD_NONBLOCK,
            ))?
        };
        // SAFETY: signalfd has just made this descriptor, and nobody else has it.
        Ok(Self {
            signals: unsafe { OwnedFd::from_raw_fd(fd) },
        })
    }

    /// Ready to read when a child has ended since the last [`Self::forget_signals`].
    pub fn fd(&self) -> BorrowedFd<'_> {
        use std::os::fd::AsFd;
        self.signals.as_fd()
    }

    /// Makes [`Self::fd`] wait for the next. Call it before reaping, so that none is missed.
    pub fn forget_signals(&self) {
        let mut buffer = [0u8; 4 * size_of::<libc::signalfd_siginfo>()];
        // SAFETY: the buffer is writable for its length; the descriptor is open.
        unsafe {
            libc::read(
                self.signals.as_raw_fd(),
                buffer.as_mut_ptr().cast(),
                buffer.len(),
            )
        };
    }

    /// Takes one child that has ended. `None`: none has, or there is none.
    pub fn reap(&self, wait: Wait) -> io::Result<Option<Reaped>> {
        let flags = if wait == Wait::Look { libc::WNOHANG } else { 0 };
        let mut status = 0;
        let mut usage = MaybeUninit::<libc::rusage>::zeroed();
        loop {
            // SAFETY: both pointers are valid for writing what wait4 writes.
            match check(unsafe { libc::wait4(-1, &raw mut status, flags, usage.as_mut_ptr()) }) {
                Ok(0) => return Ok(None),
                Ok(pid) => {
                    // SAFETY: zero is a valid rusage, and wait4 has written one.
                    let usage = unsafe { usage.assume_init() };
                    return Ok(Some(Reaped {
                        pid: pid.unsigned_abs(),
                        status,
                        usage,
                    }));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.raw_os_error() == Some(libc::ECHILD) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    /// Kills every process but this one and returns those that had ended, once none is left.
    pub fn kill_all(&self) -> io::Result<Vec<Reaped>> {
        // Outside of a container this would kill the whole machine.
        if std::process::id() != 1 {
            return Err(io::Error::other("the agent is not process 1"));
        }
        let mut reaped = Vec::new();
        loop {
            // SAFETY: takes numbers only; process 1 does not reach itself by it.
            let killed = check(unsafe { libc::kill(-1, libc::SIGKILL) });
            match killed {
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return Ok(reaped),
                Err(error) => return Err(error),
                Ok(_) => {}
            }
            // A killed process may still have a parent that dies only now; then it is not ours
            // yet, and one more round finds it.
            match self.reap(Wait::Block)? {
                Some(child) => reaped.push(child),
                None => std::thread::yield_now(),
            }
        }
    }
}

// ---- Programs ----

/// Makes the command's process what a program may be: the program's user with nothing to gain
/// rights from, a session of its own, only its three streams, first to die when memory is short.
///
/// `cpu_seconds` is the kernel's own limit on each process, behind the agent's on all of them.
pub fn confine(command: &mut Command, cpu_seconds: u64) {
    let setup = move || {
        // Ours to write only as long as we are root.
        std::fs::write("/proc/self/oom_score_adj", "1000")?;
        limit(libc::RLIMIT_CPU, cpu_seconds)?;
        limit(libc::RLIMIT_CORE, 0)?;
        drop_rights()?;
        // SAFETY: these take numbers and a constant string. The descriptors above 2 are closed
        // by the exec, not here, because the standard library reports its failure by one.
        unsafe {
            check(libc::setsid())?;
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

/// Runs `work` in a process of the program's user and gives what it returned. For files: what
/// the agent touches there, it touches with a program's rights and no more.
pub fn as_program_user(work: impl FnOnce() -> io::Result<Vec<u8>>) -> io::Result<Vec<u8>> {
    let (mut reader, mut writer) = io::pipe()?;
    // SAFETY: the agent has one thread, so the child may go on like any process.
    let pid = check(unsafe { libc::fork() })?;
    if pid == 0 {
        let result = drop_rights().and_then(|()| work());
        let (code, bytes) = match result {
            Ok(bytes) => (0, bytes),
            Err(error) => (1, error.to_string().into_bytes()),
        };
        let code = if writer.write_all(&bytes).is_ok() {
            code
        } else {
            2
        };
        // SAFETY: ends the child without running what belongs to the parent.
        unsafe { libc::_exit(code) };
    }
    drop(writer);
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes)?;
    let mut status = 0;
    // SAFETY: `status` is valid for writing; `pid` is a child that nobody else waits for.
    while let Err(error) = check(unsafe { libc::waitpid(pid, &raw mut status, 0) }) {
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    if status == 0 {
        Ok(bytes)
    } else {
        Err(io::Error::other(
            String::from_utf8_lossy(&bytes).into_owned(),
        ))
    }
}

/// Becomes the program's user for good: no capability in any set, none to be had by exec.
fn drop_rights() -> io::Result<()> {
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
        check(libc::setresgid(PROGRAM_UID, PROGRAM_UID, PROGRAM_UID))?;
        check(libc::setresuid(PROGRAM_UID, PROGRAM_UID, PROGRAM_UID))?;
        check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
    }
    Ok(())
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

/// Removes the System V shared memory, semaphores and queues of this user.
pub fn remove_ipc_objects() {
    for (table, remove) in [
        ("/proc/sysvipc/shm", remove_shm as fn(libc::c_int)),
        ("/proc/sysvipc/sem", remove_sem),
        ("/proc/sysvipc/msg", remove_msg),
    ] {
        let rows = std::fs::read_to_string(table).unwrap_or_default();
        let ids = rows
            .lines()
            .skip(1)
            .filter_map(|row| row.split_whitespace().nth(1)?.parse().ok());
        ids.for_each(remove);
    }
}

// Each of the three takes numbers only; what is not ours to remove stays.
fn remove_shm(id: libc::c_int) {
    // SAFETY: IPC_RMID reads no buffer.
    unsafe { libc::shmctl(id, libc::IPC_RMID, ptr::null_mut()) };
}

fn remove_sem(id: libc::c_int) {
    // SAFETY: IPC_RMID takes no fourth argument.
    unsafe { libc::semctl(id, 0, libc::IPC_RMID) };
}

fn remove_msg(id: libc::c_int) {
    // SAFETY: IPC_RMID reads no buffer.
    unsafe { libc::msgctl(id, libc::IPC_RMID, ptr::null_mut()) };
}
