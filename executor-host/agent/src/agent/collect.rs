//! The files that a program leaves in its working directory for whoever started it.
//!
//! A program chooses their names, kinds and number, so none of that is trusted: they are read with
//! the program's own rights, once every process of it has gone and nothing can change any more;
//! by names that cannot lead anywhere else; regular files only; and no further than is wanted,
//! whatever the kernel says of their size.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use agent_protocol::wire::{Frames, PIECE_BYTES_MAX};
use agent_protocol::{Event, LeftOut, WORK_DIR, Wanted, is_file_name};

use super::channel::Channel;
use super::sys::{self, User};

/// What was in the working directory before a program started, its directories aside.
pub struct Before(Vec<Entry>);

/// Something in the working directory that is no directory.
#[derive(PartialEq, Eq)]
struct Entry {
    name: OsString,
    state: State,
}

/// What changes when a file does: the times are the kernel's to set.
#[derive(PartialEq, Eq)]
struct State {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Before {
    /// As it is now.
    pub fn look(user: User) -> io::Result<Self> {
        let mut seen = Self(Vec::new());
        let mut look = || {
            seen.0.clear();
            each_entry(|entry, _| {
                seen.0.push(entry);
                true
            })
        };
        if let Err(error) = look() {
            if error.kind() != io::ErrorKind::PermissionDenied {
                return Err(error);
            }
            // A compiler may have closed it to everybody but its owner.
            sys::as_user(user, || make_readable().map(|()| Vec::new()))?;
            look()?;
        }
        seen.0
            .sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(seen)
    }

    /// Whether there may be something to collect.
    pub fn has_changed(&self) -> bool {
        let mut changed = false;
        let looked = each_entry(|entry, _| {
            changed = !self.has(&entry);
            !changed
        });
        changed || looked.is_err()
    }

    fn has(&self, entry: &Entry) -> bool {
        let found = self.0.binary_search_by(|known| known.name.cmp(&entry.name));
        found.is_ok_and(|at| self.0[at].state == entry.state)
    }
}

/// Looks at what is in the working directory and is no directory, until `look` has seen enough.
fn each_entry(mut look: impl FnMut(Entry, Metadata) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(WORK_DIR)? {
        let entry = entry?;
        // Of a link, its own.
        let metadata = entry.metadata()?;
        if metadata.is_dir() {
            continue;
        }
        let state = State {
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        };
        let name = entry.file_name();
        if !look(Entry { name, state }, metadata) {
            break;
        }
    }
    Ok(())
}

fn make_readable() -> io::Result<()> {
    fs::set_permissions(WORK_DIR, Permissions::from_mode(0o755))
}

/// Sends what is wanted of the files that were not there `before`, or were otherwise.
///
/// # Errors
/// The channel broke, or the files could not be gone through.
pub fn collect(
    user: User,
    before: &Before,
    wanted: &Wanted,
    channel: &mut Channel,
) -> io::Result<()> {
    let mut frames = Frames::default();
    let pass_on = |bytes: &[u8]| {
        frames.push(bytes);
        while let Some(body) = frames.next_body().map_err(io::Error::other)? {
            let event = Event::from_body(body).map_err(io::Error::other)?;
            channel.send(&event)?;
            channel.flush()?;
        }
        Ok(())
    };
    sys::as_user_piece_by_piece(user, |out| give(before, wanted, out), pass_on)
}

/// Writes the events of [`collect`].
fn give(before: &Before, wanted: &Wanted, out: &mut dyn Write) -> io::Result<()> {
    make_readable()?;
    let mut found = Vec::new();
    each_entry(|entry, metadata| {
        if !before.has(&entry) {
            found.push((entry.name, metadata));
        }
        true
    })?;
    found.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    let work = File::open(WORK_DIR)?;
    let (mut files, mut bytes_left, mut left_out) = (0, wanted.bytes_all, 0_u32);
    for (name, metadata) in found {
        let limits = Limits {
            wanted,
            is_last: files == wanted.files,
            bytes_left,
        };
        match read(&work, &name, &metadata, &limits) {
            Ok((name, content)) => {
                files += 1;
                bytes_left -= content.len() as u32;
                write_file(out, name, &content)?;
            }
            Err(why) => {
                left_out += 1;
                if left_out <= wanted.named {
                    let name = name.into_vec();
                    out.write_all(&Event::LeftOut { name, why }.to_frame())?;
                }
            }
        }
    }
    out.write_all(&Event::Collected { left_out }.to_frame())
}

fn write_file(out: &mut dyn Write, name: &str, content: &[u8]) -> io::Result<()> {
    let mut pieces = content.chunks(PIECE_BYTES_MAX).peekable();
    loop {
        let bytes = pieces.next().unwrap_or_default().to_vec();
        let last = pieces.peek().is_none();
        let name = name.to_owned();
        out.write_all(&Event::File { name, bytes, last }.to_frame())?;
        if last {
            return Ok(());
        }
    }
}

/// What still fits.
struct Limits<'a> {
    wanted: &'a Wanted,
    /// As many as are wanted have come.
    is_last: bool,
    bytes_left: u32,
}

/// A file's name and content, if it is wanted and fits.
fn read<'a>(
    work: &File,
    name: &'a OsStr,
    metadata: &Metadata,
    limits: &Limits<'_>,
) -> Result<(&'a str, Vec<u8>), LeftOut> {
    if !metadata.is_file() || metadata.nlink() != 1 {
        return Err(LeftOut::NotAFile);
    }
    let text = name.to_str().filter(|name| is_file_name(name));
    let text = text.ok_or(LeftOut::Name)?;
    let ending = Path::new(text).extension().and_then(OsStr::to_str);
    let ending = ending.unwrap_or_default().to_ascii_lowercase();
    if !limits.wanted.endings.contains(&ending) {
        return Err(LeftOut::Ending);
    }
    // What the kernel says of its size spares reading it; it allows nothing.
    let too_long = |bytes: u64| match bytes {
        _ if bytes > u64::from(limits.wanted.bytes_each) => Some(LeftOut::TooLarge),
        _ if limits.is_last => Some(LeftOut::TooMany),
        _ if bytes > u64::from(limits.bytes_left) => Some(LeftOut::TooMuch),
        _ => None,
    };
    if let Some(why) = too_long(metadata.len()) {
        return Err(why);
    }
    let file = sys::open_beneath(work.as_fd(), name).map_err(|_| LeftOut::Unreadable)?;
    let opened = file.metadata().map_err(|_| LeftOut::Unreadable)?;
    if !opened.is_file() || opened.ino() != metadata.ino() {
        return Err(LeftOut::NotAFile);
    }
    let most = limits.wanted.bytes_each.min(limits.bytes_left);
    let mut content = Vec::new();
    let read = file.take(u64::from(most) + 1).read_to_end(&mut content);
    read.map_err(|_| LeftOut::Unreadable)?;
    too_long(content.len() as u64).map_or(Ok((text, content)), Err)
}
