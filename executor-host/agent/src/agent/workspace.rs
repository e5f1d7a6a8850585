//! The files that programs see: written before the first, put back between runs, gone after the
//! job.
//!
//! All of it happens with the program's own rights ([`sys::as_user`]) and while no
//! program lives, so nothing that a program leaves behind can turn it against anyone.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use agent_protocol::{WORK_DIR, is_safe_path};

use super::sys::{self, User};

/// Every place beside [`WORK_DIR`] that a program can write to.
pub const SCRATCH_DIRS: &[&str] = &["/tmp", "/dev/shm", "/dev/mqueue"];

/// Writes a new file into the work directory.
///
/// # Errors
/// The path is not safe, the file exists, or there is no room.
pub fn write(user: User, path: &str, content: &[u8]) -> io::Result<()> {
    if !is_safe_path(path) {
        return Err(io::Error::other(format!("{path:?} is no path for a file")));
    }
    sys::as_user(user, || {
        let path = Path::new(WORK_DIR).join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        write_new(&path, content, 0o644)?;
        Ok(Vec::new())
    })
    .map(drop)
    .map_err(|error| io::Error::other(format!("the file {path} cannot be written: {error}")))
}

fn write_new(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .create_new(true)
        .custom_flags(libc::O_NOFOLLOW)
        .mode(mode);
    options.open(path)?.write_all(content)
}

/// What the work directory held at some moment.
pub struct Saved {
    /// As [`Entry::push_to`] writes them, parents before what is in them.
    entries: Vec<u8>,
}

impl Saved {
    /// Remembers the work directory as it is.
    pub fn take(user: User) -> io::Result<Self> {
        let entries = sys::as_user(user, || collect(Path::new(WORK_DIR)))?;
        Ok(Self { entries })
    }

    /// Makes everything that a program can write to as it was then.
    pub fn restore(&self, user: User) -> io::Result<()> {
        sys::as_user(user, || {
            sys::remove_ipc_objects();
            for dir in SCRATCH_DIRS {
                empty(Path::new(dir))?;
            }
            let work = Path::new(WORK_DIR);
            empty(work)?;
            sys::remove_attributes(work)?;
            put_back(work, &self.entries)?;
            Ok(Vec::new())
        })
        .map(drop)
    }
}

/// What the work directory holds, for [`unpack`] in another container. `None` if that is more
/// than `most` bytes, or not only files, directories and symbolic links.
pub fn pack(user: User, most: u32) -> io::Result<Option<Vec<u8>>> {
    let packed = sys::as_user(user, || {
        let root = Path::new(WORK_DIR);
        let is_small = size(root)?.is_some_and(|bytes| bytes <= u64::from(most));
        if is_small {
            collect(root)
        } else {
            Ok(Vec::new())
        }
    })?;
    Ok((!packed.is_empty()).then_some(packed))
}

/// Puts what [`pack`] gave into the work directory, which is empty.
pub fn unpack(user: User, packed: &[u8]) -> io::Result<()> {
    sys::as_user(user, || {
        put_back(Path::new(WORK_DIR), packed)?;
        Ok(Vec::new())
    })
    .map(drop)
}

/// The bytes of all files below a directory; `None` if not everything there can be packed.
fn size(root: &Path) -> io::Result<Option<u64>> {
    let mut bytes = 0_u64;
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for path in list(&dir)? {
            let metadata = fs::symlink_metadata(&path)?;
            let kind = metadata.file_type();
            if kind.is_dir() {
                dirs.push(path);
            } else if !kind.is_file() && !kind.is_symlink() {
                return Ok(None);
            }
            bytes = bytes.saturating_add(metadata.len());
        }
    }
    Ok(Some(bytes))
}

/// Removes all that is in a directory of ours, if it exists, however deep and however it is
/// protected.
///
/// Directories are not descended into but taken apart from the top: what is in one moves up
/// beside it, then it goes. So paths stay short and a tree of any depth needs no stack.
pub fn empty(dir: &Path) -> io::Result<()> {
    let mut moved = 0_u64;
    loop {
        let entries = match list(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        if entries.is_empty() {
            return Ok(());
        }
        for path in entries {
            if !fs::symlink_metadata(&path)?.is_dir() {
                fs::remove_file(&path)?;
                continue;
            }
            for inner in list(&path)? {
                if fs::symlink_metadata(&inner)?.is_dir() {
                    // A directory that cannot be written to cannot be moved either.
                    fs::set_permissions(&inner, Permissions::from_mode(0o700))?;
                    fs::rename(&inner, free_name(dir, &mut moved))?;
                } else {
                    fs::remove_file(&inner)?;
                }
            }
            fs::remove_dir(&path)?;
        }
    }
}

/// The paths in a directory, which is made readable first if it is ours.
fn list(dir: &Path) -> io::Result<Vec<PathBuf>> {
    if fs::symlink_metadata(dir)?.uid() == sys::own_user() {
        fs::set_permissions(dir, Permissions::from_mode(0o755))?;
    }
    fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect()
}

/// A name in `dir` that is not taken.
fn free_name(dir: &Path, counter: &mut u64) -> PathBuf {
    loop {
        *counter += 1;
        let path = dir.join(format!(".{counter}"));
        if fs::symlink_metadata(&path).is_err() {
            return path;
        }
    }
}

/// A file, directory or symbolic link. Anything else is not remembered.
struct Entry<'a> {
    kind: Kind,
    mode: u32,
    path: &'a Path,
    /// Of a file its content, of a link its target.
    content: &'a [u8],
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Dir = 1,
    File = 2,
    Link = 3,
}

