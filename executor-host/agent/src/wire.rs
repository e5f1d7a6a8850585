//! Frames: how an [`Order`] or an [`Event`] becomes bytes and comes back.
//!
//! A frame is the length of its body (four bytes, little-endian), then the body: one byte that
//! says which variant, then its fields in order. Numbers are little-endian, byte strings and
//! lists carry their length first. Nothing is trusted: a body that is too long, too short, or
//! has bytes left over is an error.

use std::fmt;

use super::{Ended, Event, Exec, Exit, Limit, Limits, Order, Stream, TerminalSize};

/// Longest body of a frame. Holds any file and any standard input that an execution may have.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most bytes of output that one [`Event::Output`] carries.
pub const OUTPUT_BYTES_MAX: usize = 16 * 1024;

/// Most bytes of a work directory that one [`Order::Unpack`] or [`Event::Packed`] carries.
pub const PIECE_BYTES_MAX: usize = 256 * 1024;

const LENGTH_BYTES: usize = 4;

/// Why bytes are no frame. The other side does not speak this protocol, or the stream broke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WireError {
    /// The body claims to be longer than [`BODY_BYTES_MAX`].
    TooLong(usize),
    /// The body does not hold what its variant says.
    Malformed,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong(bytes) => write!(f, "a frame of {bytes} bytes is too long"),
            Self::Malformed => f.write_str("a frame does not hold what its first byte says"),
        }
    }
}

impl std::error::Error for WireError {}

/// Takes bytes as they arrive and gives whole bodies of frames.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: Vec<u8>,
    /// Where the next frame starts.
    start: usize,
}

impl Frames {
    /// More bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.start);
        self.start = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next body, or `None` while it is not whole.
    ///
    /// # Errors
    /// [`WireError::TooLong`]; the stream is of no use from then on.
    pub fn next_body(&mut self) -> Result<Option<&[u8]>, WireError> {
        let rest = &self.buffer[self.start..];
        let Some(length) = rest.first_chunk::<LENGTH_BYTES>() else {
            return Ok(None);
        };
        let length = u32::from_le_bytes(*length) as usize;
        if length > BODY_BYTES_MAX {
            return Err(WireError::TooLong(length));
        }
        if rest.len() < LENGTH_BYTES + length {
            return Ok(None);
        }
        let body = self.start + LENGTH_BYTES;
        self.start = body + length;
        Ok(Some(&self.buffer[body..self.start]))
    }
}

impl Order {
    /// The order as a frame.
    #[must_use]
    pub fn to_frame(&self) -> Vec<u8> {
        let mut frame = Writer::new();
        match self {
            Self::File { path, content } => {
                frame.byte(1);
                frame.bytes(path.as_bytes());
                frame.bytes(content);
            }
            Self::Exec(Exec {
                argv,
                env,
                stdin,
                keeps_input,
                terminal,
                limits,
            }) => {
                let Limits {
                    cpu_ms,
                    wall_ms,
                    output_bytes,
                } = limits;
                frame.byte(2);
                frame.u32(length_of(argv.len()));
                argv.iter()
                    .for_each(|argument| frame.bytes(argument.as_bytes()));
                frame.u32(length_of(env.len()));
                for (name, value) in env {
                    frame.bytes(name.as_bytes());
                    frame.bytes(value.as_bytes());
                }
                frame.bytes(stdin);
                frame.byte(u8::from(*keeps_input));
                frame.byte(u8::from(terminal.is_some()));
                if let Some(size) = terminal {
                    frame.size(*size);
                }
                frame.u32(*cpu_ms);
                frame.u32(*wall_ms);
                frame.u32(*output_bytes);
            }
            Self::Save => frame.byte(3),
            Self::Restore => frame.byte(4),
            Self::Pack { most } => {
                frame.byte(5);
                frame.u32(*most);
            }
            Self::Unpack { bytes, last } => {
                frame.byte(6);
                frame.bytes(bytes);
                frame.byte(u8::from(*last));
            }
            Self::Reset { user } => {
                frame.byte(7);
                frame.u32(*user);
            }
            Self::Input { bytes } => {
                frame.byte(8);
                frame.bytes(bytes);
            }
            Self::CloseInput => frame.byte(9),
            Self::Signal { number } => {
                frame.byte(10);
                frame.u32(number.cast_unsigned());
            }
            Self::Resize(size) => {
                frame.byte(11);
                frame.size(*size);
            }
        }
        frame.finish()
    }

