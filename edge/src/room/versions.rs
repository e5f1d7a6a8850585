//! Versions of the document: its text as it was at some moment. What is kept is text and not the
//! history of edits, which is [`super::history`], so a version can always be read, and restoring one is an ordinary edit.
//!
//! Here are the rules, and nothing that waits: when a version is taken by itself ([`Rest`],
//! [`is_worth_it`]) and which are too many ([`superfluous`]). [`diff`] compares two, [`store`] keeps
//! them, [`shard`] answers calls about them.

pub(in crate::room) mod diff;
pub mod shard;
pub mod store;

use std::collections::BTreeSet;

use codecrafter_shared::api::{SessionContent, VersionKind};
use codecrafter_shared::id::UserId;
use codecrafter_shared::limits;
use codecrafter_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::write::{splices, utf16_len};

const HOUR_MS: i64 = 60 * 60 * 1_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Somebody who does something in a session without a socket, as the Directory knows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Author {
    /// The account.
    pub user_id: UserId,
    /// What others see.
    pub display_name: String,
}

/// How long the document has been changed without a version, and how long it rests.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// The first and the last edit that no version has.
    edits: Option<(Timestamp, Timestamp)>,
}

impl Rest {
    /// A woken room's: `last_edit` is one that no version has.
    pub(super) fn of_woken(last_edit: Option<Timestamp>) -> Self {
        Self {
            edits: last_edit.map(|at| (at, at)),
        }
    }

    /// The document was changed. Says whether it is the first change since the last version.
    pub(super) fn edited(&mut self, now: Timestamp) -> bool {
        let first = self.edits.map(|(first, _)| first);
        self.edits = Some((first.unwrap_or(now), now));
        first.is_none()
    }

    /// When a version is to be taken.
    pub(super) fn due(&self) -> Option<Timestamp> {
        let (first, last) = self.edits?;
        let rested = last.plus_millis(limits::VERSION_REST_MS);
        Some(rested.min(first.plus_millis(limits::VERSION_AFTER_MS)))
    }

    /// Whether one is to be taken now. It is then taken for granted that it is.
    pub(super) fn take_due(&mut self, now: Timestamp) -> bool {
        let due = self.due().is_some_and(|due| due <= now);
        if due {
            self.edits = None;
        }
        due
    }
}

/// A version that is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) number: u64,
    pub(super) kind: VersionKind,
    pub(super) at: Timestamp,
    pub(super) bytes: u64,
}

/// Whether `now` differs enough from the newest version to be kept without anybody asking for it.
pub(super) fn is_worth_it(
    newest: Option<(&SessionContent, Timestamp)>,
    present: &SessionContent,
    now: Timestamp,
) -> bool {
    let blank = SessionContent::default();
    match newest {
        None => *present != blank,
        Some((text, _)) if text == present => false,
        Some((_, at)) if now.since(at) >= limits::VERSION_SMALL_AFTER_MS => true,
        Some((text, _)) => different_chars(text, present) >= limits::VERSION_CHARS_MIN,
    }
}

/// How many UTF-16 units one has and the other has not.
fn different_chars(old: &SessionContent, new: &SessionContent) -> usize {
    diff::paired(old, new)
        .into_iter()
        .flat_map(|(_, old, new)| splices(old.unwrap_or_default(), new.unwrap_or_default()))
        .map(|splice| splice.removed.saturating_add(utf16_len(splice.inserted)) as usize)
        .fold(0, usize::saturating_add)
}

/// The versions that are too many, of all of a session's, newest first. Those that somebody asked
/// for stay. Of the others all of the last day stay, one of each hour of the last seven days, one of
/// each day of the last thirty; and of these so many as there is room for. The newest always stays.
pub(super) fn superfluous(kept: &[Kept], now: Timestamp) -> Vec<u64> {
    let (mut spans, mut automatic) = (BTreeSet::new(), 0_usize);
    let manual = kept.iter().filter(|v| v.kind == VersionKind::Manual);
    let mut bytes: u64 = manual.map(|v| v.bytes).fold(0, u64::saturating_add);
    let mut too_many = Vec::new();
    for version in kept.iter().filter(|v| v.kind != VersionKind::Manual) {
        let at = version.at.as_millis();
        let of_its_span = match now.since(version.at) {
            ..DAY_MS => true,
            age if age < 7 * DAY_MS => spans.insert((HOUR_MS, at.div_euclid(HOUR_MS))),
            age if age < 30 * DAY_MS => spans.insert((DAY_MS, at.div_euclid(DAY_MS))),
            _ => false,
        };
        let fits = automatic < limits::VERSIONS_AUTOMATIC_MAX
            && bytes.saturating_add(version.bytes) <= limits::VERSIONS_BYTES_MAX;
        let newest = automatic == 0;
        if newest || of_its_span && fits {
            automatic = automatic.saturating_add(1);
            bytes = bytes.saturating_add(version.bytes);
        } else {
            too_many.push(version.number);
        }
    }
    too_many
}

