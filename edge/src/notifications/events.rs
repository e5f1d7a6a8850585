//! What a client hears of a person's log, from where it is: the rules that sockets and event streams
//! share, and the waiting of event streams.
//!
//! An event stream is held open until there is something to tell, and ends with it; the next one says
//! how far the client is. So one answer in one piece is enough, which every platform can give. However
//! many streams an instance holds, one of them looks into the database for all (on Spin, where nobody
//! can wake another request).

use codecrafter_shared::api::FeedFrame;
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::time::Timestamp;

use super::calls::{Heard, Listen};
use super::listeners::Listening;
use super::shard::{People, topic};
use super::store::{self, News};
use super::visitor::Mark;
use crate::error::Refusal;
use crate::ports::DbError;
use crate::token::Caller;

/// How long a stream waits that nobody wakes, before it looks for itself.
const WAIT_MS: u32 = 5_000;

impl Mark {
    /// From the id of an event: `<seq>.<readSeq>`.
    #[must_use]
    pub fn parse(id: &str) -> Option<Self> {
        let (seq, read_seq) = id.split_once('.')?;
        Some(Self {
            seq: seq.parse().ok()?,
            read_seq: read_seq.parse().ok()?,
        })
    }

    /// As the id of an event.
    #[must_use]
    pub fn id(self) -> String {
        format!("{}.{}", self.seq, self.read_seq)
    }
}

/// What a client hears that has all up to `after`. Of one that comes for the first time, or cannot be
/// told what it has missed, only how it stands: it asks for the list.
#[must_use]
pub fn frames(news: News, after: Option<Mark>) -> (Vec<FeedFrame>, Mark) {
    let News {
        head,
        unread,
        notes,
        ..
    } = news;
    let mark = Mark {
        seq: head.seq,
        read_seq: head.read_seq,
    };
    let gap = after.is_some_and(|after| after.seq < head.lost_seq || after.seq > head.seq);
    let Some(after) = after.filter(|_| !gap) else {
        let hello = FeedFrame::Hello {
            seq: head.seq,
            read_seq: head.read_seq,
            unread,
            gap,
        };
        return (vec![hello], mark);
    };
    let told = notes
        .into_iter()
        .map(|notification| FeedFrame::Notification {
            notification,
            unread,
        });
    let mut frames: Vec<FeedFrame> = told.collect();
    if after.read_seq != head.read_seq {
        frames.push(FeedFrame::Read {
            read_seq: head.read_seq,
            unread,
        });
    }
    (frames, mark)
}

impl People {
    /// [`Listen`].
    ///
    /// # Errors
    /// [`ErrorCode::LoginSessionEnded`], also of a login that ends meanwhile; those of the database.
    pub(super) async fn listen(&self, call: Listen) -> Result<Heard, Refusal> {
        let (caller, user) = (call.caller, call.caller.user_id);
        let crowded = call.after.is_some() && !self.listeners.join(user);
        let _listening = (!crowded).then_some(Listening(&self.listeners, user));
        let begun = self.clock.now();
        let until = begun.plus_millis(call.wait_ms.into());
        let mut seen = None;
        let mut looked_at = begun;
        loop {
            // Listened to before looking, so that nothing falls between the two.
            let listener = self.signals.listen(&[topic(user)]);
            let now = self.clock.now();
            self.look_for_all(now).await?;
            let changes = self.listeners.changes(user);
            let rested = !(0..i64::from(WAIT_MS)).contains(&now.since(looked_at));
            if seen != Some(changes) || rested {
                (seen, looked_at) = (Some(changes), now);
                let news = self.news(caller, call.after).await?;
                let (frames, mark) = frames(news, call.after);
                if !frames.is_empty() || crowded {
                    return Ok(Heard {
                        frames,
                        mark,
                        crowded,
                    });
                }
            }
            if now >= until || now < begun {
                let mark = call.after.unwrap_or(Mark {
                    seq: 0,
                    read_seq: 0,
                });
                return Ok(Heard {
                    frames: Vec::new(),
                    mark,
                    crowded,
                });
            }
            listener.wait(WAIT_MS).await;
        }
    }

    /// What a client of this login lacks.
    ///
    /// # Errors
    /// [`ErrorCode::LoginSessionEnded`]; those of the database.
    pub async fn news(&self, caller: Caller, after: Option<Mark>) -> Result<News, Refusal> {
        let seq = after.map_or(u64::MAX, |after| after.seq);
        let news = store::news(self.database().await?, caller, seq, self.clock.now()).await?;
        if news.ended {
            return Err(Refusal::new(ErrorCode::LoginSessionEnded));
        }
        Ok(news)
    }

    /// Looks whose logs have changed, if it is time and nobody else is about to.
    async fn look_for_all(&self, now: Timestamp) -> Result<(), DbError> {
        let Some(seen) = self.listeners.begin(now) else {
            return Ok(());
        };
        let db = self.database().await?;
        let version = store::version(db).await?;
        if version != seen {
            let changed = store::changed_since(db, seen).await?;
            self.listeners.found(version, &changed);
        }
        Ok(())
    }
}
