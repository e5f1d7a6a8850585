//! What differs between two texts of a document, line by line. Pure.

use std::collections::BTreeMap;

use codecrafter_shared::api::{
    DiffHunk, DiffLine, DiffLineKind, FileChange, FileDiff, SessionContent,
};
use imara_diff::{Algorithm, Diff, InternedInput};

/// Equal lines that are shown before and after a change.
const CONTEXT: u32 = 3;

/// A file on both sides: its path (none for the main file), and its text where it is there.
pub(in crate::room) type Paired<'a> = (Option<&'a str>, Option<&'a str>, Option<&'a str>);

/// Each file of either, the main file first, then by path.
pub(in crate::room) fn paired<'a>(
    old: &'a SessionContent,
    new: &'a SessionContent,
) -> Vec<Paired<'a>> {
    let mut files: BTreeMap<&str, (Option<&str>, Option<&str>)> = BTreeMap::new();
    for file in &old.files {
        files.entry(&file.path).or_default().0 = Some(&file.content);
    }
    for file in &new.files {
        files.entry(&file.path).or_default().1 = Some(&file.content);
    }
    let main = (None, Some(&*old.content), Some(&*new.content));
    let files = files
        .into_iter()
        .map(|(path, (old, new))| (Some(path), old, new));
    std::iter::once(main).chain(files).collect()
}

/// The files that differ, with at most `lines_max` lines in all, and whether that left any out.
pub(super) fn diff(
    old: &SessionContent,
    new: &SessionContent,
    lines_max: usize,
) -> (Vec<FileDiff>, bool) {
    let (mut left, mut truncated) = (lines_max, false);
    let mut files = Vec::new();
    for (path, before, after) in paired(old, new) {
        if before == after {
            continue;
        }
        let change = match (before, after) {
            (None, _) => FileChange::Added,
            (_, None) => FileChange::Removed,
            _ => FileChange::Changed,
        };
        let lines = Lines::compare(before.unwrap_or_default(), after.unwrap_or_default());
        let (hunks, complete) = lines.hunks(&mut left);
        truncated |= !complete;
        files.push(FileDiff {
            path: path.map(str::to_owned),
            change,
            added: lines.diff.count_additions(),
            removed: lines.diff.count_removals(),
            hunks,
        });
    }
    (files, truncated)
}

struct Lines<'a> {
    input: InternedInput<&'a str>,
    diff: Diff,
}

impl<'a> Lines<'a> {
    fn compare(old: &'a str, new: &'a str) -> Self {
        let input = InternedInput::new(old, new);
        let mut diff = Diff::compute(Algorithm::Histogram, &input);
        diff.postprocess_lines(&input);
        Self { input, diff }
    }

    /// Changes with the lines around them, those that touch each other in one; and whether all of
    /// them are there. Each line is taken off `left`.
    fn hunks(&self, left: &mut usize) -> (Vec<DiffHunk>, bool) {
        let old_len = u32::try_from(self.input.before.len()).unwrap_or(u32::MAX);
        let mut changes = self.diff.hunks().peekable();
        let mut hunks = Vec::new();
        while let Some(first) = changes.next() {
            let lead = first.before.start.min(CONTEXT);
            let mut hunk = DiffHunk {
                old_start: first.before.start.saturating_sub(lead).saturating_add(1),
                new_start: first.after.start.saturating_sub(lead).saturating_add(1),
                lines: Vec::new(),
            };
            let mut at = first.before.start.saturating_sub(lead);
            let mut change = Some(first);
            while let Some(here) = change {
                self.same(&mut hunk, at, here.before.start);
                self.push(&mut hunk, DiffLineKind::Removed, here.before.clone());
                self.push(&mut hunk, DiffLineKind::Added, here.after.clone());
                at = here.before.end;
                let near = at.saturating_add(CONTEXT.saturating_mul(2));
                change = changes.next_if(|next| next.before.start <= near);
            }
            let end = at.saturating_add(CONTEXT).min(old_len);
            self.same(&mut hunk, at, end);
            if hunk.lines.len() > *left {
                hunk.lines.truncate(*left);
                if !hunk.lines.is_empty() {
                    hunks.push(hunk);
                }
                *left = 0;
                return (hunks, false);
            }
            *left = left.saturating_sub(hunk.lines.len());
            hunks.push(hunk);
        }
        (hunks, true)
    }

