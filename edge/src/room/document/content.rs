//! The text in a document: read, begun with, and written by who has no socket.

use std::collections::BTreeMap;

use codecrafter_shared::api::{SessionContent, WriteContent};
use codecrafter_shared::document::{FILES_MAP, MAIN_TEXT};
use codecrafter_shared::job::SourceFile;
use yrs::updates::decoder::Decode as _;
use yrs::{
    GetString as _, Map as _, MapRef, Out, ReadTxn as _, StateVector, Text as _, TextPrelim,
    TextRef, Transact as _, TransactionMut, Update, WriteTxn as _,
};

use super::super::write::{splices, utf16_len};
use super::{Document, Integrated, Refusal, WRITING_CLIENT, doc};

/// The client that writes a session's first content. Clients draw theirs from 2^32.
const FIRST_CLIENT: u64 = 1;

impl Document {
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
    pub(in super::super) fn initialise(
        &mut self,
        content: &str,
        files: &[SourceFile],
    ) -> Result<Integrated, Refusal> {
        if content.is_empty() && files.is_empty() || !self.is_blank() {
            return Ok(Integrated::NOTHING);
        }
        let first = doc(FIRST_CLIENT);
        let update = {
            let mut transaction = first.transact_mut();
            let text = transaction.get_or_insert_text(MAIN_TEXT);
            if !content.is_empty() {
                text.insert(&mut transaction, 0, content);
            }
            if !files.is_empty() {
                let map = transaction.get_or_insert_map(FILES_MAP);
                write_files(&map, &mut transaction, files);
            }
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
    pub(in super::super) fn write(
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

/// Makes `text` what is wanted, if it holds nothing but text: positions in anything else are not
/// those of its string, and `yrs` panics at what it does not find.
fn write_text(text: &TextRef, transaction: &mut TransactionMut<'_>, wanted: &str) -> bool {
    let present = text.get_string(transaction);
    if text.len(transaction) != utf16_len(&present) {
        return false;
    }
    // From the end, so that the positions of those before it stay what they are.
    for splice in splices(&present, wanted).into_iter().rev() {
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
