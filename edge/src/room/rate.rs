//! How much one socket, and one person with all of theirs, may send. Somebody who types, selects
//! with the mouse and comes back from a day offline stays far below; a client that floods a room is
//! closed with a code that reconnects, and offers then in one piece what it had to say.
//!
//! Not stored beside a socket: a room that has slept was not flooded.

use std::collections::BTreeMap;

use codecrafter_shared::id::UserId;
use codecrafter_shared::limits;
use codecrafter_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Bytes that go with one frame of what may be sent.
const BYTES_PER_FRAME: u64 = 2 * 1024;
/// Bytes at once, sent or asked for: three of the largest documents.
const BYTES_AT_ONCE: u64 = 24 * 1024 * 1024;
/// Bytes that an item counts as which the document looks at to find the place of another.
const BYTES_PER_ITEM: u64 = 8;
/// Seconds of frames at once.
const SECONDS_AT_ONCE: u64 = 5;
/// Sockets of one person that may send as much as they may at the same time.
const SOCKETS: u64 = 2;
/// People of whom is remembered what they have sent.
const PEOPLE_MAX: usize = 256;

/// What somebody has sent, less what was forgiven since. Frames and bytes in thousandths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spent {
    frames: u64,
    bytes: u64,
    at: Timestamp,
}

/// Frames in a second, and what goes with them.
#[derive(Debug, Clone, Copy)]
struct Allowance {
    frames: u64,
}

impl Spent {
    /// Adds a frame of so many bytes, if that is allowed.
    fn add(&mut self, now: Timestamp, bytes: u64, allowance: Allowance) -> bool {
        self.forgive(now, allowance);
        let frames = self.frames.saturating_add(1_000);
        let bytes = self.bytes.saturating_add(bytes.saturating_mul(1_000));
        let frames_max = allowance.frames.saturating_mul(SECONDS_AT_ONCE * 1_000);
        let allowed = frames <= frames_max && bytes <= BYTES_AT_ONCE * 1_000;
        if allowed {
            (self.frames, self.bytes) = (frames, bytes);
        }
        allowed
    }

    /// Adds what nobody knew before the frame was taken, even if that is too much.
    fn owe(&mut self, bytes: u64) {
        self.bytes = self.bytes.saturating_add(bytes.saturating_mul(1_000));
    }

    fn forgive(&mut self, now: Timestamp, allowance: Allowance) {
        // A clock that was set back forgives nothing.
        let millis = u64::try_from(now.since(self.at)).unwrap_or(0);
        self.at = now;
        let frames = millis.saturating_mul(allowance.frames);
        self.frames = self.frames.saturating_sub(frames);
        let bytes = frames.saturating_mul(BYTES_PER_FRAME);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// What everybody in the room has sent.
#[derive(Debug)]
pub(super) struct Rates {
    of_socket: Allowance,
    of_person: Allowance,
    pub(super) people: BTreeMap<UserId, Spent>,
}

impl Default for Rates {
    fn default() -> Self {
        Self::new(limits::ROOM_FRAMES_PER_SECOND)
    }
}

impl Rates {
    /// A socket may send so many frames in a second.
    pub(super) fn new(frames_per_second: u32) -> Self {
        let frames = u64::from(frames_per_second);
        Self {
            of_socket: Allowance { frames },
            of_person: Allowance {
                frames: frames.saturating_mul(SOCKETS),
            },
            people: BTreeMap::new(),
        }
    }

    /// Whether `person` may send a frame of so many bytes on the socket that has `spent`.
    pub(super) fn allow(
        &mut self,
        now: Timestamp,
        person: UserId,
        spent: &mut Spent,
        bytes: usize,
    ) -> bool {
        if self.people.len() > PEOPLE_MAX {
            let allowance = self.of_person;
            self.people.retain(|_, spent| {
                spent.forgive(now, allowance);
                spent.frames > 0 || spent.bytes > 0
            });
        }
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let of_person = self.people.entry(person).or_default();
        spent.add(now, bytes, self.of_socket) && of_person.add(now, bytes, self.of_person)
    }
}

impl Rates {
    /// Counts the `work` that a frame has made, in items that the document had to look at. False if
    /// that was too much.
    pub(super) fn worked(&mut self, person: UserId, spent: &mut Spent, work: u64) -> bool {
        let bytes = work.saturating_mul(BYTES_PER_ITEM);
        let of_person = self.people.entry(person).or_default();
        spent.owe(bytes);
        of_person.owe(bytes);
        spent.bytes.max(of_person.bytes) <= BYTES_AT_ONCE * 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + millis)
    }

    fn person(n: u8) -> UserId {
        UserId::at(now(0), [n; 10])
    }

    #[test]
    fn a_socket_sends_so_many_frames_at_once_and_then_so_many_a_second() {
        let mut rates = Rates::new(10);
        let mut spent = Spent::default();
        let mut sent = |at: i64| {
            (0..1_000)
                .take_while(|_| rates.allow(now(at), person(1), &mut spent, 20))
                .count()
        };
        assert_eq!(sent(0), 50);
        assert_eq!(sent(0), 0);
        assert_eq!(sent(1_000), 10);
        assert_eq!(sent(500), 0, "a clock that was set back");
        assert_eq!(sent(3_600_000), 50);
    }

    #[test]
    fn many_sockets_send_no_more_than_two() {
        let mut rates = Rates::new(10);
        let mut sent = 0;
        for _ in 0..10 {
            let mut spent = Spent::default();
            while rates.allow(now(0), person(1), &mut spent, 20) {
                sent += 1;
            }
        }
        assert_eq!(sent, 100);
        assert!(rates.allow(now(0), person(2), &mut Spent::default(), 20));
    }

    #[test]
    fn work_counts_when_it_is_known_and_is_forgiven_like_bytes() {
        let mut rates = Rates::new(100);
        let mut spent = Spent::default();
        assert!(rates.allow(now(0), person(1), &mut spent, 20));
        assert!(rates.worked(person(1), &mut spent, 3_000_000));
        assert!(!rates.worked(person(1), &mut spent, 3_000_000));
        let mut other = Spent::default();
        assert!(
            !rates.allow(now(0), person(1), &mut other, 20),
            "another socket of theirs"
        );
        assert!(rates.allow(now(0), person(2), &mut Spent::default(), 20));
        assert!(rates.allow(now(3_600_000), person(1), &mut spent, 20));
    }

    #[test]
    fn large_frames_count_by_their_bytes() {
        let mut rates = Rates::new(100);
        let mut spent = Spent::default();
        let mut sent = |at: i64| {
            (0..1_000)
                .take_while(|_| rates.allow(now(at), person(1), &mut spent, 1024 * 1024))
                .count()
        };
        assert_eq!(sent(0), 24);
        assert_eq!(sent(5_120 * 2), 2);
    }
}
