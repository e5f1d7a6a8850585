//! Traces, from a request to the job and back, and the spans that are told of them.

use anyhow::{Context as _, Result, ensure};
use codecrafter_shared::api::Execution;
use codecrafter_shared::id::AttemptId;
use reqwest::Method;

use super::executions::request;
use crate::collector::attribute;
use crate::link::{Link, printed, report};
use crate::world::World;

pub async fn a_trace_goes_from_the_request_to_the_job_and_is_told(world: World) -> Result<()> {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let user = world.user().await?;
    let link = Link::enrol(&world, "sql").await?;
    let traced = |header: &str| {
        let wanted = user.request(Method::POST, "/api/v1/executions");
        user.send(
            wanted
                .header("traceparent", header)
                .json(&request("sql", "1")),
        )
    };
    let given = traced(&format!("00-{TRACE}-00f067aa0ba902b7-01")).await?;
    let given: Execution = given.expect(202)?;
    ensure!(given.trace_id.as_deref() == Some(TRACE), "{given:?}");
    let own: Execution = traced("no trace parent").await?.expect(202)?;
    let id = own.trace_id.clone().context("no trace")?;
    ensure!(id.len() == 32 && id != TRACE, "{own:?}");
    for (execution, trace, span) in [(given, TRACE, Some("00f067aa0ba902b7")), (own, &*id, None)] {
        let leases = link.lease(1, 20_000).await?;
        let job = &leases.first().context("no lease")?.job;
        ensure!(job.execution_id == execution.id, "another job");
        let parent = job.traceparent.context("a job without a trace")?;
        ensure!(parent.trace_id() == trace, "{parent}");
        if let Some(collector) = &world.collector {
            let accepted = collector.span(|told| told["spanId"] == parent.span_id());
            let accepted = accepted.await?;
            ensure!(accepted["traceId"] == trace, "{accepted}");
            ensure!(accepted["parentSpanId"] == span.unwrap_or_default());
            ensure!(accepted["name"] == "accept", "{accepted}");
            let of = attribute(&accepted, "execution.id");
            ensure!(of == Some(&execution.id.to_string()), "{accepted}");
        } else {
            ensure!(span.is_none_or(|span| parent.span_id() == span), "{parent}");
        }
        let end = report(job, AttemptId::random([9; 16]), 0, printed("1\n"));
        link.acknowledge(&leases).await?;
        link.report(vec![end]).await?;
        let ended = user.execution(&execution).await?;
        ensure!(ended.trace_id.as_deref() == Some(trace), "{ended:?}");
        if let Some(collector) = &world.collector {
            let result = collector.span(|told| told["parentSpanId"] == parent.span_id());
            let result = result.await?;
            ensure!(result["name"] == "result", "{result}");
            ensure!(result["traceId"] == trace, "{result}");
        }
    }
    Ok(())
}

pub async fn no_answer_waits_for_a_collector_of_spans(world: World) -> Result<()> {
    let user = world.user().await?;
    if let Some(collector) = &world.collector {
        collector.hold(true);
    }
    for number in 1..=3 {
        // The second and the third while the collector has not answered about the first.
        let execution = user.execute(&request("lua", "1")).await?;
        if let Some(collector) = &world.collector {
            let id = execution.id.to_string();
            let told = collector.span(|told| attribute(told, "execution.id") == Some(&id));
            told.await.with_context(|| format!("execution {number}"))?;
        }
        user.cancel(&execution).await?;
    }
    if let Some(collector) = &world.collector {
        collector.hold(false);
    }
    Ok(())
}
