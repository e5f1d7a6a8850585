//! How many containers wait on which shelf, and how many are on their way there: pure.

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
    /// As many as are to wait. A shelf of which none are stays for those that are starting.
    wanted: usize,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self {
            ready: Vec::new(),
            starting: 0,
            wanted: 0,
        }
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
        let there = shelf.ready.len() + shelf.starting;
        let missing = shelf.wanted.saturating_sub(there);
        shelf.starting += missing;
        missing
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

    fn forget_empty(&mut self) {
        self.shelves
            .retain(|_, shelf| shelf.wanted > 0 || shelf.starting > 0);
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
