//! The table of limits: what is limited, for whom, how often, and why so often. `CODECRAFTER_LIMITS`
//! changes each of them.

use std::fmt;

use super::rate::Rate;
use super::slow_down::SlowDown;

/// What is counted for one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Requests of whom we do not know.
    Address,
    /// New accounts.
    Register,
    /// Passwords that one address tries, at whatever account. What was right is given back.
    Login,
    /// Passwords that one address tries at one account: each try waits longer than the one before.
    Password,
    /// Passwords that all addresses try at one account, other than those from which its owner has
    /// signed in.
    Account,
    /// Refresh tokens.
    Refresh,
    /// Lists that are for everybody, and readiness.
    Public,
    /// All requests of somebody signed in.
    User,
    /// New sessions and forks.
    Sessions,
    /// Joining sessions: ids are not to be guessed, and each join gives a room token.
    Join,
    /// Executions.
    Executions,
    /// Content, versions and messages that are written over REST.
    Writes,
    /// Pages of histories.
    History,
    /// Sockets and event streams of rooms.
    Rooms,
    /// Sockets and event streams of people's feeds.
    Feeds,
    /// Requests of executor-hosts.
    Executors,
}

/// What a policy is, and what it is unless an operator says otherwise.
pub struct Row {
    /// The policy.
    pub policy: Policy,
    /// Its name in settings, headers and logs.
    pub name: &'static str,
    /// So many ...
    pub quota: u32,
    /// ... in so many seconds.
    pub window_seconds: u32,
    /// What is counted, for people: "at most 5 … in 1 hour".
    pub of: &'static str,
    /// Whether a request is refused when nobody can say how often there were others.
    pub closed: bool,
}

const MINUTE: u32 = 60;
const QUARTER: u32 = 15 * MINUTE;
const HOUR: u32 = 60 * MINUTE;
/// The longest window.
const DAY: u32 = 24 * HOUR;
/// The largest quota.
const QUOTA_MAX: u32 = 1_000_000;

/// Every policy, in the order of [`Policy`].
#[rustfmt::skip]
pub const TABLE: [Row; 16] = [
    // X-18's "100 in 15 min from one address". It is for those whom we do not know: a school has
    // one address, and its pupils are known as soon as they are signed in.
    row(Policy::Address, "address", 100, QUARTER, "requests without a login from one network", false),
    //
    row(Policy::Register, "register", 5, HOUR, "new accounts from one network", true),
    // As many strangers' requests as anywhere: a class may sign in at the same moment, and what
    // was right does not count. Somebody who guesses has 400 an hour at all accounts together.
    row(Policy::Login, "login", 100, QUARTER, "passwords from one network", true),
    // CC-AUTH-15: two are free. At its longest the delay lets three a minute through.
    row(Policy::Password, "password", 2, QUARTER, "passwords for one account from one network", true),
    // Nobody mistypes 50 times, and nobody has many networks but who attacks.
    row(Policy::Account, "account", 50, QUARTER, "passwords for one account", true),
    // Tokens cannot be guessed. A school of 1,000 open pages refreshes 1,000 times in 15 min.
    row(Policy::Refresh, "refresh", 3_000, QUARTER, "refreshed logins from one network", false),
    // A monitor that asks every second.
    row(Policy::Public, "public", 300, 5 * MINUTE, "public requests from one network", false),
    // 20 a second: more than a page that follows somebody who types into a terminal.
    row(Policy::User, "user", 1_200, MINUTE, "requests of one user", false),
    // A user owns 200 at most; a teacher makes one for each of a class.
    row(Policy::Sessions, "sessions", 60, HOUR, "new sessions of one user", false),
    // A page joins when it is opened and after a cut that lasted.
    row(Policy::Join, "join", 60, 5 * MINUTE, "joined sessions of one user", false),
    // One a second beside the ten that may be unfinished. X-18's 10 a minute are for judged
    // submissions, which this does not have.
    row(Policy::Executions, "executions", 60, MINUTE, "executions of one user", false),
    // Two a second; a room takes no more messages anyway.
    row(Policy::Writes, "writes", 120, MINUTE, "writes of one user", false),
    // A room may have to take its document apart for each; somebody who plays the fastest needs one
    // in 10 s, and who drags a slider one for each place where it rests.
    row(Policy::History, "history", 120, MINUTE, "pages of histories of one user", false),
    // A stream lasts 25 s, and somebody has a tab for each of ten sessions open.
    row(Policy::Rooms, "rooms", 120, MINUTE, "connections to rooms of one user", false),
    // A stream ends with each piece of news, at each of ten tabs: 27 pieces a minute, beside the ends of
    // streams without any.
    row(Policy::Feeds, "feeds", 300, MINUTE, "connections to the feed of one user", false),
    // 500 a second: a rack of hosts at one address with many slots that all end at once; they post
    // in batches.
    row(Policy::Executors, "executors", 30_000, MINUTE, "requests of executors from one network", false),
];

