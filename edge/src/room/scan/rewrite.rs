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

/// A struct of text.
struct Text<'a> {
    /// Everything of it that is before the text.
    head: &'a [u8],
    text: &'a str,
    left: Option<Id>,
    right: Option<Id>,
}

/// Text that may go on.
struct Run<'a> {
    /// That of its first struct.
    head: &'a [u8],
    text: String,
    right: Option<Id>,
    may_go_on: bool,
}

impl Run<'_> {
    /// Whether it goes on with that, which is the next of the same client; `last` is its last unit.
    fn goes_on_with(&self, next: &Text<'_>, last: Option<Id>) -> bool {
        self.may_go_on && next.left.is_some() && next.left == last && next.right == self.right
    }
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
        let mut id = Id {
            client,
            clock: start,
        };
        let mut run: Option<Run<'a>> = None;
        for _ in 0..count {
            let from = self.reader;
            let length = if let Some(next) = self.text()? {
                let last = id.clock.checked_sub(1).map(|clock| Id { clock, ..id });
                if let Some(run) = run.as_mut().filter(|run| run.goes_on_with(&next, last)) {
                    run.text.push_str(next.text);
                    fewer = fewer.saturating_add(1);
                } else {
                    let begun = Run {
                        head: next.head,
                        text: next.text.to_owned(),
                        right: next.right,
                        may_go_on: may_go_on(id),
                    };
                    write(run.replace(begun), &mut structs);
                }
                utf16_length(next.text)
            } else {
                write(run.take(), &mut structs);
                let (length, ..) = self.one_struct()?;
                structs.extend(from.up_to(&self.reader)?);
                length
            };
            id.clock = end(id.clock, length)?;
        }
        write(run, &mut structs);
        write_var_uint(out, count.saturating_sub(fewer));
        write_var_uint(out, client);
        write_var_uint(out, start);
        out.extend(structs);
        Ok(())
    }

    /// The next struct, if that is text; otherwise it is still to be read.
    fn text(&mut self) -> Result<Option<Text<'a>>, Malformed> {
        let from = self.reader;
        let info = self.reader.byte()?;
        if info & !FLAGS != TEXT {
            self.reader = from;
            return Ok(None);
        }
        let (left, right) = match self.place(info)? {
            Place::Beside { left, right } => (left, right),
            Place::Inside { .. } | Place::Nowhere => (None, None),
        };
        Ok(Some(Text {
            head: from.up_to(&self.reader)?,
            text: self.reader.var_string()?,
            left,
            right,
        }))
    }
}

fn write(run: Option<Run<'_>>, out: &mut Vec<u8>) {
    if let Some(Run { head, text, .. }) = run {
        out.extend(head);
        write_var_bytes(out, text.as_bytes());
    }
}
