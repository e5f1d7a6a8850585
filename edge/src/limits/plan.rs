//! Which limits a request falls under. One key a request, so that one shard is asked once: somebody
//! whom a token proves is counted as a user, everybody else by address.

use http::Method;

use super::policy::Policy;

/// What a route is to limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// It asks nobody: to answer costs less than to count.
    Free,
    /// Strangers use it; it has a limit by address of its own.
    Of(Policy),
    /// Lists for everybody: users are counted as users.
    Public,
    /// For users.
    Ordinary,
    /// For users, and with a limit of its own.
    Costly(Policy),
    /// For executor-hosts.
    Executors,
}

/// The group of the route that matches `path`, a template such as `/api/v1/sessions/{id}`; none is
/// given for what no route matches.
#[must_use]
pub fn group(method: &Method, path: Option<&str>) -> Group {
    let Some(path) = path else {
        // The page, or nothing at all.
        return Group::Free;
    };
    let (get, post) = (method == Method::GET, method == Method::POST);
    if let Some(link) = path.strip_prefix("/internal/") {
        return match link {
            "leases" | "leases/ack" | "reports" => Group::Executors,
            "contract" => Group::Free,
            _ => Group::Ordinary,
        };
    }
    let route = path.strip_prefix("/api/v1").unwrap_or(path);
    match route {
        "/health" | "/openapi.json" | "/.well-known/jwks.json" => Group::Free,
        // The room itself counts frames; a stranger's are refused without asking it.
        "/rooms/{id}" | "/rooms/{id}/events" | "/rooms/{id}/frames" => Group::Free,
        // Counted by the user whom the feed's token names; without one they ask nobody.
        "/notifications/socket" | "/notifications/events" => Group::Free,
        "/ready" | "/languages" => Group::Public,
        "/auth/register" => Group::Of(Policy::Register),
        "/auth/login" => Group::Of(Policy::Login),
        "/auth/refresh" => Group::Of(Policy::Refresh),
        "/sessions" | "/sessions/{id}/fork" if post => Group::Costly(Policy::Sessions),
        "/sessions/{id}/join" => Group::Costly(Policy::Join),
        "/executions" if post => Group::Costly(Policy::Executions),
        "/sessions/{id}/history" => Group::Costly(Policy::History),
        _ if !get && is_written(route) => Group::Costly(Policy::Writes),
        _ => Group::Ordinary,
    }
}

/// Content, versions (under both of their names), moments of the history, and messages.
fn is_written(route: &str) -> bool {
    let part = route
        .strip_prefix("/sessions/{id}/")
        .and_then(|rest| rest.split('/').next());
    let written = ["content", "versions", "snapshots", "history", "chat"];
    part.is_some_and(|part| written.contains(&part))
}

/// Who asks, as far as can be told without asking anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Who {
    /// A genuine access token says so.
    User(String),
    /// Whoever holds a token of the deployment itself, or a genuine one that is over: its request is
    /// refused without asking anybody.
    Exempt,
    /// An executor, by its own word: what it sends is signed, but who has signed it is known to the
    /// Directory only.
    Executor,
    /// Anybody.
    Stranger,
}

/// The policies of a request, and the key that they share; none if it is not limited. `address` is
/// where it comes from.
#[must_use]
pub fn plan(group: Group, who: &Who, address: &str) -> Option<(String, Vec<Policy>)> {
    let by_address = |policy| Some((format!("address:{address}"), vec![policy]));
    match (group, who) {
        (Group::Free, _) | (_, Who::Exempt) => None,
        (Group::Of(policy), _) => by_address(policy),
        // Whoever claims to be one of our executors, whichever, spends what all at that address may:
        // a stranger could claim to be another one each time.
        (Group::Executors, Who::Executor) => {
            Some((format!("executors:{address}"), vec![Policy::Executors]))
        }
        (Group::Costly(policy), Who::User(id)) => Some((user_key(id), vec![Policy::User, policy])),
        (_, Who::User(id)) => Some((user_key(id), vec![Policy::User])),
        (Group::Public, _) => by_address(Policy::Public),
        _ => by_address(Policy::Address),
    }
}

/// The key under which a user is counted.
#[must_use]
pub fn user_key(id: &str) -> String {
    format!("user:{id}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_route_has_its_limit() {
        let of = |method: Method, route: &str| group(&method, Some(&format!("/api/v1{route}")));
        let (get, post) = (Method::GET, Method::POST);
        assert_eq!(of(post.clone(), "/auth/login"), Group::Of(Policy::Login));
        assert_eq!(
            of(post.clone(), "/sessions"),
            Group::Costly(Policy::Sessions)
        );
        assert_eq!(of(get.clone(), "/sessions"), Group::Ordinary);
        assert_eq!(
            of(post.clone(), "/sessions/{id}/versions/{number}/restore"),
            Group::Costly(Policy::Writes)
        );
        assert_eq!(of(get.clone(), "/sessions/{id}/versions"), Group::Ordinary);
        assert_eq!(
            of(post.clone(), "/sessions/{id}/history/{step}/restore"),
            Group::Costly(Policy::Writes)
        );
        assert_eq!(
            of(get.clone(), "/sessions/{id}/history"),
            Group::Costly(Policy::History)
        );
        assert_eq!(of(post, "/sessions/{id}/participants"), Group::Ordinary);
        assert_eq!(of(get.clone(), "/languages"), Group::Public);
        assert_eq!(group(&get, Some("/ready")), Group::Public);
        assert_eq!(group(&get, Some("/internal/leases")), Group::Executors);
        assert_eq!(group(&get, None), Group::Free);
    }

    #[test]
    fn who_is_known_is_counted_as_themselves_and_everybody_else_by_address() {
        let user = Who::User("u".into());
        let planned = |group, who: &Who| plan(group, who, "192.0.2.1");
        let by_address = |policy| Some(("address:192.0.2.1".to_owned(), vec![policy]));
        assert_eq!(
            planned(Group::Costly(Policy::Join), &user),
            Some(("user:u".into(), vec![Policy::User, Policy::Join]))
        );
        let stranger = &Who::Stranger;
        for group in [
            Group::Ordinary,
            Group::Costly(Policy::Join),
            Group::Executors,
        ] {
            assert_eq!(planned(group, stranger), by_address(Policy::Address));
        }
        // A password is a stranger's until it was right.
        for who in [&user, stranger] {
            let login = planned(Group::Of(Policy::Login), who);
            assert_eq!(login, by_address(Policy::Login));
        }
        assert_eq!(planned(Group::Public, stranger), by_address(Policy::Public));
        assert_eq!(planned(Group::Ordinary, &Who::Exempt), None);
        assert_eq!(planned(Group::Free, stranger), None);
    }

    #[test]
    fn executors_are_counted_where_they_are() {
        let at = |address| plan(Group::Executors, &Who::Executor, address).unwrap().0;
        assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
    }
}
