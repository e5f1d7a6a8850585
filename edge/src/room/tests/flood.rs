//! A room with honest people in it, and one who sends it everything: frames by a generator, through
//! the whole pipeline, counted by the stage that they get to. The room must take every one without
//! harm, stay loadable, and do for the honest what it would have done without. (Under a memory
//! checker this is the test of the gate: `yrs` hides most of its accidents.)
//!
//! The tests here run for seconds. `examples/flood.rs` runs the same natively for as long as it is
//! asked to, and `cloudflare/flood.rs` in WebAssembly.

mod generator;

use std::fmt;

use codecrafter_shared::document::MAIN_TEXT;
use codecrafter_shared::relay::CloseCode;
use codecrafter_shared::role::Role;
use yrs::{ClientID, GetString as _, ReadTxn as _, Text as _, Transact as _, WriteTxn as _};

use super::support::{Client, World, settle};
use crate::room::ConnectionId;
use crate::room::frame::{self, Message};
use crate::room::gate::{self, Verdict};
use crate::room::scan::Caps;
use generator::Generator;

/// The clients of Ada and of Bob.
const HONEST: [u64; 2] = [5_000, 6_000];
/// Frames that are sent to each room.
pub const FRAMES: u64 = 60;

/// How far a frame gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It is not of the protocol.
    NotAFrame,
    /// It is no edit: what one asks for, or says of oneself.
    NoEdit,
    /// Its sender may not edit.
    Role,
    /// Its sender has sent too much.
    Rate,
    /// It is not an update that anybody would write.
    Scan,
    /// Something before it is missing.
    Gap,
    /// It goes on with somebody else's history.
    Author,
    /// There is nothing new in it.
    Known,
    /// It is at home nowhere in the document.
    Place,
    /// It was applied and stored.
    Applied,
}

impl Stage {
    /// All of them, in the order of the pipeline.
    pub const ALL: [Self; 10] = [
        Self::NotAFrame,
        Self::NoEdit,
        Self::Role,
        Self::Rate,
        Self::Scan,
        Self::Gap,
        Self::Author,
        Self::Known,
        Self::Place,
        Self::Applied,
    ];
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAFrame => "not a frame",
            Self::NoEdit => "no edit",
            Self::Role => "refused by role",
            Self::Rate => "refused by rate",
            Self::Scan => "refused by the scan",
            Self::Gap => "behind a gap",
            Self::Author => "of somebody else",
            Self::Known => "nothing new",
            Self::Place => "at home nowhere",
            Self::Applied => "applied",
        })
    }
}

/// How many frames got how far, in the order of [`Stage::ALL`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts([u64; Stage::ALL.len()]);

impl Counts {
    /// How many got to `stage` and no further.
    #[must_use]
    pub fn of(&self, stage: Stage) -> u64 {
        self.0[stage as usize]
    }

    /// All frames.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Adds those of another room.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.0.iter_mut().zip(other.0) {
            *count += more;
        }
    }

    /// Says what is wrong with a run as evidence: a generator of which little is applied, or none
    /// is refused at some stage, has proven nothing.
    ///
    /// # Errors
    /// A sentence.
    pub fn prove(&self) -> Result<(), String> {
        if let Some(stage) = Stage::ALL.iter().find(|stage| self.of(**stage) == 0) {
            return Err(format!("of no frame can be said: {stage}"));
        }
        if self.of(Stage::Applied) * 5 < self.total() {
            return Err("less than a fifth of the frames was applied".into());
        }
        Ok(())
    }
}

/// An honest person, who writes a text of their own and one together with everybody.
struct Honest {
    client: Client,
    name: &'static str,
    written: String,
}

impl Honest {
    fn new(n: u8, name: &'static str) -> Self {
        let id = HONEST[usize::from(n) - 1];
        Self {
            client: Client::with_id(n, Role::Editor, id),
            name,
            written: String::new(),
        }
    }

    fn join(&mut self, world: &mut World) {
        self.client.connect(world);
        self.client.appear(world);
        settle(world, &mut [&mut self.client]);
    }

    fn write(&mut self, letter: char) {
        let (name, end) = (self.name, u32::try_from(self.written.len()).unwrap());
        self.written.push(letter);
        self.client.edit(|transaction| {
            let own = transaction.get_or_insert_text(name);
            own.insert(transaction, end, &letter.to_string());
        });
        self.client.insert(0, "A");
    }

    fn own_text(&self) -> String {
        let transaction = self.client.doc.transact();
        let own = transaction.get_text(self.name);
        own.map_or_else(String::new, |own| own.get_string(&transaction))
    }
}

