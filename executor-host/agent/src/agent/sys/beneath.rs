//! Opening a file by a name that leads nowhere else.

use std::ffi::{CString, OsStr};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;

use super::check;

/// Opens a file in `dir` for reading: itself and no link of any kind, on the same file system, and
/// without waiting for the other end of a pipe.
pub fn open_beneath(dir: BorrowedFd<'_>, name: &OsStr) -> io::Result<File> {
    let name = CString::new(name.as_bytes()).map_err(io::Error::other)?;
    if name.as_bytes().contains(&b'/') {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let flags =
        libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    // SAFETY: all zero is a valid `open_how`.
    let mut how: libc::open_how = unsafe { MaybeUninit::zeroed().assume_init() };
    how.flags = u64::from(flags.cast_unsigned());
    how.resolve = libc::RESOLVE_BENEATH
        | libc::RESOLVE_NO_SYMLINKS
        | libc::RESOLVE_NO_MAGICLINKS
        | libc::RESOLVE_NO_XDEV;
    // SAFETY: the name ends with a zero byte, and `how` is as long as is said.
    let opened = unsafe {
        let size = size_of::<libc::open_how>();
        libc::syscall(
            libc::SYS_openat2,
            dir.as_raw_fd(),
            name.as_ptr(),
            &raw const how,
            size,
        )
    };
    let opened = match check(opened as libc::c_int) {
        // A kernel before 5.6, or gVisor: of a name of one part, only that part can be a link.
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => {
            // SAFETY: the name ends with a zero byte.
            check(unsafe { libc::openat(dir.as_raw_fd(), name.as_ptr(), flags) })?
        }
        opened => opened?,
    };
    // SAFETY: it has just been opened, and nobody else has it.
    Ok(unsafe { File::from_raw_fd(opened) })
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_the_file_itself_is_opened() {
        let root = std::env::temp_dir().join(format!("agent-beneath-{}", std::process::id()));
        std::fs::create_dir_all(root.join("dir")).unwrap();
        std::fs::write(root.join("file"), "here").unwrap();
        std::fs::write(root.join("dir/inner"), "").unwrap();
        symlink("file", root.join("link")).unwrap();
        symlink("/proc/self/exe", root.join("magic")).unwrap();
        let dir = File::open(&root).unwrap();
        let open = |name: &str| open_beneath(dir.as_fd(), OsStr::new(name));
        let mut content = String::new();
        open("file").unwrap().read_to_string(&mut content).unwrap();
        assert_eq!(content, "here");
        for refused in [
            "link",
            "magic",
            "dir/inner",
            "..",
            "../file",
            "/etc/passwd",
            "missing",
        ] {
            assert!(open(refused).is_err(), "{refused}");
        }
        std::fs::remove_dir_all(root).unwrap();
    }
}
