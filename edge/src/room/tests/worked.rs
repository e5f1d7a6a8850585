//! The conversation in `docs/realtime.md`, held with a room: every byte of it is what is said there.

use std::collections::BTreeMap;

use codecrafter_shared::role::Role;

use super::support::{World, principal};
use crate::room::{ConnectionId, Input, Wishes, stream};

const DOCUMENT: &str = include_str!("../../../../docs/realtime.md");

/// The lines of the one block of this kind.
fn block(kind: &str) -> Vec<&'static str> {
    let (_, rest) = DOCUMENT.split_once(&format!("```{kind}\n")).unwrap();
    rest.split_once("```").unwrap().0.lines().collect()
}

/// Bytes as they are written there: two digits each, or text in quotes; what follows three spaces
/// is for people.
fn bytes(written: &str) -> Vec<u8> {
    let mut rest = written.split("   ").next().unwrap().trim();
    let mut bytes = Vec::new();
    while !rest.is_empty() {
        let (next, behind) = match rest.strip_prefix('\'') {
            Some(text) => {
                let (text, behind) = text.split_once('\'').unwrap();
                bytes.extend(text.as_bytes());
                ("", behind)
            }
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        if !next.is_empty() {
            bytes.push(u8::from_str_radix(next, 16).unwrap());
        }
        rest = behind.trim_start();
    }
    bytes
}

fn shown(bytes: &[u8]) -> String {
    let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{} {:?}", hex.join(" "), String::from_utf8_lossy(bytes))
}

#[test]
fn the_worked_conversation_is_one_with_this_room() {
    let mut world = World::new();
    let mut ids: BTreeMap<&str, ConnectionId> = BTreeMap::new();
    let lines = block("wire");
    assert!(lines.len() > 20);
    for line in lines {
        let (who, written) = line.split_once("  ").unwrap();
        let (from, to) = who.split_once(" → ").unwrap();
        let name = if from == "room" { to } else { from };
        let id = *ids.entry(name).or_insert_with(|| {
            let (n, role) = match name {
                "Ada" => (1, Role::Owner),
                _ => (2, Role::Viewer),
            };
            world.connect_with(principal(n, role), Wishes::parse("app1,quiet1"))
        });
        let bytes = bytes(written);
        if from == "room" {
            let inbox = &mut world.sockets.get_mut(&id).unwrap().inbox;
            assert!(!inbox.is_empty(), "the room does not say: {line}");
            let said = inbox.remove(0);
            assert_eq!(shown(&said), shown(&bytes), "{line}");
        } else {
            let bytes = &bytes;
            world.give(Input::Frame {
                connection: id,
                bytes,
            });
        }
        world.later(1_000);
    }
    for (name, id) in ids {
        let left: Vec<String> = world.take(id).iter().map(|frame| shown(frame)).collect();
        assert!(left.is_empty(), "the room says more to {name}: {left:?}");
    }
}

#[test]
fn the_worked_body_is_one_of_frames() {
    let body = bytes(block("body").first().unwrap());
    let frames = stream::split(&body).unwrap();
    assert_eq!(frames, [&[0, 0, 1, 0][..], &[3]]);
    let frames: Vec<Vec<u8>> = frames.into_iter().map(<[u8]>::to_vec).collect();
    assert_eq!(stream::joined(&frames), body);
}
