//! Accounts and login sessions in the Directory's database.
//!
//! A login session's refresh tokens are numbered: the row holds the number of the newest one.
//! The newest is exchanged for the next; the one before it, shortly after it was replaced, gives
//! the newest once more (the answer was lost on the way); any other genuine one is a copy in
//! somebody's hands, and ends the login session.

use codecrafter_shared::api::User;
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::{LoginSessionId, UserId};
use codecrafter_shared::limits;
use codecrafter_shared::time::Timestamp;

use super::calls::{
    Credentials, EndLoginSession, FindCredentials, Me, OpenAccount, OpenLoginSession,
    OpenedLoginSession, RefreshLoginSession,
};
use super::passes::end;
use crate::directory::Directory;
use crate::directory::outbox::{Committed, Draft};
use crate::error::Refusal;
use crate::ports::{Row, Tx, Value};
use crate::token::{Caller, RefreshToken};

/// The tables, one statement each.
pub const SCHEMA: &[&str] = &[
    "CREATE TABLE account (
        tenant TEXT, id TEXT, username TEXT, username_key TEXT, email TEXT, email_key TEXT,
        display_name TEXT, password TEXT, created_at INTEGER, last_login_at INTEGER,
        PRIMARY KEY (tenant, id)) WITHOUT ROWID",
    "CREATE UNIQUE INDEX account_by_username ON account (tenant, username_key)",
    "CREATE UNIQUE INDEX account_by_email ON account (tenant, email_key)",
    "CREATE TABLE login_session (
        tenant TEXT, user_id TEXT, id TEXT, salt BLOB, counter INTEGER,
        created_at INTEGER, refreshed_at INTEGER,
        PRIMARY KEY (tenant, user_id, id)) WITHOUT ROWID",
];

/// Checks that the caller's login session still stands. The first statement of every transaction
/// that acts for somebody, so that a revoked token is worth nothing at once. Gives when it ends unless it is refreshed.
///
/// # Errors
/// [`ErrorCode::LoginSessionEnded`].
pub async fn authorize(
    tx: &Tx,
    tenant: &str,
    caller: Caller,
    now: Timestamp,
) -> Result<Timestamp, Refusal> {
    let sql = "SELECT created_at, refreshed_at FROM login_session \
               WHERE tenant = ? AND user_id = ? AND id = ?";
    let key = [
        tenant.into(),
        caller.user_id.into(),
        caller.login_session_id.into(),
    ];
    let ended = || Refusal::new(ErrorCode::LoginSessionEnded);
    let row = tx.first(sql, key).await?.ok_or_else(ended)?;
    let ends_at = ends_at(row.get("created_at")?, row.get("refreshed_at")?);
    (now < ends_at).then_some(ends_at).ok_or_else(ended)
}

fn ends_at(created: Timestamp, refreshed: Timestamp) -> Timestamp {
    let idle = refreshed.plus_millis(limits::LOGIN_SESSION_IDLE_MS);
    idle.min(created.plus_millis(limits::LOGIN_SESSION_MS_MAX))
}

/// [`OpenAccount`].
///
/// # Errors
/// [`ErrorCode::UsernameTaken`], [`ErrorCode::EmailTaken`].
pub async fn open_account(
    directory: &Directory,
    call: OpenAccount,
) -> Result<Committed<OpenedLoginSession>, Refusal> {
    let now = directory.clock.now();
    let user_id = UserId::at(now, directory.rng.bytes());
    let opening = Opening::new(directory, user_id, now);
    let (call, opening, tenant) = (&call, &opening, &*directory.config.tenant);
    directory
        .db
        .transaction(|tx| async move {
            let inserted = tx
                .execute(
                    "INSERT INTO account (tenant, id, username, username_key, email, email_key, \
                     display_name, password, created_at, last_login_at) \
                     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING id",
                    [
                        tenant.into(),
                        user_id.into(),
                        (&call.username).into(),
                        key(&call.username).into(),
                        (&call.email).into(),
                        key(&call.email).into(),
                        (&call.display_name).into(),
                        (&call.password).into(),
                        now.into(),
                        Value::Null,
                    ],
                )
                .await?;
            if inserted.is_empty() {
                let sql = "SELECT 1 FROM account WHERE tenant = ? AND username_key = ?";
                let holder = tx
                    .first(sql, [tenant.into(), key(&call.username).into()])
                    .await?;
                let taken = holder.map_or(ErrorCode::EmailTaken, |_| ErrorCode::UsernameTaken);
                return Err(Refusal::new(taken));
            }
            opening.open(&tx, directory).await
        })
        .await
}

