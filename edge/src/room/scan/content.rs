//! What a struct holds: text, values, formats, types. Only its length matters to the room, and that
//! nothing in it hurts.

use super::super::read::{Malformed, json_extent};
use super::{TEXT, Walk, spend};

/// How deep values may be nested inside a document.
pub(super) const DEPTH_MAX: usize = 32;

/// A container of values, and how many of them were not walked over yet.
#[derive(Clone, Copy)]
struct Container {
    missing: u64,
    keyed: bool,
}

impl Walk<'_> {
    /// Length of an item's content in clock units. Subdocuments, weak links and the JSON content
    /// of the earliest Yjs are not taken.
    pub(super) fn content(&mut self, kind: u8) -> Result<u64, Malformed> {
        let length = match kind {
            3 => {
                self.reader.var_bytes()?;
                1
            }
            TEXT => utf16_length(self.reader.var_string()?),
            5 => {
                self.json()?;
                1
            }
            6 => {
                self.reader.var_string()?;
                self.json()?;
                1
            }
            7 => {
                self.type_name()?;
                1
            }
            8 => {
                let count = self.reader.count(1)?;
                for _ in 0..count {
                    self.value()?;
                }
                count
            }
            _ => return Err(Malformed("a kind of content that the room does not take")),
        };
        if length == 0 {
            return Err(Malformed("empty content"));
        }
        Ok(length)
    }

    fn json(&mut self) -> Result<(), Malformed> {
        let (depth, separators) = json_extent(self.reader.var_string()?);
        if depth > DEPTH_MAX {
            return Err(Malformed("values nested too deep"));
        }
        spend(&mut self.left.values, separators)
    }

    fn type_name(&mut self) -> Result<(), Malformed> {
        const ARRAY: u64 = 0;
        const MAP: u64 = 1;
        const TEXT: u64 = 2;
        const XML_ELEMENT: u64 = 3;
        const XML_FRAGMENT: u64 = 4;
        const XML_TEXT: u64 = 6;
        match self.reader.var_uint()? {
            ARRAY | MAP | TEXT | XML_FRAGMENT | XML_TEXT => Ok(()),
            XML_ELEMENT => self.reader.var_string().map(|_| ()),
            _ => Err(Malformed("a shared type that the room does not take")),
        }
    }

    /// One value of lib0's `any` encoding, with all that is inside it. The stack is ours and has
    /// a fixed height; each entry is what its container still lacks.
    fn value(&mut self) -> Result<(), Malformed> {
        let mut open = [Container {
            missing: 0,
            keyed: false,
        }; DEPTH_MAX];
        let mut depth = 0_usize;
        loop {
            spend(&mut self.left.values, 1)?;
            let opened = match self.reader.byte()? {
                120 | 121 | 126 | 127 => None,
                125 => {
                    self.reader.skip_var_int()?;
                    None
                }
                124 => self.skip(4)?,
                122 | 123 => self.skip(8)?,
                119 => {
                    self.reader.var_string()?;
                    None
                }
                116 => {
                    self.reader.var_bytes()?;
                    None
                }
                118 => Some(Container {
                    missing: self.reader.count(2)?,
                    keyed: true,
                }),
                117 => Some(Container {
                    missing: self.reader.count(1)?,
                    keyed: false,
                }),
                _ => return Err(Malformed("an unknown kind of value")),
            };
            if let Some(container) = opened {
                *open
                    .get_mut(depth)
                    .ok_or(Malformed("values nested too deep"))? = container;
                depth = depth.saturating_add(1);
            }
            // Leave the containers that are complete; go on in the innermost that is not.
            loop {
                let Some(innermost) = depth.checked_sub(1) else {
                    return Ok(());
                };
                let Some(container) = open.get_mut(innermost) else {
                    return Ok(());
                };
                if let Some(missing) = container.missing.checked_sub(1) {
                    container.missing = missing;
                    if container.keyed {
                        self.reader.var_string()?;
                    }
                    break;
                }
                depth = innermost;
            }
        }
    }

    fn skip(&mut self, bytes: u64) -> Result<Option<Container>, Malformed> {
        self.reader.take(bytes)?;
        Ok(None)
    }
}

pub(super) fn utf16_length(text: &str) -> u64 {
    let units = if text.is_ascii() {
        text.len()
    } else {
        text.encode_utf16().count()
    };
    u64::try_from(units).unwrap_or(u64::MAX)
}