impl<'a> Entry<'a> {
    fn push_to(&self, bytes: &mut Vec<u8>) {
        bytes.push(self.kind as u8);
        bytes.extend_from_slice(&self.mode.to_le_bytes());
        for field in [self.path.as_os_str().as_bytes(), self.content] {
            bytes.extend_from_slice(&(field.len() as u64).to_le_bytes());
            bytes.extend_from_slice(field);
        }
    }

    /// The first entry of `bytes`, which then start at the next. `None` at the end, or where
    /// the bytes were not written by [`Self::push_to`].
    fn take_from(bytes: &mut &'a [u8]) -> Option<Self> {
        let kind = match bytes.split_off_first()? {
            1 => Kind::Dir,
            2 => Kind::File,
            _ => Kind::Link,
        };
        let mode = u32::from_le_bytes(bytes.split_off(..4)?.try_into().ok()?);
        let mut field = || {
            let length = u64::from_le_bytes(bytes.split_off(..8)?.try_into().ok()?);
            bytes.split_off(..usize::try_from(length).ok()?)
        };
        let path = Path::new(OsStr::from_bytes(field()?));
        Some(Self {
            kind,
            mode,
            path,
            content: field()?,
        })
    }
}

/// Every entry below `root`, by paths relative to it.
fn collect(root: &Path) -> io::Result<Vec<u8>> {
    let mut entries = Vec::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for path in list(&dir)? {
            let metadata = fs::symlink_metadata(&path)?;
            let mode = metadata.mode() & 0o777;
            let relative = path.strip_prefix(root).map_err(io::Error::other)?;
            let (kind, content) = if metadata.is_dir() {
                dirs.push(path.clone());
                (Kind::Dir, Vec::new())
            } else if metadata.is_file() {
                (Kind::File, fs::read(&path)?)
            } else if metadata.is_symlink() {
                (
                    Kind::Link,
                    fs::read_link(&path)?.into_os_string().into_encoded_bytes(),
                )
            } else {
                continue;
            };
            Entry {
                kind,
                mode,
                path: relative,
                content: &content,
            }
            .push_to(&mut entries);
        }
    }
    Ok(entries)
}

/// Creates the entries in `root`, which is empty.
fn put_back(root: &Path, mut entries: &[u8]) -> io::Result<()> {
    while let Some(Entry {
        kind,
        mode,
        path,
        content,
    }) = Entry::take_from(&mut entries)
    {
        let path = root.join(path);
        match kind {
            // Of ours in any case; a directory without rights could not be filled.
            Kind::Dir => DirBuilder::new().mode(mode | 0o700).create(&path)?,
            Kind::File => write_new(&path, content, mode)?,
            Kind::Link => symlink(OsStr::from_bytes(content), &path)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of this test, gone with it.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("agent-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_tree_is_put_back_as_it_was() {
        let (from, to) = (Scratch::new("from"), Scratch::new("to"));
        fs::create_dir_all(from.0.join("a/b")).unwrap();
        write_new(&from.0.join("a/b/run"), b"\x7fELF", 0o755).unwrap();
        write_new(&from.0.join("empty"), b"", 0o600).unwrap();
        symlink("/etc/passwd", from.0.join("link")).unwrap();
        let saved = collect(&from.0).unwrap();
        put_back(&to.0, &saved).unwrap();
        assert_eq!(fs::read(to.0.join("a/b/run")).unwrap(), b"\x7fELF");
        assert_eq!(
            fs::metadata(to.0.join("a/b/run")).unwrap().mode() & 0o777,
            0o755
        );
        assert_eq!(
            fs::metadata(to.0.join("empty")).unwrap().mode() & 0o777,
            0o600
        );
        assert_eq!(
            fs::read_link(to.0.join("link")).unwrap(),
            Path::new("/etc/passwd")
        );
        assert_eq!(collect(&to.0).unwrap().len(), saved.len());
    }

    #[test]
    fn a_tree_deeper_than_any_path_may_be_long_is_emptied() {
        let root = Scratch::new("deep");
        let outside = Scratch::new("outside");
        fs::write(outside.0.join("kept"), "x").unwrap();
        // Built from the bottom up, as its full path would be too long to name.
        let (tower, next) = (root.0.join("tower"), root.0.join("next"));
        fs::create_dir(&tower).unwrap();
        for _ in 0..200 {
            fs::create_dir(&next).unwrap();
            fs::rename(&tower, next.join("d".repeat(200))).unwrap();
            fs::rename(&next, &tower).unwrap();
        }
        fs::write(root.0.join(".1"), "taken").unwrap();
        symlink(&outside.0, root.0.join("link")).unwrap();
        empty(&root.0).unwrap();
        assert_eq!(fs::read_dir(&root.0).unwrap().count(), 0);
        assert!(outside.0.join("kept").exists());
        empty(&root.0.join("missing")).unwrap();
    }
}
