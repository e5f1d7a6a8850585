//! Updates by a generator that knows the format and has little shame. It writes what an honest
//! client could write, with neighbours from one list, types inside types and deletions of all of
//! it, and every now and then breaks one of the rules: so that many of its updates get through
//! the gate, and meet each other behind it. The room must take every one without harm, and stay
//! loadable. (Under a memory checker this is the test of the gate: `yrs` hides most of its
//! accidents.)

use std::collections::BTreeMap;

use codecrafter_shared::role::Role;

use super::support::{Client, Luck, World, seeds, settle};
use crate::room::frame;
use crate::room::read::{write_var_bytes, write_var_uint};

const CLIENTS: u64 = 3;

type Id = (u64, u64);

/// What the generator believes to be a list: a root or the id of a type, and perhaps a key.
type List = (Result<&'static str, Id>, Option<&'static str>);

struct Generator {
    luck: Luck,
    /// One rule in so many is broken.
    shame: u64,
    /// Where each client's history ends.
    ends: BTreeMap<u64, u64>,
    /// Units that were taken in, and where.
    units: Vec<(Id, List)>,
    /// Types among them.
    types: Vec<Id>,
    /// Of the update that is being written.
    new_units: Vec<(Id, List)>,
    new_types: Vec<Id>,
}

impl Generator {
    fn new(seed: u64) -> Self {
        let mut luck = Luck::new(seed);
        Self {
            shame: luck.pick(&[5, 20, 60, 400]),
            luck,
            ends: BTreeMap::new(),
            units: vec![],
            types: vec![],
            new_units: vec![],
            new_types: vec![],
        }
    }

    fn shameless(&mut self) -> bool {
        self.luck.one_in(self.shame)
    }

    fn end(&self, client: u64) -> u64 {
        self.ends.get(&client).copied().unwrap_or(0)
    }

    /// Learns where a client's history ends, and so what was taken in.
    fn learn(&mut self, clock_of: impl Fn(u64) -> Option<u32>) {
        for client in 1..=CLIENTS {
            if let Some(clock) = clock_of(client) {
                self.ends.insert(client, clock.into());
            }
        }
        let ends = &self.ends;
        let taken = |id: &Id| ends.get(&id.0).is_some_and(|end| id.1 < *end);
        self.units
            .extend(self.new_units.drain(..).filter(|(id, _)| taken(id)));
        self.types.extend(self.new_types.drain(..).filter(taken));
    }

    fn update(&mut self) -> Vec<u8> {
        self.new_units.clear();
        self.new_types.clear();
        let mut clients: Vec<u64> = (1..=CLIENTS).rev().collect();
        while !clients.is_empty() && !self.luck.one_in(3) {
            let index = usize::try_from(self.luck.below(clients.len() as u64)).unwrap();
            clients.remove(index);
        }
        if self.shameless() {
            clients.reverse();
        }
        let mut out = Vec::new();
        write_var_uint(&mut out, clients.len() as u64);
        for client in clients {
            self.section(client, &mut out);
        }
        self.deletions(&mut out);
        if self.shameless() {
            self.spoil(&mut out);
        }
        out
    }

    fn section(&mut self, client: u64, out: &mut Vec<u8>) {
        let count = self.luck.below(4) + 1;
        let end = self.end(client);
        let mut clock = end;
        if self.shameless() {
            clock = self.luck.below(end + 4);
        } else if self.luck.one_in(6) {
            clock = end.saturating_sub(self.luck.below(5));
        }
        write_var_uint(out, count);
        write_var_uint(out, client);
        write_var_uint(out, clock);
        for _ in 0..count {
            let length = self.one_struct((client, clock), out);
            clock += length;
        }
    }

    /// Writes a struct and gives its length.
    fn one_struct(&mut self, id: Id, out: &mut Vec<u8>) -> u64 {
        let mut kind = self.luck.pick(&[4, 4, 4, 4, 1, 3, 5, 6, 7, 7, 8]);
        if self.shameless() {
            kind = self.luck.pick(&[0, 2, 9, 10]);
        }
        if kind == 0 || kind == 10 {
            let length = self.luck.below(3) + 1;
            out.push(kind);
            write_var_uint(out, length);
            return length;
        }
        let list = if self.luck.one_in(3) {
            None
        } else {
            self.beside(id, kind, out)
        };
        let list = list.unwrap_or_else(|| self.inside(id, kind, out));
        let one_unit = list.1.is_some() && !self.shameless();
        let length = self.content(kind, one_unit, out);
        self.new_units
            .extend((0..length).map(|n| ((id.0, id.1 + n), list)));
        if kind == 7 {
            self.new_types.push(id);
        }
        length
    }

