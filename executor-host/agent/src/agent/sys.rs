//! System calls that the standard library lacks, each behind a safe function. The only unsafe
//! code of the workspace's native half.
#![expect(
    unsafe_code,
    reason = "system calls without a wrapper in the standard library"
)]

mod beneath;
mod rights;
mod terminal;
mod traces;

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;
use std::time::Duration;

pub use beneath::open_beneath;
pub use rights::{User, as_user, as_user_piece_by_piece, confine};
pub use terminal::{open_terminal, set_terminal_size, signal_group};
pub use traces::{Used, flags, remove_attributes, remove_ipc_objects};

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

/// The user that this process acts as.
pub fn own_user() -> u32 {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::geteuid() }
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
