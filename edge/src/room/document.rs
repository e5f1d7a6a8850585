//! The room's document: `yrs` behind the gate. Nothing else in the room touches `yrs`, and no
//! byte gets from here into a `yrs` decoder that [`super::gate`] or [`super::scan`] has not let
//! through.

use std::collections::BTreeMap;

use codecrafter_shared::document::{FILES_MAP, MAIN_TEXT};
use codecrafter_shared::limits::DOCUMENT_BYTES_MAX;
use yrs::updates::decoder::Decode as _;
use yrs::updates::encoder::Encode as _;
use yrs::{
    ClientID, Doc, GetString as _, Map as _, OffsetKind, Options, Out, ReadTxn as _, StateVector,
    Text as _, Transact as _, Update, WriteTxn as _, diff_updates_v1,
};

use super::gate::{self, Verdict, Weight};
use super::place::Places;
use super::read::Malformed;
use super::scan::{self, Caps};

/// The most that a room holds: `yrs` needs up to 200 bytes of memory for a struct, and
/// [`Places`] up to 100 more.
const HEAVIEST: Weight = Weight {
    bytes: DOCUMENT_BYTES_MAX as u64,
    structs: 131_072,
    clients: 16_384,
};

/// The client that writes a session's first content. Clients draw theirs from 2^32.
const FIRST_CLIENT: u64 = 1;
/// The room's own client id. It never edits: the first content comes by a document of its own.
const ROOM_CLIENT: u64 = 2;

/// A Yjs document, and how heavy it is.
#[derive(Debug)]
pub struct Document {
    doc: Doc,
    /// Where everything in it is.
    places: Places,
    /// At most this; exact after each [`Document::weigh`].
    weight: Weight,
}

/// What became of an update.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Integrated {
    /// What the document really took in, encoded by us; `None` if that was nothing.
    pub(super) update: Option<Vec<u8>>,
    /// Whether that was all of it. If not, the rest is dropped, and whoever sent it is to be
    /// asked again.
    pub(super) complete: bool,
}

impl Integrated {
    const NOTHING: Self = Self {
        update: None,
        complete: true,
    };
}

/// Why an update was not integrated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// No honest client writes this.
    Malformed(Malformed),
    /// Something before it is missing.
    Gap,
    /// The document would become too heavy.
    TooLarge,
    /// `yrs` gave up half way: this document is not to be used any more.
    Damaged,
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl Default for Document {
    fn default() -> Self {
        Self::new()
    }
}

// `transact` and `transact_mut` wait for a live transaction of the same document, and panic on
// WebAssembly instead. There is none: a transaction never leaves the method that begins it.
impl Document {
    /// The empty document.
    #[must_use]
    pub fn new() -> Self {
        let mut options = Options::with_client_id(ClientID::new(ROOM_CLIENT));
        options.offset_kind = OffsetKind::Utf16;
        // Removing formats that have lost their text is an edit; the clients make it.
        options.cleanup_formatting = false;
        Self {
            doc: Doc::with_options(options),
            places: Places::default(),
            weight: Weight::default(),
        }
    }

    /// Whether nothing was ever written into it.
    pub(super) fn is_blank(&self) -> bool {
        self.doc.transact().state_vector().is_empty()
    }

    /// Integrates an update of a client.
    pub(super) fn integrate(&mut self, update: &[u8]) -> Result<Integrated, Refusal> {
        self.integrate_within(update, Caps::FRAME, HEAVIEST)
    }

    /// Integrates what was stored: an update that [`Document::integrate`] gave, or a state that
    /// [`Document::state`] gave. It passes the same gate; only its size is not limited.
    pub(super) fn integrate_stored(&mut self, update: &[u8]) -> Result<(), Refusal> {
        let integrated = self.integrate_within(update, Caps::STORED, Weight::MAX)?;
        if integrated.complete {
            Ok(())
        } else {
            Err(Refusal::Gap)
        }
    }

