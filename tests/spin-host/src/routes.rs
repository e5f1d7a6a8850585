//! Routes: which component answers a path, and what it is told of the match.

use std::fmt;

use anyhow::{Result, ensure};
use serde::Deserialize;

/// A route of the manifest: an exact path, or everything below one (`/api/...`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Route {
    raw: String,
    /// The path without the `/...`.
    prefix: String,
    wildcard: bool,
}

impl TryFrom<String> for Route {
    type Error = anyhow::Error;

    fn try_from(raw: String) -> Result<Self> {
        ensure!(raw.starts_with('/'), "route {raw:?} does not begin with /");
        let (prefix, wildcard) = match raw.strip_suffix("/...") {
            Some(prefix) => (prefix.to_owned(), true),
            None => (raw.trim_end_matches('/').to_owned(), false),
        };
        ensure!(
            !prefix.contains([':', '*']) && !prefix.contains("..."),
            "route {raw:?}: only a trailing /... is served as a wildcard"
        );
        Ok(Self {
            raw,
            prefix,
            wildcard,
        })
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.raw)
    }
}

impl Route {
    /// The route as the manifest writes it, without a trailing `/...`.
    #[must_use]
    pub fn prefix(&self) -> &str {
        self.raw.strip_suffix("/...").unwrap_or(&self.raw)
    }

    /// What of `path` is below the route, if the route leads there: the rest with its slash for a
    /// wildcard, nothing for an exact route.
    #[must_use]
    pub fn rest<'path>(&self, path: &'path str) -> Option<&'path str> {
        let rest = path.strip_prefix(self.prefix.as_str())?;
        match rest {
            "" => Some(rest),
            "/" => Some(if self.wildcard { rest } else { "" }),
            _ => (self.wildcard && rest.starts_with('/')).then_some(rest),
        }
    }

    /// Whether this route is asked before `other`: exact ones first, then the longest.
    fn before(&self, other: &Self) -> bool {
        (!self.wildcard, self.prefix.len()) > (!other.wildcard, other.prefix.len())
    }
}

/// The route that answers `path`, and what of the path is below it.
#[must_use]
pub fn best<'routes, 'path, T>(
    routes: &'routes [(Route, T)],
    path: &'path str,
) -> Option<(&'routes Route, &'routes T, &'path str)> {
    let mut best: Option<(&Route, &T, &str)> = None;
    for (route, target) in routes {
        if let Some(rest) = route.rest(path)
            && best.is_none_or(|(other, ..)| route.before(other))
        {
            best = Some((route, target, rest));
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(list: &[&str]) -> Vec<(Route, usize)> {
        let route = |(index, raw): (usize, &&str)| ((*raw).to_owned().try_into().unwrap(), index);
        list.iter().enumerate().map(route).collect()
    }

    #[test]
    fn an_exact_route_goes_before_a_wildcard_and_a_longer_before_a_shorter() {
        let routes = routes(&["/...", "/a/...", "/a/b/...", "/a/b"]);
        let cases = [
            ("/", 0, "/"),
            ("/x", 0, "/x"),
            ("/a", 1, ""),
            ("/a/", 1, "/"),
            ("/ab", 0, "/ab"),
            ("/a/x/", 1, "/x/"),
            ("/a/b", 3, ""),
            ("/a/b/c", 2, "/c"),
        ];
        for (path, index, rest) in cases {
            let (_, found, found_rest) = best(&routes, path).unwrap();
            assert_eq!((*found, found_rest), (index, rest), "{path}");
        }
    }

    #[test]
    fn a_path_outside_of_every_route_finds_none() {
        assert!(best(&routes(&["/a", "/b/..."]), "/a/x").is_none());
        assert!(best(&routes(&["/a", "/b/..."]), "/bb").is_none());
    }

    #[test]
    fn routes_that_are_not_served_are_refused() {
        for raw in ["", "a", "/a/:id", "/a/*", "/.../a"] {
            assert!(Route::try_from(raw.to_owned()).is_err(), "{raw}");
        }
    }
}