    /// The order in a frame's body.
    ///
    /// # Errors
    /// [`WireError::Malformed`].
    pub fn from_body(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader(body);
        let order = match reader.byte()? {
            1 => Self::File {
                path: reader.string()?,
                content: reader.bytes()?.to_vec(),
            },
            2 => Self::Exec(Exec {
                argv: reader.list(Reader::string)?,
                env: reader.list(|pair| Ok((pair.string()?, pair.string()?)))?,
                stdin: reader.bytes()?.to_vec(),
                keeps_input: reader.bool()?,
                terminal: match reader.bool()? {
                    true => Some(reader.size()?),
                    false => None,
                },
                limits: Limits {
                    cpu_ms: reader.u32()?,
                    wall_ms: reader.u32()?,
                    output_bytes: reader.u32()?,
                },
            }),
            3 => Self::Save,
            4 => Self::Restore,
            5 => Self::Pack {
                most: reader.u32()?,
            },
            6 => Self::Unpack {
                bytes: reader.bytes()?.to_vec(),
                last: reader.bool()?,
            },
            7 => Self::Reset {
                user: reader.u32()?,
            },
            8 => Self::Input {
                bytes: reader.bytes()?.to_vec(),
            },
            9 => Self::CloseInput,
            10 => Self::Signal {
                number: reader.u32()?.cast_signed(),
            },
            11 => Self::Resize(reader.size()?),
            _ => return Err(WireError::Malformed),
        };
        reader.end(order)
    }
}

impl Event {
    /// The event as a frame.
    #[must_use]
    pub fn to_frame(&self) -> Vec<u8> {
        let mut frame = Writer::new();
        match self {
            Self::Ready { version } => {
                frame.byte(1);
                frame.u32(u32::from(*version));
            }
            Self::Output { stream, bytes } => {
                frame.byte(2);
                frame.byte(match stream {
                    Stream::Stdout => 1,
                    Stream::Stderr => 2,
                });
                frame.bytes(bytes);
            }
            Self::Ended(ended) => {
                let Ended {
                    exit,
                    limit,
                    wall_us,
                    cpu_us,
                    peak_bytes,
                    oom_kills,
                    stdout_bytes,
                    stderr_bytes,
                } = ended;
                let (kind, number) = match exit {
                    Exit::Code(code) => (1, code),
                    Exit::Signal(signal) => (2, signal),
                    Exit::NotStarted(errno) => (3, errno),
                };
                frame.byte(3);
                frame.byte(kind);
                frame.u32(number.cast_unsigned());
                frame.byte(match limit {
                    None => 0,
                    Some(Limit::Cpu) => 1,
                    Some(Limit::Wall) => 2,
                    Some(Limit::Output) => 3,
                });
                for number in [
                    wall_us,
                    cpu_us,
                    peak_bytes,
                    oom_kills,
                    stdout_bytes,
                    stderr_bytes,
                ] {
                    frame.u64(*number);
                }
            }
            Self::Failed { reason } => {
                frame.byte(4);
                frame.bytes(reason.as_bytes());
            }
            Self::Packed { bytes, last } => {
                frame.byte(5);
                frame.bytes(bytes);
                frame.byte(u8::from(*last));
            }
            Self::Unpacked => frame.byte(6),
            Self::Clean => frame.byte(7),
        }
        frame.finish()
    }

