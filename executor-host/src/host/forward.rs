//! From what a sandbox tells to the events of a report: in order, in pieces worth sending, and as
//! text that never breaks a character in two.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use codecrafter_shared::job::{Event, Stream};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::sandbox::Progress;

/// How long output waits for more. Where somebody types, it waits only for as long as that from
/// what was passed on before: an echo comes at once, and a flood in pieces as large as elsewhere.
const GATHER: Duration = Duration::from_millis(50);
/// With so many bytes, output does not wait any more.
const GATHER_BYTES: usize = 16 << 10;
/// A program that changes between its streams more often than this in one piece is shown with
/// the two less finely mixed, so that it cannot make an event of every byte.
const SEGMENTS_MAX: usize = 16;

/// What is passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Told {
    /// What it happens in, by the engine's id.
    Container(String),
    /// Something for a report.
    Event(Event),
}

/// Waits for `run` to end, passing on what it tells on the way; when this returns, all is passed.
/// `interactive` is whether somebody types meanwhile.
pub(super) async fn until_ended<T>(
    run: impl Future<Output = T>,
    interactive: bool,
    mut told: mpsc::Receiver<Progress>,
    mut tell: impl FnMut(Told),
) -> T {
    let mut run = pin!(run);
    let mut gathered = Gathered {
        interactive,
        ..Gathered::default()
    };
    let mut open = true;
    let ended = loop {
        tokio::select! {
            biased;
            progress = told.recv(), if open => match progress {
                Some(progress) => gathered.add(progress, &mut tell),
                None => open = false,
            },
            () = wait_until(gathered.due()) => gathered.flush(&mut tell),
            ended = &mut run => break ended,
        }
    };
    while let Ok(progress) = told.try_recv() {
        gathered.add(progress, &mut tell);
    }
    gathered.end(&mut tell);
    ended
}

async fn wait_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Output that was not passed on yet.
#[derive(Default)]
struct Gathered {
    segments: Vec<(Stream, String)>,
    bytes: usize,
    since: Option<Instant>,
    interactive: bool,
    /// When output was last passed on.
    passed: Option<Instant>,
    stdout: Utf8,
    stderr: Utf8,
}

impl Gathered {
    fn due(&self) -> Option<Instant> {
        let since = self.since?;
        if !self.interactive {
            return Some(since + GATHER);
        }
        Some(
            self.passed
                .map_or(since, |passed| since.max(passed + GATHER)),
        )
    }

    fn add(&mut self, progress: Progress, tell: &mut impl FnMut(Told)) {
        match progress {
            Progress::Container(id) => tell(Told::Container(id)),
            Progress::Stage(stage) => {
                self.end(tell);
                tell(Told::Event(Event::Stage { stage }));
            }
            Progress::Output(stream, bytes) => {
                let text = match stream {
                    Stream::Stdout => self.stdout.decode(&bytes),
                    Stream::Stderr => self.stderr.decode(&bytes),
                };
                self.append(stream, text);
                if self.bytes >= GATHER_BYTES {
                    self.flush(tell);
                }
            }
        }
    }

    fn append(&mut self, stream: Stream, text: String) {
        if text.is_empty() {
            return;
        }
        self.bytes += text.len();
        self.since.get_or_insert_with(Instant::now);
        let reach = if self.segments.len() < SEGMENTS_MAX {
            1
        } else {
            self.segments.len()
        };
        let mut recent = self.segments.iter_mut().rev().take(reach);
        match recent.find(|(of, _)| *of == stream) {
            Some((_, segment)) => segment.push_str(&text),
            None => self.segments.push((stream, text)),
        }
    }

    /// Passes on whole characters.
    fn flush(&mut self, tell: &mut impl FnMut(Told)) {
        for (stream, text) in self.segments.drain(..) {
            tell(Told::Event(Event::Output { stream, text }));
        }
        self.bytes = 0;
        if self.since.take().is_some() {
            self.passed = Some(Instant::now());
        }
    }

    /// Passes on everything: nothing will complete a character that was begun.
    fn end(&mut self, tell: &mut impl FnMut(Told)) {
        for (stream, rest) in [
            (Stream::Stdout, self.stdout.end()),
            (Stream::Stderr, self.stderr.end()),
        ] {
            self.append(stream, rest);
        }
        self.flush(tell);
    }
}

/// Text from bytes that arrive in arbitrary pieces. Bytes that cannot be text become U+FFFD.
#[derive(Default)]
struct Utf8 {
    /// The beginning of a character; at most three bytes.
    begun: Vec<u8>,
}

