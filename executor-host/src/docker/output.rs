//! What programs write: the part that is kept for the outcome, and the part that goes out live.

use std::collections::VecDeque;
use std::time::Duration;

use codecrafter_shared::job::{Captured, Stage, Stream};
use codecrafter_shared::limits;
use tokio::sync::mpsc;

use crate::sandbox::Progress;

/// How far from the end of an output [`Capture::ends_with_word`] looks, in bytes: further than
/// the traces go that runtimes write after the word.
const LAST_WORDS_BYTES: usize = 8 * 1024;

/// The beginning and the end of one output.
#[derive(Debug)]
pub struct Capture {
    head: Vec<u8>,
    /// What came after `head`, of which only the end counts; see [`Capture::push`].
    tail: Vec<u8>,
    /// Bytes that are kept in all.
    most: usize,
    /// Bytes that may be written.
    ceiling: u64,
    seen: u64,
}

impl Capture {
    /// Keeps at most `most` bytes: the first half and the last.
    pub fn new(most: u32) -> Self {
        Self {
            head: Vec::new(),
            tail: Vec::new(),
            most: most as usize,
            ceiling: u64::from(written_most(most)),
            seen: 0,
        }
    }

    /// Takes more of it, and gives the part that goes out live: what is within the first bytes
    /// that could all be kept.
    ///
    /// The agent has counted already. We count again, so that memory here stays bounded whatever
    /// comes out of a container.
    pub fn push<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let seen = usize::try_from(self.seen).unwrap_or(usize::MAX);
        let live = &bytes[..bytes.len().min(self.most.saturating_sub(seen))];
        self.seen += bytes.len() as u64;
        let (first, rest) = bytes.split_at(bytes.len().min(self.most / 2 - self.head.len()));
        self.head.extend_from_slice(first);
        self.tail.extend_from_slice(rest);
        // Seldom, so that every byte is moved about once.
        if self.tail.len() > 2 * self.tail_most() {
            self.tail.drain(..self.tail.len() - self.tail_most());
        }
        live
    }

    /// Whether there was more than may be written.
    pub fn is_over(&self) -> bool {
        self.seen > self.ceiling
    }

    /// Whether `word` stands near the end of what was written.
    pub fn ends_with_word(&self, word: &str) -> bool {
        let within = |bytes: &[u8]| {
            !word.is_empty()
                && bytes
                    .windows(word.len())
                    .any(|window| window == word.as_bytes())
        };
        let last = self.tail.len().saturating_sub(LAST_WORDS_BYTES);
        within(&self.tail[last..]) || (self.tail.len() < LAST_WORDS_BYTES && within(&self.head))
    }

    /// The end of it. `seen_inside` is what the agent counted, which includes what it held back.
    pub fn finish(mut self, seen_inside: u64) -> Captured {
        let last_half = self.most - self.most / 2;
        self.tail.drain(..self.tail.len().saturating_sub(last_half));
        Captured::head_and_tail(self.head, self.tail, self.seen.max(seen_inside))
    }

    /// Bytes of the end that are needed: for the outcome, and for last words.
    fn tail_most(&self) -> usize {
        (self.most - self.most / 2).max(LAST_WORDS_BYTES)
    }
}

/// The most that a program may write to a stream of which `kept` bytes are kept.
pub fn written_most(kept: u32) -> u32 {
    kept.saturating_mul(limits::OUTPUT_BYTES_FACTOR)
}

/// Most bytes of live output that wait for a receiver; what comes beyond is not sent live.
const WAITING_BYTES_MAX: usize = 1024 * 1024;

/// How long a receiver is waited for after the end.
const PATIENCE: Duration = Duration::from_secs(1);

/// Sends progress without ever keeping a program waiting for its receiver.
#[derive(Debug)]
pub struct Relay {
    sender: mpsc::Sender<Progress>,
    waiting: Waiting,
}

impl Relay {
    /// Sends to `sender`.
    pub fn new(sender: mpsc::Sender<Progress>) -> Self {
        Self {
            sender,
            waiting: Waiting::default(),
        }
    }

    /// The job is in this container.
    pub fn container(&mut self, id: &str) {
        self.waiting.push(Progress::Container(id.to_owned()));
        self.send_what_fits();
    }

    /// A stage begins.
    pub fn stage(&mut self, stage: Stage) {
        self.waiting.push(Progress::Stage(stage));
        self.send_what_fits();
    }

    /// Something was written.
    pub fn output(&mut self, stream: Stream, bytes: &[u8]) {
        if !bytes.is_empty() && self.waiting.bytes + bytes.len() <= WAITING_BYTES_MAX {
            self.waiting.push(Progress::Output(stream, bytes.to_vec()));
            self.send_what_fits();
        }
    }

    fn send_what_fits(&mut self) {
        while self.is_waiting() {
            match self.sender.try_reserve() {
                Ok(permit) => self.waiting.send_first(permit),
                Err(mpsc::error::TrySendError::Full(())) => return,
                Err(mpsc::error::TrySendError::Closed(())) => break,
            }
        }
        // All is sent, or nobody listens.
        self.waiting = Waiting::default();
    }

    /// Whether something waits for the receiver.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.queue.is_empty()
    }

    /// Waits for the receiver to take something. Losing this future loses nothing.
    pub async fn room(&mut self) {
        if let Ok(permit) = self.sender.reserve().await {
            return self.waiting.send_first(permit);
        }
        // Nobody listens.
        self.waiting = Waiting::default();
    }

    /// Sends what still waits, as long as the receiver takes it within reason.
    pub async fn finish(mut self) {
        let all = async {
            while self.is_waiting() {
                self.room().await;
            }
        };
        // What is lost here is in the outcome all the same.
        let _ = tokio::time::timeout(PATIENCE, all).await;
    }
}

