//! Text that is written from outside the room, as small edits that make it: lines that the old and
//! the new text have in common stay as they are, so the cursors that others have there stay too.
//! Pure; [`super::document`] makes the edits.

use codecrafter_shared::api::{SessionContent, WriteContent};
use codecrafter_shared::id::UserId;
use imara_diff::{Algorithm, Diff, InternedInput};

use super::AccessNotice;

/// A wish to write.
#[derive(Debug, Clone, Copy)]
pub struct Write<'a> {
    /// Who writes.
    pub user_id: UserId,
    /// Who may do what, by the Directory that has just been asked.
    pub notice: &'a AccessNotice,
    /// What is to be written; within its limits.
    pub request: &'a WriteContent,
    /// [Tags](super::tag) of the texts that it may take the place of; any text if `None`.
    pub expected: Option<&'a [String]>,
}

/// What became of a [`Write`]: the text as it stands after it.
pub type Written = Result<SessionContent, NotWritten>;

/// Why nothing was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotWritten {
    /// The session is deleted.
    Deleted,
    /// The writer is no participant any more, or may not edit.
    Forbidden,
    /// The text is none of those that were expected.
    Changed,
    /// The document would become too heavy with it.
    TooLarge,
    /// The main file holds what is not text, and cannot be written over.
    NotText,
    /// The document is not to be used as it is; it will be loaded again.
    Damaged,
}

/// The difference between two texts. Positions and lengths count UTF-16 units, as Yjs does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Splice<'a> {
    pub(super) at: u32,
    pub(super) removed: u32,
    pub(super) inserted: &'a str,
}

/// The one splice that makes `new` of `old`, or `None` if they are equal. It never divides a
/// character, so neither half of a surrogate pair is left without the other.
pub(super) fn splice<'a>(old: &str, new: &'a str) -> Option<Splice<'a>> {
    if old == new {
        return None;
    }
    let same = |(a, b): &(char, char)| a == b;
    let prefix = old.chars().zip(new.chars()).take_while(same);
    let prefix: usize = prefix.map(|(c, _)| c.len_utf8()).sum();
    let (kept, old) = old.split_at_checked(prefix)?;
    let (_, new) = new.split_at_checked(prefix)?;

    let suffix = old.chars().rev().zip(new.chars().rev()).take_while(same);
    let suffix: usize = suffix.map(|(c, _)| c.len_utf8()).sum();
    let (removed, _) = old.split_at_checked(old.len().checked_sub(suffix)?)?;
    let (inserted, _) = new.split_at_checked(new.len().checked_sub(suffix)?)?;
    Some(Splice {
        at: utf16_len(kept),
        removed: utf16_len(removed),
        inserted,
    })
}

/// The splices that make `new` of `old`, in the order of the text, their positions those in `old`:
/// lines that both have stay as they are, and of those that differ what they begin and end with.
pub(super) fn splices<'a>(old: &str, new: &'a str) -> Vec<Splice<'a>> {
    let input = InternedInput::new(old, new);
    let diff = Diff::compute(Algorithm::Histogram, &input);
    let ends = |text: &str| -> Vec<usize> {
        let lines = text.split_inclusive('\n').scan(0_usize, |end, line| {
            *end = end.saturating_add(line.len());
            Some(*end)
        });
        std::iter::once(0).chain(lines).collect()
    };
    let (old_ends, new_ends) = (ends(old), ends(new));
    let end_of = |ends: &[usize], line: u32| ends.get(line as usize).copied();
    let (mut seen, mut units) = (0, 0_u32);
    let hunks = diff.hunks().map(|hunk| {
        let start = end_of(&old_ends, hunk.before.start)?;
        let removed = old.get(start..end_of(&old_ends, hunk.before.end)?)?;
        let inserted = end_of(&new_ends, hunk.after.start)?..end_of(&new_ends, hunk.after.end)?;
        units = units.saturating_add(utf16_len(old.get(seen..start)?));
        seen = start;
        let splice = splice(removed, new.get(inserted)?)?;
        Some(Splice {
            at: units.saturating_add(splice.at),
            ..splice
        })
    });
    // A line that is not where it should be makes all of it one splice.
    let all: Option<Vec<Splice<'a>>> = hunks.collect();
    all.unwrap_or_else(|| splice(old, new).into_iter().collect())
}

