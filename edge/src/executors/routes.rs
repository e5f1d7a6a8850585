//! `/internal`: what links call. Not for clients; see [`codecrafter_shared::job`].

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::{FromRequest, Request, State};
use axum::response::{IntoResponse, Response};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::{AttemptId, ExecutionId, SessionId};
use codecrafter_shared::job::{
    Acknowledge, Acknowledged, Enrol, Enrolled, Event, LeaseRequest, Leases, Report, Reports,
    ReportsTaken,
};
use codecrafter_shared::otlp::Span;
use codecrafter_shared::time::Timestamp;
use codecrafter_shared::trace::TraceParent;
use codecrafter_shared::{keys, limits};
use http::StatusCode;
use serde::de::DeserializeOwned;

use super::calls::{AcknowledgeLeases, EnrolExecutor, LeaseJobs, Signature, TakeReports};
use crate::error::Refusal;
use crate::executions::files;
use crate::front::Edge;
use crate::front::extract::{self, Ok200};
use crate::front::validate::Fields;
use crate::ports::Shard;
use crate::room::calls as room;
use crate::shard::call;
use crate::spans;
use crate::token::claimed_executor;

/// A link's request: its body of at most `BYTES_MAX`, and the signature that has to fit it. The
/// Directory checks that, so whatever a stranger sends gets as far: it had better be small.
pub struct Signed<T, const BYTES_MAX: usize = { limits::BODY_BYTES_MAX }> {
    signature: Signature,
    request: T,
}

impl<T: DeserializeOwned, const BYTES_MAX: usize> FromRequest<Edge> for Signed<T, BYTES_MAX> {
    type Rejection = Refusal;

    async fn from_request(request: Request, _: &Edge) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let token = extract::bearer(&parts)?.to_owned();
        let path = parts
            .extensions
            .get::<axum::extract::OriginalUri>()
            .map_or_else(|| parts.uri.path().to_owned(), |uri| uri.path().to_owned());
        let request = Request::from_parts(parts, body);
        let body = extract::bytes(request, BYTES_MAX).await?;
        let signature = Signature {
            token,
            path,
            body_hash: keys::body_hash(&body),
        };
        Ok(Self {
            signature,
            request: extract::parse(&body)?,
        })
    }
}

/// `POST /internal/executors`: whoever has the deployment's join token may enrol a host.
pub async fn enrol(State(edge): State<Edge>, request: Request) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    if !edge.config.keys.is_join_token(extract::bearer(&parts)?) {
        return Err(Refusal::with_detail(
            ErrorCode::TokenInvalid,
            "not the join token of this edge",
        ));
    }
    let body = extract::bytes(Request::from_parts(parts, body), limits::BODY_BYTES_MAX).await?;
    let request: Enrol = extract::parse(&body)?;
    let mut fields = Fields::default();
    fields.line("name", &request.name, 1..=100);
    fields.check()?;
    let executor_id = edge.directory(&EnrolExecutor { request }).await?;
    Ok((StatusCode::CREATED, axum::Json(Enrolled { executor_id })).into_response())
}

/// `POST /internal/leases`.
pub async fn lease(State(edge): State<Edge>, signed: Signed<LeaseRequest>) -> Ok200<Leases> {
    let Signed { signature, request } = signed;
    edge.directory(&LeaseJobs { signature, request })
        .await
        .map(axum::Json)
}

/// `POST /internal/leases/ack`.
pub async fn acknowledge(
    State(edge): State<Edge>,
    signed: Signed<Acknowledge>,
) -> Ok200<Acknowledged> {
    let Signed { signature, request } = signed;
    edge.directory(&AcknowledgeLeases { signature, request })
        .await
        .map(axum::Json)
}

