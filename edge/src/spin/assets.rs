//! [`Assets`]: the files of the page, in the folder that `spin.toml` mounts.

use std::io::ErrorKind;
use std::path::Path;

use async_trait::async_trait;

use crate::ports::Assets;

/// `destination` of the mount in `spin.toml`.
const FOLDER: &str = "/web";

/// The mounted folder; the component can open no file outside of its mounts.
pub struct MountedFiles;

#[async_trait]
impl Assets for MountedFiles {
    async fn get(&self, path: &str) -> Option<Vec<u8>> {
        let read = std::fs::read(Path::new(FOLDER).join(path));
        read.inspect_err(|error| {
            if error.kind() != ErrorKind::NotFound {
                tracing::warn!(cause = %error, path, "a file of the page was not read");
            }
        })
        .ok()
    }
}
