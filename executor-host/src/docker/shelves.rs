//! How many containers wait on which shelf, how many are on their way there or lent, and whose turn
//! it is: pure.
//!
//! Who waits for a container gets one before those who came later. What is ready is the first
//! ones': a newcomer takes one only if there are more than those who wait.

use std::collections::{HashMap, VecDeque};

/// What waits, by the id of its image, so that an image that was built anew is not served by an
/// old one.
#[derive(Debug)]
pub struct Shelves<T> {
    shelves: HashMap<String, Shelf<T>>,
    /// The last turn that was given out.
    turns: u64,
}

/// The place of somebody who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn(u64);

#[derive(Debug)]
struct Shelf<T> {
    ready: Vec<T>,
    starting: usize,
    /// In use, of those that come back.
    lent: usize,
    /// Of the lent ones those that are about to be back.
    returning: usize,
    /// Who waits for the next ones, the first first.
    waiting: VecDeque<Turn>,
    /// As many as are to wait. A shelf of which none are stays for those that are starting.
    wanted: usize,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self {
            ready: Vec::new(),
            starting: 0,
            lent: 0,
            returning: 0,
            waiting: VecDeque::new(),
            wanted: 0,
        }
    }
}

impl<T> Shelf<T> {
    /// How many are ready, or will be before one could be started. Of an image one is started at a
    /// time.
    fn soon(&self) -> usize {
        self.ready.len() + self.returning + self.starting.min(1)
    }

    /// How many are before somebody who waits.
    fn before(&self, turn: Turn) -> Option<usize> {
        self.waiting.iter().position(|waiting| *waiting == turn)
    }

    /// One that is in order, if there are more than so many whose turn comes before. Of several the
    /// one that was used last, of which the most is still in the machine's caches.
    fn take(&mut self, before: usize, is_in_order: impl Fn(&mut T) -> bool) -> Option<T> {
        while self.ready.len() > before {
            let mut one = self.ready.pop()?;
            if is_in_order(&mut one) {
                return Some(one);
            }
        }
        None
    }
}

impl<T> Default for Shelves<T> {
    fn default() -> Self {
        let (shelves, turns) = (HashMap::new(), 0);
        Self { shelves, turns }
    }
}

impl<T> Shelves<T> {
    /// From now on `each` are wanted of these images and none of any other. Returns those that
    /// waited in vain.
    pub fn want(&mut self, images: &[&str], each: usize) -> Vec<T> {
        for image in images {
            self.shelves.entry((*image).to_owned()).or_default();
        }
        let mut surplus = Vec::new();
        for (image, shelf) in &mut self.shelves {
            shelf.wanted = if images.contains(&&**image) { each } else { 0 };
            let keep = shelf.wanted.min(shelf.ready.len());
            surplus.extend(shelf.ready.drain(keep..));
        }
        self.forget_empty();
        surplus
    }

    /// How many have to be started so that as many wait as are wanted; the caller starts them.
    pub fn start(&mut self, image: &str) -> usize {
        let Some(shelf) = self.shelves.get_mut(image) else {
            return 0;
        };
        let there = shelf.ready.len() + shelf.starting + shelf.lent;
        let missing = shelf.wanted.saturating_sub(there);
        shelf.starting += missing;
        missing
    }

    /// How many wait.
    pub fn ready(&self, image: &str) -> usize {
        self.shelves.get(image).map_or(0, |shelf| shelf.ready.len())
    }

    /// One that was started, or could not be. Returns it if it is not wanted any more.
    pub fn put(&mut self, image: &str, started: Option<T>) -> Option<T> {
        let Some(shelf) = self.shelves.get_mut(image) else {
            return started;
        };
        shelf.starting = shelf.starting.saturating_sub(1);
        let surplus = match started {
            Some(one) if shelf.ready.len() < shelf.wanted.max(shelf.waiting.len()) => {
                shelf.ready.push(one);
                None
            }
            other => other,
        };
        self.forget_empty();
        surplus
    }

    /// One that is ready and in order, for somebody who has just come.
    pub fn take(&mut self, image: &str, is_in_order: impl Fn(&mut T) -> bool) -> Option<T> {
        let shelf = self.shelves.get_mut(image)?;
        shelf.take(shelf.waiting.len(), is_in_order)
    }

    /// One that is ready and in order, for somebody who waits, if it is their turn. They do not
    /// wait any more then.
    pub fn take_in_turn(
        &mut self,
        image: &str,
        turn: Turn,
        is_in_order: impl Fn(&mut T) -> bool,
    ) -> Option<T> {
        let shelf = self.shelves.get_mut(image)?;
        let taken = shelf.take(shelf.before(turn)?, is_in_order)?;
        self.stop_waiting(image, turn);
        Some(taken)
    }

