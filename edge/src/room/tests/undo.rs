//! What stock Yjs writes when people undo and redo, as `tests/undo` has recorded it: sessions that
//! have the shapes in them which nothing but undo makes.
//!
//! `RECORD=edge/src/room/tests/undo.json node tests/undo/undo.mjs GATE SESSIONS SEED` records others.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::support::hex;
use crate::room::Document;

#[derive(Deserialize)]
struct Session {
    seed: u64,
    /// Updates in the order in which the room had them.
    sent: Vec<String>,
    /// What each person has at the end.
    wholes: Vec<String>,
    content: String,
    files: BTreeMap<String, String>,
}

fn sessions() -> Vec<Session> {
    serde_json::from_str(include_str!("undo.json")).unwrap()
}

fn take(document: &mut Document, update: &str, seed: u64) {
    let integrated = document.integrate(&hex(update));
    let integrated = integrated.unwrap_or_else(|why| panic!("seed {seed}: {why:?}, {update}"));
    assert!(integrated.complete, "seed {seed}");
}

#[test]
fn every_update_that_yjs_makes_by_undo_and_redo_is_taken() {
    for session in sessions() {
        let mut document = Document::new();
        for update in &session.sent {
            take(&mut document, update, session.seed);
        }
        assert_eq!(document.content(), session.content, "seed {}", session.seed);
        assert_eq!(document.files(), session.files, "seed {}", session.seed);
        let mut again = Document::new();
        again.integrate_stored(&document.state().unwrap()).unwrap();
        assert_eq!(again.read(), document.read(), "seed {}", session.seed);
    }
}

#[test]
fn a_room_that_has_lost_everything_gets_it_back_from_who_has_undone() {
    for session in sessions() {
        for whole in &session.wholes {
            let mut document = Document::new();
            take(&mut document, whole, session.seed);
            assert_eq!(document.content(), session.content, "seed {}", session.seed);
            assert_eq!(document.files(), session.files, "seed {}", session.seed);
        }
    }
}
