//! What the front asks a shard of limits. It sends the numbers along, so that a shard has no
//! settings: keys are hashes, and what they are of is nobody's business there.

use serde::{Deserialize, Serialize};

use super::Micros;
use super::rate::{Rate, Standing};
use super::slow_down::SlowDown;
use crate::shard::calls;

calls! {
    /// Takes one unit of each, or of none if one of them has none left.
    "/limits/take" => Take {
        /// What is taken from.
        from: Vec<Counted>,
    } -> Taken;

    /// Gives one unit back: what was taken did not count.
    "/limits/give-back" => GiveBack {
        /// What to.
        to: Counted,
    } -> ();

    /// Somebody is about to try a password.
    "/limits/try" => TryPassword {
        /// The account.
        account: Account,
        /// For tries at this account from this address; none if that is not limited.
        here: Option<SlowDown>,
        /// For tries at this account from all addresses that have never been right.
        anywhere: Option<SlowDown>,
    } -> Tried;

    /// It was right: what was tried there and at the account before is forgotten, and the address
    /// is one of the account's own for a while.
    "/limits/right" => PasswordRight {
        /// The account.
        account: Account,
    } -> ();

    /// An instance of the front has refused so many more. Not harmless to repeat: a sum for people.
    "/limits/refused" => CountRefusals {
        /// Each limit once.
        refusals: Vec<RefusalCount>,
    } -> ();

    /// What all instances have told.
    "/limits/refusals" => ListRefusals {} -> Vec<RefusalCount>;
}

/// How many requests a limit has refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusalCount {
    /// Its name in the table of limits.
    pub limit: String,
    /// How many.
    pub count: u64,
}

/// A key and its rate.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Counted {
    /// The key.
    pub key: String,
    /// How often.
    pub rate: Rate,
}

/// The keys of an account, all in the shard of the first.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    /// Of tries from everywhere.
    pub anywhere: String,
    /// Of tries from one address.
    pub here: String,
    /// Of that address having been right.
    pub known: String,
}

/// How each stands that was asked for, and whether it was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Taken {
    /// In the order of [`Take::from`]; after it was taken, if it was.
    pub standings: Vec<Standing>,
    /// Which of them had nothing left; nothing was taken if there is any.
    pub refused_by: Vec<usize>,
}

/// Whether a password may be tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tried {
    /// How long to wait before it; 0 if it may be tried now.
    pub wait: Micros,
    /// Whether it was the account as a whole that had to wait, rather than this address.
    pub by_account: bool,
}
