//! Loading a document, whatever has become of what is stored.
//!
//! An update is stored after it was integrated, so what is stored has been in a document once. A
//! stored update still must never be able to make a room unusable, should a later `yrs` fail on
//! it. One that is refused while loading goes to `room_quarantine`, and the room goes on without
//! it. One that ends the process is found out: loads that do not come to an end are counted, and
//! after two of them each piece is noted as a suspect until it was loaded. A suspect of
//! [`SUSPECT_MS`] ago was the last thing that some load has touched.

use std::fmt;

use codecrafter_shared::id::{SessionId, UserId};
use codecrafter_shared::time::Timestamp;

use super::super::authors::Authors;
use super::super::document::{Document, Refusal};
use super::super::machine::LoadedDocument;
use super::number;
use crate::ports::{Db, DbError, Tx};

/// Loads that may fail to come to an end before the pieces are tried one by one. Loads at the
/// same time count as well, where a platform has them; that costs time and nothing else.
const LOADS_MAX: u32 = 2;
/// No load lasts as long: no platform gives it so much time.
const SUSPECT_MS: i64 = 60_000;

/// Loads a room's document. `now` is noted with what is put into quarantine.
///
/// # Errors
/// What the database says. A piece that cannot be read is not an error.
pub async fn load_document(
    db: &dyn Db,
    room: SessionId,
    now: Timestamp,
) -> Result<LoadedDocument, DbError> {
    let mut loader = Loader {
        db,
        room,
        now,
        careful: false,
    };
    loader.begin().await?;
    let mut loaded = LoadedDocument::default();
    let updates = loop {
        let read = loader.read().await?;
        loaded.generation = read.generation;
        loaded.last_seq = read.base_seq;
        loaded.authors = Authors::new(read.authors);
        let Some((generation, state)) = read.state else {
            break read.updates;
        };
        let piece = Piece::State(generation);
        let mut document = Document::new();
        let integrated = loader.attempt(piece, || document.integrate_stored(&state));
        match integrated.await? {
            Ok(()) => {
                loaded.document = document;
                break read.updates;
            }
            // The state before it is still there, if there ever was one.
            Err(why) => loader.quarantine(piece, &why).await?,
        }
    };
    for (seq, update) in updates {
        loaded.last_seq = loaded.last_seq.max(seq);
        let piece = Piece::Update(seq);
        let document = &mut loaded.document;
        match loader
            .attempt(piece, || document.integrate_stored(&update))
            .await?
        {
            Ok(()) => {
                loaded.tail_rows = loaded.tail_rows.saturating_add(1);
                loaded.tail_bytes = loaded.tail_bytes.saturating_add(update.len());
            }
            Err(why) => loader.quarantine(piece, &why).await?,
        }
    }
    loaded.lost = loader.end().await?;
    Ok(loaded)
}

fn why(refusal: Refusal) -> String {
    match refusal {
        Refusal::Malformed(malformed) => malformed.to_string(),
        Refusal::Gap | Refusal::Ahead => "something before it is missing".into(),
        Refusal::TooLarge => "the document is too large with it".into(),
        Refusal::TooMuchWork => "its places take too long to find".into(),
        Refusal::NotText => "it writes over what is not text".into(),
        Refusal::Damaged => "it does not fit the document".into(),
    }
}

struct Loader<'a> {
    db: &'a dyn Db,
    room: SessionId,
    now: Timestamp,
    /// Whether each piece is noted before it is touched.
    careful: bool,
}

/// What can be the end of a load.
#[derive(Clone, Copy)]
enum Piece {
    /// A state, by its generation.
    State(u64),
    /// An update, by its number.
    Update(u64),
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(generation) => write!(f, "state {generation}"),
            Self::Update(seq) => write!(f, "update {seq}"),
        }
    }
}

/// Everything that is stored of a document, of one moment.
struct Read {
    generation: u64,
    base_seq: u64,
    /// The newest state that is left, with its generation.
    state: Option<(u64, Vec<u8>)>,
    /// Oldest first, with their numbers.
    updates: Vec<(u64, Vec<u8>)>,
    /// Whose each client is.
    authors: Vec<(u64, UserId)>,
}