/// How many UTF-16 units a text has.
pub(super) fn utf16_len(text: &str) -> u32 {
    u32::try_from(text.encode_utf16().count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::tests::support::{Luck, seeds};
    use super::*;

    fn apply(old: &str, new: &str) -> String {
        let Some(splice) = splice(old, new) else {
            return old.to_owned();
        };
        let units: Vec<u16> = old.encode_utf16().collect();
        let (at, removed) = (splice.at as usize, splice.removed as usize);
        let decode = |units: &[u16]| String::from_utf16(units).expect("a pair was divided");
        decode(&units[..at]) + splice.inserted + &decode(&units[at + removed..])
    }

    #[test]
    fn what_both_begin_and_end_with_is_not_touched() {
        let insert = |at, inserted| Splice {
            at,
            removed: 0,
            inserted,
        };
        assert_eq!(splice("same", "same"), None);
        assert_eq!(splice("ab", "aXb"), Some(insert(1, "X")));
        assert_eq!(
            splice("aaa", "aaaa"),
            Some(insert(3, "a")),
            "not counted twice"
        );
        let cut = Splice {
            at: 1,
            removed: 1,
            inserted: "",
        };
        assert_eq!(splice("aXb", "ab"), Some(cut));
        let all = Splice {
            at: 0,
            removed: 3,
            inserted: "xyz",
        };
        assert_eq!(splice("abc", "xyz"), Some(all));
    }

    #[test]
    fn surrogate_pairs_stay_whole() {
        // The two share their first UTF-16 unit, then their last.
        let swapped = Splice {
            at: 1,
            removed: 2,
            inserted: "\u{1F601}",
        };
        assert_eq!(splice("a\u{1F600}b", "a\u{1F601}b"), Some(swapped));
        assert_eq!(apply("\u{1F600}", "\u{1FA00}"), "\u{1FA00}");
        assert_eq!(apply("\u{1F600}x", "x"), "x");
    }

    #[test]
    fn lines_that_both_have_are_not_touched() {
        let old = "use a;\n\nfn main() {\n    😀();\n}\n\nfn end() {}\n";
        let new = "use b;\n\nfn main() {\n    😀();\n}\n\nfn end() { x }\n";
        let told: Vec<_> = splices(old, new)
            .into_iter()
            .map(|s| (s.at, s.removed, s.inserted))
            .collect();
        assert_eq!(told, [(4, 1, "b"), (43, 0, " x ")]);
        assert_eq!(splices(old, old), []);
    }

    #[test]
    fn the_splices_make_the_new_text_of_the_old() {
        for seed in seeds(500) {
            let mut luck = Luck::new(seed);
            let mut text = || -> String {
                let length = luck.below(12);
                (0..length)
                    .map(|_| luck.pick(&["a\n", "b", "é\n", "😀", "😁\n", "\r\n", "\n"]))
                    .collect()
            };
            let (old, new) = (text(), text());
            let mut units: Vec<u16> = old.encode_utf16().collect();
            for splice in splices(&old, &new).into_iter().rev() {
                let (at, removed) = (splice.at as usize, splice.removed as usize);
                units.splice(at..at + removed, splice.inserted.encode_utf16());
            }
            let made = String::from_utf16(&units).expect("a pair was divided");
            assert_eq!(made, new, "seed {seed}: {old:?}");
        }
    }

    #[test]
    fn the_splice_makes_the_new_text_of_the_old() {
        for seed in seeds(500) {
            let mut luck = Luck::new(seed);
            let mut text = || -> String {
                let length = luck.below(8);
                (0..length)
                    .map(|_| luck.pick(&['a', 'b', 'é', '😀', '😁', '\n']))
                    .collect()
            };
            let (old, new) = (text(), text());
            assert_eq!(apply(&old, &new), new, "seed {seed}: {old:?} to {new:?}");
        }
    }
}
