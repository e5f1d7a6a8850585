//! Containers that are ready, so that a job need not wait for its own to start: started ahead of
//! any job, or back from one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tracing::warn;

use super::container::{Container, Request};
use super::engine::Engine;
use super::shelves::{Shelves, Turn};

/// The idle containers.
#[derive(Default)]
pub struct Pool {
    shelves: Mutex<Shelves<Container>>,
    /// One is back, was started, or could not be.
    changed: Notify,
}

/// The duty to tell the pool what has become of a container that serves several jobs.
pub struct Loan {
    pool: Arc<Pool>,
    image: String,
    announced: bool,
}

/// Somebody who waits for a container.
struct Waiting<'a> {
    pool: &'a Pool,
    image: &'a str,
    turn: Turn,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.pool.shelves().stop_waiting(self.image, self.turn);
        // Those behind have come nearer.
        self.pool.changed.notify_waiters();
    }
}

impl Loan {
    /// It will be back soon: whoever needs one may as well wait for it.
    pub fn announce_return(&mut self) {
        self.announced = true;
        self.pool.shelves().announce_return(&self.image);
    }

    /// It is back. Returns it if it is not wanted any more.
    pub fn give_back(mut self, container: Container) -> Option<Container> {
        self.end(Some(container))
    }

    fn end(&mut self, back: Option<Container>) -> Option<Container> {
        let image = std::mem::take(&mut self.image);
        let mut shelves = self.pool.shelves();
        let surplus = shelves.end_loan(&image, self.announced, back);
        drop(shelves);
        self.pool.changed.notify_waiters();
        surplus
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if !self.image.is_empty() {
            self.end(None);
        }
    }
}

impl Pool {
    /// How many containers of the image wait.
    pub fn ready(&self, image: &str) -> usize {
        self.shelves().ready(image)
    }

    /// A container of the image, if one is ready or will be so soon. Who comes first is served
    /// first.
    pub async fn take_or_wait(&self, image: &str) -> Option<Container> {
        // The engine may have been started anew since.
        let is_in_order = Container::is_idle;
        let turn = {
            let mut shelves = self.shelves();
            if let Some(container) = shelves.take(image, is_in_order) {
                return Some(container);
            }
            shelves.wait(image)?
        };
        let pool = self;
        let _waiting = Waiting { pool, image, turn };
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            {
                let mut shelves = self.shelves();
                if let Some(container) = shelves.take_in_turn(image, turn, is_in_order) {
                    return Some(container);
                }
                if !shelves.is_worth_waiting(image, turn) {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// Counts a container that is in use as one that will come back.
    pub fn lend(self: &Arc<Self>, container: &Container) -> Loan {
        let image = container.image().to_owned();
        self.shelves().lend(&image);
        Loan {
            pool: Arc::clone(self),
            image,
            announced: false,
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
            self.changed.notify_waiters();
            if let Some(container) = unwanted {
                container.remove().await;
            }
        }
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves<Container>> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