impl Loader<'_> {
    /// Notes that a load has begun, and finds out whether those before it have ended.
    async fn begin(&mut self) -> Result<(), DbError> {
        let room = self.room;
        let begun = self.db.transaction(|tx| async move {
            let sql = "INSERT INTO room_head (room, generation, base_seq, loads)
                       VALUES (?, 0, 0, 1) ON CONFLICT (room) DO UPDATE SET
                       loads = loads + 1 RETURNING loads";
            let head = tx.first(sql, [room.into()]).await?;
            head.map_or(Ok(1), |row| row.get::<u32>("loads"))
        });
        self.careful = begun.await? > LOADS_MAX;
        Ok(())
    }

    /// Notes that the load has come to its end; gives how many pieces were ever put into
    /// quarantine.
    async fn end(&self) -> Result<u64, DbError> {
        let room = self.room;
        let ended = self.db.transaction(|tx| async move {
            tx.execute(
                "UPDATE room_head SET loads = 0 WHERE room = ?",
                [room.into()],
            )
            .await?;
            let sql = "SELECT count(*) AS lost FROM room_quarantine WHERE room = ? AND part = 0";
            let lost = tx.first(sql, [room.into()]).await?;
            lost.map_or(Ok(0), |row| row.get("lost"))
        });
        ended.await
    }

    async fn read(&self) -> Result<Read, DbError> {
        let room = self.room;
        let read = self.db.transaction(|tx| async move {
            let sql = "SELECT generation, base_seq FROM room_head WHERE room = ?";
            let head = tx.first(sql, [room.into()]).await?;
            let head = head.ok_or_else(|| DbError::Failed("no head of the room".into()))?;

            let sql = "SELECT generation, data FROM room_snapshot WHERE room = ? AND
                       generation = (SELECT max(generation) FROM room_snapshot WHERE room = ?)
                       ORDER BY part";
            let mut state: Option<(u64, Vec<u8>)> = None;
            for row in tx.execute(sql, [room.into(), room.into()]).await? {
                let data: Vec<u8> = row.get("data")?;
                match &mut state {
                    Some((_, state)) => state.extend(data),
                    None => state = Some((row.get("generation")?, data)),
                }
            }

            let sql = "SELECT seq, data FROM room_update WHERE room = ? ORDER BY seq";
            let mut updates = Vec::new();
            for row in tx.execute(sql, [room.into()]).await? {
                updates.push((row.get("seq")?, row.get("data")?));
            }
            let sql = "SELECT client, user_id FROM room_author WHERE room = ?";
            let mut authors = Vec::new();
            for row in tx.execute(sql, [room.into()]).await? {
                authors.push((row.get("client")?, row.get("user_id")?));
            }
            let (generation, base_seq) = (head.get("generation")?, head.get("base_seq")?);
            Ok(Read {
                generation,
                base_seq,
                state,
                updates,
                authors,
            })
        });
        read.await
    }

    /// Loads a piece, or says why not.
    async fn attempt<T: Send>(
        &self,
        piece: Piece,
        load: impl FnOnce() -> Result<T, Refusal> + Send,
    ) -> Result<Result<T, String>, DbError> {
        if !self.careful {
            return Ok(load().map_err(why));
        }
        if self.now.since(self.suspect(piece).await?) >= SUSPECT_MS {
            return Ok(Err("it has ended the process".into()));
        }
        let loaded = load().map_err(why);
        self.acquit(piece).await?;
        Ok(loaded)
    }

    /// Notes the piece that is touched next; gives the time when that was first done and not
    /// taken back.
    async fn suspect(&self, piece: Piece) -> Result<Timestamp, DbError> {
        let (room, now) = (self.room, self.now);
        let noted = self.db.transaction(|tx| async move {
            let sql = "INSERT INTO room_suspect (room, piece, at) VALUES (?, ?, ?)
                       ON CONFLICT (room, piece) DO UPDATE SET at = at RETURNING at";
            let values = [room.into(), piece.to_string().into(), now.into()];
            let row = tx.first(sql, values).await?;
            row.map_or(Ok(now), |row| row.get("at"))
        });
        noted.await
    }

    async fn acquit(&self, piece: Piece) -> Result<(), DbError> {
        let room = self.room;
        let acquitted = self
            .db
            .transaction(|tx| async move { acquit(&tx, room, piece).await });
        acquitted.await
    }

    /// Puts a piece out of the way, where an operator can look into it.
    async fn quarantine(&self, piece: Piece, why: &str) -> Result<(), DbError> {
        let (room, now) = (self.room, self.now);
        let (copy, delete, key) = match piece {
            Piece::State(generation) => (
                "INSERT INTO room_quarantine (room, piece, at, part, why, data)
                 SELECT room, ?, ?, part, ?, data FROM room_snapshot
                 WHERE room = ? AND generation = ? ON CONFLICT DO NOTHING",
                "DELETE FROM room_snapshot WHERE room = ? AND generation = ?",
                generation,
            ),
            Piece::Update(seq) => (
                "INSERT INTO room_quarantine (room, piece, at, part, why, data)
                 SELECT room, ?, ?, 0, ?, data FROM room_update
                 WHERE room = ? AND seq = ? ON CONFLICT DO NOTHING",
                "DELETE FROM room_update WHERE room = ? AND seq = ?",
                seq,
            ),
        };
        let moved = self.db.transaction(|tx| async move {
            let note = [piece.to_string().into(), now.into(), why.into()];
            tx.execute(copy, note.into_iter().chain([room.into(), number(key)]))
                .await?;
            tx.execute(delete, [room.into(), number(key)]).await?;
            acquit(&tx, room, piece).await
        });
        moved.await
    }
}

async fn acquit(tx: &Tx, room: SessionId, piece: Piece) -> Result<(), DbError> {
    let sql = "DELETE FROM room_suspect WHERE room = ? AND piece = ?";
    tx.execute(sql, [room.into(), piece.to_string().into()])
        .await?;
    Ok(())
}