    /// Begins a struct between two of a list, if there is one.
    fn beside(&mut self, id: Id, kind: u8, out: &mut Vec<u8>) -> Option<List> {
        let known: Vec<(Id, List)> = self.units.iter().chain(&self.new_units).copied().collect();
        if known.is_empty() {
            return None;
        }
        let (mut left, list) = self.luck.pick(&known);
        let same: Vec<Id> = known
            .iter()
            .filter(|unit| unit.1 == list)
            .map(|unit| unit.0)
            .collect();
        let mut right = self.luck.pick(&same);
        if self.shameless() {
            right = self.luck.pick(&known).0;
        }
        if self.shameless() {
            left = (left.0, left.1 + self.luck.below(4));
        }
        let flags = self.luck.pick(&[0x80, 0x40, 0xc0, 0xc0, 0xe0]);
        out.push(kind | flags);
        for (flag, named) in [(0x80, left), (0x40, right)] {
            if flags & flag != 0 {
                // Nothing after itself, or all of it would be refused.
                let later = named.0 == id.0 && named.1 >= id.1 && id.1 > 0 && !self.shameless();
                write_id(if later { (id.0, id.1 - 1) } else { named }, out);
            }
        }
        Some(list)
    }

    /// Begins a struct that is the first of its list.
    fn inside(&mut self, id: Id, kind: u8, out: &mut Vec<u8>) -> List {
        let key = self.luck.pick(&[None, None, Some("k"), Some("a.py")]);
        let mut types: Vec<Id> = self.types.iter().chain(&self.new_types).copied().collect();
        types.retain(|named| named.0 != id.0 || named.1 < id.1);
        if self.shameless() {
            types.push((self.luck.below(CLIENTS) + 1, self.luck.below(9)));
        }
        out.push(kind | if key.is_some() { 0x20 } else { 0 });
        let parent = if types.is_empty() || self.luck.one_in(3) {
            let name = self.luck.pick(&["t", "content", "files"]);
            out.push(1);
            write_var_bytes(out, name.as_bytes());
            Ok(name)
        } else {
            let named = self.luck.pick(&types);
            out.push(0);
            write_id(named, out);
            Err(named)
        };
        if let Some(key) = key {
            write_var_bytes(out, key.as_bytes());
        }
        (parent, key)
    }

    /// Writes a struct's content and gives its length.
    fn content(&mut self, kind: u8, one_unit: bool, out: &mut Vec<u8>) -> u64 {
        match kind {
            1 => {
                let length = self.luck.below(4) + 1;
                write_var_uint(out, length);
                length
            }
            4 => {
                let text = if one_unit {
                    "a"
                } else {
                    self.luck.pick(&["b", "cde", "é😀x", "😀"])
                };
                write_var_bytes(out, text.as_bytes());
                text.encode_utf16().count() as u64
            }
            5 => {
                let json = if self.shameless() {
                    "oops"
                } else {
                    "[1,{\"a\":null}]"
                };
                write_var_bytes(out, json.as_bytes());
                1
            }
            6 => {
                write_var_bytes(out, self.luck.pick(&["bold", "em"]).as_bytes());
                write_var_bytes(out, self.luck.pick(&["true", "null"]).as_bytes());
                1
            }
            7 => {
                let name = self.luck.pick(&[0, 1, 2, 2, 3, 4, 6]);
                out.push(name);
                if name == 3 {
                    write_var_bytes(out, b"p");
                }
                1
            }
            8 => {
                let count = if one_unit { 1 } else { self.luck.below(3) + 1 };
                write_var_uint(out, count);
                for _ in 0..count {
                    let values: [&[u8]; 5] = [
                        &[127],
                        &[125, 5],
                        &[119, 1, b'x'],
                        &[117, 1, 126],
                        &[118, 1, 1, b'k', 120],
                    ];
                    out.extend_from_slice(self.luck.pick(&values));
                }
                count
            }
            _ => {
                write_var_bytes(out, b"x");
                1
            }
        }
    }

    /// Deletes a few ranges, and types more often than other things.
    fn deletions(&mut self, out: &mut Vec<u8>) {
        let mut ranges: BTreeMap<u64, BTreeMap<u64, u64>> = BTreeMap::new();
        if self.luck.one_in(3) {
            for _ in 0..=self.luck.below(3) {
                let client = self.luck.below(CLIENTS) + 1;
                let end = self.end(client) + if self.shameless() { 3 } else { 0 };
                if end > 0 {
                    let from = self.luck.below(end);
                    let length = self.luck.below((end - from).min(5)) + 1;
                    ranges
                        .entry(client)
                        .or_default()
                        .insert(from, from + length);
                }
            }
        }
        if !self.types.is_empty() && self.luck.one_in(5) {
            let (client, clock) = self.luck.pick(&self.types);
            ranges.entry(client).or_default().insert(clock, clock + 1);
        }
        write_var_uint(out, ranges.len() as u64);
        for (client, ranges) in ranges {
            let mut apart: Vec<(u64, u64)> = vec![];
            for (from, to) in ranges {
                if apart.last().is_none_or(|last| last.1 <= from) {
                    apart.push((from, to));
                }
            }
            write_var_uint(out, client);
            write_var_uint(out, apart.len() as u64);
            for (from, to) in apart {
                write_var_uint(out, from);
                write_var_uint(out, to - from);
            }
        }
    }

