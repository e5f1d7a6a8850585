//! The room's document: `yrs` behind the gate. Nothing else in the room touches `yrs`, and no
//! byte gets from here into a `yrs` decoder that [`super::gate`] or [`super::scan`] has not let
//! through.

mod content;

use std::borrow::Cow;
use std::cell::OnceCell;

use codecrafter_shared::limits::DOCUMENT_BYTES_MAX;
use yrs::updates::decoder::Decode as _;
use yrs::updates::encoder::Encode as _;
use yrs::{
    BranchID, ClientID, Doc, ID, OffsetKind, Options, ReadTxn as _, StateVector, Transact as _,
    Update, WriteTxn as _, diff_updates_v1, merge_updates_v1,
};

use super::gate::{self, Judged, Verdict};
use super::order::{Unfit, Work};
use super::place::Places;
use super::read::Malformed;
use super::scan::{self, Caps, Id, rewrite};
use super::weight::Weight;

/// The most that a room holds: `yrs` needs up to 200 bytes of memory for a struct, and
/// [`Places`] up to 100 more.
const HEAVIEST: Weight = Weight {
    bytes: DOCUMENT_BYTES_MAX as u64,
    structs: 131_072,
    clients: 16_384,
};
/// What only deletes may make more structs, as it splits what is there: so a document that is full
/// can be made smaller.
const HEAVIEST_OF_DELETING: Weight = Weight {
    bytes: u64::MAX,
    structs: 2 * HEAVIEST.structs,
    clients: u64::MAX,
};

/// How many items `yrs` may look at to find the places of what is in one update. What people type
/// next to what they see needs none; each edit that was made offline needs those that others have
/// put in the same place meanwhile.
const WORK_MAX: u64 = 3_000_000;

/// The client that writes for those without a socket ([`Document::write`]), while nothing of the
/// room is in quarantine. One and the same for all of them, as each client of a document is
/// carried along for ever. It must not use a clock twice: so a room that has lost a part of what it
/// wrote, which its clients may know, goes on as another client.
const WRITING_CLIENT: u64 = 2;

/// A Yjs document, and how heavy it is.
#[derive(Debug)]
pub struct Document {
    doc: Doc,
    /// Where each client's history ends in it. `yrs` would count that anew each time.
    known: StateVector,
    /// Where everything in it is.
    places: Places,
    /// At most this; exact after each [`Document::weigh`].
    weight: Weight,
    /// What the last update needed, in items looked at.
    work: u64,
    /// All of it as one update, until the next one: people come into a room together.
    whole: OnceCell<Vec<u8>>,
    /// Whether `yrs` has given up half way.
    damaged: bool,
}

/// Who has made an update, and so what is taken from it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// Anybody.
    Client,
    /// This room.
    Store,
}

/// What became of an update.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Integrated {
    /// What the document really took in, encoded by us; `None` if that was nothing, or came from
    /// the store.
    pub(super) update: Option<Vec<u8>>,
    /// The clients whose history goes on in it.
    pub(super) clients: Vec<u64>,
    /// Whether that was all of it. If not, the rest is dropped, and whoever sent it is to be
    /// asked again.
    pub(super) complete: bool,
}

