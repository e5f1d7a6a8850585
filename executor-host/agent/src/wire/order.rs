//! Orders as bodies of frames.

use super::WireError;
use super::codec::{Reader, Writer, length_of};
use crate::{Exec, Limits, Order, Wanted};

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
                tells_files,
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
                frame.byte(u8::from(*tells_files));
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
            Self::Collect(Wanted {
                endings,
                files,
                bytes_each,
                bytes_all,
                named,
            }) => {
                frame.byte(12);
                frame.u32(length_of(endings.len()));
                endings
                    .iter()
                    .for_each(|ending| frame.bytes(ending.as_bytes()));
                for number in [files, bytes_each, bytes_all, named] {
                    frame.u32(*number);
                }
            }
        }
        frame.finish()
    }

    /// The order in a frame's body.
    ///
    /// # Errors
    /// [`WireError::Malformed`].
    pub fn from_body(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(body);
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
                tells_files: reader.bool()?,
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
            12 => Self::Collect(Wanted {
                endings: reader.list(Reader::string)?,
                files: reader.u32()?,
                bytes_each: reader.u32()?,
                bytes_all: reader.u32()?,
                named: reader.u32()?,
            }),
            _ => return Err(WireError::Malformed),
        };
        reader.end(order)
    }
}