    fn same(&self, hunk: &mut DiffHunk, from: u32, to: u32) {
        self.push(hunk, DiffLineKind::Same, from..to);
    }

    fn push(&self, hunk: &mut DiffHunk, kind: DiffLineKind, lines: std::ops::Range<u32>) {
        let side = match kind {
            DiffLineKind::Added => &self.input.after,
            DiffLineKind::Same | DiffLineKind::Removed => &self.input.before,
        };
        let tokens = side.get(lines.start as usize..lines.end as usize);
        for token in tokens.unwrap_or_default() {
            let line = self.input.interner[*token];
            let text = line.strip_suffix('\n').unwrap_or(line);
            let text = text.strip_suffix('\r').unwrap_or(text).to_owned();
            hunk.lines.push(DiffLine { kind, text });
        }
    }
}

#[cfg(test)]
mod tests {
    use codecrafter_shared::job::SourceFile;

    use super::*;

    fn of(content: &str, files: &[(&str, &str)]) -> SessionContent {
        let files = files.iter().map(|(path, content)| SourceFile {
            path: (*path).into(),
            content: (*content).into(),
        });
        SessionContent {
            content: content.into(),
            files: files.collect(),
        }
    }

    /// As `diff -u` writes it.
    fn shown(diff: &FileDiff) -> String {
        let mut text = String::new();
        for hunk in &diff.hunks {
            text += &format!("@ {} {}\n", hunk.old_start, hunk.new_start);
            for line in &hunk.lines {
                let sign = match line.kind {
                    DiffLineKind::Same => ' ',
                    DiffLineKind::Removed => '-',
                    DiffLineKind::Added => '+',
                };
                text += &format!("{sign}{}\n", line.text);
            }
        }
        text
    }

    #[test]
    fn changes_are_shown_with_three_lines_around_and_joined_when_near() {
        let old: String = (1..=30).map(|n| format!("line {n}\n")).collect();
        let new = old
            .replace("line 2\n", "line two\n")
            .replace("line 9\n", "")
            .replace("line 25\n", "line 25\nmore\n");
        let (files, truncated) = diff(&of(&old, &[]), &of(&new, &[]), 100);
        assert!(!truncated && files.len() == 1);
        assert_eq!((files[0].added, files[0].removed), (2, 2));
        assert_eq!(
            shown(&files[0]),
            "@ 1 1\n line 1\n-line 2\n+line two\n line 3\n line 4\n line 5\n line 6\n line 7\n \
             line 8\n-line 9\n line 10\n line 11\n line 12\n\
             @ 23 22\n line 23\n line 24\n line 25\n+more\n line 26\n line 27\n line 28\n"
        );
    }

    #[test]
    fn files_come_and_go() {
        let old = of("same\n", &[("a.py", "1\n"), ("b.py", "2\n"), ("c.py", "")]);
        let new = of("same\n", &[("b.py", "2\r\n3"), ("d.py", "4\n")]);
        let (files, _) = diff(&old, &new, 100);
        let told: Vec<_> = files
            .iter()
            .map(|f| (f.path.as_deref().unwrap(), f.change, shown(f)))
            .collect();
        let expected = [
            ("a.py", FileChange::Removed, "@ 1 1\n-1\n"),
            ("b.py", FileChange::Changed, "@ 1 1\n-2\n+2\n+3\n"),
            ("c.py", FileChange::Removed, ""),
            ("d.py", FileChange::Added, "@ 1 1\n+4\n"),
        ];
        let expected = expected.map(|(path, change, text)| (path, change, text.to_owned()));
        assert_eq!(told, expected);
        assert_eq!(diff(&old, &old, 100), (Vec::new(), false));
    }

    #[test]
    fn no_more_lines_are_told_than_asked_for() {
        let lines = |n: u32| (0..n).map(|n| format!("{n}\n")).collect::<String>();
        let new = of(&lines(500), &[("x", &lines(500))]);
        let (files, truncated) = diff(&of("", &[]), &new, 600);
        let told: usize = files
            .iter()
            .flat_map(|file| &file.hunks)
            .map(|hunk| hunk.lines.len())
            .sum();
        assert!(truncated && told == 600, "{told}");
        assert_eq!(files[1].added, 500, "what is left out is counted");
    }
}
