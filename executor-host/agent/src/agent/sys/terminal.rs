//! Terminals for programs.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use agent_protocol::TerminalSize;

use super::check;

/// A terminal of the container: our side, and the program's.
pub fn open_terminal(size: TerminalSize) -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = libc::O_RDWR | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: takes numbers; what it returns is a descriptor of ours alone.
    let ours = unsafe { OwnedFd::from_raw_fd(check(libc::posix_openpt(flags))?) };
    // SAFETY: the descriptor is open.
    check(unsafe { libc::unlockpt(ours.as_raw_fd()) })?;
    set_terminal_size(borrow(&ours), size)?;
    // By the descriptor and not by its path, which could be another's.
    // SAFETY: TIOCGPTPEER takes numbers; what it returns is a descriptor of ours alone.
    let theirs = unsafe {
        let theirs = libc::ioctl(ours.as_raw_fd(), libc::TIOCGPTPEER as _, flags);
        OwnedFd::from_raw_fd(check(theirs)?)
    };
    Ok((ours, theirs))
}

/// Tells the kernel, and by it the program, how much fits on a terminal.
pub fn set_terminal_size(terminal: BorrowedFd<'_>, size: TerminalSize) -> io::Result<()> {
    let size = libc::winsize {
        ws_row: size.rows,
        ws_col: size.columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    // SAFETY: the pointer is valid for the call, which reads it only.
    check(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ as _, &raw const size) })
        .map(drop)
}

/// Sends a signal to every process of a group.
pub fn signal_group(leader: u32, number: i32) -> io::Result<()> {
    let Some(group) = i32::try_from(leader).ok().filter(|leader| *leader > 1) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    // SAFETY: takes numbers only; no group but this one is reached.
    check(unsafe { libc::kill(-group, number) }).map(drop)
}

fn borrow(fd: &OwnedFd) -> BorrowedFd<'_> {
    use std::os::fd::AsFd;
    fd.as_fd()
}
