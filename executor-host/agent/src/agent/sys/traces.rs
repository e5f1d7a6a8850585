//! What a program can leave behind outside of files and processes, and how to see that nothing is.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use super::check;

/// What a file system holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    blocks: u64,
    files: u64,
}

impl Used {
    /// Of the file system at `path`, also what has no name there any more.
    pub fn at(path: &Path) -> io::Result<Self> {
        let path = terminated(path)?;
        let mut found = MaybeUninit::<libc::statfs>::zeroed();
        // SAFETY: the path ends with a zero byte, and `found` is valid for writing.
        check(unsafe { libc::statfs(path.as_ptr(), found.as_mut_ptr()) })?;
        // SAFETY: zero is a valid statfs, and the call has written one.
        let found = unsafe { found.assume_init() };
        Ok(Self {
            blocks: found.f_blocks.saturating_sub(found.f_bfree),
            files: found.f_files.saturating_sub(found.f_ffree),
        })
    }
}

/// The flags of a file or directory, such as `chattr` sets; none where there cannot be any.
pub fn flags(path: &Path) -> io::Result<libc::c_int> {
    let file = File::open(path)?;
    let mut flags = 0;
    // SAFETY: the descriptor is open, and the call writes one number.
    let found =
        unsafe { libc::ioctl(file.as_raw_fd(), libc::FS_IOC_GETFLAGS as _, &raw mut flags) };
    unless_unsupported(check(found)).map(|()| flags)
}

/// Removes every extended attribute of a file or directory of ours, access lists among them, and
/// every flag.
pub fn remove_attributes(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    let none: libc::c_int = 0;
    // SAFETY: the descriptor is open; the call reads one number.
    let set = unsafe {
        libc::ioctl(
            file.as_raw_fd(),
            libc::FS_IOC_SETFLAGS as _,
            &raw const none,
        )
    };
    unless_unsupported(check(set))?;

    let path = terminated(path)?;
    let mut names = vec![0_u8; 64 * 1024]; // The kernel's own limit.
    // SAFETY: the path ends with a zero byte, and `names` is writable for its length.
    let length = unsafe { libc::listxattr(path.as_ptr(), names.as_mut_ptr().cast(), names.len()) };
    let Ok(length) = usize::try_from(length) else {
        return unless_unsupported(Err(io::Error::last_os_error()));
    };
    for name in names[..length].split_inclusive(|byte| *byte == 0) {
        // SAFETY: both end with a zero byte.
        check(unsafe { libc::removexattr(path.as_ptr(), name.as_ptr().cast()) })?;
    }
    Ok(())
}

/// A file system that does not have something has nothing of it.
fn unless_unsupported(result: io::Result<libc::c_int>) -> io::Result<()> {
    match result {
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOTSUP | libc::ENOTTY)) => Ok(()),
        other => other.map(drop),
    }
}

fn terminated(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)
}

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
