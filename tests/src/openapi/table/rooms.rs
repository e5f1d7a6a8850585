//! The ways into a room.

use codecrafter_shared::error::ErrorCode::{
    BodyTooLarge, ConnectionGone, Forbidden, Internal, MalformedFrames, RouteNotFound,
    SessionNotFound, TokenInvalid, Unavailable,
};
use serde_json::json;

use super::super::Operation;
use super::super::Who::RoomToken;
use super::{get, post};

/// Sockets, and what there is where there are none.
pub(super) fn rooms() -> Vec<Operation> {
    vec![
        get(
            "/api/v1/rooms/{id}",
            "openRoom",
            "Opens the session's WebSocket.",
        )
        .description(
            "Speaks y-websocket: `docs/realtime.md`. The room token comes as `token`, or as \
                 the subprotocol `token.<roomToken>` beside `yjs`. A token that is not accepted \
                 is refused over the socket, by a close code.",
        )
        .by(RoomToken)
        .query(
            "caps",
            json!({ "type": "string" }),
            "`app1`: the room also sends frames of ours; `quiet1`: the client is silent while \
             nothing happens. A list by commas.",
        )
        .gives_nothing(101, "The socket.")
        .refuses(&[RouteNotFound, Forbidden]),
        get(
            "/api/v1/rooms/{id}/events",
            "readRoom",
            "Gives the session's frames as server-sent events.",
        )
        .description(
            "Where a join answers `roomStreamUrl`: `docs/realtime.md`. The room token comes as \
             bearer or as `token`. A token that is not accepted is refused in the stream, by a \
             close code.",
        )
        .by(RoomToken)
        .query("caps", json!({ "type": "string" }), "As for the WebSocket.")
        .query(
            "after",
            json!({ "type": "string" }),
            "The id of the last event, to go on behind it; or the header `Last-Event-ID`.",
        )
        .gives_nothing(200, "The events.")
        .of(["text/event-stream"].into_iter())
        .refuses(&[RouteNotFound, Unavailable, Internal]),
        post(
            "/api/v1/rooms/{id}/frames",
            "writeRoom",
            "Takes frames of a connection.",
        )
        .description(
            "Each with its length before it, as the answer has those for this connection alone: \
             `docs/realtime.md`.",
        )
        .by(RoomToken)
        .query(
            "connection",
            json!({ "type": "string" }),
            "As the event `open` names it.",
        )
        .query(
            "leave",
            json!({ "type": "string" }),
            "If it is there, the connection ends with these frames.",
        )
        .gives_nothing(200, "Frames for this connection.")
        .of(["application/octet-stream"].into_iter())
        .refuses(&[
            RouteNotFound,
            SessionNotFound,
            TokenInvalid,
            BodyTooLarge,
            MalformedFrames,
            ConnectionGone,
            Unavailable,
            Internal,
        ]),
    ]
}