    fn spoil(&mut self, out: &mut Vec<u8>) {
        let index = usize::try_from(self.luck.below(out.len() as u64)).unwrap();
        match self.luck.below(3) {
            0 => out[index] = out[index].wrapping_add(1),
            1 => out.truncate(index),
            _ => out.insert(index, 0x80),
        }
    }
}

fn write_id(id: Id, out: &mut Vec<u8>) {
    write_var_uint(out, id.0);
    write_var_uint(out, id.1);
}

#[test]
fn hostile_updates_do_no_harm() {
    let (mut stored, mut sent) = (0, 0);
    for seed in seeds(700) {
        println!("ROOM_SEED={seed}");
        let mut generator = Generator::new(seed);
        let mut world = World::new();
        let mut ada = Client::with_id(1, Role::Owner, 5_000);
        ada.connect(&mut world);
        settle(&mut world, &mut [&mut ada]);
        ada.insert(0, "honest");
        settle(&mut world, &mut [&mut ada]);

        let mut eve = world.connect(2, Role::Editor);
        for _ in 0..30 {
            let update = generator.update();
            let answers = generator.luck.one_in(3);
            let frame = if answers {
                frame::sync_step2(&update)
            } else {
                frame::update(&update)
            };
            world.frame(eve, &frame);
            sent += 1;
            generator.learn(|client| world.clock(client));
            if world.closed(eve).is_some() {
                eve = world.connect(2, Role::Editor);
            }
            if generator.luck.one_in(10) {
                world.sleep();
            }
        }
        stored += usize::try_from(world.kept.load().last_seq).unwrap();

        // Whoever comes now gets all of it, and honest work goes on.
        let mut bob = Client::with_id(3, Role::Editor, 6_000);
        bob.connect(&mut world);
        settle(&mut world, &mut [&mut ada, &mut bob]);
        ada.insert(0, "still ");
        settle(&mut world, &mut [&mut ada, &mut bob]);
        assert_eq!(world.closed(ada.socket.unwrap()), None, "seed {seed}");
        assert!(world.stored_content().contains("still"), "seed {seed}");
        world.sleep();
        world.room.provide(world.kept.load());
        assert!(
            world.room.content().unwrap().contains("honest"),
            "seed {seed}"
        );
    }
    println!("{sent} frames, {stored} updates stored");
    assert!(
        stored * 3 > sent,
        "too few get through to prove anything: {stored} of {sent}"
    );
}

#[test]
fn hostile_frames_of_every_kind_do_no_harm() {
    for seed in seeds(40) {
        println!("ROOM_SEED={seed}");
        let mut luck = Luck::new(seed);
        let mut world = World::new();
        let mut ada = Client::with_id(1, Role::Owner, 5_000);
        ada.connect(&mut world);
        ada.insert(0, "honest 😀 work");
        settle(&mut world, &mut [&mut ada]);
        let mut eve = world.connect(2, Role::Editor);
        for _ in 0..100 {
            let length = luck.below(24);
            let mut frame: Vec<u8> = (0..length)
                .map(|_| {
                    if luck.one_in(3) {
                        luck.next().to_le_bytes()[0]
                    } else {
                        luck.below(9) as u8
                    }
                })
                .collect();
            match luck.below(5) {
                0 => frame = frame::sync_step1(&frame),
                1 => frame = frame::sync_step2(&frame),
                // A state vector of the room's own clients, with clocks in the middle of things.
                2 => {
                    frame =
                        frame::sync_step1(&[&[1, 0x88, 0x27][..], &[luck.below(20) as u8]].concat())
                }
                3 => {
                    let mut awareness = vec![1];
                    write_var_bytes(&mut awareness, &frame);
                    frame = awareness;
                }
                _ => {}
            }
            world.frame(eve, &frame);
            if world.closed(eve).is_some() {
                eve = world.connect(2, Role::Editor);
            }
        }
        settle(&mut world, &mut [&mut ada]);
        assert_eq!(world.stored_content(), "honest 😀 work", "seed {seed}");
    }
}
