//! What a host got when it enrolled, in `credentials.json` of the state folder. The private key
//! never leaves this file and this process.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use codecrafter_shared::id::ExecutorId;
use jwt_simple::prelude::Ed25519KeyPair;
use reqwest::Url;
use serde::{Deserialize, Serialize};

/// An edge, and who this host is there.
#[derive(Clone)]
pub struct Credentials {
    /// Scheme, host and port of the edge.
    pub edge: Url,
    /// The host's name there.
    pub executor_id: ExecutorId,
    /// Signs the host's requests.
    pub key: Ed25519KeyPair,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Credentials");
        shown
            .field("edge", &self.edge.as_str())
            .field("executor_id", &self.executor_id);
        shown.finish_non_exhaustive()
    }
}

/// The file's content.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stored {
    edge: String,
    executor_id: ExecutorId,
    /// Ed25519 seed and public key, base64url without padding.
    key: String,
}

/// Why credentials could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {why}")]
pub struct CredentialsError {
    path: String,
    why: String,
}

impl Credentials {
    /// Where they lie in the state folder.
    #[must_use]
    pub fn path(state_dir: &Path) -> PathBuf {
        state_dir.join("credentials.json")
    }

    /// Reads them; `None` if this host has not joined yet.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or is not one of ours.
    pub fn load(state_dir: &Path) -> Result<Option<Self>, CredentialsError> {
        let path = Self::path(state_dir);
        let failed = |why: String| CredentialsError {
            path: path.display().to_string(),
            why,
        };
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error.to_string())),
        };
        // Not the decoder's own words: they may quote the key.
        let stored: Stored =
            serde_json::from_slice(&text).map_err(|_| failed("not a credentials file".into()))?;
        let key = URL_SAFE_NO_PAD.decode(stored.key).ok();
        let key = key.and_then(|bytes| Ed25519KeyPair::from_bytes(&bytes).ok());
        let key = key.ok_or_else(|| failed("the key is damaged".into()))?;
        let edge = stored
            .edge
            .parse()
            .map_err(|_| failed("the edge's URL is damaged".into()))?;
        Ok(Some(Self {
            edge,
            executor_id: stored.executor_id,
            key,
        }))
    }

    /// Writes them, readable for their owner only. After a crash the file holds either the old
    /// credentials or the new ones.
    ///
    /// # Errors
    ///
    /// When the folder cannot be made or written to.
    pub fn store(&self, state_dir: &Path) -> Result<(), CredentialsError> {
        let path = Self::path(state_dir);
        let stored = Stored {
            edge: self.edge.to_string(),
            executor_id: self.executor_id,
            key: URL_SAFE_NO_PAD.encode(self.key.to_bytes()),
        };
        let written = make_state_dir(state_dir)
            .and_then(|()| Ok(serde_json::to_vec_pretty(&stored)?))
            .and_then(|text| replace(&path, &text));
        written.map_err(|error| CredentialsError {
            path: path.display().to_string(),
            why: error.to_string(),
        })
    }
}

/// Makes the state folder, for its owner only, if it is not there.
///
/// # Errors
///
/// Those of the file system.
pub fn make_state_dir(state_dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state_dir)
}

fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = path.with_extension("json.new");
    // What an earlier crash left may have been made by somebody else, with other permissions.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}