/// [`FindCredentials`].
///
/// # Errors
/// Only those of the database.
pub async fn find_credentials(
    directory: &Directory,
    call: FindCredentials,
) -> Result<Option<Credentials>, Refusal> {
    let (login, tenant) = (&key(&call.login), &*directory.config.tenant);
    directory
        .db
        .transaction(|tx| async move {
            // A user name holds no `@` and a mail address always does: at most one row.
            let sql = "SELECT id, password FROM account \
                       WHERE tenant = ?1 AND (username_key = ?2 OR email_key = ?2)";
            let row = tx.first(sql, [tenant.into(), login.into()]).await?;
            row.map(|row| {
                Ok(Credentials {
                    user_id: row.get("id")?,
                    password: row.get("password")?,
                })
            })
            .transpose()
        })
        .await
}

/// [`OpenLoginSession`].
///
/// # Errors
/// [`ErrorCode::CredentialsInvalid`] if the account is gone.
pub async fn open_login_session(
    directory: &Directory,
    call: OpenLoginSession,
) -> Result<Committed<OpenedLoginSession>, Refusal> {
    let now = directory.clock.now();
    let opening = Opening::new(directory, call.user_id, now);
    let (call, opening, tenant) = (&call, &opening, &*directory.config.tenant);
    directory
        .db
        .transaction(|tx| async move {
            if let Some(password) = &call.rehashed {
                let sql = "UPDATE account SET password = ? WHERE tenant = ? AND id = ?";
                tx.execute(sql, [password.into(), tenant.into(), call.user_id.into()])
                    .await?;
            }
            let opened = opening.open(&tx, directory).await?;
            let sql = "UPDATE account SET last_login_at = ? WHERE tenant = ? AND id = ?";
            tx.execute(sql, [now.into(), tenant.into(), call.user_id.into()])
                .await?;
            Ok(opened)
        })
        .await
}

/// [`RefreshLoginSession`].
///
/// # Errors
/// [`ErrorCode::TokenInvalid`] for what was never a token; [`ErrorCode::LoginSessionEnded`] for
/// one whose login session had ended.
pub async fn refresh_login_session(
    directory: &Directory,
    call: RefreshLoginSession,
) -> Result<Committed<Option<OpenedLoginSession>>, Refusal> {
    let now = directory.clock.now();
    let outbox = &Draft::new(directory, now);
    let invalid = || Refusal::new(ErrorCode::TokenInvalid);
    let token = RefreshToken::parse(&call.refresh_token).ok_or_else(invalid)?;
    let (token, tenant) = (&token, &*directory.config.tenant);
    let caller = token.caller;
    directory
        .db
        .transaction(|tx| async move {
            let of = || {
                [
                    tenant.into(),
                    caller.user_id.into(),
                    caller.login_session_id.into(),
                ]
            };
            let sql = "SELECT salt, counter, created_at, refreshed_at FROM login_session \
                       WHERE tenant = ? AND user_id = ? AND id = ?";
            let Some(row) = tx.first(sql, of()).await? else {
                return Err(Refusal::new(ErrorCode::LoginSessionEnded));
            };
            let salt: Vec<u8> = row.get("salt")?;
            if !directory.config.keys.is_refresh_token(token, &salt) {
                return Err(Refusal::new(ErrorCode::TokenInvalid));
            }
            let newest: u32 = row.get("counter")?;
            let created: Timestamp = row.get("created_at")?;
            let refreshed: Timestamp = row.get("refreshed_at")?;
            let repeated = token.counter.checked_add(1) == Some(newest)
                && now.since(refreshed) <= limits::REFRESH_REUSE_GRACE_MS;
            let (counter, refreshed) =
                if token.counter == newest && now < ends_at(created, refreshed) {
                    let next = newest.saturating_add(1);
                    let sql = "UPDATE login_session SET counter = ?, refreshed_at = ? \
                           WHERE tenant = ? AND user_id = ? AND id = ?";
                    let values = [next.into(), now.into()].into_iter().chain(of());
                    tx.execute(sql, values.collect::<Vec<Value>>()).await?;
                    (next, now)
                } else if repeated {
                    (newest, refreshed)
                } else {
                    // Committed, so that the login session stays ended; refused by the caller.
                    let told = end(&tx, tenant, caller, now).await?;
                    return outbox.commit_each(&tx, tenant, told, None).await;
                };
            let user = find_user(&tx, tenant, caller.user_id).await?;
            Ok(Committed::nothing_to_send(user.map(|user| {
                OpenedLoginSession {
                    caller,
                    user,
                    refresh_token: directory.config.keys.refresh_token(caller, counter, &salt),
                    refresh_token_expires_at: ends_at(created, refreshed),
                }
            })))
        })
        .await
}

