//! An update in other bytes.

use super::super::read::{Malformed, Reader, write_var_bytes, write_var_uint};
use super::content::utf16_length;
use super::{Caps, FLAGS, Id, Place, RIGHT_ORIGIN, TEXT, Walk, clock, end};

/// An update without what some of its structs name as their right; `at` says where those begin, in
/// ascending order. Each must name a left one as well.
pub(in super::super) fn without_rights(bytes: &[u8], at: &[u64]) -> Result<Vec<u8>, Malformed> {
    let mut without = Vec::with_capacity(bytes.len());
    let mut reader = Reader::new(bytes);
    let length = reader.len();
    for at in at {
        let position = length.saturating_sub(reader.len());
        without.extend(reader.take(at.saturating_sub(position))?);
        without.push(reader.byte()? & !RIGHT_ORIGIN);
        for _ in 0..2 {
            write_var_uint(&mut without, reader.var_uint()?);
        }
        for _ in 0..2 {
            reader.var_uint()?;
        }
    }
    without.extend(reader.take(reader.len())?);
    Ok(without)
}

/// An update in which text that goes on is one struct, as it is in a document that holds it. What
/// comes key by key has a struct of some thirty bytes for each.
///
/// Text of one client goes on if the next was put right behind it, and both have the same right.
/// `may_go_on` says of the first whether it is in a sequence: values of a key stay alone.
pub(in super::super) fn joined(
    bytes: &[u8],
    may_go_on: impl Fn(Id) -> bool,
) -> Result<Vec<u8>, Malformed> {
    let mut walk = Walk::new(bytes, Caps::STORED);
    let mut out = Vec::with_capacity(bytes.len());
    let sections = walk.reader.count(5)?;
    write_var_uint(&mut out, sections);
    for _ in 0..sections {
        walk.joined_section(&may_go_on, &mut out)?;
    }
    out.extend(walk.reader.take(walk.reader.len())?);
    Ok(out)
}

/// Text that may go on.
struct Run<'a> {
    /// Everything of its first struct that is before the text.
    head: &'a [u8],
    text: String,
    right: Option<Id>,
    may_go_on: bool,
}

impl<'a> Walk<'a> {
    fn joined_section(
        &mut self,
        may_go_on: &impl Fn(Id) -> bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Malformed> {
        let count = self.reader.count(2)?;
        let (client, start) = (self.reader.var_uint()?, clock(&mut self.reader)?);
        let (mut structs, mut fewer) = (Vec::new(), 0_u64);
        let mut next = Id {
            client,
            clock: start,
        };
        let mut run: Option<Run<'a>> = None;
        for _ in 0..count {
            let from = self.reader;
            let info = self.reader.byte()?;
            if info & !FLAGS == TEXT {
                let place = self.place(info)?;
                let mut head = from;
                let head = head.take(from.len().saturating_sub(self.reader.len()))?;
                let text = self.reader.var_string()?;
                let (left, right) = match place {
                    Place::Beside { left, right } => (left, right),
                    Place::Inside { .. } | Place::Nowhere => (None, None),
                };
                let id = next;
                next.clock = end(id.clock, utf16_length(text))?;
                let follows = |run: &Run<'_>| {
                    let before =
                        left.and_then(|left| Some((left.client, left.clock.checked_add(1)?)));
                    run.may_go_on && before == Some((id.client, id.clock)) && right == run.right
                };
                match run.as_mut().filter(|run| follows(run)) {
                    Some(run) => {
                        run.text.push_str(text);
                        fewer = fewer.saturating_add(1);
                    }
                    None => {
                        let new = Run {
                            head,
                            text: text.to_owned(),
                            right,
                            may_go_on: may_go_on(id),
                        };
                        write(run.replace(new), &mut structs);
                    }
                }
            } else {
                write(run.take(), &mut structs);
                self.reader = from;
                let (length, ..) = self.one_struct()?;
                next.clock = end(next.clock, length)?;
                let mut whole = from;
                structs.extend(whole.take(from.len().saturating_sub(self.reader.len()))?);
            }
        }
        write(run, &mut structs);
        write_var_uint(out, count.saturating_sub(fewer));
        write_var_uint(out, client);
        write_var_uint(out, start);
        out.extend(structs);
        Ok(())
    }
}

fn write(run: Option<Run<'_>>, out: &mut Vec<u8>) {
    if let Some(Run { head, text, .. }) = run {
        out.extend(head);
        write_var_bytes(out, text.as_bytes());
    }
}
