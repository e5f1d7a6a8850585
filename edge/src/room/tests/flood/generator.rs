//! A writer of updates that knows the format and has little shame. It writes what an honest client
//! could write, with neighbours from one list, types inside types and deletions of all of it, and
//! every now and then breaks one of the rules: so that many of its updates get through the gate,
//! and meet each other behind it. And a writer of frames of every kind, most of them nonsense.

use std::collections::BTreeMap;

use super::super::support::Luck;
use super::HONEST;
use crate::room::frame;
use crate::room::read::{write_var_bytes, write_var_uint};

/// The clients that it writes as: 1 and those after it.
const CLIENTS: u64 = 3;

type Id = (u64, u64);

/// What the generator believes to be a list: a root or the id of a type, and perhaps a key.
type List = (Result<&'static str, Id>, Option<&'static str>);

pub struct Generator {
    pub luck: Luck,
    /// One rule in so many is broken.
    shame: u64,
    /// Where each client's history ends.
    ends: BTreeMap<u64, u64>,
    /// Units that were taken in, and where.
    units: Vec<(Id, List)>,
    /// What each of them said stands left and right of it.
    beside: BTreeMap<Id, (Option<Id>, Option<Id>)>,
    /// Types among them.
    types: Vec<Id>,
    /// Of the update that is being written.
    new_units: Vec<(Id, List)>,
    new_types: Vec<Id>,
    /// Values of several units under a key, which it deletes as well.
    joined: Vec<(Id, u64)>,
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        let mut luck = Luck::new(seed);
        Self {
            shame: luck.pick(&[5, 20, 60, 400]),
            luck,
            ends: BTreeMap::new(),
            units: vec![],
            beside: BTreeMap::new(),
            types: vec![],
            new_units: vec![],
            new_types: vec![],
            joined: vec![],
        }
    }

    fn shameless(&mut self) -> bool {
        self.luck.one_in(self.shame)
    }

    fn end(&self, client: u64) -> u64 {
        self.ends.get(&client).copied().unwrap_or(0)
    }

    /// Learns where a client's history ends, and so what was taken in.
    pub fn learn(&mut self, clock_of: impl Fn(u64) -> Option<u32>) {
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

    pub fn update(&mut self) -> Vec<u8> {
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
        let keyed = list.1.is_some();
        // As values under a key are when undo has kept what is deleted of them.
        let joined = keyed && kind == 8 && self.luck.one_in(2);
        let one_unit = keyed && !joined && !self.shameless();
        let length = self.content(kind, one_unit, out);
        if joined {
            self.joined.push((id, length));
        }
        let right = self.beside.get(&id).and_then(|beside| beside.1);
        for clock in id.1 + 1..id.1 + length {
            let left = (id.0, clock - 1);
            self.beside.insert((id.0, clock), (Some(left), right));
        }
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
        let same = || {
            known
                .iter()
                .filter(|unit| unit.1 == list)
                .map(|unit| unit.0)
        };
        // Two that were side by side, as far as it knows: one stands beside the other by its own
        // word.
        let said = |id: Id| self.beside.get(&id).copied().unwrap_or_default();
        let mut rights: Vec<Id> = same().filter(|id| said(*id).0 == Some(left)).collect();
        rights.extend(said(left).1);
        let firsts: Vec<Id> = same().filter(|id| said(*id).0.is_none()).collect();
        let all: Vec<Id> = same().collect();
        let mut flags = self.luck.pick(&[0x80, 0xc0, 0xc0, 0xc0, 0xe0]);
        let mut right = left;
        if !rights.is_empty() {
            right = self.luck.pick(&rights);
        } else if !firsts.is_empty() && self.luck.one_in(3) {
            (flags, right) = (0x40, self.luck.pick(&firsts));
        } else {
            flags = 0x80;
        }
        // Or two that undo puts it between.
        if self.luck.one_in(10) {
            (flags, right) = (0xc0, self.luck.pick(&all));
        }
        if self.shameless() {
            right = self.luck.pick(&known).0;
        }
        if self.shameless() {
            left = (left.0, left.1 + self.luck.below(4));
        }
        out.push(kind | flags);
        let mut said = [None, None];
        for ((flag, named), said) in [(0x80, left), (0x40, right)].into_iter().zip(&mut said) {
            if flags & flag != 0 {
                // Nothing after itself, or all of it would be refused.
                let later = named.0 == id.0 && named.1 >= id.1 && id.1 > 0 && !self.shameless();
                let named = if later { (id.0, id.1 - 1) } else { named };
                write_id(named, out);
                *said = Some(named);
            }
        }
        self.beside.insert(id, (said[0], said[1]));
        Some(list)
    }

    /// Begins a struct that is the first of its list.
    fn inside(&mut self, id: Id, kind: u8, out: &mut Vec<u8>) -> List {
        self.beside.remove(&id);
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
        for ((client, clock), length) in self.joined.drain(..) {
            let ranges = ranges.entry(client).or_default();
            ranges.insert(clock, clock + length);
        }
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

impl Generator {
    /// A frame of some kind: an update nearly always.
    pub fn frame(&mut self, clock_of: impl Fn(u64) -> Option<u32>) -> Vec<u8> {
        let update = match self.luck.below(40) {
            0 => return self.noise(24),
            1 => return frame::sync_step1(&self.noise(24)),
            2 => {
                // A state vector of the room's own clients, with clocks in the middle of things.
                let mut state_vector = vec![1];
                write_id(
                    (self.luck.pick(&HONEST), self.luck.below(20)),
                    &mut state_vector,
                );
                return frame::sync_step1(&state_vector);
            }
            3 => return awareness(&self.noise(24)),
            4 => {
                let client = self.luck.below(CLIENTS) + 1;
                let state = self.luck.pick(&["null", "{}", "{\"cursor\":1}", "[", "7"]);
                let entry = (client, self.luck.below(1 << 42), Some(state));
                return frame::awareness([entry].into_iter());
            }
            5 => self.noise(60),
            6 | 7 => self.forged(clock_of),
            _ => self.update(),
        };
        if self.luck.one_in(3) {
            frame::sync_step2(&update)
        } else {
            frame::update(&update)
        }
    }

    /// What an honest client would write next, had it written this.
    fn forged(&mut self, clock_of: impl Fn(u64) -> Option<u32>) -> Vec<u8> {
        let victim = self.luck.pick(&HONEST);
        let clock = clock_of(victim).unwrap_or(0);
        let mut update = vec![1, 1];
        write_id((victim, clock.into()), &mut update);
        update.extend(b"\x04\x01\x03eve\x06forged\x00");
        update
    }

    fn noise(&mut self, length_max: u64) -> Vec<u8> {
        (0..self.luck.below(length_max))
            .map(|_| {
                let small = !self.luck.one_in(3);
                let byte = self.luck.next().to_le_bytes()[0];
                if small { byte % 9 } else { byte }
            })
            .collect()
    }
}

fn awareness(body: &[u8]) -> Vec<u8> {
    let mut frame = vec![1];
    write_var_bytes(&mut frame, body);
    frame
}
