//! Rate limits around every route: what [`crate::limits`] says becomes a refusal, or headers of the
//! answer.
//!
//! A request is counted before its body is read. The fields `RateLimit` and `RateLimit-Policy` are
//! those of draft-ietf-httpapi-ratelimit-headers-10; beside them are the older `X-RateLimit-…`, for
//! the limit that is nearest (X-18).

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::UserId;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;

use super::{Edge, extract};
use crate::error::Refusal;
use crate::limits::address::{self, Peer};
use crate::limits::calls::{
    Account, CountRefusals, Counted, GiveBack, PasswordRight, RefusalCount, Take, Taken,
    TryPassword,
};
use crate::limits::plan::{self, Who};
use crate::limits::policy::{Policy, Quota};
use crate::limits::rate::Standing;
use crate::limits::refusals::{Refusals, Refused};
use crate::limits::tally::{self, Tally};
use crate::limits::{Micros, micros, seconds, shard};
use crate::ports::Shard;
use crate::shard::{Call, call};
use crate::token::claimed_executor;

/// The fields of an answer under limits.
pub const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// See [`RATE_LIMIT`].
pub const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
/// What there was before [`RATE_LIMIT`]: of the nearest limit, how much it allows, how much is left,
/// and in how many seconds there is more.
pub const OLDER: [HeaderName; 3] = [
    HeaderName::from_static("x-ratelimit-limit"),
    HeaderName::from_static("x-ratelimit-remaining"),
    HeaderName::from_static("x-ratelimit-reset"),
];
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What an instance remembers of limits. Without it more is asked, and nothing else differs.
#[derive(Debug, Default)]
pub struct Memory {
    refusals: Refusals,
    tally: Tally,
    /// Whether it was told that a proxy is not trusted that looks like one.
    told_of_proxy: AtomicBool,
}

/// Where a request comes from: an extension of each that has passed [`limit`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl FromRequestParts<Edge> for Origin {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Edge) -> Result<Self, Self::Rejection> {
        let origin = parts.extensions.get::<Self>().cloned();
        Ok(origin.unwrap_or_else(|| Self(NOWHERE.to_owned())))
    }
}

/// Whose address is not known: all of them are one.
const NOWHERE: &str = "unknown";

/// How the limits of an answer stand: an extension, until [`write()`] makes headers of it.
#[derive(Debug, Clone, Default)]
pub struct Standings(Vec<(Policy, Quota, Standing)>);

/// Counts a request, and refuses it or lets it pass.
pub async fn limit(State(edge): State<Edge>, mut request: Request, next: Next) -> Response {
    if edge.config.limits.are_off() {
        return next.run(request).await;
    }
    let client = client(&edge, &request);
    let origin = client.map_or_else(|| NOWHERE.to_owned(), address::group);
    let route = request.extensions().get::<MatchedPath>();
    let group = plan::group(request.method(), route.map(MatchedPath::as_str));
    let planned = match group {
        plan::Group::Free => None,
        _ => plan::plan(group, &who(&edge, request.headers()), &origin),
    };
    request.extensions_mut().insert(Origin(origin));
    let Some((key, policies)) = planned else {
        return next.run(request).await;
    };
    let standings = match admit(&edge, &key, &policies, client).await {
        Ok(standings) => standings,
        Err(refused) => return refused,
    };
    let mut response = next.run(request).await;
    if response.status().is_success() {
        give_back(&edge, &key, &standings).await;
    }
    if response.extensions().get::<Standings>().is_none() {
        response.extensions_mut().insert(standings);
    }
    response
}

/// Counts something of a user that is not a route's, and gives how the limit stands, for the answer.
///
/// # Errors
/// [`ErrorCode::RateLimited`].
pub async fn user(edge: &Edge, user: UserId, policy: Policy) -> Result<Standings, Response> {
    let key = plan::user_key(&user.to_string());
    admit(edge, &key, &[policy], None).await
}

/// After how many seconds to come again, of a refusal, for who is told in another way than by a
/// header.
#[must_use]
pub fn retry_after(refused: &Response) -> Option<u32> {
    refused.extensions().get::<Refusal>()?.retry_after_seconds
}