/// `POST /internal/reports`: starts and ends go to the Directory, everything to the rooms.
///
/// Of a stranger's, none has a token that fits, so none gets to the Directory.
pub async fn reports(
    State(edge): State<Edge>,
    signed: Signed<Reports, { limits::LINK_BODY_BYTES_MAX }>,
) -> Ok200<ReportsTaken> {
    let Signed { signature, request } = signed;
    let too_many = request.reports.len() > limits::REPORTS_MAX;
    if too_many {
        let detail = format!("at most {} reports at once", limits::REPORTS_MAX);
        return Err(Refusal::with_detail(ErrorCode::BodyTooLarge, detail));
    }
    let unknown = || Refusal::new(ErrorCode::ExecutorUnknown);
    let executor = claimed_executor(&signature.token).ok_or_else(unknown)?;
    let all = request.reports.len();
    let fits = |report: &Report| edge.config.keys.is_allowed_report(report, executor);
    let reports = request.reports.into_iter().filter(fits);
    let reports: Vec<Report> = reports.map(clipped).collect();
    let refused = all.saturating_sub(reports.len());

    // The Directory checks the signature: nothing is shown to anybody before it has answered.
    let told = Results::of(&reports, &edge);
    let is_result =
        |report: &&Report| matches!(report.event, Event::Started | Event::Finished { .. });
    let results: Vec<Report> = reports.iter().filter(is_result).cloned().collect();
    let committed = edge
        .directory(&TakeReports {
            signature,
            live: reports
                .iter()
                .filter(|report| !is_result(report))
                .map(|report| (report.execution_id, report.attempt_id))
                .collect::<BTreeSet<_>>()
                .into_iter()
                .collect(),
            reports: results,
        })
        .await?;
    let late = &committed.value.late;
    let on_time = |report: &Report| !late.contains(&report.attempt_id);
    show(&edge, reports.into_iter().filter(on_time)).await;
    let taken = edge.deliver(committed).await;
    told.tell(&edge);
    let refused = u32::try_from(refused)
        .unwrap_or(u32::MAX)
        .saturating_add(taken.unknown);
    Ok(axum::Json(ReportsTaken {
        duplicates: taken.duplicates,
        refused,
    }))
}

/// Final results that are taken in, each as the span `result` of its execution's trace.
struct Results {
    from: Timestamp,
    of: Vec<(TraceParent, ExecutionId, AttemptId)>,
}

impl Results {
    /// Begins with the results among `reports`; none if spans go nowhere.
    fn of(reports: &[Report], edge: &Edge) -> Self {
        let result = |report: &Report| {
            let parent = report.traceparent.filter(TraceParent::is_sampled)?;
            let is_result = matches!(report.event, Event::Finished { .. });
            is_result.then_some((parent, report.execution_id, report.attempt_id))
        };
        let is_told = edge.spans.is_some();
        let reports = if is_told { reports } else { &[] };
        Self {
            from: edge.clock.now(),
            of: reports.iter().filter_map(result).collect(),
        }
    }

    /// They are stored, and rooms are told of them.
    fn tell(self, edge: &Edge) {
        let Some(exporter) = &edge.spans else { return };
        let (from_ns, to_ns) = (
            spans::nanoseconds(self.from),
            spans::nanoseconds(edge.clock.now()),
        );
        let span = |(parent, execution, attempt): (TraceParent, ExecutionId, AttemptId)| Span {
            context: spans::below(parent, &*edge.rng),
            parent: Some(parent),
            name: "result",
            server: true,
            from_ns,
            to_ns,
            attributes: vec![
                ("execution.id", execution.to_string().into()),
                ("attempt.id", attempt.to_string().into()),
            ],
            error: None,
        };
        exporter.send(&self.of.into_iter().map(span).collect::<Vec<_>>());
    }
}

/// What an executor says for people is shown in lists and pages, so it is a sentence or a few; and
/// files are such as may be given to anybody.
fn clipped(mut report: Report) -> Report {
    if let Event::Finished { outcome } = &mut report.event {
        files::check(outcome);
    }
    if let Event::Finished { outcome } = &mut report.event
        && let Some(message) = &mut outcome.message
        && let Some((end, _)) = message.char_indices().nth(limits::MESSAGE_CHARS_MAX)
    {
        message.truncate(end);
        message.push('…');
    }
    report
}

/// Live events for the rooms. Ends come from the outbox, after them; what a room misses here, its
/// clients read from the result.
async fn show(edge: &Edge, reports: impl Iterator<Item = Report>) {
    let mut rooms: BTreeMap<SessionId, Vec<Report>> = BTreeMap::new();
    for report in reports {
        if matches!(report.event, Event::Finished { .. }) {
            continue;
        }
        if let Some(session) = report.session_id {
            rooms.entry(session).or_default().push(report);
        }
    }
    for (session, reports) in rooms {
        let shown = call(
            &*edge.shards,
            &Shard::Room { session },
            &room::TakeReports { reports },
        )
        .await;
        if let Err(refusal) = shown {
            tracing::warn!(session.id = %session, code = refusal.code.as_str(), "output not shown");
        }
    }
}