impl Integrated {
    pub(super) const NOTHING: Self = Self {
        update: None,
        clients: Vec::new(),
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
    /// It stands on what somebody else, who is present, has yet to send.
    Ahead,
    /// The document would become too heavy.
    TooLarge,
    /// It would take too long.
    TooMuchWork,
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

impl From<Unfit> for Refusal {
    fn from(unfit: Unfit) -> Self {
        match unfit {
            Unfit::Malformed(malformed) => Self::Malformed(malformed),
            Unfit::TooMuchWork => Self::TooMuchWork,
        }
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
            known: StateVector::default(),
            places: Places::default(),
            weight: Weight::default(),
            work: 0,
            whole: OnceCell::new(),
            damaged: false,
        }
    }

    /// Whether nothing was ever written into it.
    pub(super) fn is_blank(&self) -> bool {
        self.known.is_empty()
    }

    /// Integrates an update.
    pub(super) fn integrate(&mut self, update: &[u8]) -> Result<Integrated, Refusal> {
        self.integrate_from(Source::Client, update, |_| true)
    }

    /// Integrates an update of somebody who may go on with the histories of some clients only.
    /// What it has of others is left to them.
    pub(super) fn integrate_of(
        &mut self,
        update: &[u8],
        may_append: impl Fn(u64) -> bool,
    ) -> Result<Integrated, Refusal> {
        self.integrate_from(Source::Client, update, may_append)
    }

    /// Integrates what was stored: an update that [`Document::integrate`] gave, or a state that
    /// [`Document::state`] gave. It passes the same gate; only its size and order are not looked at.
    pub(super) fn integrate_stored(&mut self, update: &[u8]) -> Result<(), Refusal> {
        let integrated = self.integrate_from(Source::Store, update, |_| true)?;
        if integrated.complete {
            Ok(())
        } else {
            Err(Refusal::Gap)
        }
    }

    fn integrate_from(
        &mut self,
        source: Source,
        update: &[u8],
        may_append: impl Fn(u64) -> bool,
    ) -> Result<Integrated, Refusal> {
        self.work = 0;
        let caps = match source {
            Source::Client => Caps::FRAME,
            Source::Store => Caps::STORED,
        };
        let trimmed;
        let mut update = update;
        let mut judged = gate::judge(update, &self.known, caps)?;
        let others = self.without_others(&judged, may_append);
        if judged.verdict == Verdict::Overlaps || others.is_some() {
            let known = others.as_ref().unwrap_or(&self.known);
            trimmed = diff_updates_v1(update, &known.encode_v1())
                .map_err(|_| Malformed("an update that yrs cannot read"))?;
            update = &trimmed;
            judged = gate::judge(update, &self.known, caps)?;
        }
        match judged.verdict {
            // What is left is to delete what others have yet to send: theirs as well.
            Verdict::Gap if others.is_some() && judged.structs.is_empty() => {
                return Ok(Integrated::NOTHING);
            }
            Verdict::Gap if others.is_some() => return Err(Refusal::Ahead),
            Verdict::Fits => {}
            Verdict::Nothing => return Ok(Integrated::NOTHING),
            Verdict::Gap => return Err(Refusal::Gap),
            Verdict::Overlaps => return Err(Malformed("an update that cannot be trimmed").into()),
        }
        let more = judged.weight.plus(self.places.splits(&judged.structs));
        if source == Source::Client {
            self.make_room(more, &judged)?;
        }
        let mut decoded =
            Update::decode_v1(update).map_err(|_| Malformed("an update that yrs cannot read"))?;
        self.find_places(source, &judged)?;
        // What of it means something else on every replica.
        let idle = self.places.idle_rights();
        if !idle.is_empty() {
            let without = rewrite::without_rights(update, &idle).ok();
            let again = without.and_then(|update| Update::decode_v1(&update).ok());
            let Some(again) = again else {
                self.damaged = true;
                return Err(Refusal::Damaged);
            };
            decoded = again;
        }

        self.whole.take();
        let mut transaction = self.doc.transact_mut();
        if transaction.apply_update(decoded).is_err() {
            self.damaged = true;
            return Err(Refusal::Damaged);
        }
        let complete = transaction.prune_pending().is_none();
        transaction.commit();
        // What is stored is told to nobody.
        let told = source == Source::Client && transaction.has_changes();
        let update = told.then(|| transaction.encode_update_v1());
        if complete {
            for (client, end) in judged.structs.ends() {
                let end = u32::try_from(end).unwrap_or(u32::MAX);
                self.known.set_max(ClientID::new(client), end);
            }
        } else {
            self.known = transaction.state_vector();
        }
        debug_assert_eq!(self.known, transaction.state_vector());
        drop(transaction);
        self.places.keep(&judged.structs, |client| {
            self.known.get(&ClientID::new(client)).into()
        });
        self.weight = self.weight.plus(more);
        Ok(Integrated {
            update,
            clients: judged.structs.ends().map(|(client, _)| client).collect(),
            complete,
        })
    }

    /// What to trim an update by that goes on with histories that its sender may not go on with:
    /// what is known, and all that it has of those.
    fn without_others(
        &self,
        judged: &Judged<'_>,
        may_append: impl Fn(u64) -> bool,
    ) -> Option<StateVector> {
        if !matches!(judged.verdict, Verdict::Fits | Verdict::Overlaps) {
            return None;
        }
        let mut known = None;
        for (client, end) in judged.structs.ends() {
            let id = ClientID::new(client);
            if end > u64::from(self.known.get(&id)) && !may_append(client) {
                let known = known.get_or_insert_with(|| self.known.clone());
                known.set_max(id, u32::try_from(end).unwrap_or(u32::MAX));
            }
        }
        known
    }

    /// Refuses what would make the document too heavy; what only deletes, only if it would take it
    /// apart altogether. The weight that is kept is too high, as integrating merges structs: so it
    /// is taken anew before anything is refused.
    fn make_room(&mut self, more: Weight, judged: &Judged<'_>) -> Result<(), Refusal> {
        let heaviest = if judged.structs.is_empty() {
            HEAVIEST_OF_DELETING
        } else {
            HEAVIEST
        };
        if self.weight.plus(more).is_within(heaviest) {
            return Ok(());
        }
        self.weigh();
        if self.weight.plus(more).is_within(heaviest) {
            Ok(())
        } else {
            Err(Refusal::TooLarge)
        }
    }

    fn find_places(&mut self, source: Source, judged: &Judged<'_>) -> Result<(), Refusal> {
        if source == Source::Store {
            let mut work = Work::new(u64::MAX);
            return Ok(self.places.find(&judged.structs, &mut work, None)?);
        }
        let transaction = self.doc.transact();
        let known = &self.known;
        let deleted = |id: Id| {
            let (client, clock) = (ClientID::new(id.client), u32::try_from(id.clock));
            let clock = clock.ok().filter(|clock| *clock < known.get(&client));
            let branch =
                clock.map(|clock| BranchID::get_nested(&transaction, &ID::new(client, clock)));
            branch.is_some_and(|branch| branch.is_none_or(|branch| branch.is_deleted()))
        };
        let mut work = Work::new(WORK_MAX);
        let found = self.places.find(&judged.structs, &mut work, Some(&deleted));
        self.work = work.done();
        Ok(found?)
    }

    /// What the last update needed to be taken or refused, in items that were looked at.
    pub(super) const fn work(&self) -> u64 {
        self.work
    }

    /// Takes the exact weight.
    fn weigh(&mut self) {
        self.state();
    }

    /// The state vector, encoded.
    pub(super) fn state_vector(&self) -> Vec<u8> {
        self.known.encode_v1()
    }

    /// Where each client's history ends.
    pub(super) const fn known(&self) -> &StateVector {
        &self.known
    }

    /// What a client with this encoded state vector lacks, as an update. To those who have nothing
    /// yet, as nearly all who come in, it is encoded once.
    pub(super) fn lacking(&self, state_vector: &[u8]) -> Result<Cow<'_, [u8]>, Malformed> {
        scan::state_vector(state_vector)?;
        let state_vector = StateVector::decode_v1(state_vector)
            .map_err(|_| Malformed("a state vector that yrs cannot read"))?;
        let encode = || self.doc.transact().encode_diff_v1(&state_vector);
        Ok(if state_vector.is_empty() {
            let kept = self.whole.get_or_init(|| {
                let mut whole = encode();
                whole.shrink_to_fit();
                whole
            });
            Cow::Borrowed(kept)
        } else {
            Cow::Owned(encode())
        })
    }