async fn admit(
    edge: &Edge,
    key: &str,
    policies: &[Policy],
    client: Option<IpAddr>,
) -> Result<Standings, Response> {
    let limits = &edge.config.limits;
    let set = policies.iter().copied();
    let set: Vec<(Policy, Quota)> = set
        .filter_map(|policy| Some((policy, limits.of(policy)?)))
        .collect();
    if set.is_empty() {
        return Ok(Standings::default());
    }
    let key = edge.config.keys.limit_key(key);
    let now = micros(edge.clock.now());
    if let Some(overdue) = edge.limit_memory.tally.overdue(now) {
        tell(edge, overdue, now).await;
    }
    let memory = &edge.limit_memory.refusals;
    if let Some(refused) = memory.certain(&key, policies, now) {
        count_refusal(edge, refused.policy, now).await;
        return Err(refusal(edge, refused, now));
    }
    let take = Take {
        from: set.iter().map(|limit| counted(&key, *limit)).collect(),
    };
    let taken = match ask(edge, &key, &take).await {
        Ok(taken) => taken,
        Err(why) if policies.iter().any(|policy| policy.row().closed) => {
            return Err(why.into_response());
        }
        // It has been logged. What the limit is there to spare has bounds of its own.
        Err(_) => return Ok(Standings::default()),
    };
    let Taken {
        standings,
        refused_by,
    } = taken;
    let all: Vec<_> = set
        .into_iter()
        .zip(standings)
        .map(|((policy, quota), standing)| (policy, quota, standing))
        .collect();
    let refusing = refused_by.iter().filter_map(|index| all.get(*index));
    let Some((policy, _, standing)) = refusing.max_by_key(|(_, _, standing)| standing.reset) else {
        return Ok(Standings(all));
    };
    let refused = Refused {
        policy: *policy,
        until: now.saturating_add(standing.reset),
    };
    let answered = memory.remember(&key, refused, now);
    log(*policy, client, &key, answered);
    count_refusal(edge, *policy, now).await;
    Err(refusal(edge, refused, now))
}

fn counted(key: &str, (policy, quota): (Policy, Quota)) -> Counted {
    Counted {
        key: format!("{key}:{}", policy.row().name),
        rate: quota.rate(),
    }
}

/// One line for a refusal that was asked for, with the number of those before it that were not: a
/// flood must not become one of the log. No address, no name.
fn log(policy: Policy, client: Option<IpAddr>, key: &str, answered: u64) {
    tracing::info!(
        limit = policy.row().name,
        network = client.map(address::masked).as_deref().unwrap_or("-"),
        key = key.get(..8).unwrap_or_default(),
        answered_since = answered,
        "refused by a limit"
    );
}

/// Counts a refusal for operators.
async fn count_refusal(edge: &Edge, policy: Policy, now: Micros) {
    if let Some(refusals) = edge.limit_memory.tally.count(policy, now) {
        tell(edge, refusals, now).await;
    }
}

async fn tell(edge: &Edge, refusals: Vec<RefusalCount>, now: Micros) {
    let shard = Shard::Limits {
        number: tally::SHARD,
    };
    let question = CountRefusals { refusals };
    // It has been logged, and is told later.
    if call(&*edge.shards, &shard, &question).await.is_err() {
        edge.limit_memory.tally.not_told(&question.refusals, now);
    }
}

/// The refusal, with how the limit stands.
fn refusal(edge: &Edge, refused: Refused, now: Micros) -> Response {
    let wait = refused.until.saturating_sub(now);
    let row = refused.policy.row();
    let quota = edge.config.limits.of(refused.policy);
    let detail = match quota {
        Some(quota) => format!(
            "At most {} {} in {}. Try again in {}.",
            quota.quota,
            row.of,
            words(quota.window_seconds),
            words(seconds(wait))
        ),
        None => format!("Try again in {}.", words(seconds(wait))),
    };
    let standing = Standing {
        remaining: 0,
        reset: wait,
    };
    refuse(
        detail,
        wait,
        quota.map(|quota| (refused.policy, quota, standing)),
    )
}

