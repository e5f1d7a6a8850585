//! Frames of y-protocols 1.0 and of our own: one message per frame, as y-websocket reads no more
//! than the first. Every frame is parsed here before anything is decided about it.

use codecrafter_shared::limits;
use codecrafter_shared::relay::{
    AppFrame, MESSAGE_APP, MESSAGE_AUTH, MESSAGE_AWARENESS, MESSAGE_QUERY_AWARENESS, MESSAGE_SYNC,
};

use super::read::{Malformed, Reader, write_var_bytes, write_var_uint};

const SYNC_STEP1: u64 = 0;
const SYNC_STEP2: u64 = 1;
const SYNC_UPDATE: u64 = 2;
const AUTH_DENIED: u8 = 0;

/// What a client says. The bytes are not looked into yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Message<'a> {
    /// "This is my state vector: send me what I lack."
    SyncStep1(&'a [u8]),
    /// "This is what you lack", an answer to SyncStep1.
    SyncStep2(&'a [u8]),
    /// "This was just edited."
    Update(&'a [u8]),
    /// Who is here, and where their cursors are.
    Awareness(&'a [u8]),
    /// "Send me everybody's awareness."
    QueryAwareness,
}

/// Why a frame is not a [`Message`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FrameError {
    /// Not of the protocol, or of a type that the room does not take.
    Malformed(Malformed),
    /// Of a known type, but longer than frames of that type may be.
    TooLarge,
}

impl From<Malformed> for FrameError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// The message of a client's frame, if it is no longer than frames of its type may be.
pub(super) fn parse(frame: &[u8]) -> Result<Message<'_>, FrameError> {
    let message = read(frame)?;
    let bytes_max = match message {
        Message::SyncStep1(_) => limits::SYNC_STEP1_FRAME_BYTES_MAX,
        Message::SyncStep2(_) => limits::SYNC_STEP2_FRAME_BYTES_MAX,
        Message::Update(_) => limits::UPDATE_FRAME_BYTES_MAX,
        Message::Awareness(_) | Message::QueryAwareness => limits::AWARENESS_FRAME_BYTES_MAX,
    };
    if frame.len() <= bytes_max {
        Ok(message)
    } else {
        Err(FrameError::TooLarge)
    }
}

/// The message of a frame of any length. Looks at the head only.
pub(super) fn read(frame: &[u8]) -> Result<Message<'_>, Malformed> {
    let mut reader = Reader::new(frame);
    let message = match u8::try_from(reader.var_uint()?).unwrap_or(u8::MAX) {
        MESSAGE_SYNC => match reader.var_uint()? {
            SYNC_STEP1 => Message::SyncStep1(reader.var_bytes()?),
            SYNC_STEP2 => Message::SyncStep2(reader.var_bytes()?),
            SYNC_UPDATE => Message::Update(reader.var_bytes()?),
            _ => return Err(Malformed("an unknown sync message")),
        },
        MESSAGE_AWARENESS => Message::Awareness(reader.var_bytes()?),
        MESSAGE_QUERY_AWARENESS => Message::QueryAwareness,
        _ => return Err(Malformed("a message type that the room does not take")),
    };
    reader.end()?;
    Ok(message)
}

fn sync(kind: u64, body: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(body.len().saturating_add(8));
    frame.push(MESSAGE_SYNC);
    write_var_uint(&mut frame, kind);
    write_var_bytes(&mut frame, body);
    frame
}

/// "This is the room's state vector: send what it lacks."
pub(super) fn sync_step1(state_vector: &[u8]) -> Vec<u8> {
    sync(SYNC_STEP1, state_vector)
}

/// The answer to a client's SyncStep1; the only message that makes a provider `synced`.
pub(super) fn sync_step2(update: &[u8]) -> Vec<u8> {
    sync(SYNC_STEP2, update)
}

/// An edit, for everybody else.
pub(super) fn update(update: &[u8]) -> Vec<u8> {
    sync(SYNC_UPDATE, update)
}