/// What a slow receiver has not taken yet.
#[derive(Debug, Default)]
struct Waiting {
    queue: VecDeque<Progress>,
    bytes: usize,
}

impl Waiting {
    /// Output joins what waits of the same stream.
    fn push(&mut self, progress: Progress) {
        self.bytes += size(&progress);
        match (self.queue.back_mut(), progress) {
            (Some(Progress::Output(last, waiting)), Progress::Output(stream, bytes))
                if *last == stream =>
            {
                waiting.extend_from_slice(&bytes);
            }
            (_, progress) => self.queue.push_back(progress),
        }
    }

    fn send_first(&mut self, permit: mpsc::Permit<'_, Progress>) {
        if let Some(first) = self.queue.pop_front() {
            self.bytes -= size(&first);
            permit.send(first);
        }
    }
}

fn size(progress: &Progress) -> usize {
    match progress {
        Progress::Container(_) | Progress::Stage(_) => 0,
        Progress::Output(_, bytes) => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_keeps_the_beginning_and_the_end_and_counts_the_rest() {
        let mut capture = Capture::new(5);
        assert_eq!(capture.push(b"abc"), b"abc");
        assert_eq!(
            capture.push(b"def"),
            b"de",
            "live is what could all be kept"
        );
        assert_eq!(capture.push(b"ghi"), b"");
        let captured = capture.finish(9);
        assert_eq!(
            (captured.data.as_str(), captured.tail.as_deref()),
            ("ab", Some("ghi"))
        );
        assert_eq!((captured.total_bytes, captured.truncated), (9, true));
    }

    #[test]
    fn a_capture_that_is_exactly_full_is_whole() {
        for length in 0..=5 {
            let mut capture = Capture::new(5);
            for byte in &b"abcde"[..length] {
                assert_eq!(capture.push(&[*byte]), [*byte]);
            }
            let captured = capture.finish(0);
            assert_eq!(captured.data, "abcde"[..length]);
            assert_eq!((captured.tail, captured.truncated), (None, false));
        }
    }

    #[test]
    fn a_capture_is_over_after_the_factor_and_stays_small() {
        let mut capture = Capture::new(100_000);
        for _ in 0..16 {
            capture.push(&[b'x'; 100_000]);
            assert!(!capture.is_over());
            assert!(capture.head.len() + capture.tail.capacity() < 400_000);
        }
        capture.push(b"x");
        assert!(capture.is_over());
    }

    #[test]
    fn last_words_are_found_near_the_end_and_not_long_before() {
        let word = "out of memory";
        for (before, after, found) in [
            ("", "", true),
            ("", &*"t".repeat(4000), true),
            (&*"b".repeat(100_000), &*"t".repeat(4000), true),
            ("", &*"t".repeat(20_000), false),
        ] {
            let mut capture = Capture::new(1024);
            for part in [before, word, after] {
                capture.push(part.as_bytes());
            }
            let (before, after) = (before.len(), after.len());
            assert_eq!(capture.ends_with_word(word), found, "{before} {after}");
        }
        assert!(!Capture::new(1024).ends_with_word(""));
    }

    #[test]
    fn bytes_that_the_agent_held_back_are_counted() {
        let mut capture = Capture::new(4);
        capture.push(b"abcd");
        let captured = capture.finish(100);
        assert_eq!((captured.total_bytes, captured.truncated), (100, true));
        assert_eq!(
            (captured.data.as_str(), captured.tail.as_deref()),
            ("ab", Some("cd"))
        );
    }

    #[tokio::test]
    async fn progress_comes_in_order_and_waits_joined_when_the_receiver_is_slow() {
        let (sender, mut receiver) = mpsc::channel(1);
        let mut relay = Relay::new(sender);
        relay.stage(Stage::Run);
        relay.output(Stream::Stdout, b"a");
        relay.output(Stream::Stdout, b"b");
        relay.output(Stream::Stderr, b"c");
        assert!(relay.is_waiting());
        let finished = tokio::spawn(relay.finish());
        let mut seen = Vec::new();
        while let Some(progress) = receiver.recv().await {
            seen.push(progress);
        }
        finished.await.unwrap();
        assert_eq!(
            seen,
            [
                Progress::Stage(Stage::Run),
                Progress::Output(Stream::Stdout, b"ab".to_vec()),
                Progress::Output(Stream::Stderr, b"c".to_vec()),
            ]
        );
    }

    #[tokio::test]
    async fn a_receiver_that_never_reads_costs_a_bounded_buffer() {
        let (sender, _receiver) = mpsc::channel(1);
        let mut relay = Relay::new(sender);
        for _ in 0..100 {
            relay.output(Stream::Stdout, &[0; 64 * 1024]);
        }
        assert!(relay.waiting.bytes <= WAITING_BYTES_MAX);
    }

    #[tokio::test]
    async fn a_receiver_that_is_gone_does_not_matter() {
        let (sender, receiver) = mpsc::channel(1);
        drop(receiver);
        let mut relay = Relay::new(sender);
        relay.output(Stream::Stdout, b"a");
        assert!(!relay.is_waiting());
        relay.finish().await;
    }
}