const fn row(
    policy: Policy,
    name: &'static str,
    quota: u32,
    window_seconds: u32,
    of: &'static str,
    closed: bool,
) -> Row {
    Row {
        policy,
        name,
        quota,
        window_seconds,
        of,
        closed,
    }
}

impl Policy {
    /// Its row of the table.
    #[must_use]
    pub fn row(self) -> &'static Row {
        // The first is never given: every policy has a row (a test).
        let mut rows = TABLE.iter();
        rows.find(|row| row.policy == self).unwrap_or(&TABLE[0])
    }
}

/// How often: of a deployment's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// So many ...
    pub quota: u32,
    /// ... in so many seconds ...
    pub window_seconds: u32,
    /// ... and so many at once.
    pub burst: u32,
}

impl Quota {
    /// As a rate.
    #[must_use]
    pub fn rate(self) -> Rate {
        Rate::new(self.quota, self.window_seconds, self.burst)
    }

    /// As a delay that grows after so many.
    #[must_use]
    pub fn slow_down(self) -> SlowDown {
        SlowDown::new(self.quota, self.window_seconds)
    }
}

/// The limits of a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// In the order of [`TABLE`]; nothing for what is switched off.
    quotas: [Option<Quota>; TABLE.len()],
}

impl Default for Limits {
    fn default() -> Self {
        let quotas = TABLE.each_ref().map(|row| {
            Some(Quota {
                quota: row.quota,
                window_seconds: row.window_seconds,
                burst: row.quota,
            })
        });
        Self { quotas }
    }
}

/// What is wrong with `CODECRAFTER_LIMITS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrongLimit(pub String);

impl fmt::Display for WrongLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = TABLE.iter().map(|row| row.name).collect();
        write!(
            f,
            "{:?} is neither `off` nor NAME=off nor NAME=QUOTA/WINDOW or NAME=QUOTA/WINDOW/BURST such \
             as register=5/1h: a name is one of {}, a quota 1–{QUOTA_MAX}, a window 1s–24h in s, m \
             or h, a burst at most the quota",
            self.0,
            names.join(", ")
        )
    }
}

impl Limits {
    /// How often `policy` allows; nothing if it is switched off.
    #[must_use]
    pub fn of(&self, policy: Policy) -> Option<Quota> {
        let mut rows = TABLE.iter().zip(&self.quotas);
        rows.find(|(row, _)| row.policy == policy)
            .and_then(|(_, quota)| *quota)
    }

    /// Whether there are none.
    #[must_use]
    pub fn are_off(&self) -> bool {
        self.quotas.iter().all(Option::is_none)
    }

    /// The table with what `setting` changes: entries separated by commas, later ones count.
    ///
    /// # Errors
    /// The first entry that is wrong.
    pub fn parse(setting: &str) -> Result<Self, WrongLimit> {
        let mut limits = Self::default();
        let entries = setting.split(',').map(str::trim);
        for entry in entries.filter(|entry| !entry.is_empty()) {
            limits
                .change(entry)
                .ok_or_else(|| WrongLimit(entry.to_owned()))?;
        }
        Ok(limits)
    }

