//! Every decoder of a room, given any bytes, and what must hold of what it takes. Each says whether
//! it took them, so that a corpus can be told from noise.

use std::sync::LazyLock;

use codecrafter_shared::relay::AppFrame;
use codecrafter_shared::role::Role;
use yrs::{Doc, Options, Text as _, Transact as _, WriteTxn as _};

use super::support::{START, principal};
use crate::room::awareness::Awareness;
use crate::room::frame::{self, Message};
use crate::room::scan::{self, Caps};
use crate::room::{Connection, ConnectionId, Document, Wishes};

/// A frame from a client.
pub fn frame(bytes: &[u8]) -> bool {
    let Ok(message) = frame::parse(bytes) else {
        return false;
    };
    let again = match message {
        Message::SyncStep1(body) => frame::sync_step1(body),
        Message::SyncStep2(body) => frame::sync_step2(body),
        Message::Update(body) => frame::update(body),
        Message::Awareness(_) | Message::QueryAwareness => return true,
    };
    assert_eq!(again, bytes, "there is one spelling of each frame");
    true
}

/// A state vector.
pub fn state_vector(bytes: &[u8]) -> bool {
    if scan::state_vector(bytes).is_err() {
        return false;
    }
    let document = some_document();
    let lacking = document.lacking(bytes).expect("it was scanned");
    scan::update(&lacking, Caps::STORED, |_| Ok(())).expect("it is of our own making");
    true
}

/// An update from a client, into a document that has something in it.
pub fn update(bytes: &[u8]) -> bool {
    let mut document = some_document();
    let Ok(integrated) = document.integrate(bytes) else {
        assert_eq!(
            document.content(),
            CONTENT,
            "what is refused leaves nothing"
        );
        return false;
    };
    if let Some(update) = integrated.update {
        let mut other = some_document();
        other.integrate_stored(&update).expect("it was integrated");
        assert_eq!(other.content(), document.content());
        let joined = document.joined(&update).expect("it is of our own making");
        let mut other = some_document();
        other.integrate_stored(&joined).expect("it is the same");
        assert_eq!(other.content(), document.content());
        assert_eq!(other.state_vector(), document.state_vector());
    }
    reads_back(document);
    true
}

/// A row or a state, as the only one that a room has, and behind others.
pub fn stored(bytes: &[u8]) -> bool {
    let mut document = some_document();
    let behind = document.integrate_stored(bytes).is_ok();
    reads_back(document);
    let mut document = Document::new();
    let alone = document.integrate_stored(bytes).is_ok();
    reads_back(document);
    alone || behind
}

/// An awareness update, and what others are told of it.
pub fn awareness(bytes: &[u8]) -> bool {
    let mut sender = Connection::new(
        ConnectionId(1),
        principal(1, Role::Editor),
        Wishes::default(),
    );
    let mut table = Awareness::default();
    let Ok(heard) = table.hear(&mut sender, bytes, START) else {
        return false;
    };
    for (_, _, state) in &heard.news {
        let state = state.as_deref().unwrap_or("{}");
        let state: serde_json::Value = serde_json::from_str(state).expect("peers parse it");
        assert!(state.is_object());
    }
    !heard.news.is_empty()
}

/// One of our own frames, as a client reads it.
pub fn app_frame(bytes: &[u8]) -> bool {
    let Ok(content) = serde_json::from_slice::<AppFrame>(bytes) else {
        return false;
    };
    let json = serde_json::to_vec(&content).expect("it is JSON");
    assert_eq!(serde_json::from_slice::<AppFrame>(&json).unwrap(), content);
    true
}

const CONTENT: &str = "fn main() {} // \u{1f600}";

/// A document with a main file by client 7.
fn some_document() -> Document {
    static STATE: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let doc = Doc::with_options(Options::with_client_id(yrs::ClientID::new(7)));
        let mut transaction = doc.transact_mut();
        let text = transaction.get_or_insert_text("content");
        text.insert(&mut transaction, 0, CONTENT);
        transaction.encode_update_v1()
    });
    let mut document = Document::new();
    document.integrate_stored(&STATE).expect("it is good");
    document
}

/// A document must be good for a next one, whatever is in it.
fn reads_back(mut document: Document) {
    let state = document.state().expect("its state can be read");
    let mut next = Document::new();
    next.integrate_stored(&state).expect("its state is good");
    assert_eq!(next.read(), document.read());
}
