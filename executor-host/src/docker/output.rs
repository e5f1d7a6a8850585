//! What programs write: the part that is kept for the outcome, and the part that goes out live.

use std::collections::VecDeque;
use std::time::Duration;

use codecrafter_shared::job::{Captured, Stage, Stream};
use tokio::sync::mpsc;

use crate::sandbox::Progress;

/// The beginning of one output.
#[derive(Debug)]
pub struct Capture {
    kept: Vec<u8>,
    most: usize,
    seen: u64,
}

impl Capture {
    /// Keeps at most `most` bytes.
    pub fn new(most: u32) -> Self {
        Self {
            kept: Vec::new(),
            most: most as usize,
            seen: 0,
        }
    }

    /// Takes more of it, and gives the part that is within the limit.
    ///
    /// The agent has counted already. We count again, so that memory here stays bounded whatever
    /// comes out of a container.
    pub fn push<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        self.seen += bytes.len() as u64;
        let room = self.most - self.kept.len();
        let within = &bytes[..bytes.len().min(room)];
        self.kept.extend_from_slice(within);
        within
    }

    /// Whether there was more than is kept.
    pub fn is_over(&self) -> bool {
        self.seen > self.kept.len() as u64
    }

    /// The end of it. `seen_inside` is what the agent counted, which includes what it held back.
    pub fn finish(self, seen_inside: u64) -> Captured {
        let total = self.seen.max(seen_inside);
        Captured::new(self.kept, total)
    }
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
        Progress::Stage(_) => 0,
        Progress::Output(_, bytes) => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_keeps_the_beginning_and_counts_the_rest() {
        let mut capture = Capture::new(4);
        assert_eq!(capture.push(b"abc"), b"abc");
        assert!(!capture.is_over());
        assert_eq!(capture.push(b"de"), b"d");
        assert_eq!(capture.push(b"f"), b"");
        assert!(capture.is_over());
        let captured = capture.finish(5);
        assert_eq!((captured.data.as_str(), captured.total_bytes), ("abcd", 6));
        assert!(captured.truncated);
    }

    #[test]
    fn bytes_that_the_agent_held_back_are_counted() {
        let mut capture = Capture::new(4);
        capture.push(b"abcd");
        let captured = capture.finish(100);
        assert_eq!((captured.total_bytes, captured.truncated), (100, true));
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