    /// The whole as one update, or `None` if that could not be read back, or `yrs` has given up on
    /// it: then nothing may be thrown away for it. Encoding V1, although V2 is a third smaller: `yrs`
    /// 0.28 does not read all of its own V2 (lists of values of mixed kinds), and the gate reads V1.
    pub(super) fn state(&mut self) -> Option<Vec<u8>> {
        if self.damaged {
            return None;
        }
        let transaction = self.doc.transact();
        let state = transaction.encode_diff_v1(&StateVector::default());
        self.weight = gate::judge(&state, &StateVector::default(), Caps::STORED)
            .ok()?
            .weight;
        let read_back = Update::decode_v1(&state).ok()?.state_vector();
        (read_back == transaction.state_vector()).then_some(state)
    }

    /// Updates that the document gave one after the other, as one, in which text that goes on is one
    /// struct; `known` is what it held before them. `None` if that would not be exactly what they are:
    /// then they are to be used as they are.
    pub(super) fn merged(&self, updates: &[&[u8]], known: &StateVector) -> Option<Vec<u8>> {
        let merged = self.joined(&merge_updates_v1(updates).ok()?)?;
        let judged = gate::judge(&merged, known, Caps::STORED).ok()?;
        let (mut clocks, mut deletions) = (StateVector::default(), 0_u64);
        for update in updates {
            let part = gate::judge(update, known, Caps::STORED).ok()?;
            deletions = deletions.saturating_add(part.deletions);
            for (client, end) in part.structs.ends() {
                clocks.set_max(ClientID::new(client), u32::try_from(end).ok()?);
            }
        }
        let mut reached = StateVector::default();
        for (client, end) in judged.structs.ends() {
            reached.set_max(ClientID::new(client), u32::try_from(end).ok()?);
        }
        let whole = judged.verdict == Verdict::Fits && reached == clocks;
        (whole && judged.deletions == deletions).then_some(merged)
    }

    /// An update that the document gave, in which text that goes on is one struct.
    pub(super) fn joined(&self, update: &[u8]) -> Option<Vec<u8>> {
        rewrite::joined(update, |id| self.places.is_in_sequence(id)).ok()
    }
}

fn doc(client: u64) -> Doc {
    let mut options = Options::with_client_id(ClientID::new(client));
    options.offset_kind = OffsetKind::Utf16;
    // Removing formats that have lost their text is an edit; the clients make it.
    options.cleanup_formatting = false;
    Doc::with_options(options)
}
