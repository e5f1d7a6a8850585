//! Chance that can be had again.

/// A small generator of numbers (xorshift64*): a failing test prints its seed.
pub struct Luck(u64);

impl Luck {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

/// The seeds of a test: `count` of them, or as many as `ROOM_SEEDS` says for a long run, or the
/// one of `ROOM_SEED` to look into a failure.
#[expect(
    clippy::disallowed_methods,
    reason = "how long a test searches is not a setting"
)]
pub fn seeds(count: u64) -> Vec<u64> {
    let given = |name| {
        std::env::var(name)
            .ok()
            .map(|n| n.parse::<u64>().expect("a number"))
    };
    match given("ROOM_SEED") {
        Some(seed) => vec![seed],
        None => (1..=given("ROOM_SEEDS").unwrap_or(count)).collect(),
    }
}
