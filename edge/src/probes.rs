//! What tries the core out from outside of it: every decoder that a stranger's bytes get to, and a
//! flood of hostile frames through a whole room, and what takes a room long. Only tests, the programs
//! of `examples/` and the targets of `fuzz/` are built with it.
#![cfg_attr(
    not(test),
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        reason = "what is tried out is to fail loudly"
    )
)]

use std::sync::LazyLock;

use codecrafter_shared::id::{ExecutorId, SessionId};
use codecrafter_shared::job;
use codecrafter_shared::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::room::tests::decoders;
pub use crate::room::tests::door::Gate;
pub use crate::room::tests::flood::{Counts, FRAMES, Stage, flood};
pub use crate::room::tests::work::{SHAPES, Shape, admits};
use crate::token::{Keys, verify_link};

/// A decoder: whether it takes these bytes.
pub type Decoder = fn(&[u8]) -> bool;

/// Every decoder, by the name of its fuzz target.
pub const DECODERS: [(&str, Decoder); 8] = [
    ("frame", decoders::frame),
    ("state_vector", decoders::state_vector),
    ("update", decoders::update),
    ("stored", decoders::stored),
    ("awareness", decoders::awareness),
    ("app_frame", decoders::app_frame),
    ("token", token),
    ("job", job_wire),
];

/// Gives bytes to the decoder of that name, for a fuzz target.
///
/// # Panics
/// If the decoder does, if what it took is not what it should be, or if there is none.
pub fn decode(name: &str, bytes: &[u8]) -> bool {
    let decoder = DECODERS.iter().find(|(known, _)| *known == name);
    let (_, decoder) = decoder.expect("a decoder of that name");
    decoder(bytes)
}

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// A token of any kind. None is genuine, as nobody has the keys.
fn token(bytes: &[u8]) -> bool {
    static KEYS: LazyLock<Keys> = LazyLock::new(|| Keys::new(b"of nobody", Some(b"else")));
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    let session = SessionId::at(NOW, [1; 10]);
    assert!(KEYS.verify_access(text, NOW).is_err(), "a forged token");
    assert!(
        KEYS.verify_room(session, text, NOW).is_err(),
        "a forged token"
    );
    let executor = ExecutorId::at(NOW, [1; 10]);
    let of_link = verify_link(text, executor, &[7; 32], "/internal/leases", "", NOW);
    assert!(of_link.is_err(), "a forged token");
    // As far as anybody can tell without the keys.
    text.split('.').count() == 3
}

/// Anything that edge and link say to each other.
fn job_wire(bytes: &[u8]) -> bool {
    let taken = [
        wire::<job::Enrol>(bytes),
        wire::<job::LeaseRequest>(bytes),
        wire::<job::Leases>(bytes),
        wire::<job::Acknowledge>(bytes),
        wire::<job::Acknowledged>(bytes),
        wire::<job::Job>(bytes),
        wire::<job::Reports>(bytes),
        wire::<job::Report>(bytes),
        wire::<job::ReportsTaken>(bytes),
        wire::<job::Outcome>(bytes),
        wire::<job::Control>(bytes),
    ];
    taken.contains(&true)
}

/// What is read is written so that it is read as the same.
fn wire<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice::<T>(bytes) else {
        return false;
    };
    let json = serde_json::to_value(&value).expect("it is JSON");
    let again: T = serde_json::from_value(json.clone()).expect("it was written by us");
    assert_eq!(serde_json::to_value(&again).unwrap(), json);
    true
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::room::tests::support::{Luck, seeds};

    /// What is committed for a decoder, by the file's name.
    fn corpus(name: &str) -> Vec<(String, Vec<u8>)> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
        let files = fs::read_dir(folder.join(name)).expect("a corpus of each decoder");
        let mut files: Vec<(String, Vec<u8>)> = files
            .map(|file| {
                let file = file.unwrap();
                let name = file.file_name().into_string().unwrap();
                (name, fs::read(file.path()).unwrap())
            })
            .collect();
        files.sort();
        files
    }

    /// As a fuzzer would: a few bytes changed, taken out, doubled or brought from another file.
    fn mutated(bytes: &[u8], other: &[u8], luck: &mut Luck) -> Vec<u8> {
        let mut bytes = bytes.to_vec();
        for _ in 0..=luck.below(4) {
            let at = usize::try_from(luck.below(bytes.len() as u64 + 1)).unwrap();
            let end = usize::try_from(luck.below(9)).unwrap().saturating_add(at);
            let end = end.min(bytes.len());
            match luck.below(6) {
                0 => bytes.truncate(at),
                1 => drop(bytes.drain(at..end)),
                2 => bytes.insert(at, luck.pick(&[0, 1, 0x7f, 0x80, 0xff])),
                3 => bytes
                    .splice(at..at, other.iter().copied().take(end - at))
                    .for_each(drop),
                _ if at < bytes.len() => {
                    let bit = 1 << luck.below(8);
                    let byte = luck.next().to_le_bytes()[0];
                    bytes[at] = luck.pick(&[byte, bytes[at] ^ bit, bytes[at].wrapping_add(1)]);
                }
                _ => {}
            }
        }
        bytes
    }

    #[test]
    fn decoders_take_what_is_good_and_survive_everything_else() {
        for (name, decoder) in DECODERS {
            let corpus = corpus(name);
            for (file, bytes) in &corpus {
                let good = !file.starts_with("bad");
                assert_eq!(decoder(bytes), good, "{name}/{file}");
            }
            assert!(corpus.iter().any(|(file, _)| !file.starts_with("bad")));
            for seed in seeds(600) {
                let mut luck = Luck::new(seed);
                let mut one = || {
                    let index = luck.below(corpus.len() as u64);
                    &corpus[usize::try_from(index).unwrap()].1
                };
                let (bytes, other) = (one(), one());
                println!("{name}, ROOM_SEED={seed}");
                decoder(&mutated(bytes, other, &mut luck));
            }
        }
    }

    #[test]
    fn each_decoder_has_a_fuzz_target() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
        let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        for (name, _) in DECODERS {
            let target = fs::read_to_string(folder.join(format!("targets/{name}.rs"))).unwrap();
            assert!(target.contains(&format!("\"{name}\"")), "{name}");
            assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
        }
    }
}