/// Awareness states, each `(client id, clock, JSON or "null")`.
pub(super) fn awareness<'a>(
    entries: impl ExactSizeIterator<Item = (u64, u64, Option<&'a str>)>,
) -> Vec<u8> {
    let mut body = Vec::new();
    write_var_uint(&mut body, u64::try_from(entries.len()).unwrap_or(u64::MAX));
    for (client, clock, state) in entries {
        write_var_uint(&mut body, client);
        write_var_uint(&mut body, clock);
        write_var_bytes(&mut body, state.unwrap_or("null").as_bytes());
    }
    let mut frame = vec![MESSAGE_AWARENESS];
    write_var_bytes(&mut frame, &body);
    frame
}

/// The shortest message that a stock provider takes without doing anything: awareness of nobody.
/// A provider that hears nothing for 30 s connects anew.
pub(super) fn keepalive() -> Vec<u8> {
    vec![MESSAGE_AWARENESS, 1, 0]
}

/// "Send everybody's awareness."
pub(super) fn query_awareness() -> Vec<u8> {
    vec![MESSAGE_QUERY_AWARENESS]
}

/// "You may not do that."
pub fn permission_denied(reason: &str) -> Vec<u8> {
    let mut frame = vec![MESSAGE_AUTH, AUTH_DENIED];
    write_var_bytes(&mut frame, reason.as_bytes());
    frame
}

/// A frame of ours, for clients that asked for them.
pub(super) fn app(content: &AppFrame) -> Vec<u8> {
    let mut frame = vec![MESSAGE_APP];
    // Fails only for maps with keys that are not text, and an app frame has none.
    let json = serde_json::to_vec(content).unwrap_or_default();
    write_var_bytes(&mut frame, &json);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_read_as_they_were_written() {
        assert_eq!(parse(&sync_step1(&[0])), Ok(Message::SyncStep1(&[0])));
        assert_eq!(parse(&sync_step2(&[0, 0])), Ok(Message::SyncStep2(&[0, 0])));
        assert_eq!(parse(&update(&[7; 300])), Ok(Message::Update(&[7; 300])));
        assert_eq!(parse(&keepalive()), Ok(Message::Awareness(&[0])));
        assert_eq!(parse(&query_awareness()), Ok(Message::QueryAwareness));
    }

    #[test]
    fn the_wire_is_that_of_y_protocols() {
        assert_eq!(sync_step2(&[0, 0]), [0, 1, 2, 0, 0]);
        assert_eq!(keepalive(), [1, 1, 0]);
        assert_eq!(permission_denied("no"), [2, 0, 2, b'n', b'o']);
        let entries = [(300, 2, Some("{}")), (7, 1, None)];
        let frame = awareness(entries.into_iter());
        assert_eq!(frame, b"\x01\x0e\x02\xac\x02\x02\x02{}\x07\x01\x04null");
    }

    #[test]
    fn what_is_not_one_message_is_refused() {
        let refused: [&[u8]; 9] = [
            &[],
            &[0],
            &[0, 3, 0],
            &[0x80, 0, 0, 1, 0],
            &[0, 0, 5, 1],
            &[0, 2, 2, 0, 0, 0],
            &[3, 3],
            &[2, 0, 1, b'x'],
            &[110, 2, b'{', b'}'],
        ];
        for frame in refused {
            assert!(
                matches!(parse(frame), Err(FrameError::Malformed(_))),
                "{frame:x?}"
            );
        }
    }

    #[test]
    fn each_type_has_its_own_largest_frame() {
        for (kind, bytes_max) in [
            (SYNC_STEP1, limits::SYNC_STEP1_FRAME_BYTES_MAX),
            (SYNC_STEP2, limits::SYNC_STEP2_FRAME_BYTES_MAX),
            (SYNC_UPDATE, limits::UPDATE_FRAME_BYTES_MAX),
        ] {
            // Type, subtype and length take 5 or 6 bytes.
            assert!(parse(&sync(kind, &vec![0; bytes_max - 6])).is_ok());
            assert_eq!(
                parse(&sync(kind, &vec![0; bytes_max])),
                Err(FrameError::TooLarge)
            );
        }
        let mut long = vec![MESSAGE_AWARENESS];
        write_var_bytes(&mut long, &vec![0; limits::AWARENESS_FRAME_BYTES_MAX]);
        assert_eq!(parse(&long), Err(FrameError::TooLarge));
    }
}
