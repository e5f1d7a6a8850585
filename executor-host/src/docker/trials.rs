//! Which languages are offered: those whose images are there and work, which is tried out in the
//! background.

use std::sync::Arc;
use std::time::{Duration, Instant};

use codecrafter_shared::language::LanguageRow;
use futures_util::future::try_join_all;
use tokio::time::timeout;
use tracing::error;

use super::images::Working;
use super::lending::request_ahead;
use super::{Inner, lock, probe};
use crate::sandbox::HostFault;

/// Images that are tried out at a time, of those that answer quickly.
pub const PROBES: usize = 2;
/// An image that takes longer keeps no other from being tried out.
const PROBE_QUICK: Duration = Duration::from_secs(5);

impl Inner {
    /// Finds out which images there are, and has those tried out that need it.
    pub(super) async fn look(self: &Arc<Self>) -> Result<(), HostFault> {
        let ids = self
            .rows()
            .iter()
            .map(|row| self.engine.image_id(&row.image));
        let ids = try_join_all(ids).await?;
        for (row, image) in self.rows().iter().zip(ids) {
            if lock(&self.images).seen(&row.id, image.as_deref(), Instant::now())
                && let Some(image) = image
            {
                self.try_out(row.clone(), image);
            }
        }
        Ok(())
    }

    /// Tries out an image in the background. Other languages neither wait for it nor stop.
    pub(super) fn try_out(self: &Arc<Self>, row: LanguageRow, image: String) {
        let inner = Arc::clone(self);
        let tried = async move {
            let request = request_ahead(&row, image.clone());
            let version = inner
                .in_turn(probe::version(&inner.engine, request, &row))
                .await;
            let fault = version.as_ref().err().map(ToString::to_string);
            let now = Instant::now();
            let again = lock(&inner.images).tried(&row.id, &image, version.ok(), now);
            if let (Some(fault), Some(again)) = (fault, again) {
                let seconds = (again - now).as_secs();
                error!(
                    language = row.id,
                    image = row.image,
                    fault,
                    "an image does not work; it is tried again after {seconds} s"
                );
            }
            inner.tried.notify_waiters();
            inner.changed.notify_one();
        };
        let closing = self.closing.clone();
        let tried = async move { closing.run_until_cancelled(tried).await };
        self.engine.tasks.spawn(tried);
    }

    /// Does `work` in its turn; the next one's comes soon, even if this one takes long.
    pub(super) async fn in_turn<T>(&self, work: impl Future<Output = T>) -> T {
        let turn = self.probes.acquire().await;
        let mut work = std::pin::pin!(work);
        match timeout(PROBE_QUICK, &mut work).await {
            Ok(done) => done,
            Err(_) => {
                drop(turn);
                work.await
            }
        }
    }

    /// Waits until no image is being tried out for the first time, as long as one after the other
    /// comes to its end within `each`, and for no longer than `all`.
    pub(super) async fn images_tried(&self, each: Duration, all: Duration) {
        let waited = async {
            loop {
                let mut tried = std::pin::pin!(self.tried.notified());
                tried.as_mut().enable();
                if !lock(&self.images).has_new() || timeout(each, tried).await.is_err() {
                    return;
                }
            }
        };
        let _ = timeout(all, waited).await;
    }

    /// The languages whose images work, in the table's order.
    pub(super) fn working(&self) -> Vec<(&LanguageRow, Working)> {
        let images = lock(&self.images);
        let rows = self.rows().iter();
        rows.filter_map(|row| Some((row, images.working(&row.id)?)))
            .collect()
    }
}
