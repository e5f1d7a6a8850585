//! Updates that cost `yrs` far more than they have bytes, and how long the dearest of them takes that
//! the gate admits: for [`super::threats`] and `examples/work.rs`.

use crate::room::Document;
use crate::room::read::{write_var_bytes, write_var_uint};

/// `letters` of one client, and behind each of them, the last first, one of another with the larger
/// id: `yrs` looks at all that is behind it for each.
pub fn in_conflict_throughout(letters: u64) -> Vec<u8> {
    behind_each(letters, 9)
}

/// The same by one with a smaller id, which has its place at once; but each splits what it is in, in
/// front of all others.
pub fn splitting(letters: u64) -> Vec<u8> {
    behind_each(letters, 7)
}

fn behind_each(letters: u64, client: u8) -> Vec<u8> {
    let mut clients = [client, 8];
    clients.sort_by_key(|client| std::cmp::Reverse(*client));
    let mut update = vec![2];
    for writes in clients {
        write_var_uint(&mut update, if writes == 8 { 1 } else { letters });
        update.extend([writes, 0]);
        if writes == 8 {
            update.extend([4, 1, 1, b'e']);
            write_var_bytes(
                &mut update,
                "x".repeat(usize::try_from(letters).unwrap()).as_bytes(),
            );
            continue;
        }
        for letter in (0..letters).rev() {
            update.extend([0x84, 8]);
            write_var_uint(&mut update, letter);
            update.extend([1, b'y']);
        }
    }
    update.push(0);
    update
}

/// Every `n`th unit of a client from one on is deleted, `count` of them.
pub fn every_nth_deleted(client: u64, from: u64, n: u64, count: u64) -> Vec<u8> {
    let mut update = vec![0, 1];
    write_var_uint(&mut update, client);
    write_var_uint(&mut update, count);
    for unit in 0..count {
        write_var_uint(&mut update, from + unit * n);
        write_var_uint(&mut update, 1);
    }
    update
}

/// One way to keep a room busy: made so large by a number.
pub type Shape = fn(u64) -> Vec<Vec<u8>>;

/// Ways to keep a room busy. All but the last update of each are there already.
pub const SHAPES: [(&str, Shape); 3] = [
    ("in conflict throughout", |n| {
        vec![in_conflict_throughout(n)]
    }),
    ("splitting in front", |n| vec![splitting(n)]),
    ("deleting in between", |n| {
        let mut text = vec![1, 1, 8, 0, 4, 1, 1, b'e'];
        write_var_bytes(&mut text, "x".repeat(400_000).as_bytes());
        text.push(0);
        let shredded = every_nth_deleted(8, 0, 4, 60_000);
        vec![text, shredded, every_nth_deleted(8, 2, 4, n)]
    }),
];

/// Whether a room admits the last update of a shape made so large; `time` is around that alone.
pub fn admits(shape: Shape, n: u64, time: impl FnOnce(&mut dyn FnMut())) -> bool {
    let mut document = Document::new();
    let mut updates = shape(n);
    let last = updates.pop().unwrap();
    for update in updates {
        document.integrate(&update).unwrap();
    }
    let mut admitted = false;
    time(&mut || admitted = document.integrate(&last).is_ok());
    admitted
}