    /// The event in a frame's body.
    ///
    /// # Errors
    /// [`WireError::Malformed`].
    pub fn from_body(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader(body);
        let event = match reader.byte()? {
            1 => Self::Ready {
                version: u16::try_from(reader.u32()?).map_err(|_| WireError::Malformed)?,
            },
            2 => Self::Output {
                stream: match reader.byte()? {
                    1 => Stream::Stdout,
                    2 => Stream::Stderr,
                    _ => return Err(WireError::Malformed),
                },
                bytes: reader.bytes()?.to_vec(),
            },
            3 => {
                let (kind, number) = (reader.byte()?, reader.u32()?.cast_signed());
                Self::Ended(Ended {
                    exit: match kind {
                        1 => Exit::Code(number),
                        2 => Exit::Signal(number),
                        3 => Exit::NotStarted(number),
                        _ => return Err(WireError::Malformed),
                    },
                    limit: match reader.byte()? {
                        0 => None,
                        1 => Some(Limit::Cpu),
                        2 => Some(Limit::Wall),
                        3 => Some(Limit::Output),
                        _ => return Err(WireError::Malformed),
                    },
                    wall_us: reader.u64()?,
                    cpu_us: reader.u64()?,
                    peak_bytes: reader.u64()?,
                    oom_kills: reader.u64()?,
                    stdout_bytes: reader.u64()?,
                    stderr_bytes: reader.u64()?,
                })
            }
            4 => Self::Failed {
                reason: reader.string()?,
            },
            5 => Self::Packed {
                bytes: reader.bytes()?.to_vec(),
                last: reader.bool()?,
            },
            6 => Self::Unpacked,
            7 => Self::Clean,
            _ => return Err(WireError::Malformed),
        };
        reader.end(event)
    }
}

