//! Updates by a generator that knows the format and no shame: random structs, origins, parents,
//! clocks and deletions of a few clients, so that they overlap, contradict and refer to each
//! other. The room must take every one without harm, and stay loadable.

use codecrafter_shared::role::Role;

use super::support::{Client, Luck, World, seeds, settle};
use crate::room::frame;
use crate::room::read::{write_var_bytes, write_var_uint};

const CLIENTS: u64 = 3;

struct Generator {
    luck: Luck,
    /// Where each client's history ends: hostile updates mostly go on there, or else few would
    /// get past the gate.
    ends: [u64; 4],
}

impl Generator {
    fn update(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut clients: Vec<u64> = (1..=CLIENTS).collect();
        while clients.len() > 1 && !self.luck.one_in(3) {
            let index = usize::try_from(self.luck.below(clients.len() as u64)).unwrap();
            clients.remove(index);
        }
        if !self.luck.one_in(30) {
            clients.reverse();
        }
        write_var_uint(&mut out, clients.len() as u64);
        for client in clients {
            self.section(client, &mut out);
        }
        self.deletions(&mut out);
        if self.luck.one_in(40) {
            self.spoil(&mut out);
        }
        out
    }

    fn section(&mut self, client: u64, out: &mut Vec<u8>) {
        let count = self.luck.below(4) + 1;
        let end = self.ends[usize::try_from(client).unwrap()];
        let start = match self.luck.below(8) {
            0 => self.luck.below(end + 4),
            1 => end.saturating_sub(self.luck.below(5)),
            2 => 0,
            _ => end,
        };
        write_var_uint(out, count);
        write_var_uint(out, client);
        write_var_uint(out, start);
        let mut clock = start;
        for _ in 0..count {
            clock += self.one_struct(client, clock, out);
        }
    }

    /// Writes a struct and gives its length.
    fn one_struct(&mut self, client: u64, clock: u64, out: &mut Vec<u8>) -> u64 {
        let kind = self
            .luck
            .pick(&[4, 4, 4, 4, 0, 1, 3, 5, 6, 7, 7, 8, 10, 2, 9]);
        if (kind == 10 || kind == 9 || kind == 2) && !self.luck.one_in(8) {
            return self.one_struct(client, clock, out);
        }
        if kind == 0 || kind == 10 {
            let length = self.luck.below(3) + 1;
            out.push(kind);
            write_var_uint(out, length);
            return length;
        }
        let flags = self.luck.pick(&[0x00, 0x80, 0x40, 0xc0, 0x80, 0xa0, 0x20]);
        out.push(kind | flags);
        for flag in [0x80, 0x40] {
            if flags & flag != 0 {
                self.id(client, clock, out);
            }
        }
        if flags & 0xc0 == 0 {
            if self.luck.one_in(3) {
                out.push(0);
                self.id(client, clock, out);
            } else {
                out.push(1);
                write_var_bytes(out, self.luck.pick(&[&b"t"[..], b"content", b"files"]));
            }
            if flags & 0x20 != 0 {
                write_var_bytes(out, self.luck.pick(&[&b"k"[..], b"a.py"]));
            }
        }
        self.content(kind, out)
    }

    /// The name of a unit: mostly one that is there.
    fn id(&mut self, client: u64, clock: u64, out: &mut Vec<u8>) {
        let of = if self.luck.one_in(3) {
            self.luck.below(CLIENTS) + 1
        } else {
            client
        };
        let before = if of == client {
            clock
        } else {
            self.ends[usize::try_from(of).unwrap()]
        };
        let slack = if self.luck.one_in(20) { 3 } else { 0 };
        let named = self.luck.below(before + slack);
        write_var_uint(out, of);
        write_var_uint(out, named);
    }

    fn content(&mut self, kind: u8, out: &mut Vec<u8>) -> u64 {
        match kind {
            1 => {
                let length = self.luck.below(4) + 1;
                write_var_uint(out, length);
                length
            }
            4 => {
                let text = self.luck.pick(&["a", "bcd", "hello", "é😀x", "😀"]);
                write_var_bytes(out, text.as_bytes());
                text.encode_utf16().count() as u64
            }
            5 => {
                write_var_bytes(
                    out,
                    self.luck.pick(&[&b"{}"[..], b"[1,{\"a\":null}]", b"oops"]),
                );
                1
            }
            6 => {
                write_var_bytes(out, self.luck.pick(&[&b"bold"[..], b"em"]));
                write_var_bytes(out, self.luck.pick(&[&b"true"[..], b"null"]));
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
                let count = self.luck.below(3) + 1;
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

    fn deletions(&mut self, out: &mut Vec<u8>) {
        if !self.luck.one_in(3) {
            out.push(0);
            return;
        }
        let count = self.luck.below(CLIENTS) + 1;
        write_var_uint(out, count);
        for client in 1..=count {
            let mut from = 0;
            let ranges = self.luck.below(3) + 1;
            write_var_uint(out, client);
            write_var_uint(out, ranges);
            for _ in 0..ranges {
                from += self
                    .luck
                    .below(self.ends[usize::try_from(client).unwrap()] / 2 + 1);
                let length = self.luck.below(4) + 1;
                write_var_uint(out, from);
                write_var_uint(out, length);
                from += length;
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

#[test]
fn hostile_updates_do_no_harm() {
    let (mut stored, mut sent) = (0, 0);
    for seed in seeds(700) {
        println!("ROOM_SEED={seed}");
        let mut generator = Generator {
            luck: Luck::new(seed),
            ends: [0; 4],
        };
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
            for client in 1..=CLIENTS {
                if let Some(clock) = world.clock(client) {
                    generator.ends[usize::try_from(client).unwrap()] = clock.into();
                }
            }
            if world.closed(eve).is_some() {
                eve = world.connect(2, Role::Editor);
            }
            if generator.luck.one_in(10) {
                world.sleep();
            }
        }
        stored += world.kept.updates.len();

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
        stored * 10 > sent,
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
