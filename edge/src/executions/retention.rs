//! For how long what came of executions is kept. What a program wrote, and the files that it left, go
//! when their time is over; that it ran, when, for whom, how it ended and what it used stays.
//!
//! What is too old is not shown from that moment on, whether it was removed yet or not. Removing it is
//! part of what the Directory does while links wait: a bounded piece each time.

use codecrafter_shared::id::ExecutionId;
use codecrafter_shared::limits;
use codecrafter_shared::time::Timestamp;

use crate::config::Config;
use crate::directory::Directory;
use crate::directory::parts::Kind;
use crate::error::Refusal;
use crate::ports::DbError;

/// Rows of one kind that a piece of the work removes at most; the parts of one thing go together.
const FORGOTTEN_MAX: u32 = 100;

/// Parts of one kind that are older than an id, the oldest first.
pub(crate) const TOO_OLD: &str =
    "SELECT id FROM part WHERE tenant = ?1 AND kind = ?2 AND id < ?3 ORDER BY id LIMIT ?4";

/// From when on what was asked for is still kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Results; none if they are kept for ever.
    results_since: Option<Timestamp>,
    files_since: Timestamp,
}

impl Kept {
    /// As it is at `now`.
    #[must_use]
    pub fn at(config: &Config, now: Timestamp) -> Self {
        let before = |millis: i64| now.plus_millis(millis.saturating_neg());
        let results_since = config.results_kept_ms.map(before);
        let week = before(limits::OUTPUT_FILES_MS);
        Self {
            results_since,
            files_since: results_since.map_or(week, |since| since.max(week)),
        }
    }

    /// Whether the result of what was asked for at `created_at` is.
    #[must_use]
    pub fn has_result(self, created_at: Timestamp) -> bool {
        self.results_since.is_none_or(|since| created_at >= since)
    }

    /// Whether its files are.
    #[must_use]
    pub fn has_files(self, created_at: Timestamp) -> bool {
        created_at >= self.files_since
    }
}

/// Removes some of what is too old: results, which only an execution that has ended has, and files.
///
/// # Errors
/// Those of the database.
pub async fn forget_old(directory: &Directory) -> Result<(), Refusal> {
    let (now, tenant) = (directory.clock.now(), &*directory.config.tenant);
    let kept = Kept::at(&directory.config, now);
    let kinds = [
        (Kind::File, Some(kept.files_since)),
        (Kind::Result, kept.results_since),
    ];
    let forgotten = directory.db.transaction(|tx| async move {
        for (kind, since) in kinds {
            let Some(since) = since else { continue };
            // Ids begin with their time.
            let oldest = ExecutionId::at(since, [0; 10]).to_string();
            let sql =
                format!("DELETE FROM part WHERE tenant = ?1 AND kind = ?2 AND id IN ({TOO_OLD})");
            let values = [
                tenant.into(),
                kind.as_str().into(),
                oldest.into(),
                FORGOTTEN_MAX.into(),
            ];
            tx.execute(&sql, values).await?;
        }
        Ok::<_, DbError>(())
    });
    Ok(forgotten.await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 24 * 3_600 * 1_000;

    fn kept(days: &str, now: Timestamp) -> Kept {
        let settings = [
            ("CODECRAFTER_SECRET", "0123456789abcdef0123456789abcdef"),
            ("CODECRAFTER_RESULTS_DAYS", days),
        ];
        let get = |name: &str| {
            let mut found = settings.iter().filter(|(known, _)| *known == name);
            found.next().map(|(_, value)| (*value).to_owned())
        };
        Kept::at(&Config::from_settings(get).ok().unwrap(), now)
    }

    #[test]
    fn results_are_kept_as_long_as_is_set_and_files_never_longer() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        let ago = |days: i64| now.plus_millis(-days * DAY_MS);
        for (setting, days) in [("", 365), ("30", 30), ("3", 3)] {
            let kept = kept(setting, now);
            assert!(kept.has_result(ago(days)));
            assert!(!kept.has_result(ago(days).plus_millis(-1)));
            assert!(kept.has_files(ago(days.min(7))));
            assert!(!kept.has_files(ago(days.min(7)).plus_millis(-1)));
        }
        let for_ever = kept("0", now);
        assert!(for_ever.has_result(Timestamp::from_millis(0)));
        assert!(!for_ever.has_files(ago(8)));
    }
}
