//! How a session's document came about.

use codecrafter_shared::api::{HistoryPage, RestoredStep};
use codecrafter_shared::error::ErrorCode::{Forbidden, SessionNotFound, StepNotFound, Unavailable};
use codecrafter_shared::limits;
use serde_json::json;

use super::super::Operation;
use super::super::Who::SignedIn;
use super::{SEES, get, post};

pub(super) fn history() -> Vec<Operation> {
    vec![
        get(
            "/api/v1/sessions/{id}/history",
            "readHistory",
            "Tells step by step how the document came about.",
        )
        .description(
            "For playback: the text before the page's first step, and what each step has changed \
             in it, by whom and when. A step is what the same people have changed within a second.",
        )
        .by(SEES)
        .query(
            "from",
            json!({ "type": "integer", "minimum": 1, "default": 1 }),
            "The number of the first step; the nearest that is kept, if that is none.",
        )
        .query(
            "limit",
            json!({
                "type": "integer",
                "minimum": 1,
                "maximum": limits::HISTORY_STEPS_MAX,
                "default": limits::HISTORY_STEPS_DEFAULT,
            }),
            "How many steps at most. There may be fewer, although `next` leads on.",
        )
        .gives::<HistoryPage>(200, "A page of the history.")
        .refuses(&[SessionNotFound, Unavailable]),
        post(
            "/api/v1/sessions/{id}/history/{step}/restore",
            "restoreStep",
            "Gives the document the text again that it had after a step.",
        )
        .description(
            "As restoring a version does. One less than the number of the first step stands for \
             the text before it.",
        )
        .by(SignedIn(
            "owner, admin, editor; only the owner while it is locked",
        ))
        .gives::<RestoredStep>(200, "What was restored, and what was kept for that.")
        .refuses(&[SessionNotFound, StepNotFound, Forbidden, Unavailable]),
    ]
}