    fn integrate_within(
        &mut self,
        update: &[u8],
        caps: Caps,
        heaviest: Weight,
    ) -> Result<Integrated, Refusal> {
        let known = self.doc.transact().state_vector();
        let trimmed;
        let mut update = update;
        let mut judged = gate::judge(update, &known, caps)?;
        if judged.verdict == Verdict::Overlaps {
            trimmed = diff_updates_v1(update, &known.encode_v1())
                .map_err(|_| Malformed("an update that yrs cannot read"))?;
            update = &trimmed;
            judged = gate::judge(update, &known, caps)?;
        }
        match judged.verdict {
            Verdict::Fits => {}
            Verdict::Nothing => return Ok(Integrated::NOTHING),
            Verdict::Gap => return Err(Refusal::Gap),
            Verdict::Overlaps => return Err(Malformed("an update that cannot be trimmed").into()),
        }
        self.make_room(judged.weight, heaviest)?;
        let update =
            Update::decode_v1(update).map_err(|_| Malformed("an update that yrs cannot read"))?;
        self.places.find(&mut judged.structs)?;

        let mut transaction = self.doc.transact_mut();
        if transaction.apply_update(update).is_err() {
            return Err(Refusal::Damaged);
        }
        let complete = transaction.prune_pending().is_none();
        transaction.commit();
        let update = transaction
            .has_changes()
            .then(|| transaction.encode_update_v1());
        let reached = transaction.state_vector();
        drop(transaction);
        self.places.keep(&judged.structs, |client| {
            reached.get(&ClientID::new(client)).into()
        });
        self.weight = self.weight.plus(judged.weight);
        Ok(Integrated { update, complete })
    }

    /// Refuses what would make the document too heavy; what only deletes does not. The weight that
    /// is kept is too high, as integrating merges structs: so it is taken anew before anything is
    /// refused.
    fn make_room(&mut self, more: Weight, heaviest: Weight) -> Result<(), Refusal> {
        if more.structs == 0 || self.weight.plus(more).is_within(heaviest) {
            return Ok(());
        }
        self.weigh();
        if self.weight.plus(more).is_within(heaviest) {
            Ok(())
        } else {
            Err(Refusal::TooLarge)
        }
    }

    /// Takes the exact weight.
    fn weigh(&mut self) {
        self.state();
    }

    /// The state vector, encoded.
    pub(super) fn state_vector(&self) -> Vec<u8> {
        self.doc.transact().state_vector().encode_v1()
    }

    /// What a client with this encoded state vector lacks, as an update.
    pub(super) fn lacking(&self, state_vector: &[u8]) -> Result<Vec<u8>, Malformed> {
        scan::state_vector(state_vector)?;
        let state_vector = StateVector::decode_v1(state_vector)
            .map_err(|_| Malformed("a state vector that yrs cannot read"))?;
        Ok(self.doc.transact().encode_diff_v1(&state_vector))
    }

    /// The whole as one update, or `None` if that could not be read back: then nothing may be
    /// thrown away for it. Encoding V1, although V2 is a third smaller: `yrs` 0.28 does not read
    /// all of its own V2 (lists of values of mixed kinds), and the gate reads V1.
    pub(super) fn state(&mut self) -> Option<Vec<u8>> {
        let transaction = self.doc.transact();
        let state = transaction.encode_diff_v1(&StateVector::default());
        self.weight = gate::judge(&state, &StateVector::default(), Caps::STORED)
            .ok()?
            .weight;
        let read_back = Update::decode_v1(&state).ok()?.state_vector();
        (read_back == transaction.state_vector()).then_some(state)
    }

    /// The main file.
    #[must_use]
    pub fn content(&self) -> String {
        let transaction = self.doc.transact();
        transaction
            .get_text(MAIN_TEXT)
            .map(|text| text.get_string(&transaction))
            .unwrap_or_default()
    }

    /// The further files by their path. Entries that are no text are left out. A path is what a
    /// client wrote: check it before use.
    #[must_use]
    pub fn files(&self) -> BTreeMap<String, String> {
        let transaction = self.doc.transact();
        let Some(files) = transaction.get_map(FILES_MAP) else {
            return BTreeMap::new();
        };
        files
            .iter(&transaction)
            .filter_map(|(path, value)| match value {
                Out::YText(text) => Some((path.to_owned(), text.get_string(&transaction))),
                _ => None,
            })
            .collect()
    }

    /// Puts a session's first content into a blank document. The update is the same however
    /// often and wherever it is made, so doing it twice does it once.
    pub(super) fn initialise(&mut self, content: &str) -> Result<Integrated, Refusal> {
        if content.is_empty() || !self.is_blank() {
            return Ok(Integrated::NOTHING);
        }
        let first = Doc::with_client_id(FIRST_CLIENT);
        let update = {
            let mut transaction = first.transact_mut();
            let text = transaction.get_or_insert_text(MAIN_TEXT);
            text.insert(&mut transaction, 0, content);
            transaction.encode_update_v1()
        };
        self.integrate(&update)
    }
}
