//! What was found out about access tokens before, because checking a signature takes longer than
//! the rest of most requests. Only that the token is genuine is remembered; whether its login
//! session still stands is asked every time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use codecrafter_shared::time::Timestamp;
use sha2::{Digest as _, Sha256};

use super::Caller;

/// Tokens that one half remembers. There are two halves, so twice as many in all.
const HALF_MAX: usize = 500;

/// Genuine tokens, by their hash: a copy of this memory is no copy of tokens.
#[derive(Default)]
pub struct Verified(Mutex<Halves>);

/// When the newer half is full it becomes the older one, and what was there is forgotten: whoever
/// goes on asking stays, at the cost of one move.
#[derive(Default)]
struct Halves {
    newer: HashMap<Hash, Known>,
    older: HashMap<Hash, Known>,
}

/// SHA-256 of a token.
pub type Hash = [u8; 32];

#[derive(Clone, Copy)]
struct Known {
    caller: Caller,
    /// The token was valid then, and is until `until`: before and after, it has to be checked.
    from: Timestamp,
    until: Timestamp,
}

/// The name under which a token is remembered.
pub fn hash(token: &str) -> Hash {
    Sha256::digest(token.as_bytes()).into()
}

impl Verified {
    /// Who the token was made for, if it was found genuine before and is valid at `now`.
    pub fn get(&self, hash: &Hash, now: Timestamp) -> Option<Caller> {
        let mut halves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = match halves.newer.get(hash) {
            Some(known) => *known,
            None => {
                let known = halves.older.remove(hash)?;
                halves.put(*hash, known);
                known
            }
        };
        (known.from <= now && now < known.until).then_some(known.caller)
    }

    /// The token is genuine: found at `now`, and it ends at `until`.
    pub fn put(&self, hash: Hash, caller: Caller, now: Timestamp, until: Timestamp) {
        let from = now;
        let mut halves = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        halves.put(
            hash,
            Known {
                caller,
                from,
                until,
            },
        );
    }
}

impl Halves {
    fn put(&mut self, hash: Hash, known: Known) {
        if self.newer.len() >= HALF_MAX {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(hash, known);
    }
}

#[cfg(test)]
mod tests {
    use codecrafter_shared::id::{LoginSessionId, UserId};

    use super::*;

    fn caller(n: u8) -> Caller {
        let now = Timestamp::from_millis(1);
        Caller {
            user_id: UserId::at(now, [n; 10]),
            login_session_id: LoginSessionId::at(now, [n; 10]),
        }
    }

    #[test]
    fn a_token_is_remembered_from_its_check_to_its_end_and_no_longer() {
        let verified = Verified::default();
        let at = Timestamp::from_millis;
        verified.put(hash("a"), caller(1), at(10), at(20));
        assert_eq!(verified.get(&hash("a"), at(10)), Some(caller(1)));
        assert_eq!(verified.get(&hash("a"), at(19)), Some(caller(1)));
        assert_eq!(verified.get(&hash("a"), at(20)), None);
        assert_eq!(verified.get(&hash("a"), at(9)), None);
        assert_eq!(verified.get(&hash("A"), at(10)), None);
    }

    #[test]
    fn a_thousand_tokens_are_remembered_and_those_in_use_stay() {
        let verified = Verified::default();
        let at = Timestamp::from_millis;
        verified.put(hash("used"), caller(1), at(0), at(100));
        for n in 0..10 * HALF_MAX {
            verified.put(hash(&n.to_string()), caller(2), at(0), at(100));
            assert_eq!(verified.get(&hash("used"), at(1)), Some(caller(1)));
        }
        let halves = verified.0.lock().unwrap();
        let all = halves.newer.len() + halves.older.len();
        assert!((HALF_MAX..=2 * HALF_MAX).contains(&all), "{all}");
        drop(halves);
        assert_eq!(verified.get(&hash("0"), at(1)), None, "long unused");
    }
}
