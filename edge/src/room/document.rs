//! The room's document: `yrs` behind the gate. Nothing else in the room touches `yrs`, and no
//! byte gets from here into a `yrs` decoder that [`super::gate`] or [`super::scan`] has not let
//! through.

use std::collections::BTreeMap;

use codecrafter_shared::api::{SessionContent, WriteContent};
use codecrafter_shared::document::{FILES_MAP, MAIN_TEXT};
use codecrafter_shared::job::SourceFile;
use codecrafter_shared::limits::DOCUMENT_BYTES_MAX;
use yrs::updates::decoder::Decode as _;
use yrs::updates::encoder::Encode as _;
use yrs::{
    ClientID, Doc, GetString as _, Map as _, MapRef, OffsetKind, Options, Out, ReadTxn as _,
    StateVector, Text as _, TextPrelim, TextRef, Transact as _, TransactionMut, Update,
    WriteTxn as _, diff_updates_v1,
};

use super::gate::{self, Verdict, Weight};
use super::place::Places;
use super::read::Malformed;
use super::scan::{self, Caps};
use super::write::{splice, utf16_len};

/// The most that a room holds: `yrs` needs up to 200 bytes of memory for a struct, and
/// [`Places`] up to 100 more.
const HEAVIEST: Weight = Weight {
    bytes: DOCUMENT_BYTES_MAX as u64,
    structs: 131_072,
    clients: 16_384,
};

/// The client that writes a session's first content. Clients draw theirs from 2^32.
const FIRST_CLIENT: u64 = 1;
/// The client that writes for those without a socket ([`Document::write`]), while nothing of the
/// room is in quarantine. One and the same for all of them, as each client of a document is
/// carried along for ever. It must not use a clock twice: so a room that has lost a part of what it
/// wrote, which its clients may know, goes on as another client.
const WRITING_CLIENT: u64 = 2;

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
    /// It would write over something that is not text.
    NotText,
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
        Self {
            // It never edits: what the room itself writes comes by a document of its own.
            doc: doc(WRITING_CLIENT),
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
        let first = doc(FIRST_CLIENT);
        let update = {
            let mut transaction = first.transact_mut();
            let text = transaction.get_or_insert_text(MAIN_TEXT);
            text.insert(&mut transaction, 0, content);
            transaction.encode_update_v1()
        };
        self.integrate(&update)
    }

    /// The whole text: main file, and further files sorted by path.
    #[must_use]
    pub fn read(&self) -> SessionContent {
        let files = self.files().into_iter();
        SessionContent {
            content: self.content(),
            files: files
                .map(|(path, content)| SourceFile { path, content })
                .collect(),
        }
    }

    /// Makes the text what is wanted, by the smallest edit. `lost` is how many pieces of the room
    /// were ever put into quarantine.
    ///
    /// The edit is made in a copy, and comes through the gate like everybody else's: so it is
    /// weighed before anything has changed, and known to [`Places`].
    pub(super) fn write(
        &mut self,
        wanted: &WriteContent,
        lost: u64,
    ) -> Result<Integrated, Refusal> {
        let WriteContent { content, files } = wanted;
        let state = self.doc.transact().encode_diff_v1(&StateVector::default());
        let state = Update::decode_v1(&state).map_err(|_| Refusal::Damaged)?;
        let copy = doc(WRITING_CLIENT.saturating_add(lost));
        if copy.transact_mut().apply_update(state).is_err() {
            return Err(Refusal::Damaged);
        }
        let update = {
            let mut transaction = copy.transact_mut();
            if let Some(content) = content {
                let text = transaction.get_or_insert_text(MAIN_TEXT);
                if !write_text(&text, &mut transaction, content) {
                    return Err(Refusal::NotText);
                }
            }
            if let Some(files) = files {
                let map = transaction.get_or_insert_map(FILES_MAP);
                write_files(&map, &mut transaction, files);
            }
            transaction.commit();
            if !transaction.has_changes() {
                return Ok(Integrated::NOTHING);
            }
            transaction.encode_update_v1()
        };
        self.integrate(&update)
    }
}

fn doc(client: u64) -> Doc {
    let mut options = Options::with_client_id(ClientID::new(client));
    options.offset_kind = OffsetKind::Utf16;
    // Removing formats that have lost their text is an edit; the clients make it.
    options.cleanup_formatting = false;
    Doc::with_options(options)
}

/// Makes `text` what is wanted, if it holds nothing but text: positions in anything else are not
/// those of its string, and `yrs` panics at what it does not find.
fn write_text(text: &TextRef, transaction: &mut TransactionMut<'_>, wanted: &str) -> bool {
    let present = text.get_string(transaction);
    if text.len(transaction) != utf16_len(&present) {
        return false;
    }
    if let Some(splice) = splice(&present, wanted) {
        text.remove_range(transaction, splice.at, splice.removed);
        text.insert(transaction, splice.at, splice.inserted);
    }
    true
}

/// Makes `map` hold these files and nothing else. What is not text gives way to a new text.
fn write_files(map: &MapRef, transaction: &mut TransactionMut<'_>, wanted: &[SourceFile]) {
    let present: Vec<String> = map.keys(transaction).map(str::to_owned).collect();
    for path in present {
        if wanted.iter().all(|file| file.path != path) {
            map.remove(transaction, &path);
        }
    }
    for file in wanted {
        let written = match map.get(transaction, &file.path) {
            Some(Out::YText(text)) => write_text(&text, transaction, &file.content),
            _ => false,
        };
        if !written {
            let text = TextPrelim::new(file.content.as_str());
            map.insert(transaction, file.path.as_str(), text);
        }
    }
}