fn refuse(detail: String, wait: Micros, standing: Option<(Policy, Quota, Standing)>) -> Response {
    let refusal = Refusal {
        detail: Some(detail),
        ..Refusal::retry_after(ErrorCode::RateLimited, seconds(wait).max(1))
    };
    let mut response = refusal.into_response();
    let standings = Standings(standing.into_iter().collect());
    response.extensions_mut().insert(standings);
    response
}

/// A span of time as people say it, not shorter than it is.
fn words(seconds: u32) -> String {
    let (number, unit) = match seconds {
        0..=119 => (seconds, "second"),
        120..=7_199 => (seconds.div_ceil(60), "minute"),
        _ => (seconds.div_ceil(3_600), "hour"),
    };
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {unit}{plural}")
}

/// A password that was right is nobody's guess. While half of the limit is left, giving back
/// would change nothing, and is not worth asking for.
async fn give_back(edge: &Edge, key: &str, standings: &Standings) {
    let login = standings
        .0
        .iter()
        .find(|(policy, ..)| *policy == Policy::Login);
    let Some((policy, quota, standing)) = login else {
        return;
    };
    if standing.remaining.saturating_mul(2) > quota.burst {
        return;
    }
    let key = edge.config.keys.limit_key(key);
    let to = counted(&key, (*policy, *quota));
    // If it fails, some guess less is free.
    let _ = ask(edge, &key, &GiveBack { to }).await;
}

async fn ask<C: Call>(edge: &Edge, key: &str, question: &C) -> Result<C::Answer, Refusal> {
    let number = shard::number(key);
    call(&*edge.shards, &Shard::Limits { number }, question).await
}

fn who(edge: &Edge, headers: &HeaderMap) -> Who {
    let token = headers.get(AUTHORIZATION).and_then(extract::bearer_of);
    let Some(token) = token else {
        return Who::Stranger;
    };
    let keys = &edge.config.keys;
    match keys.verify_access(token, edge.clock.now()) {
        Ok(caller) => return Who::User(caller.user_id.to_string()),
        Err(refusal) if refusal.code == ErrorCode::TokenExpired => return Who::Exempt,
        Err(_) => {}
    }
    if keys.is_operator_token(token) || keys.is_join_token(token) {
        return Who::Exempt;
    }
    claimed_executor(token).map_or(Who::Stranger, |_| Who::Executor)
}

fn client(edge: &Edge, request: &Request) -> Option<IpAddr> {
    let peer = request.extensions().get::<Peer>().and_then(|peer| peer.0);
    let forwarded = request.headers().get_all(&FORWARDED_FOR).iter();
    let forwarded = forwarded.filter_map(|value| value.to_str().ok());
    let trusted = &edge.config.trusted_proxies;
    let client = address::client(peer, forwarded, trusted);
    // Only somebody on the same machine or network would be a proxy that was forgotten.
    if trusted.is_empty()
        && request.headers().contains_key(&FORWARDED_FOR)
        && client.is_some_and(is_near)
        && !edge
            .limit_memory
            .told_of_proxy
            .swap(true, Ordering::Relaxed)
    {
        tracing::warn!(
            peer = client.map(|client| client.to_string()),
            "requests come through a proxy that CODECRAFTER_TRUSTED_PROXIES does not name: all \
             of its clients share the limits of one address"
        );
    }
    client
}

fn is_near(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_private(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local(),
    }
}

/// A password that is about to be tried: [`tried`] has let it pass. Nothing, if that is not limited.
pub struct Attempt(Option<Account>);

