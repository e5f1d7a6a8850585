//! `GET /metrics`: what operators watch the edge by, in Prometheus' text format.

use std::fmt::Write as _;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use super::Edge;
use crate::error::Refusal;
use crate::executors::operator_routes::Operator;
use crate::limits::calls::{ListRefusals, RefusalCount};
use crate::limits::policy::TABLE;
use crate::limits::tally;
use crate::ports::Shard;
use crate::shard::call;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The metrics, for whoever has the operator token. One shard is asked.
pub async fn metrics(State(edge): State<Edge>, _: Operator) -> Result<Response, Refusal> {
    let shard = Shard::Limits {
        number: tally::SHARD,
    };
    let refusals = call(&*edge.shards, &shard, &ListRefusals {}).await?;
    let headers = [(CONTENT_TYPE, TEXT), (CACHE_CONTROL, "no-store")];
    Ok((headers, written(&refusals)).into_response())
}

/// Every limit, also one that has refused nobody: a counter that begins at 0 shows its first.
fn written(refusals: &[RefusalCount]) -> String {
    let mut text = String::from(
        "# HELP codecrafter_edge_refused_total Requests that a rate limit has refused.\n\
         # TYPE codecrafter_edge_refused_total counter\n",
    );
    for row in &TABLE {
        let refused = refusals.iter().find(|refused| refused.limit == row.name);
        let count = refused.map_or(0, |refused| refused.count);
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "codecrafter_edge_refused_total{{limit=\"{}\"}} {count}",
            row.name
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_is_counted_and_nothing_else_is() {
        let refused = |limit: &str, count| RefusalCount {
            limit: limit.into(),
            count,
        };
        let text = written(&[refused("login", 7), refused("gone\"} 1\n", 9)]);
        let lines: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines.len(), TABLE.len());
        assert!(lines.contains(&"codecrafter_edge_refused_total{limit=\"login\"} 7"));
        assert!(lines.contains(&"codecrafter_edge_refused_total{limit=\"user\"} 0"));
    }
}
