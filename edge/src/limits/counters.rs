//! What is known of each key, and what a call does with it: pure.
//!
//! A shard that has memory keeps the cells there ([`Kept`]) and writes down only what would
//! be missed: whatever is over before the platform forgets an idle object is never written,
//! and of what lasts longer at most an eighth is lost ([`is_worth_writing`]).

use std::collections::{BTreeMap, HashMap};

use super::Micros;
use super::calls::{GiveBack, PasswordRight, Take, Taken, Tried, TryPassword};
use super::slow_down::{SlowDown, Tries};
use crate::shard::Call;

/// What is known of a key. What it means is the caller's business; after `until` it is nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cell {
    /// Until when what was taken lasts, or when the last try was.
    pub at: Micros,
    /// Tries; 0 where only a time is kept.
    pub count: u32,
    /// When it is worth nothing any more.
    pub until: Micros,
}

/// The cells of one call.
pub type Cells = BTreeMap<String, Cell>;

/// For so long an address from which somebody has signed in is their own.
const KNOWN: Micros = 30 * 24 * 3_600 * 1_000_000;

/// A call, seen from the cells.
pub trait Counting: Call {
    /// The keys that it reads and writes.
    fn keys(&self) -> Vec<&str>;

    /// Does it. `cells` has those of its keys that are known.
    fn apply(&self, now: Micros, cells: &mut Cells) -> Self::Answer;
}

impl Counting for Take {
    fn keys(&self) -> Vec<&str> {
        self.from.iter().map(|counted| &*counted.key).collect()
    }

    fn apply(&self, now: Micros, cells: &mut Cells) -> Taken {
        let before = |key: &str| cells.get(key).map_or(0, |cell| cell.at);
        let asked: Vec<_> = self
            .from
            .iter()
            .map(|counted| counted.rate.take(before(&counted.key), now))
            .collect();
        let refused = asked.iter().enumerate().filter(|(_, asked)| asked.is_err());
        let refused_by: Vec<usize> = refused.map(|(index, _)| index).collect();
        if refused_by.is_empty() {
            for (counted, at) in self.from.iter().zip(asked) {
                let at = at.unwrap_or(now);
                put(
                    cells,
                    &counted.key,
                    Cell {
                        at,
                        count: 0,
                        until: at,
                    },
                );
            }
        }
        let standing = |key: &str| cells.get(key).map_or(0, |cell| cell.at);
        let standings = self
            .from
            .iter()
            .map(|counted| counted.rate.standing(standing(&counted.key), now))
            .collect();
        Taken {
            standings,
            refused_by,
        }
    }
}

impl Counting for GiveBack {
    fn keys(&self) -> Vec<&str> {
        vec![&self.to.key]
    }

    fn apply(&self, now: Micros, cells: &mut Cells) {
        if let Some(cell) = cells.get_mut(&self.to.key) {
            cell.at = self.to.rate.give_back(cell.at, now);
            cell.until = cell.at;
        }
    }
}

impl Counting for TryPassword {
    fn keys(&self) -> Vec<&str> {
        vec![
            &self.account.anywhere,
            &self.account.here,
            &self.account.known,
        ]
    }

    fn apply(&self, now: Micros, cells: &mut Cells) -> Tried {
        let account = &self.account;
        let known = cells
            .get(&account.known)
            .is_some_and(|cell| now < cell.until);
        let attempt = |rule: Option<SlowDown>, key: &str| {
            let rule = rule?;
            let cell = cells.get(key).copied().unwrap_or_default();
            let tries = Tries {
                count: cell.count,
                at: cell.at,
            };
            Some((rule, rule.attempt(tries, now)))
        };
        let here = attempt(self.here, &account.here);
        // Whoever has been right from here before is not held up by strangers elsewhere.
        let anywhere = attempt(self.anywhere.filter(|_| !known), &account.anywhere);
        let wait = |attempt: &Option<(SlowDown, Result<Tries, Micros>)>| {
            let wait = attempt.and_then(|(_, attempt)| attempt.err());
            wait.unwrap_or(0)
        };
        let (wait_here, wait_anywhere) = (wait(&here), wait(&anywhere));
        if wait_here.max(wait_anywhere) > 0 {
            return Tried {
                wait: wait_here.max(wait_anywhere),
                by_account: wait_anywhere > wait_here,
            };
        }
        for (attempt, key) in [(here, &account.here), (anywhere, &account.anywhere)] {
            if let Some((rule, Ok(tries))) = attempt {
                let (at, count) = (tries.at, tries.count);
                let until = rule.forgotten_at(tries);
                put(cells, key, Cell { at, count, until });
            }
        }
        Tried {
            wait: 0,
            by_account: false,
        }
    }
}