    fn change(&mut self, entry: &str) -> Option<()> {
        if entry == "off" {
            self.quotas = [None; TABLE.len()];
            return Some(());
        }
        let (name, value) = entry.split_once('=')?;
        let quota = if value.trim() == "off" {
            None
        } else {
            Some(quota(value)?)
        };
        let mut rows = TABLE.iter().zip(&mut self.quotas);
        let (_, slot) = rows.find(|(row, _)| row.name == name.trim())?;
        *slot = quota;
        Some(())
    }
}

/// `QUOTA/WINDOW` or `QUOTA/WINDOW/BURST`.
fn quota(text: &str) -> Option<Quota> {
    let mut parts = text.trim().split('/');
    let quota: u32 = parts.next()?.parse().ok()?;
    let window_seconds = window(parts.next()?)?;
    let burst = parts.next().map_or(Some(quota), |text| text.parse().ok())?;
    let right = (1..=QUOTA_MAX).contains(&quota)
        && (1..=DAY).contains(&window_seconds)
        && (1..=quota).contains(&burst)
        && parts.next().is_none();
    right.then_some(Quota {
        quota,
        window_seconds,
        burst,
    })
}

/// Seconds of `30s`, `15m` or `1h`.
fn window(text: &str) -> Option<u32> {
    let unit = text.chars().next_back()?;
    let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => MINUTE,
        'h' => HOUR,
        _ => return None,
    };
    number.checked_mul(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_has_a_row_and_a_name_of_its_own() {
        let mut names: Vec<&str> = TABLE.iter().map(|row| row.policy.row().name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TABLE.len());
        assert!(TABLE.iter().all(|row| row.window_seconds <= DAY));
    }

    #[test]
    fn the_documents_table_is_this_one() {
        let document = include_str!("../../../docs/security.md");
        for row in &TABLE {
            let window = words(row.window_seconds);
            let line = format!("| `{}` | {} in {window} |", row.name, grouped(row.quota));
            assert!(document.contains(&line), "docs/security.md lacks: {line}");
        }
    }

    fn words(seconds: u32) -> String {
        match seconds {
            HOUR => "1 h".into(),
            _ => format!("{} min", seconds / MINUTE),
        }
    }

    fn grouped(number: u32) -> String {
        match (number / 1_000, number % 1_000) {
            (0, rest) => rest.to_string(),
            (thousands, rest) => format!("{thousands},{rest:03}"),
        }
    }

    #[test]
    fn each_limit_can_be_changed_or_switched_off() {
        let limits = Limits::parse("register=30/1h, join=off,user = 10/30s/2").unwrap();
        let quota = |quota, window_seconds, burst| {
            Some(Quota {
                quota,
                window_seconds,
                burst,
            })
        };
        assert_eq!(limits.of(Policy::Register), quota(30, 3_600, 30));
        assert_eq!(limits.of(Policy::Join), None);
        assert_eq!(limits.of(Policy::User), quota(10, 30, 2));
        assert_eq!(limits.of(Policy::Login), quota(100, 900, 100));
        assert!(!limits.are_off());
        assert!(Limits::parse("off").unwrap().are_off());
        let only = Limits::parse("off, login=5/1m").unwrap();
        assert_eq!(only.of(Policy::Login), quota(5, 60, 5));
        assert_eq!(only.of(Policy::Register), None);
        assert_eq!(Limits::parse("").unwrap(), Limits::default());
    }

    #[test]
    fn a_wrong_limit_is_named_with_what_would_be_right() {
        for wrong in [
            "everything=off",
            "login",
            "login=5",
            "login=0/1m",
            "login=5/0s",
            "login=5/25h",
            "login=5/1d",
            "login=5/1m/6",
            "login=5/1m/0",
            "login=5/1m/5/5",
            "login=-1/1m",
            "login=2000000/1m",
            "on",
        ] {
            let error = Limits::parse(&format!("join=off,{wrong}")).unwrap_err();
            assert_eq!(error, WrongLimit(wrong.into()));
            assert!(error.to_string().contains("register=5/1h"));
        }
    }
}