/// Sends a room [`FRAMES`] frames, which all follow from `seed`.
///
/// # Panics
/// If the honest notice.
#[must_use]
pub fn flood(seed: u64) -> Counts {
    let mut generator = Generator::new(seed);
    let mut counts = Counts::default();
    let mut world = World::new();
    let (mut ada, mut bob) = (Honest::new(1, "ada"), Honest::new(2, "bob"));
    ada.join(&mut world);
    bob.join(&mut world);

    let role = if generator.luck.one_in(20) {
        Role::Viewer
    } else {
        Role::Editor
    };
    let patient = !generator.luck.one_in(25);
    let mut eve = world.connect(3, role);
    for n in 0..FRAMES {
        let too_much = !patient && n == 0;
        if !too_much {
            world.later(20);
        }
        let frame = generator.frame(|client| world.clock(client));
        let stage = send(&mut world, eve, &frame, too_much);
        counts.0[stage as usize] += 1;
        generator.learn(|client| world.clock(client));
        if world.closed(eve).is_some() {
            eve = world.connect(3, role);
        }
        if generator.luck.one_in(15) {
            ada.write('a');
            ada.client.send(&mut world, 9);
        }
        if generator.luck.one_in(15) {
            bob.write('b');
            bob.client.send(&mut world, 9);
        }
        if generator.luck.one_in(10) {
            world.sleep();
        }
    }

    settle(&mut world, &mut [&mut ada.client, &mut bob.client]);
    world.sleep();
    ada.write('!');
    settle(&mut world, &mut [&mut ada.client, &mut bob.client]);
    let stored = world.stored_content();
    let letters = ada.written.len() + bob.written.len();
    for honest in [&ada, &bob] {
        let socket = honest.client.socket.unwrap();
        assert_eq!(world.closed(socket), None, "{} was closed", honest.name);
        assert_eq!(honest.own_text(), honest.written, "of {}", honest.name);
        let theirs = |text: &str| text.matches('A').count();
        assert_eq!(theirs(&honest.client.text()), letters, "at {}", honest.name);
        assert_eq!(theirs(&stored), letters, "for {}", honest.name);
    }
    // In whatever order Eve's structs came, everybody has made the same of them.
    let mut late = Client::with_id(4, Role::Viewer, 7_000);
    late.apply(&world.kept.load().document.state().unwrap());
    for client in [&ada.client, &bob.client] {
        assert_eq!(roots(client), roots(&late));
    }
    counts
}

/// The lists that everybody writes into, as a replica has them.
fn roots(client: &Client) -> [String; 2] {
    let transaction = client.doc.transact();
    ["t", MAIN_TEXT].map(|name| {
        let root = transaction.get_text(name);
        root.map_or_else(String::new, |root| root.get_string(&transaction))
    })
}

/// Sends a frame, and finds out how far it gets; before it, too much of something else if that is
/// wanted.
fn send(world: &mut World, from: ConnectionId, frame: &[u8], too_much: bool) -> Stage {
    if too_much {
        let mut rest = 0;
        while world.closed(from).is_none() && rest < 5_000 {
            world.frame(from, &frame::sync_step1(&[0]));
            rest += 1;
        }
        assert_eq!(world.closed(from), Some(CloseCode::TooFast));
        return Stage::Rate;
    }
    let update = match frame::parse(frame) {
        Ok(Message::SyncStep2(update) | Message::Update(update)) => Some(update),
        Ok(_) => None,
        Err(_) => {
            world.frame(from, frame);
            return Stage::NotAFrame;
        }
    };
    let may_edit = world
        .room
        .connection(from)
        .is_some_and(|connection| connection.principal.role.may_edit(false));
    let before = world.kept.last_seq();
    world.frame(from, frame);
    let applied = world.kept.last_seq() > before;
    let Some(update) = update else {
        return Stage::NoEdit;
    };
    let document = world.room.document().filter(|_| may_edit && !applied);
    let Some(document) = document else {
        return if applied { Stage::Applied } else { Stage::Role };
    };
    let known = document.known();
    match gate::judge(update, known, Caps::FRAME) {
        Err(_) => Stage::Scan,
        Ok(judged) => match judged.verdict {
            Verdict::Nothing => Stage::Known,
            Verdict::Gap => Stage::Gap,
            Verdict::Fits | Verdict::Overlaps => {
                let of_others = |(client, end): (u64, u64)| {
                    HONEST.contains(&client) && end > known.get(&ClientID::new(client)).into()
                };
                if judged.structs.ends().any(of_others) {
                    Stage::Author
                } else if judged.structs.is_empty() || judged.verdict == Verdict::Overlaps {
                    Stage::Known
                } else {
                    Stage::Place
                }
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::support::seeds;
    use super::*;

    #[test]
    fn a_flood_of_hostile_frames_does_no_harm() {
        let mut counts = Counts::default();
        for seed in seeds(150) {
            println!("ROOM_SEED={seed}");
            counts.add(&flood(seed));
        }
        for stage in Stage::ALL {
            println!("{stage}: {}", counts.of(stage));
        }
        counts.prove().unwrap();
    }
}
