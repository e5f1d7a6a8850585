//! The user database of the container: which name the programs' user has.
//!
//! Runtimes ask for it: without an entry `whoami`, Node's `os.userInfo` and the like fail. Jobs
//! have users of their own, and the root of a container cannot be written to, so what programs
//! read as `/etc/passwd` and `/etc/group` is a link to what is written here.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use agent_protocol::{USERS_DIR, WORK_DIR};

use super::sys::User;

/// Where [`prepare_image`] puts what the image has of its own.
const KEPT_DIR: &str = "/usr/share/codecrafter";
/// The name of the programs' user and group.
const NAME: &str = "sandbox";

/// The image's own users, for [`Users::announce`].
pub struct Users {
    passwd: String,
    group: String,
}

impl Users {
    /// Those of the image that this runs in; of one that was not prepared, none.
    pub fn of_image() -> Self {
        let read = |name: &str| fs::read_to_string(Path::new(KEPT_DIR).join(name));
        Self {
            passwd: read("passwd").unwrap_or_default(),
            group: read("group").unwrap_or_default(),
        }
    }

    /// Gives the programs' user and group their name.
    pub fn announce(&self, user: User) -> io::Result<()> {
        let (id, Self { passwd, group }) = (user.id(), self);
        let dir = Path::new(USERS_DIR);
        if !dir.is_dir() {
            // Somebody started the agent by hand.
            return Ok(());
        }
        let passwd = format!("{passwd}{NAME}:x:{id}:{id}::{WORK_DIR}:/bin/sh\n");
        fs::write(dir.join("passwd"), passwd)?;
        fs::write(dir.join("group"), format!("{group}{NAME}:x:{id}:\n"))
    }
}

/// Makes an image ready for [`Users::announce`], when it is built. Harmless to repeat.
pub fn prepare_image() -> io::Result<()> {
    fs::create_dir_all(KEPT_DIR)?;
    for name in ["passwd", "group"] {
        let (etc, kept) = (Path::new("/etc").join(name), Path::new(KEPT_DIR).join(name));
        if etc.is_symlink() {
            continue;
        }
        match fs::read(&etc) {
            Ok(own) => {
                fs::write(&kept, own)?;
                fs::remove_file(&etc)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => fs::write(&kept, "")?,
            Err(error) => return Err(error),
        }
        symlink(Path::new(USERS_DIR).join(name), &etc)?;
    }
    Ok(())
}
