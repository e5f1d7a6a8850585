//! Replicas agree on the order of what passes the gate, in whatever order they hear of it. The same
//! without the gate is the control: there they do not.

use codecrafter_shared::document::MAIN_TEXT;
use yrs::updates::decoder::Decode as _;
use yrs::{Doc, GetString as _, ReadTxn as _, Transact as _, Update};

use super::support::{Luck, seeds};
use crate::room::Document;
use crate::room::read::{write_var_bytes, write_var_uint};

type Id = (u64, u64);

/// A struct of one or two letters.
#[derive(Debug)]
struct Letters {
    id: Id,
    length: u64,
    left: Option<Id>,
    right: Option<Id>,
    /// What replicas are told of it, if not what its author has sent.
    told: Option<Vec<u8>>,
}

impl Letters {
    fn random(luck: &mut Luck, known: &[Id], client: u64) -> Self {
        let clock = known.iter().filter(|id| id.0 == client).count() as u64;
        let mut any = || match luck.below(known.len() as u64 + 1) {
            0 => None,
            n => Some(known[usize::try_from(n).unwrap() - 1]),
        };
        let (left, right) = (any(), any());
        Self {
            id: (client, clock),
            length: luck.below(2) + 1,
            left,
            right,
            told: None,
        }
    }

    fn update(&self) -> Vec<u8> {
        let mut update = vec![1, 1];
        write_var_uint(&mut update, self.id.0);
        write_var_uint(&mut update, self.id.1);
        let flags = [(self.left, 0x80), (self.right, 0x40)];
        let flags = flags.iter().filter(|(named, _)| named.is_some());
        update.push(4 + flags.map(|(_, flag)| flag).sum::<u8>());
        for named in [self.left, self.right].into_iter().flatten() {
            write_var_uint(&mut update, named.0);
            write_var_uint(&mut update, named.1);
        }
        if self.left.or(self.right).is_none() {
            update.push(1);
            write_var_bytes(&mut update, MAIN_TEXT.as_bytes());
        }
        // Each is told from all others.
        let letter = char::from_u32(u32::try_from(0x100 + self.id.0 * 64 + self.id.1).unwrap());
        let text: String = letter
            .into_iter()
            .cycle()
            .take(usize::try_from(self.length).unwrap())
            .collect();
        write_var_bytes(&mut update, text.as_bytes());
        update.push(0);
        update
    }

    /// Whether a replica with histories of those lengths can take it.
    fn follows(&self, ends: &[u64]) -> bool {
        let end = |client: u64| ends[usize::try_from(client).unwrap()];
        let named = [self.left, self.right].into_iter().flatten();
        end(self.id.0) == self.id.1 && named.into_iter().all(|id| end(id.0) > id.1)
    }
}

/// The text that comes of them in a random order in which each follows what it names.
fn text_of(all: &[Letters], luck: &mut Luck) -> String {
    let doc = Doc::with_client_id(99);
    let mut ends = [0; 6];
    let mut waiting: Vec<&Letters> = all.iter().collect();
    while !waiting.is_empty() {
        let ready: Vec<usize> = (0..waiting.len())
            .filter(|n| waiting[*n].follows(&ends))
            .collect();
        let next = waiting.remove(luck.pick(&ready));
        let update = next.told.clone().unwrap_or_else(|| next.update());
        let update = Update::decode_v1(&update).unwrap();
        doc.transact_mut().apply_update(update).unwrap();
        ends[usize::try_from(next.id.0).unwrap()] += next.length;
    }
    let transaction = doc.transact();
    let text = transaction.get_text(MAIN_TEXT);
    text.map_or_else(String::new, |text| text.get_string(&transaction))
}

/// Makes structs up, with or without the gate, and says how many it took, how many it did not, and
/// whether replicas agree on the rest.
fn try_out(seed: u64, gate: bool) -> (usize, usize, bool) {
    let mut luck = Luck::new(seed);
    let mut document = Document::new();
    let (mut taken, mut known, mut refused) = (vec![], vec![], 0);
    for _ in 0..16 {
        let client = luck.below(5) + 1;
        let mut letters = Letters::random(&mut luck, &known, client);
        if gate {
            match document.integrate(&letters.update()) {
                Ok(integrated) => letters.told = integrated.update,
                Err(_) => {
                    refused += 1;
                    continue;
                }
            }
        }
        known.extend((0..letters.length).map(|n| (client, letters.id.1 + n)));
        taken.push(letters);
    }
    let expected = text_of(&taken, &mut luck);
    let agree = (0..12).all(|_| text_of(&taken, &mut luck) == expected);
    assert!(!gate || document.content() == expected || !agree);
    (taken.len(), refused, agree)
}

#[test]
fn replicas_agree_whatever_they_hear_of_first() {
    let (mut taken, mut refused) = (0, 0);
    for seed in seeds(600) {
        let (these, others, agree) = try_out(seed, true);
        assert!(agree, "ROOM_SEED={seed}");
        taken += these;
        refused += others;
    }
    println!("{taken} taken, {refused} refused");
    assert!(refused > 100 && taken > 1_000);
}

#[test]
fn without_the_gate_they_do_not() {
    let spoilt = (1..=200).filter(|seed| !try_out(*seed, false).2).count();
    println!("{spoilt} of 200 spoilt");
    assert!(spoilt > 0);
}
