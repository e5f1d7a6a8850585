//! Containers that were started ahead of any job, so that a job need not wait for its own to
//! start. Each serves one job and is removed after it, like any other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::warn;

use super::container::{Container, Request};
use super::engine::Engine;
use crate::sandbox::HostFault;

/// The idle containers.
#[derive(Default)]
pub struct Pool {
    /// By the image's id, so that an image that was built anew is not served by an old one.
    idle: Mutex<HashMap<String, Shelf>>,
}

#[derive(Default)]
struct Shelf {
    ready: Vec<Container>,
    starting: usize,
}

impl Pool {
    /// A container of the image, if one is ready.
    pub fn take(&self, image: &str) -> Option<Container> {
        loop {
            let mut container = self.lock().get_mut(image)?.ready.pop()?;
            // The engine may have been started anew since.
            if container.is_idle() {
                return Some(container);
            }
        }
    }

    /// Starts as many containers as are missing to `target`, one after the other, in the
    /// background.
    pub fn refill(self: &Arc<Self>, engine: &Arc<Engine>, request: &Request, target: usize) {
        if engine.tasks.is_closed() {
            return;
        }
        let missing = {
            let mut idle = self.lock();
            let shelf = idle.entry(request.image.clone()).or_default();
            let missing = target.saturating_sub(shelf.ready.len() + shelf.starting);
            shelf.starting += missing;
            missing
        };
        if missing == 0 {
            return;
        }
        let (pool, engine, request) = (Arc::clone(self), Arc::clone(engine), request.clone());
        let tasks = engine.tasks.clone();
        tasks.spawn(async move {
            for _ in 0..missing {
                let started = Container::start(Arc::clone(&engine), request.clone()).await;
                let unwanted = pool.put(&request.image, started);
                if let Some(container) = unwanted {
                    container.remove().await;
                }
            }
        });
    }

    /// Takes in what was started, and gives it back if it is not wanted any more.
    fn put(&self, image: &str, started: Result<Container, HostFault>) -> Option<Container> {
        let mut idle = self.lock();
        let shelf = idle.get_mut(image);
        match (shelf, started) {
            (Some(shelf), Ok(container)) => {
                shelf.starting = shelf.starting.saturating_sub(1);
                shelf.ready.push(container);
                None
            }
            (None, Ok(container)) => Some(container),
            (shelf, Err(error)) => {
                // A job that finds none ready starts its own, and meets the fault itself.
                warn!(%error, "no container could be started ahead");
                if let Some(shelf) = shelf {
                    shelf.starting = shelf.starting.saturating_sub(1);
                }
                None
            }
        }
    }

    /// Removes the idle containers of every image but these.
    pub async fn keep_only(&self, images: &[String]) {
        let shelves: Vec<_> = self
            .lock()
            .extract_if(|image, _| !images.contains(image))
            .collect();
        for container in shelves.into_iter().flat_map(|(_, shelf)| shelf.ready) {
            container.remove().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Shelf>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
