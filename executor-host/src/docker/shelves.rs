//! How many containers wait on which shelf, and how many are on their way there or lent: pure.

use std::collections::HashMap;

/// What waits, by the id of its image, so that an image that was built anew is not served by an
/// old one.
#[derive(Debug)]
pub struct Shelves<T> {
    shelves: HashMap<String, Shelf<T>>,
}

#[derive(Debug)]
struct Shelf<T> {
    ready: Vec<T>,
    starting: usize,
    /// In use, of those that come back.
    lent: usize,
    /// Of the lent ones those that are about to be back.
    returning: usize,
    /// Who waits for the next one.
    waiting: usize,
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
            waiting: 0,
            wanted: 0,
        }
    }
}

impl<T> Shelf<T> {
    /// How many will be ready before one could be started. Of an image one is started at a time.
    fn soon(&self) -> usize {
        self.returning + self.starting.min(1)
    }
}

impl<T> Default for Shelves<T> {
    fn default() -> Self {
        let shelves = HashMap::new();
        Self { shelves }
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
            Some(one) if shelf.ready.len() < shelf.wanted => {
                shelf.ready.push(one);
                None
            }
            other => other,
        };
        self.forget_empty();
        surplus
    }

    /// One that waits.
    pub fn take(&mut self, image: &str) -> Option<T> {
        self.shelves.get_mut(image)?.ready.pop()
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

    /// Joins those who wait for the next one, if enough will be there soon; the caller leaves by
    /// [`Self::stop_waiting`].
    pub fn wait(&mut self, image: &str) -> bool {
        let Some(shelf) = self.shelves.get_mut(image) else {
            return false;
        };
        let is_enough = shelf.soon() > shelf.waiting;
        shelf.waiting += usize::from(is_enough);
        is_enough
    }

    /// Whether enough will still be there soon for all who wait.
    pub fn is_worth_waiting(&self, image: &str) -> bool {
        let shelf = self.shelves.get(image);
        shelf.is_some_and(|shelf| shelf.soon() >= shelf.waiting)
    }

    /// One who waited has one, or does not wait any more.
    pub fn stop_waiting(&mut self, image: &str) {
        if let Some(shelf) = self.shelves.get_mut(image) {
            shelf.waiting = shelf.waiting.saturating_sub(1);
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
            Some(one) if shelf.ready.len() + shelf.starting < shelf.wanted => {
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
            let users = shelf.starting + shelf.lent + shelf.waiting;
            shelf.wanted > 0 || users > 0
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert!(shelves.take("c").is_some());
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
        assert_eq!(shelves.take("c"), None);
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
        assert_eq!(shelves.take("c"), Some(2));
        shelves.lend("c");
        assert_eq!(shelves.start("c"), 0);
        assert!(!shelves.wait("c"), "nobody knows when it comes back");
        shelves.announce_return("c");
        assert!(shelves.wait("c"));
        assert!(!shelves.wait("c"), "it is for the first who waits");
        assert_eq!(shelves.end_loan("c", true, Some(2)), None);
        shelves.stop_waiting("c");
        assert_eq!(shelves.take("c"), Some(2));
        shelves.lend("c");
        assert_eq!(shelves.end_loan("c", false, None), None, "it is no more");
        assert_eq!(shelves.start("c"), 1);
    }

    #[test]
    fn what_is_started_is_waited_for_by_one_until_it_cannot_be_started() {
        let mut shelves = Shelves::<u8>::default();
        shelves.want(&["c"], 3);
        assert_eq!(shelves.start("c"), 3);
        assert!(shelves.wait("c"));
        assert!(!shelves.wait("c"), "they are started one after the other");
        assert!(shelves.is_worth_waiting("c"));
        for _ in 0..3 {
            assert_eq!(shelves.put("c", None), None);
        }
        assert!(!shelves.is_worth_waiting("c"));
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
        assert_eq!(shelves.take("c"), Some(1));
    }
}
