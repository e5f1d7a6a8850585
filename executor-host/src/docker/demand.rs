//! For which languages containers are kept ready: pure.
//!
//! A container that waits costs little CPU time but some memory, and most languages of most hosts
//! are seldom used. So those are kept ready that were used of late, then the table's first, as
//! many as the memory for it holds.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long a language counts as used after its last job.
pub const RECENT: Duration = Duration::from_secs(15 * 60);

/// Languages, from the first of the table on, that are kept ready whether they are used or not.
const STARTERS: usize = 3;

/// What a container that waits costs in memory: its agent, its share of the engine, and the
/// process that the engine keeps beside it, which is most of it.
pub const WAITING_BYTES: u64 = 16 << 20;

/// When each language was last used.
#[derive(Debug, Default)]
pub struct Demand {
    used: HashMap<String, Instant>,
}

impl Demand {
    /// A job of this language arrived.
    pub fn used(&mut self, language: &str, now: Instant) {
        self.used.insert(language.to_owned(), now);
    }

    /// The languages to keep ready, of those that are `offered` in the table's order: `each`
    /// containers of a language, all together within `memory_bytes`.
    pub fn wanted<'a>(
        &self,
        offered: &[&'a str],
        now: Instant,
        each: usize,
        memory_bytes: u64,
    ) -> Vec<&'a str> {
        let last_use = |language: &str| {
            let at = self.used.get(language)?;
            (now.saturating_duration_since(*at) < RECENT).then_some(*at)
        };
        let mut wanted: Vec<_> = offered
            .iter()
            .enumerate()
            .map(|(place, language)| (last_use(language), place, *language))
            .filter(|(used, place, _)| used.is_some() || *place < STARTERS)
            .collect();
        // The latest first, then the starters in their order.
        wanted.sort_by_key(|(used, place, _)| (std::cmp::Reverse(*used), *place));
        let each = u64::try_from(each).unwrap_or(u64::MAX);
        let room = memory_bytes
            .checked_div(WAITING_BYTES.saturating_mul(each))
            .map_or(0, |room| usize::try_from(room).unwrap_or(usize::MAX));
        let languages = wanted.into_iter().map(|(_, _, language)| language);
        languages.take(room).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERED: [&str; 5] = ["a", "b", "c", "d", "e"];

    #[test]
    fn the_first_of_the_table_are_wanted_at_the_start() {
        let wanted = Demand::default().wanted(&OFFERED, Instant::now(), 1, 1 << 30);
        assert_eq!(wanted, ["a", "b", "c"]);
    }

    #[test]
    fn a_language_is_wanted_from_its_use_until_it_was_not_used_for_long() {
        let (start, mut demand) = (Instant::now(), Demand::default());
        demand.used("e", start);
        demand.used("not offered", start);
        let wanted = |at| demand.wanted(&OFFERED, at, 1, 1 << 30);
        assert_eq!(wanted(start + RECENT / 2), ["e", "a", "b", "c"]);
        assert_eq!(wanted(start + RECENT), ["a", "b", "c"]);
    }

    #[test]
    fn what_was_used_last_comes_first_where_memory_is_short() {
        let (start, mut demand) = (Instant::now(), Demand::default());
        demand.used("d", start);
        demand.used("b", start + Duration::from_secs(1));
        let wanted = |each, memory| demand.wanted(&OFFERED, start, each, memory);
        assert_eq!(wanted(1, 3 * WAITING_BYTES), ["b", "d", "a"]);
        assert_eq!(wanted(2, 3 * WAITING_BYTES), ["b"]);
        assert!(wanted(1, WAITING_BYTES - 1).is_empty());
        assert!(wanted(0, u64::MAX).is_empty(), "none are kept");
    }
}
