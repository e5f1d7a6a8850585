//! Containers that were started ahead of any job, so that a job need not wait for its own to
//! start. Each serves one job and is removed after it, like any other.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::warn;

use super::container::{Container, Request};
use super::engine::Engine;
use super::shelves::Shelves;

/// The idle containers.
#[derive(Default)]
pub struct Pool {
    shelves: Mutex<Shelves<Container>>,
}

impl Pool {
    /// A container of the image, if one is ready.
    pub fn take(&self, image: &str) -> Option<Container> {
        loop {
            let mut container = self.shelves().take(image)?;
            // The engine may have been started anew since.
            if container.is_idle() {
                return Some(container);
            }
        }
    }

    /// From now on keeps `each` containers ready of what is `wanted`, and no others: starts what
    /// is missing, one after the other for each image, and removes the others, in the background.
    /// Once the engine's tasks are closed, nothing can be wanted any more.
    pub fn stock(self: &Arc<Self>, engine: &Arc<Engine>, wanted: &[Request], each: usize) {
        let images: Vec<_> = wanted.iter().map(|request| &*request.image).collect();
        let mut shelves = self.shelves();
        if engine.tasks.is_closed() && !wanted.is_empty() {
            return;
        }
        let surplus = shelves.want(&images, each);
        let missing: Vec<_> = wanted
            .iter()
            .map(|request| (request.clone(), shelves.start(&request.image)))
            .filter(|(_, missing)| *missing > 0)
            .collect();
        // Counted as tasks before anybody can close them and wait for the end of all.
        if !surplus.is_empty() {
            engine.tasks.spawn(async move {
                for container in surplus {
                    container.remove().await;
                }
            });
        }
        for (request, missing) in missing {
            let (pool, engine) = (Arc::clone(self), Arc::clone(engine));
            let tasks = engine.tasks.clone();
            tasks.spawn(async move { pool.start(engine, request, missing).await });
        }
    }

    async fn start(&self, engine: Arc<Engine>, request: Request, missing: usize) {
        for _ in 0..missing {
            let started = Container::start(Arc::clone(&engine), request.clone()).await;
            let started = started.inspect_err(|error| {
                // A job that finds none ready starts its own, and meets the fault itself.
                warn!(%error, "no container could be started ahead");
            });
            let unwanted = self.shelves().put(&request.image, started.ok());
            if let Some(container) = unwanted {
                container.remove().await;
            }
        }
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves<Container>> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