/// Whether somebody may keep one more version, of so many bytes.
pub(super) fn has_room(kept: &[Kept], bytes: u64) -> bool {
    let manual = || kept.iter().filter(|v| v.kind == VersionKind::Manual);
    let held: u64 = manual().map(|v| v.bytes).fold(0, u64::saturating_add);
    manual().count() < limits::VERSIONS_MANUAL_MAX
        && held.saturating_add(bytes) <= limits::VERSIONS_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn ago(millis: i64) -> Timestamp {
        NOW.plus_millis(-millis)
    }

    fn kept(kind: VersionKind, bytes: u64, ages: impl Iterator<Item = i64>) -> Vec<Kept> {
        let ages: Vec<i64> = ages.collect();
        let count = u64::try_from(ages.len()).unwrap();
        let numbered = (1..=count).rev().zip(ages);
        let version = |(number, age)| Kept {
            number,
            kind,
            at: ago(age),
            bytes,
        };
        numbered.map(version).collect()
    }

    fn text(content: &str) -> SessionContent {
        SessionContent {
            content: content.into(),
            files: Vec::new(),
        }
    }

    #[test]
    fn a_version_is_due_when_edits_rest_and_when_they_do_not_end() {
        let mut rest = Rest::default();
        assert_eq!(rest.due(), None);
        assert!(rest.edited(NOW) && !rest.edited(NOW.plus_millis(1_000)));
        let due = NOW.plus_millis(1_000 + limits::VERSION_REST_MS);
        assert_eq!(rest.due(), Some(due));
        assert!(!rest.take_due(due.plus_millis(-1)) && rest.take_due(due));
        assert!(!rest.take_due(due), "once");

        for minute in 0..60 {
            rest.edited(NOW.plus_millis(minute * 60_000));
        }
        assert_eq!(rest.due(), Some(NOW.plus_millis(limits::VERSION_AFTER_MS)));
        assert!(Rest::of_woken(Some(ago(HOUR_MS))).take_due(NOW));
        assert!(!Rest::of_woken(None).take_due(NOW));
    }

    #[test]
    fn a_small_change_waits_for_its_hour_and_none_is_never_kept() {
        let old = text("let a = 1;\n");
        let soon = |present: &str| is_worth_it(Some((&old, ago(60_000))), &text(present), NOW);
        assert!(!soon("let a = 1;\n") && !soon("let a = 12345;\n"));
        assert!(soon("let a = 1;\nlet b = 2;\nlet c = 3;\n"));
        let late = |present: &str| is_worth_it(Some((&old, ago(HOUR_MS))), &text(present), NOW);
        assert!(late("let a = 2;\n") && !late("let a = 1;\n"));
        assert!(is_worth_it(None, &text("x"), NOW) && !is_worth_it(None, &text(""), NOW));
    }

    #[test]
    fn with_age_fewer_are_kept_of_those_that_nobody_asked_for() {
        // One every twenty minutes, for forty days.
        let ages = || (0..40 * 72).map(|n| n * 20 * 60_000);
        let old = kept(VersionKind::Manual, 1, ages());
        assert!(superfluous(&old, NOW).is_empty());

        let mut left = kept(VersionKind::Automatic, 1, ages());
        let gone = superfluous(&left, NOW);
        left.retain(|version| !gone.contains(&version.number));
        let between = |from: i64, to: i64| {
            let ages = left.iter().map(|version| NOW.since(version.at));
            ages.filter(|age| (from..to).contains(age)).count()
        };
        assert_eq!(between(0, DAY_MS), 72);
        // So many hours and days as there is room for.
        assert_eq!(left.len(), limits::VERSIONS_AUTOMATIC_MAX);
        // One more at the ends, as the hours are those of the clock.
        assert_eq!(between(DAY_MS, 6 * DAY_MS), 121);
        assert!(superfluous(&left, NOW).is_empty(), "done once");

        let daily = kept(
            VersionKind::BeforeRestore,
            1,
            (0..40 * 2).map(|n| n * DAY_MS / 2),
        );
        assert_eq!(daily.len() - superfluous(&daily, NOW).len(), 2 + 12 + 24);
    }

    #[test]
    fn the_newest_stays_and_the_oldest_go_for_want_of_room() {
        let month_old = kept(
            VersionKind::Automatic,
            1,
            [90, 100].map(|d| d * DAY_MS).into_iter(),
        );
        assert_eq!(superfluous(&month_old, NOW), [1]);
        let heavy = limits::VERSIONS_BYTES_MAX / 4;
        let mut all = kept(VersionKind::Automatic, heavy, (0..5).map(|n| n * 60_000));
        assert_eq!(superfluous(&all, NOW), [1]);
        all.push(Kept {
            kind: VersionKind::Manual,
            number: 0,
            ..all[4]
        });
        assert_eq!(
            superfluous(&all, NOW),
            [2, 1],
            "what was asked for comes first"
        );
        assert!(has_room(&all, heavy * 3) && !has_room(&all, heavy * 3 + 1));
        let many = kept(VersionKind::Manual, 1, 0..100);
        assert!(!has_room(&many, 1) && has_room(&many[1..], 1));
    }
}