/// A length on the wire. What does not fit is cut to the largest, which no reader takes.
fn length_of(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// A frame that is being written; its length is filled in at the end.
struct Writer(Vec<u8>);

impl Writer {
    fn new() -> Self {
        Self(vec![0; LENGTH_BYTES])
    }

    fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    fn u32(&mut self, number: u32) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn size(&mut self, TerminalSize { columns, rows }: TerminalSize) {
        self.0.extend_from_slice(&columns.to_le_bytes());
        self.0.extend_from_slice(&rows.to_le_bytes());
    }

    fn u64(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.u32(length_of(bytes.len()));
        self.0.extend_from_slice(bytes);
    }

    fn finish(mut self) -> Vec<u8> {
        let length = length_of(self.0.len() - LENGTH_BYTES);
        self.0[..LENGTH_BYTES].copy_from_slice(&length.to_le_bytes());
        self.0
    }
}

/// What is left of a body.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (taken, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(WireError::Malformed)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        self.take(N)?.try_into().map_err(|_| WireError::Malformed)
    }

    fn byte(&mut self) -> Result<u8, WireError> {
        Ok(self.array::<1>()?[0])
    }

    fn bool(&mut self) -> Result<bool, WireError> {
        match self.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(WireError::Malformed),
        }
    }

    fn u32(&mut self) -> Result<u32, WireError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn size(&mut self) -> Result<TerminalSize, WireError> {
        Ok(TerminalSize {
            columns: u16::from_le_bytes(self.array()?),
            rows: u16::from_le_bytes(self.array()?),
        })
    }

    fn u64(&mut self) -> Result<u64, WireError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn bytes(&mut self) -> Result<&'a [u8], WireError> {
        let length = self.u32()?;
        self.take(length as usize)
    }

    fn string(&mut self) -> Result<String, WireError> {
        String::from_utf8(self.bytes()?.to_vec()).map_err(|_| WireError::Malformed)
    }

    /// A list. Its claimed length reserves nothing, so a lie costs no memory.
    fn list<T>(
        &mut self,
        item: impl Fn(&mut Self) -> Result<T, WireError>,
    ) -> Result<Vec<T>, WireError> {
        let length = self.u32()?;
        let mut items = Vec::new();
        for _ in 0..length {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// `value`, if nothing is left over.
    fn end<T>(self, value: T) -> Result<T, WireError> {
        if self.0.is_empty() {
            Ok(value)
        } else {
            Err(WireError::Malformed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn orders() -> Vec<Order> {
        vec![
            Order::File {
                path: "a/b.py".into(),
                content: vec![0, 1, 255],
            },
            Order::Exec(Exec {
                argv: vec!["python3".into(), String::new(), "ä".into()],
                env: vec![("A".into(), "b=c".into())],
                stdin: b"in\n".to_vec(),
                keeps_input: true,
                terminal: Some(TerminalSize {
                    columns: 80,
                    rows: 25,
                }),
                limits: Limits {
                    cpu_ms: 1,
                    wall_ms: 2,
                    output_bytes: 3,
                },
            }),
            Order::Save,
            Order::Restore,
            Order::Pack { most: 7 },
            Order::Unpack {
                bytes: vec![1, 2],
                last: true,
            },
            Order::Reset { user: 1 << 30 },
            Order::Exec(Exec::default()),
            Order::Input { bytes: vec![4] },
            Order::CloseInput,
            Order::Signal { number: -1 },
            Order::Resize(TerminalSize {
                columns: 1,
                rows: u16::MAX,
            }),
        ]
    }

    fn events() -> Vec<Event> {
        let ended = Ended {
            exit: Exit::Code(-1),
            limit: None,
            wall_us: 1,
            cpu_us: u64::MAX,
            peak_bytes: 3,
            oom_kills: 4,
            stdout_bytes: 5,
            stderr_bytes: 6,
        };
        vec![
            Event::Ready {
                version: super::super::VERSION,
            },
            Event::Output {
                stream: Stream::Stdout,
                bytes: vec![],
            },
            Event::Output {
                stream: Stream::Stderr,
                bytes: vec![1, 0, 0, 0],
            },
            Event::Ended(ended.clone()),
            Event::Ended(Ended {
                exit: Exit::Signal(9),
                limit: Some(Limit::Cpu),
                ..ended.clone()
            }),
            Event::Ended(Ended {
                exit: Exit::NotStarted(2),
                limit: Some(Limit::Wall),
                ..ended.clone()
            }),
            Event::Ended(Ended {
                limit: Some(Limit::Output),
                ..ended
            }),
            Event::Failed {
                reason: "no".into(),
            },
            Event::Packed {
                bytes: vec![3],
                last: false,
            },
            Event::Unpacked,
            Event::Clean,
        ]
    }

    #[test]
    fn every_order_and_event_comes_back_as_it_was_however_the_stream_is_cut() {
        let stream: Vec<u8> = orders().iter().flat_map(Order::to_frame).collect();
        for step in [1, 2, 5, stream.len()] {
            let (mut frames, mut seen) = (Frames::default(), Vec::new());
            for bytes in stream.chunks(step) {
                frames.push(bytes);
                while let Some(body) = frames.next_body().unwrap() {
                    seen.push(Order::from_body(body).unwrap());
                }
            }
            assert_eq!(seen, orders(), "cut every {step} bytes");
        }
        for event in events() {
            let mut frames = Frames::default();
            frames.push(&event.to_frame());
            assert_eq!(
                Event::from_body(frames.next_body().unwrap().unwrap()),
                Ok(event)
            );
        }
    }

    #[test]
    fn a_frame_that_claims_too_much_is_refused_before_it_is_buffered() {
        let mut frames = Frames::default();
        frames.push(&u32::MAX.to_le_bytes());
        assert_eq!(
            frames.next_body(),
            Err(WireError::TooLong(u32::MAX as usize))
        );
    }

    #[test]
    fn a_body_cut_short_or_with_bytes_left_over_is_malformed() {
        let bodies = orders()
            .iter()
            .map(|o| o.to_frame()[4..].to_vec())
            .collect::<Vec<_>>();
        for body in bodies {
            for cut in 0..body.len() {
                assert_eq!(Order::from_body(&body[..cut]), Err(WireError::Malformed));
            }
            let longer = [&body[..], &[0]].concat();
            assert_eq!(Order::from_body(&longer), Err(WireError::Malformed));
        }
        for event in events() {
            let body = event.to_frame()[4..].to_vec();
            for cut in 0..body.len() {
                assert_eq!(Event::from_body(&body[..cut]), Err(WireError::Malformed));
            }
        }
        assert_eq!(Order::from_body(&[99]), Err(WireError::Malformed));
        assert_eq!(Event::from_body(&[9]), Err(WireError::Malformed));
    }
}