    /// One that was taken, or was never on the shelf, is in use and will come back.
    pub fn lend(&mut self, image: &str) {
        self.shelves.entry(image.to_owned()).or_default().lent += 1;
    }

    /// One that is lent will be back soon.
    pub fn announce_return(&mut self, image: &str) {
        if let Some(shelf) = self.shelves.get_mut(image) {
            shelf.returning += 1;
        }
    }

    /// Joins those who wait, if enough will be there soon; the caller leaves by
    /// [`Self::stop_waiting`] or with one.
    pub fn wait(&mut self, image: &str) -> Option<Turn> {
        let shelf = self.shelves.get_mut(image)?;
        if shelf.soon() <= shelf.waiting.len() {
            return None;
        }
        self.turns += 1;
        let turn = Turn(self.turns);
        shelf.waiting.push_back(turn);
        Some(turn)
    }

    /// Whether enough will still be there soon for those before, and for this one.
    pub fn is_worth_waiting(&self, image: &str, turn: Turn) -> bool {
        let shelf = self.shelves.get(image);
        shelf.is_some_and(|shelf| {
            shelf
                .before(turn)
                .is_some_and(|before| shelf.soon() > before)
        })
    }

    /// One who waited does not wait any more.
    pub fn stop_waiting(&mut self, image: &str, turn: Turn) {
        if let Some(shelf) = self.shelves.get_mut(image) {
            shelf.waiting.retain(|waiting| *waiting != turn);
        }
        self.forget_empty();
    }

    /// One that was lent is back, or is no more. Returns it if it is not wanted any more.
    pub fn end_loan(&mut self, image: &str, was_announced: bool, back: Option<T>) -> Option<T> {
        let Some(shelf) = self.shelves.get_mut(image) else {
            return back;
        };
        shelf.lent = shelf.lent.saturating_sub(1);
        shelf.returning = shelf.returning.saturating_sub(usize::from(was_announced));
        let surplus = match back {
            Some(one)
                if shelf.ready.len() + shelf.starting < shelf.wanted
                    || shelf.ready.len() < shelf.waiting.len() =>
            {
                shelf.ready.push(one);
                None
            }
            other => other,
        };
        self.forget_empty();
        surplus
    }

