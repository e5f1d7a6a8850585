//! What finding a place may take, and why a struct gets none.

use super::super::read::Malformed;

/// Why a struct is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Unfit {
    /// No honest client writes this.
    Malformed(Malformed),
    /// Finding its place would take too long.
    TooMuchWork,
}

impl From<Malformed> for Unfit {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// How many items `yrs` may still look at for an update.
#[derive(Debug)]
pub(in super::super) struct Work {
    left: u64,
    done: u64,
}

impl Work {
    pub(in super::super) const fn new(most: u64) -> Self {
        Self {
            left: most,
            done: 0,
        }
    }

    /// Items so far.
    pub(in super::super) const fn done(&self) -> u64 {
        self.done
    }

    pub(in super::super) fn spend(&mut self, items: u64) -> Result<(), Unfit> {
        self.done = self.done.saturating_add(items);
        self.left = self.left.checked_sub(items).ok_or(Unfit::TooMuchWork)?;
        Ok(())
    }
}
