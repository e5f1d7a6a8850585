//! Reading the database for all streams that an instance has of a room.

use codecrafter_shared::id::SessionId;

use super::hub::Hub;
use super::rooms::StreamedRooms;
use super::store;
use crate::ports::DbError;

impl StreamedRooms {
    /// Reads what is new in a room, and does what is due in it, if it is time and nobody else is
    /// about to.
    ///
    /// # Errors
    /// What the database says.
    pub(super) async fn poll(&self, session: SessionId) -> Result<(), DbError> {
        let now = self.clock.now();
        let Some((mut last, tends)) = self.hub.begin(session, now) else {
            return Ok(());
        };
        let _reading = Reading(&self.hub, session);
        loop {
            let frames = store::frames_after(&*self.db, session, last).await?;
            let Some(newest) = frames.last().map(|frame| frame.seq) else {
                break;
            };
            last = newest;
            self.hub.add(session, frames);
        }
        if tends && self.tend(session, now).await.is_err() {
            tracing::warn!(session.id = %session, "what was due in a room is done later");
        }
        Ok(())
    }
}

/// Somebody reads, until this is dropped: also if the request ends in the middle.
struct Reading<'a>(&'a Hub, SessionId);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.end(self.1);
    }
}
