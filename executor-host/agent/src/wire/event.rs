//! Events as bodies of frames.

use super::WireError;
use super::codec::{Reader, Writer};
use crate::{Ended, Event, Exit, LeftOut, Limit, Stream};

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
                    left_files,
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
                frame.byte(u8::from(*left_files));
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
            Self::File { name, bytes, last } => {
                frame.byte(8);
                frame.bytes(name.as_bytes());
                frame.bytes(bytes);
                frame.byte(u8::from(*last));
            }
            Self::LeftOut { name, why } => {
                frame.byte(9);
                frame.bytes(name);
                frame.byte(match why {
                    LeftOut::NotAFile => 1,
                    LeftOut::Name => 2,
                    LeftOut::Ending => 3,
                    LeftOut::TooLarge => 4,
                    LeftOut::TooMany => 5,
                    LeftOut::TooMuch => 6,
                    LeftOut::Unreadable => 7,
                });
            }
            Self::Collected { left_out } => {
                frame.byte(10);
                frame.u32(*left_out);
            }
        }
        frame.finish()
    }

    /// The event in a frame's body.
    ///
    /// # Errors
    /// [`WireError::Malformed`].
    pub fn from_body(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
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
                    left_files: reader.bool()?,
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
            8 => Self::File {
                name: reader.string()?,
                bytes: reader.bytes()?.to_vec(),
                last: reader.bool()?,
            },
            9 => Self::LeftOut {
                name: reader.bytes()?.to_vec(),
                why: match reader.byte()? {
                    1 => LeftOut::NotAFile,
                    2 => LeftOut::Name,
                    3 => LeftOut::Ending,
                    4 => LeftOut::TooLarge,
                    5 => LeftOut::TooMany,
                    6 => LeftOut::TooMuch,
                    7 => LeftOut::Unreadable,
                    _ => return Err(WireError::Malformed),
                },
            },
            10 => Self::Collected {
                left_out: reader.u32()?,
            },
            _ => return Err(WireError::Malformed),
        };
        reader.end(event)
    }
}
