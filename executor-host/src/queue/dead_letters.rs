//! Dead letters, for an operator: what could not be read, and jobs that no host shall try again.
//! They can be listed, looked at and put back, also while a host serves the queue.

use std::path::{Path, PathBuf};

use super::QueueError;
pub use super::letter::{DeadLetter, Kind};
use super::rabbitmq::{Address, Prefix, letters};
use super::store::{Parked, Store};

/// The dead letters of one queue.
pub enum DeadLetters {
    /// Of the embedded queue in this file, which may be in use.
    InFile(PathBuf),
    /// Of a queue on a broker.
    OnBroker(Address, Prefix),
}

impl DeadLetters {
    /// All of them, the oldest first.
    ///
    /// # Errors
    ///
    /// When the queue cannot be read.
    pub async fn list(&self) -> Result<Vec<DeadLetter>, QueueError> {
        let path = match self {
            Self::OnBroker(address, prefix) => return letters::list(address, prefix).await,
            Self::InFile(path) => path,
        };
        if !path.exists() {
            return Ok(Vec::new());
        }
        let parked = with(path, "list dead letters", |store| store.parked()).await?;
        let letter = |parked: Parked| {
            let kind = match &*parked.topic {
                "results" => Kind::Result,
                _ => Kind::Job,
            };
            DeadLetter::new(parked.id.to_string(), kind, parked.reason, parked.body)
        };
        Ok(parked.into_iter().map(letter).collect())
    }

    /// Puts one back where it was before, to be handed out like a new one: its deliveries are
    /// counted from the beginning. Returns whether there is such a letter.
    ///
    /// # Errors
    ///
    /// When the queue cannot be changed; then the letter is where it was, or in both places.
    pub async fn put_back(&self, id: &str) -> Result<bool, QueueError> {
        let path = match self {
            Self::OnBroker(address, prefix) => return letters::put_back(address, prefix, id).await,
            Self::InFile(path) => path,
        };
        match id.parse() {
            Ok(id) if path.exists() => {
                let work = move |store: &mut Store| store.put_back(id);
                with(path, "put a dead letter back", work).await
            }
            _ => Ok(false),
        }
    }
}

/// Does `work` on a file, beside whoever serves it.
async fn with<T: Send + 'static>(
    path: &Path,
    what: &'static str,
    work: impl FnOnce(&mut Store) -> rusqlite::Result<T> + Send + 'static,
) -> Result<T, QueueError> {
    let path = path.to_owned();
    let done = tokio::task::spawn_blocking(move || work(&mut Store::beside(&path)?)).await;
    let done = done.map_err(|error| QueueError::new(what, error))?;
    done.map_err(|error| QueueError::new(what, error))
}