impl Counting for PasswordRight {
    fn keys(&self) -> Vec<&str> {
        vec![
            &self.account.anywhere,
            &self.account.here,
            &self.account.known,
        ]
    }

    fn apply(&self, now: Micros, cells: &mut Cells) {
        for key in [&self.account.here, &self.account.anywhere] {
            if let Some(cell) = cells.get_mut(key) {
                *cell = Cell::default();
            }
        }
        let until = now.saturating_add(KNOWN);
        let known = Cell {
            at: until,
            count: 0,
            until,
        };
        put(cells, &self.account.known, known);
    }
}

fn put(cells: &mut Cells, key: &str, cell: Cell) {
    match cells.get_mut(key) {
        Some(place) => *place = cell,
        None => {
            cells.insert(key.to_owned(), cell);
        }
    }
}

/// An idle object may be forgotten after this time; what is over by then is not worth a row.
const FORGOTTEN_AFTER: Micros = 10_000_000;

/// Whether `cell` has to be written where the database has `stored`. What is not written is lost
/// when the object is forgotten: less than [`FORGOTTEN_AFTER`], or than an eighth of what is left.
fn is_worth_writing(stored: Option<Cell>, cell: Cell, now: Micros) -> bool {
    let lasts = |cell: Cell| cell.until.saturating_sub(now);
    let Some(stored) = stored.filter(|stored| lasts(*stored) > 0) else {
        // One try is forgiven to everybody.
        return lasts(cell) > FORGOTTEN_AFTER && cell.count != 1;
    };
    let lost = stored.until.saturating_sub(cell.until).saturating_abs();
    let longest = lasts(cell).max(lasts(stored)) / 8;
    stored.count != cell.count || lost > longest.max(FORGOTTEN_AFTER)
}

/// The cells of a shard that has memory, and what of them is stored.
pub struct Kept {
    cells: HashMap<String, (Cell, Option<Cell>)>,
    max: usize,
}

impl Kept {
    /// Room for `max` cells.
    pub fn new(max: usize) -> Self {
        Self {
            cells: HashMap::new(),
            max,
        }
    }

