//! `/sessions/{id}/history`: how a document came about, for playback. Whoever may read a session's
//! versions may read its history; who may edit brings a moment of it back.

use std::collections::BTreeSet;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use codecrafter_shared::api::{HistoryPage, RestoredStep};
use codecrafter_shared::error::ErrorCode;
use codecrafter_shared::id::UserId;
use codecrafter_shared::limits;
use serde::Deserialize;

use crate::error::Refusal;
use crate::front::Edge;
use crate::front::extract::{Ok200, Path};
use crate::front::validate::Fields;
use crate::room::calls::{ReadHistory, RestoreStep};
use crate::sessions::calls::{Names, Standing};
use crate::sessions::routes::{number, session_id};
use crate::token::Caller;
use crate::versions::{Place, read_query};

/// Which steps.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepsQuery {
    from: Option<String>,
    limit: Option<String>,
}

/// `GET /sessions/{id}/history`.
pub async fn read(
    State(edge): State<Edge>,
    caller: Caller,
    Path(id): Path<String>,
    query: Result<Query<StepsQuery>, QueryRejection>,
) -> Ok200<HistoryPage> {
    let query = read_query(query)?;
    let mut fields = Fields::default();
    let from = match query.from.as_deref().map(whole) {
        None => 1,
        Some(Some(from)) if from > 0 => from,
        Some(_) => {
            fields.wrong("from", "is the number of a step, from 1");
            1
        }
    };
    let (default, max) = (limits::HISTORY_STEPS_DEFAULT, limits::HISTORY_STEPS_MAX);
    let limit = number(&mut fields, "limit", query.limit.as_deref(), default, max);
    fields.check()?;
    let place = Place::find(&edge, caller, &id).await?;
    let mut page = place.ask(&edge, &ReadHistory { from, limit }).await?;
    let users = page.steps.iter().flat_map(|step| &step.user_ids);
    let users: BTreeSet<UserId> = users.copied().collect();
    if !users.is_empty() {
        let names = Names {
            caller,
            session_id: session_id(&id)?,
            users: users.into_iter().collect(),
        };
        page.people = edge.directory(&names).await?;
    }
    Ok(axum::Json(page))
}

/// `POST /sessions/{id}/history/{step}/restore`.
pub async fn restore(
    State(edge): State<Edge>,
    caller: Caller,
    Path((id, step)): Path<(String, String)>,
) -> Ok200<RestoredStep> {
    let place = Place::find(&edge, caller, &id).await?;
    place.may_edit()?;
    let Standing { notice, author, .. } = place.standing.clone();
    let step = whole(&step).ok_or_else(|| Refusal::new(ErrorCode::StepNotFound))?;
    let restore = RestoreStep {
        author,
        notice,
        step,
    };
    place.ask(&edge, &restore).await.map(axum::Json)
}

fn whole(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}