impl Utf8 {
    fn decode(&mut self, bytes: &[u8]) -> String {
        self.begun.extend_from_slice(bytes);
        let mut text = String::with_capacity(self.begun.len());
        let mut rest = self.begun.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    rest = &[];
                    break;
                }
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(valid));
                    let Some(invalid) = error.error_len() else {
                        rest = after;
                        break;
                    };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = &after[invalid..];
                }
            }
        }
        self.begun = rest.to_vec();
        text
    }

    fn end(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.begun)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode_in_pieces(bytes: &[u8], piece: usize) -> String {
        let mut utf8 = Utf8::default();
        let mut text: String = bytes
            .chunks(piece)
            .map(|piece| utf8.decode(piece))
            .collect();
        text.push_str(&utf8.end());
        text
    }

    #[test]
    fn pieces_of_every_size_give_the_same_text_as_the_whole() {
        for bytes in [
            "Grüße, 世界 🦀🏳️‍🌈".as_bytes(),
            b"\xff\xfeab\xe2\x82",
            b"\xf0\x9f\xa6",
            b"\xe2\x28\xa1\xf0\x9f\xa6\x80",
            b"\xed\xa0\x80\xc0\x80",
        ] {
            for piece in 1..=bytes.len() {
                assert_eq!(
                    decode_in_pieces(bytes, piece),
                    String::from_utf8_lossy(bytes)
                );
            }
        }
    }

    fn of_report(told: Told) -> Event {
        match told {
            Told::Event(event) => event,
            Told::Container(id) => panic!("nobody said container {id}"),
        }
    }

    async fn events_of(progress: Vec<Progress>) -> Vec<Event> {
        let (tell, told) = mpsc::channel(64);
        let mut events = Vec::new();
        let run = async move {
            for progress in progress {
                tell.send(progress).await.unwrap();
            }
        };
        until_ended(run, false, told, |told| events.push(of_report(told))).await;
        events
    }

    fn out(text: &str) -> Progress {
        Progress::Output(Stream::Stdout, text.into())
    }

    fn err(text: &str) -> Progress {
        Progress::Output(Stream::Stderr, text.into())
    }

    fn output(stream: Stream, text: &str) -> Event {
        Event::Output {
            stream,
            text: text.into(),
        }
    }

    #[tokio::test]
    async fn small_pieces_of_one_stream_become_one_event_and_the_order_of_streams_stays() {
        let events = events_of(vec![out("a"), out("b"), err("c"), out("d")]).await;
        let (o, e) = (Stream::Stdout, Stream::Stderr);
        assert_eq!(events, [output(o, "ab"), output(e, "c"), output(o, "d")]);
    }

    #[tokio::test]
    async fn a_program_that_mixes_its_streams_finely_makes_few_events() {
        let progress = (0..1000)
            .map(|n| if n % 2 == 0 { out("o") } else { err("e") })
            .collect();
        let events = events_of(progress).await;
        assert!(events.len() <= SEGMENTS_MAX, "{} events", events.len());
        let of = |wanted: Stream| -> String {
            let text = |event: &Event| match event {
                Event::Output { stream, text } if *stream == wanted => Some(text.clone()),
                _ => None,
            };
            events.iter().filter_map(text).collect()
        };
        assert_eq!(of(Stream::Stdout), "o".repeat(500));
        assert_eq!(of(Stream::Stderr), "e".repeat(500));
    }

    #[tokio::test]
    async fn output_of_one_stage_is_told_before_the_next_stage() {
        use codecrafter_shared::job::Stage;
        let crab = "🦀".as_bytes();
        let events = events_of(vec![
            Progress::Stage(Stage::Compile),
            Progress::Output(Stream::Stderr, crab[..2].to_vec()),
            Progress::Stage(Stage::Run),
            Progress::Output(Stream::Stdout, crab[..2].to_vec()),
            Progress::Output(Stream::Stdout, crab[2..].to_vec()),
        ])
        .await;
        let stage = |stage| Event::Stage { stage };
        let expected = [
            stage(Stage::Compile),
            output(Stream::Stderr, "\u{fffd}"),
            stage(Stage::Run),
            output(Stream::Stdout, "🦀"),
        ];
        assert_eq!(events, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn output_is_told_while_the_program_goes_on() {
        let (tell, told) = mpsc::channel(64);
        let (seen, mut event) = mpsc::unbounded_channel();
        let run = async move {
            tell.send(out("prompt> ")).await.unwrap();
            event.recv().await.unwrap()
        };
        let told = until_ended(run, false, told, |told| seen.send(of_report(told)).unwrap()).await;
        assert_eq!(told, output(Stream::Stdout, "prompt> "));
    }

    #[tokio::test(start_paused = true)]
    async fn where_somebody_types_an_echo_comes_at_once_and_a_flood_in_large_pieces() {
        let (tell, told) = mpsc::channel(64);
        let run = async move {
            for _ in 0..100 {
                tell.send(out("x")).await.unwrap();
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        let begun = Instant::now();
        let mut seen = Vec::new();
        until_ended(run, true, told, |told| {
            seen.push((begun.elapsed(), of_report(told)))
        })
        .await;
        assert_eq!(seen[0], (Duration::ZERO, output(Stream::Stdout, "x")));
        assert_eq!(seen[1].0, GATHER);
        assert!(seen.len() <= 21, "{} pieces in a second", seen.len());
    }
}