/// [`EndLoginSession`]. Harmless to repeat.
///
/// # Errors
/// Only those of the database.
pub async fn end_login_session(
    directory: &Directory,
    call: EndLoginSession,
) -> Result<Committed<()>, Refusal> {
    let (now, tenant) = (directory.clock.now(), &*directory.config.tenant);
    let outbox = &Draft::new(directory, now);
    directory
        .db
        .transaction(|tx| async move {
            let told = end(&tx, tenant, call.caller, now).await?;
            outbox.commit_each(&tx, tenant, told, ()).await
        })
        .await
}

/// [`Me`].
///
/// # Errors
/// [`ErrorCode::LoginSessionEnded`].
pub async fn me(directory: &Directory, call: Me) -> Result<User, Refusal> {
    let (now, tenant) = (directory.clock.now(), &*directory.config.tenant);
    directory
        .db
        .transaction(|tx| async move {
            authorize(&tx, tenant, call.caller, now).await?;
            let user = find_user(&tx, tenant, call.caller.user_id).await?;
            user.ok_or_else(|| Refusal::new(ErrorCode::LoginSessionEnded))
        })
        .await
}

/// The account of that id.
///
/// # Errors
/// Only those of the database.
pub async fn find_user(tx: &Tx, tenant: &str, id: UserId) -> Result<Option<User>, Refusal> {
    let sql = "SELECT * FROM account WHERE tenant = ? AND id = ?";
    let row = tx.first(sql, [tenant.into(), id.into()]).await?;
    row.map(|row| user(&row)).transpose()
}

/// The account of that name, in any case.
///
/// # Errors
/// Only those of the database.
pub async fn find_user_by_name(
    tx: &Tx,
    tenant: &str,
    username: &str,
) -> Result<Option<User>, Refusal> {
    let sql = "SELECT * FROM account WHERE tenant = ? AND username_key = ?";
    let row = tx.first(sql, [tenant.into(), key(username).into()]).await?;
    row.map(|row| user(&row)).transpose()
}

fn user(row: &Row) -> Result<User, Refusal> {
    Ok(User {
        id: row.get("id")?,
        username: row.get("username")?,
        email: row.get("email")?,
        display_name: row.get("display_name")?,
        created_at: row.get("created_at")?,
        last_login_at: row.get("last_login_at")?,
    })
}

/// Names and addresses are compared without regard to case.
fn key(name: &str) -> String {
    name.trim().to_lowercase()
}

/// A login session about to be opened: chance and time are drawn before the transaction, which
/// may run more than once.
struct Opening {
    caller: Caller,
    salt: [u8; 16],
    now: Timestamp,
    outbox: Draft,
}

impl Opening {
    fn new(directory: &Directory, user_id: UserId, now: Timestamp) -> Self {
        let login_session_id = LoginSessionId::at(now, directory.rng.bytes());
        Self {
            caller: Caller {
                user_id,
                login_session_id,
            },
            salt: directory.rng.bytes(),
            now,
            outbox: Draft::new(directory, now),
        }
    }

    async fn open(
        &self,
        tx: &Tx,
        directory: &Directory,
    ) -> Result<Committed<OpenedLoginSession>, Refusal> {
        let tenant = &*directory.config.tenant;
        let user = find_user(tx, tenant, self.caller.user_id).await?;
        let user = user.ok_or_else(|| Refusal::new(ErrorCode::CredentialsInvalid))?;
        // Ids are ordered by time, so the oldest login sessions have the smallest.
        let kept = limits::LOGIN_SESSIONS_PER_USER_MAX.saturating_sub(1);
        let sql = "SELECT id FROM login_session WHERE tenant = ? AND user_id = ? \
                   ORDER BY id DESC LIMIT -1 OFFSET ?";
        let values = [tenant.into(), self.caller.user_id.into(), kept.into()];
        let mut told = Vec::new();
        for row in tx.execute(sql, values).await? {
            let oldest = Caller {
                user_id: self.caller.user_id,
                login_session_id: row.get("id")?,
            };
            told.extend(end(tx, tenant, oldest, self.now).await?);
        }
        tx.execute(
            "INSERT INTO login_session (tenant, user_id, id, salt, counter, created_at, refreshed_at) \
             VALUES (?, ?, ?, ?, 0, ?, ?)",
            [
                tenant.into(),
                self.caller.user_id.into(),
                self.caller.login_session_id.into(),
                self.salt.to_vec().into(),
                self.now.into(),
                self.now.into(),
            ],
        )
        .await?;
        let opened = OpenedLoginSession {
            caller: self.caller,
            user,
            refresh_token: directory
                .config
                .keys
                .refresh_token(self.caller, 0, &self.salt),
            refresh_token_expires_at: ends_at(self.now, self.now),
        };
        self.outbox.commit_each(tx, tenant, told, opened).await
    }
}