/// Counts a password that is about to be tried for `login`, whoever that is: that there is no such
/// account is not to be told.
///
/// # Errors
/// The refusal, if somebody has tried too often; [`ErrorCode::Unavailable`] if nobody can say.
pub async fn tried(edge: &Edge, origin: &Origin, login: &str) -> Result<Attempt, Response> {
    let (keys, limits) = (&edge.config.keys, &edge.config.limits);
    let account = keys.limit_key(&format!("account:{}", login.trim().to_lowercase()));
    let address = keys.limit_key(&format!("address:{}", origin.0));
    let account = Account {
        anywhere: format!("{account}:account"),
        here: format!("{account}:password:{address}"),
        known: format!("{account}:known:{address}"),
    };
    let (here, anywhere) = (limits.of(Policy::Password), limits.of(Policy::Account));
    if here.is_none() && anywhere.is_none() {
        return Ok(Attempt(None));
    }
    let question = TryPassword {
        account,
        here: here.map(Quota::slow_down),
        anywhere: anywhere.map(Quota::slow_down),
    };
    let tried = ask(edge, &question.account.anywhere, &question).await;
    let tried = tried.map_err(Refusal::into_response)?;
    let account = question.account;
    if tried.wait > 0 {
        let policy = if tried.by_account {
            Policy::Account
        } else {
            Policy::Password
        };
        log(policy, None, &account.anywhere, 0);
        count_refusal(edge, policy, micros(edge.clock.now())).await;
        let wait = words(seconds(tried.wait).max(1));
        let detail =
            format!("Too many passwords were tried for this account. Try again in {wait}.");
        return Err(refuse(detail, tried.wait, None));
    }
    Ok(Attempt(Some(account)))
}

impl Attempt {
    /// The password was right: what was tried before does not count any more.
    pub async fn was_right(self, edge: &Edge) {
        if let Some(account) = self.0 {
            let key = account.anywhere.clone();
            // If it fails, the next one may have to wait.
            let _ = ask(edge, &key, &PasswordRight { account }).await;
        }
    }
}

/// The fields that say how the limits stand.
pub fn write(headers: &mut HeaderMap, standings: &Standings) {
    let (mut policies, mut left) = (String::new(), String::new());
    for (policy, quota, standing) in &standings.0 {
        let name = policy.row().name;
        let comma = if left.is_empty() { "" } else { ", " };
        let (quota, window) = (quota.quota, quota.window_seconds);
        let (remaining, reset) = (standing.remaining, seconds(standing.reset));
        // Writing to a string does not fail.
        let _ = write!(policies, "{comma}\"{name}\";q={quota};w={window}");
        let _ = write!(left, "{comma}\"{name}\";r={remaining};t={reset}");
    }
    let nearest = standings.0.iter().min_by_key(|(_, quota, standing)| {
        let remaining = u64::from(standing.remaining).saturating_mul(1_000_000);
        remaining.checked_div(quota.burst.into()).unwrap_or(0)
    });
    let Some((_, quota, standing)) = nearest else {
        return;
    };
    for (name, value) in [(RATE_LIMIT_POLICY, policies), (RATE_LIMIT, left)] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(name, value);
        }
    }
    let values = [quota.quota, standing.remaining, seconds(standing.reset)];
    for (name, value) in OLDER.into_iter().zip(values) {
        headers.insert(name, value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_said_as_people_say_it_and_never_too_short() {
        let said = [(1, "1 second"), (119, "119 seconds"), (120, "2 minutes")];
        let longer = [
            (121, "3 minutes"),
            (7_199, "120 minutes"),
            (7_200, "2 hours"),
        ];
        for (seconds, text) in said.into_iter().chain(longer) {
            assert_eq!(words(seconds), text);
        }
    }

    #[test]
    fn an_answer_says_how_each_limit_stands_and_in_the_older_fields_the_nearest() {
        let quota = |quota, window_seconds| Quota {
            quota,
            window_seconds,
            burst: quota,
        };
        let standing = |remaining, reset| Standing { remaining, reset };
        let standings = Standings(vec![
            (Policy::User, quota(1_200, 60), standing(1_199, 50_000)),
            (Policy::Join, quota(60, 300), standing(3, 4_000_001)),
        ]);
        let mut headers = HeaderMap::new();
        write(&mut headers, &standings);
        let policy = r#""user";q=1200;w=60, "join";q=60;w=300"#;
        assert_eq!(headers[RATE_LIMIT_POLICY], policy);
        assert_eq!(headers[RATE_LIMIT], r#""user";r=1199;t=1, "join";r=3;t=5"#);
        let older = OLDER.map(|name| headers[name].to_str().unwrap().to_owned());
        assert_eq!(older, ["60", "3", "5"]);
        headers.clear();
        write(&mut headers, &Standings::default());
        assert!(headers.is_empty());
    }
}