    fn forget_empty(&mut self) {
        self.shelves.retain(|_, shelf| {
            let users = shelf.starting + shelf.lent + shelf.waiting.len();
            shelf.wanted > 0 || users > 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take<T>(shelves: &mut Shelves<T>, image: &str) -> Option<T> {
        shelves.take(image, |_| true)
    }

    #[test]
    fn as_many_are_started_as_are_missing() {
        let mut shelves = Shelves::default();
        assert_eq!(shelves.start("c"), 0, "nobody wants it");
        shelves.want(&["c"], 2);
        assert_eq!(shelves.start("c"), 2);
        assert_eq!(shelves.start("c"), 0, "they are on their way");
        assert_eq!(shelves.put("c", Some(1)), None);
        assert_eq!(shelves.put("c", None), None, "it could not be started");
        assert_eq!(shelves.start("c"), 1);
        assert_eq!(shelves.put("c", Some(2)), None);
        assert!(take(&mut shelves, "c").is_some());
        assert_eq!(shelves.start("c"), 1);
    }

    #[test]
    fn what_is_not_wanted_any_more_is_given_back_waiting_or_starting() {
        let mut shelves = Shelves::default();
        shelves.want(&["c", "go"], 2);
        assert_eq!((shelves.start("c"), shelves.start("go")), (2, 2));
        assert_eq!(shelves.put("c", Some(1)), None);
        assert_eq!(shelves.want(&["go"], 1), [1]);
        assert_eq!(shelves.put("c", Some(2)), Some(2));
        assert_eq!(take(&mut shelves, "c"), None);
        assert_eq!(shelves.put("go", Some(3)), None);
        assert_eq!(shelves.put("go", Some(4)), Some(4), "one is enough now");
    }

    #[test]
    fn what_is_lent_is_not_made_up_for_and_waited_for_when_it_comes_back() {
        let mut shelves = Shelves::default();
        shelves.want(&["c"], 2);
        assert_eq!(shelves.start("c"), 2);
        shelves.put("c", Some(1));
        shelves.put("c", Some(2));
        assert_eq!(take(&mut shelves, "c"), Some(2));
        shelves.lend("c");
        assert_eq!(shelves.start("c"), 0);
        assert_eq!(take(&mut shelves, "c"), Some(1));
        shelves.lend("c");
        assert_eq!(shelves.wait("c"), None, "nobody knows when it comes back");
        shelves.announce_return("c");
        let turn = shelves.wait("c").unwrap();
        assert_eq!(shelves.wait("c"), None, "it is for the first who waits");
        assert_eq!(shelves.end_loan("c", true, Some(2)), None);
        assert_eq!(shelves.take_in_turn("c", turn, |_| true), Some(2));
        shelves.lend("c");
        assert_eq!(shelves.end_loan("c", false, None), None, "it is no more");
        assert_eq!(shelves.start("c"), 1);
    }

    #[test]
    fn what_is_started_is_waited_for_by_one_until_it_cannot_be_started() {
        let mut shelves = Shelves::<u8>::default();
        shelves.want(&["c"], 3);
        assert_eq!(shelves.start("c"), 3);
        let turn = shelves.wait("c").unwrap();
        assert_eq!(
            shelves.wait("c"),
            None,
            "they are started one after the other"
        );
        assert!(shelves.is_worth_waiting("c", turn));
        for _ in 0..3 {
            assert_eq!(shelves.put("c", None), None);
        }
        assert!(!shelves.is_worth_waiting("c", turn));
    }

    #[test]
    fn what_comes_back_to_a_shelf_that_is_full_or_gone_is_given_back() {
        let mut shelves = Shelves::default();
        shelves.want(&["c"], 1);
        shelves.lend("c");
        assert_eq!(shelves.end_loan("c", false, Some(1)), None);
        shelves.lend("c");
        assert_eq!(shelves.end_loan("c", false, Some(2)), Some(2));
        shelves.lend("go");
        assert_eq!(shelves.end_loan("go", false, Some(3)), Some(3));
        assert!(!shelves.shelves.contains_key("go"));
    }

    #[test]
    fn what_was_starting_when_its_shelf_went_still_counts_when_that_is_made_anew() {
        let mut shelves = Shelves::default();
        shelves.want(&["c"], 1);
        assert_eq!(shelves.start("c"), 1);
        shelves.want(&[], 1);
        shelves.want(&["c"], 1);
        assert_eq!(shelves.start("c"), 0, "it is on its way");
        assert_eq!(shelves.put("c", Some(1)), None);
        assert_eq!(shelves.start("c"), 0);
        assert_eq!(take(&mut shelves, "c"), Some(1));
    }

    /// Eight come one after the other while containers come back one after the other, somebody
    /// new beside each of them: the order in which they get one is the order in which they came.
    #[test]
    fn who_came_first_is_served_first_and_nobody_passes() {
        let mut shelves = Shelves::default();
        shelves.want(&["c"], 8);
        for _ in 0..8 {
            shelves.lend("c");
            shelves.announce_return("c");
        }
        let turns: Vec<_> = (0..8).map(|_| shelves.wait("c").unwrap()).collect();
        assert_eq!(shelves.wait("c"), None);
        let mut served = Vec::new();
        for number in 0..8 {
            assert_eq!(shelves.end_loan("c", true, Some(number)), None);
            assert_eq!(take(&mut shelves, "c"), None, "a newcomer passes");
            // Whoever looks first: only one of them has the turn.
            for (place, turn) in turns.iter().enumerate().rev() {
                if shelves.take_in_turn("c", *turn, |_| true).is_some() {
                    served.push(place);
                }
            }
        }
        assert_eq!(served, [0, 1, 2, 3, 4, 5, 6, 7]);
    }

    #[test]
    fn as_many_as_are_ready_have_their_turn_at_once_and_who_leaves_makes_room() {
        let mut shelves = Shelves::default();
        shelves.want(&["c"], 3);
        for _ in 0..3 {
            shelves.lend("c");
            shelves.announce_return("c");
        }
        let turns: Vec<_> = (0..3).map(|_| shelves.wait("c").unwrap()).collect();
        shelves.end_loan("c", true, Some(1));
        shelves.end_loan("c", true, Some(2));
        assert_eq!(shelves.take_in_turn("c", turns[2], |_| true), None);
        assert_eq!(shelves.take_in_turn("c", turns[1], |_| true), Some(2));
        assert_eq!(shelves.take_in_turn("c", turns[2], |_| true), None);
        shelves.stop_waiting("c", turns[0]);
        assert_eq!(shelves.take_in_turn("c", turns[2], |_| true), Some(1));
        shelves.end_loan("c", true, Some(3));
        assert_eq!(take(&mut shelves, "c"), Some(3), "nobody waits any more");
    }

    #[test]
    fn what_is_not_in_order_is_nobodys() {
        let mut shelves = Shelves::default();
        shelves.want(&["c"], 3);
        for number in 0..3 {
            shelves.start("c");
            shelves.put("c", Some(number));
        }
        assert_eq!(shelves.take("c", |number| *number == 0), Some(0));
        assert_eq!(shelves.ready("c"), 0);
    }
}