    /// Those of `keys` that the database has to be asked for.
    pub fn missing<'a>(&self, keys: &[&'a str]) -> Vec<&'a str> {
        let missing = keys.iter().filter(|key| !self.cells.contains_key(**key));
        missing.copied().collect()
    }

    /// What the database has of `keys`; what it has not is nothing.
    pub fn learn(&mut self, keys: &[&str], mut stored: Cells) {
        for key in keys {
            let cell = stored.remove(*key);
            let kept = (cell.unwrap_or_default(), cell);
            self.cells.insert((*key).to_owned(), kept);
        }
    }

    /// The cells of `keys`.
    pub fn cells(&self, keys: &[&str]) -> Cells {
        let known = keys.iter().filter_map(|key| {
            let (cell, _) = self.cells.get(*key)?;
            Some(((*key).to_owned(), *cell))
        });
        known.collect()
    }

    /// Takes what a call has made of its cells, and gives what of it has to be written.
    pub fn take(&mut self, now: Micros, cells: Cells) -> Cells {
        let mut write = Cells::new();
        for (key, cell) in cells {
            let kept = self.cells.entry(key.clone()).or_default();
            kept.0 = cell;
            if is_worth_writing(kept.1, cell, now) {
                kept.1 = Some(cell);
                write.insert(key, cell);
            }
        }
        if self.cells.len() > self.max {
            self.sweep(now);
        }
        write
    }

    /// Forgets what is over; and if that is not enough, what is over soonest: whose cell that is
    /// gains least.
    fn sweep(&mut self, now: Micros) {
        self.cells.retain(|_, (cell, _)| now < cell.until);
        let keep = self.max.saturating_sub(self.max / 8);
        let mut surplus = self.cells.len().saturating_sub(keep);
        let mut ends: Vec<Micros> = self.cells.values().map(|(cell, _)| cell.until).collect();
        if surplus == 0 || surplus >= ends.len() {
            return;
        }
        let (_, last, _) = ends.select_nth_unstable(surplus);
        let last = *last;
        // Many may end at the same moment: of them only as many go as are too many.
        surplus = surplus.saturating_sub(ends.iter().filter(|end| **end < last).count());
        self.cells.retain(|_, (cell, _)| {
            let goes = cell.until < last || (cell.until == last && surplus > 0);
            if goes && cell.until == last {
                surplus = surplus.saturating_sub(1);
            }
            !goes
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::calls::{Account, Counted};
    use super::super::rate::Rate;
    use super::*;

    const NOW: Micros = 1_800_000_000_000_000;
    const SECOND: Micros = 1_000_000;

    fn take(keys: &[&str], rate: Rate) -> Take {
        let counted = |key: &&str| Counted {
            key: (*key).to_owned(),
            rate,
        };
        Take {
            from: keys.iter().map(counted).collect(),
        }
    }

    #[test]
    fn a_refused_request_takes_from_none_of_its_limits() {
        let rate = Rate::new(3, 60, 3);
        let mut cells = Cells::new();
        for _ in 0..3 {
            assert!(
                take(&["narrow"], rate)
                    .apply(NOW, &mut cells)
                    .refused_by
                    .is_empty()
            );
        }
        let both = take(&["wide", "narrow"], rate);
        for _ in 0..10 {
            let taken = both.apply(NOW, &mut cells);
            assert_eq!(taken.refused_by, [1]);
            assert_eq!(taken.standings[0].remaining, 3);
        }
    }

    fn account(address: &str) -> Account {
        Account {
            anywhere: "a".into(),
            here: format!("a@{address}"),
            known: format!("k@{address}"),
        }
    }

    fn attempt(cells: &mut Cells, now: Micros, address: &str) -> Tried {
        let call = TryPassword {
            account: account(address),
            here: Some(SlowDown::new(2, 900)),
            anywhere: Some(SlowDown::new(50, 900)),
        };
        call.apply(now, cells)
    }

    #[test]
    fn a_stranger_slows_down_nobody_elsewhere() {
        let mut cells = Cells::new();
        let mut now = NOW;
        // As fast as it is let.
        for _ in 0..49 {
            let wait = attempt(&mut cells, now, "stranger").wait;
            if wait > 0 {
                now += wait;
                assert_eq!(attempt(&mut cells, now, "stranger").wait, 0);
            }
        }
        assert!(attempt(&mut cells, now, "stranger").wait > 0);
        assert_eq!(attempt(&mut cells, now, "owner").wait, 0);
    }

    #[test]
    fn many_strangers_slow_each_other_down_and_not_an_owner_who_has_been_there_before() {
        let mut cells = Cells::new();
        attempt(&mut cells, NOW, "home");
        let right = PasswordRight {
            account: account("home"),
        };
        right.apply(NOW, &mut cells);
        let tried = (0..1_000)
            .filter(|n| attempt(&mut cells, NOW, &format!("stranger {n}")).wait == 0)
            .count();
        assert_eq!(tried, 50);
        let refused = attempt(&mut cells, NOW, "stranger again");
        assert!(refused.by_account && refused.wait <= 20 * SECOND);
        assert_eq!(attempt(&mut cells, NOW, "home").wait, 0);
        // Not for ever.
        let later = NOW + KNOWN;
        attempt(&mut cells, later, "home");
        let many = (0..1_000).filter(|n| attempt(&mut cells, later, &format!("{n}")).wait == 0);
        assert_eq!(many.count(), 49);
        assert!(attempt(&mut cells, later, "home").wait > 0);
    }

    #[test]
    fn a_password_that_was_right_makes_up_for_those_before() {
        let mut cells = Cells::new();
        attempt(&mut cells, NOW, "home");
        attempt(&mut cells, NOW, "home");
        assert!(attempt(&mut cells, NOW, "home").wait > 0);
        let right = PasswordRight {
            account: account("home"),
        };
        right.apply(NOW, &mut cells);
        for _ in 0..2 {
            assert_eq!(attempt(&mut cells, NOW, "home").wait, 0);
        }
    }

    #[test]
    fn ordinary_use_writes_nothing_and_a_flood_little() {
        let rate = Rate::new(1_200, 60, 1_200);
        let mut kept = Kept::new(100);
        let (mut now, mut written, mut taken) = (NOW, 0, 0);
        let ask = |now, kept: &mut Kept| {
            let call = take(&["k"], rate);
            let mut cells = kept.cells(&call.keys());
            let admitted = call.apply(now, &mut cells).refused_by.is_empty();
            (admitted, kept.take(now, cells).len())
        };
        for _ in 0..1_000 {
            now += SECOND / 10;
            written += ask(now, &mut kept).1;
        }
        assert_eq!(written, 0, "ten a second");
        for _ in 0..10_000 {
            let (admitted, rows) = ask(now, &mut kept);
            taken += usize::from(admitted);
            written += rows;
        }
        assert!(taken >= 1_199, "{taken}");
        assert!((1..=6).contains(&written), "{written} rows for {taken}");
    }

    #[test]
    fn what_is_lost_when_an_object_is_forgotten_is_little() {
        for (quota, window) in [(5, 3_600), (100, 900), (1_200, 60), (6_000, 60)] {
            let rate = Rate::new(quota, window, quota);
            let mut kept = Kept::new(100);
            let (mut stored, mut taken) = (Cells::new(), 0);
            let call = take(&["k"], rate);
            loop {
                let mut cells = kept.cells(&call.keys());
                if !call.apply(NOW, &mut cells).refused_by.is_empty() {
                    break;
                }
                taken += 1;
                stored.extend(kept.take(NOW, cells));
            }
            assert_eq!(taken, quota);
            // Forgotten, and asked again when it can first have been.
            let now = NOW + FORGOTTEN_AFTER;
            let at = stored.get("k").map_or(0, |cell| cell.at);
            let more = rate.standing(at, now).remaining;
            let regained = u32::try_from(FORGOTTEN_AFTER).unwrap() / (window * 1_000_000 / quota);
            let bound = regained.saturating_mul(2) + quota / 8 + 1;
            assert!(more <= bound, "{quota} in {window}: {more} of {bound}");
        }
    }

    #[test]
    fn memory_is_bounded_and_who_has_asked_most_is_forgotten_last() {
        let rate = Rate::new(100, 900, 100);
        let mut kept = Kept::new(80);
        let mut ask = |key: &str| {
            let call = take(&[key], rate);
            kept.learn(&kept.missing(&call.keys()), Cells::new());
            let mut cells = kept.cells(&call.keys());
            let admitted = call.apply(NOW, &mut cells).refused_by.is_empty();
            kept.take(NOW, cells);
            (admitted, kept.cells.len())
        };
        while ask("flood").0 {}
        for n in 0..10_000 {
            assert!(ask(&format!("passer-by {n}")).1 <= 80);
        }
        assert!(!ask("flood").0);
    }

    #[test]
    fn what_is_reset_is_reset_in_the_database_too() {
        let cell = |seconds: Micros, count| Cell {
            at: NOW,
            count,
            until: NOW + seconds * SECOND,
        };
        let over = Cell::default();
        assert!(is_worth_writing(Some(cell(900, 3)), over, NOW));
        assert!(!is_worth_writing(None, over, NOW));
        assert!(!is_worth_writing(None, cell(10, 0), NOW));
        assert!(is_worth_writing(None, cell(11, 0), NOW));
        assert!(!is_worth_writing(Some(cell(900, 0)), cell(950, 0), NOW));
        assert!(is_worth_writing(Some(cell(700, 0)), cell(900, 0), NOW));
    }
}
