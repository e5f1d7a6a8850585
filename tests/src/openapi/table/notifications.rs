//! What people are told, and who is online.

use codecrafter_shared::api::{FeedPass, MarkRead, Notifications, OnlinePeople, ReadState};
use codecrafter_shared::error::ErrorCode::{
    Forbidden, Internal, LoginSessionEnded, RateLimited, RouteNotFound, SessionNotFound,
    TokenExpired, TokenInvalid, TokenMissing, Unavailable,
};
use codecrafter_shared::limits;
use serde_json::json;

use super::super::Operation;
use super::super::Who::{FeedToken, SignedIn};
use super::{get, post};

/// A person's feed, and who of a session is online.
pub(super) fn notifications() -> Vec<Operation> {
    const AFTER: &str =
        "How far the client is: the id of the last event, `<seq>.<readSeq>`, to go on behind it.";
    vec![
        get(
            "/api/v1/notifications",
            "listNotifications",
            "Gives what the caller was told.",
        )
        .description("Newest first, of the last 200.")
        .by(SignedIn(""))
        .query(
            "before",
            json!({ "type": "integer", "minimum": 1 }),
            "Only notifications with a lower `seq`.",
        )
        .query(
            "limit",
            json!({
                "type": "integer", "minimum": 1, "maximum": limits::PAGE_ITEMS_MAX,
                "default": limits::NOTIFICATIONS_PAGE_DEFAULT,
            }),
            "How many at most.",
        )
        .gives::<Notifications>(200, "Notifications."),
        post(
            "/api/v1/notifications/read",
            "readNotifications",
            "All up to a number were read.",
        )
        .description("At every client of the caller.")
        .by(SignedIn(""))
        .takes::<MarkRead>()
        .gives::<ReadState>(200, "How it stands."),
        post(
            "/api/v1/notifications/connect",
            "connectFeed",
            "Gives what opens the caller's feed.",
        )
        .by(SignedIn(""))
        .gives::<FeedPass>(200, "The token, and where to go with it."),
        get(
            "/api/v1/notifications/socket",
            "openFeed",
            "Opens the caller's feed as a WebSocket.",
        )
        .description(
            "Where `connectFeed` answers `socketUrl`: `docs/realtime.md`. The token comes as \
             `token`, or as the subprotocol `token.<feedToken>` beside `yjs`, and is refused over \
             the socket, by a close code.",
        )
        .by(FeedToken)
        .query("after", json!({ "type": "string" }), AFTER)
        .gives_nothing(101, "The socket.")
        .refuses(&[RouteNotFound, Forbidden, Unavailable, Internal]),
        get(
            "/api/v1/notifications/events",
            "readFeed",
            "Gives what is new in the caller's feed as server-sent events.",
        )
        .description(
            "At once to a client that comes for the first time; else as soon as there is \
             something, or after 25 s; a person opens 300 in a minute. The stream ends with it: `docs/realtime.md`. The token comes \
             as bearer or as `token`.",
        )
        .by(FeedToken)
        .query("after", json!({ "type": "string" }), AFTER)
        .header("Last-Event-ID", "The same as `after`.")
        .gives_nothing(200, "The events.")
        .of(["text/event-stream"].into_iter())
        .refuses(&[
            TokenMissing,
            TokenInvalid,
            TokenExpired,
            LoginSessionEnded,
            RateLimited,
            Unavailable,
            Internal,
        ]),
        get(
            "/api/v1/sessions/{id}/online",
            "onlineParticipants",
            "Gives who of a session is online.",
        )
        .description("Whoever has an open feed, anywhere, or is in the session's room.")
        .by(SignedIn("participants"))
        .gives::<OnlinePeople>(200, "Participants, each once.")
        .refuses(&[SessionNotFound, Forbidden]),
    ]
}
