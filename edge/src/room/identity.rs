//! The name under which a client's cursor is shown: not the one that the client gives, but that
//! of its room token. The state stays JSON with `user` replaced, as every editor binding reads it.

use codecrafter_shared::id::UserId;
use serde_json::{Map, Value, json};

use super::connection::Principal;
use super::read::within_depth;

/// Colours that are told apart on light and dark ground.
const COLORS: [&str; 12] = [
    "#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4", "#008080", "#9a6324", "#800000",
    "#808000", "#e377c2", "#1f77b4", "#d62728",
];

/// `state` with `user` as the room knows it, or `None` if it is not a JSON object of at most
/// `depth_max` levels. The colour is the client's own if it gives one.
pub(super) fn stamp(state: &str, principal: &Principal, depth_max: usize) -> Option<String> {
    if !within_depth(state, depth_max) {
        return None;
    }
    let mut state: Map<String, Value> = serde_json::from_str(state).ok()?;
    let chosen = state
        .get("user")
        .and_then(|user| user.get("color"))
        .and_then(Value::as_str);
    let color = chosen
        .and_then(hex_color)
        .unwrap_or_else(|| color_of(principal.user_id).into());
    let user = json!({
        "id": principal.user_id,
        "name": principal.display_name,
        "role": principal.role,
        "color": color,
    });
    state.insert("user".into(), user);
    serde_json::to_string(&state).ok()
}

/// A CSS hex colour in its form `#rrggbb`; editor bindings append two digits of opacity to it.
fn hex_color(text: &str) -> Option<String> {
    let digits = text.strip_prefix('#')?;
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let rgb: String = match digits.len() {
        3 | 4 => digits
            .chars()
            .take(3)
            .flat_map(|digit| [digit, digit])
            .collect(),
        6 | 8 => digits.chars().take(6).collect(),
        _ => return None,
    };
    Some(format!("#{}", rgb.to_ascii_lowercase()))
}

/// The colour of somebody who has chosen none: always the same one (FNV-1a over the id).
fn color_of(user: UserId) -> &'static str {
    let hash = user
        .to_string()
        .bytes()
        .fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
    let index = usize::try_from(hash)
        .unwrap_or(0)
        .checked_rem(COLORS.len())
        .unwrap_or(0);
    COLORS.get(index).copied().unwrap_or("#4363d8")
}

#[cfg(test)]
mod tests {
    use codecrafter_shared::id::LoginSessionId;
    use codecrafter_shared::role::Role;
    use codecrafter_shared::time::Timestamp;

    use super::*;

    fn ada() -> Principal {
        Principal {
            user_id: UserId::at(Timestamp::from_millis(1), [1; 10]),
            login_session_id: LoginSessionId::at(Timestamp::from_millis(1), [1; 10]),
            username: "ada".into(),
            display_name: "Ada \"the\" First".into(),
            role: Role::Viewer,
            access_version: 1,
            expires_at: Timestamp::from_millis(2),
        }
    }

    fn user_of(state: &str) -> Value {
        let stamped = stamp(state, &ada(), 8).unwrap();
        serde_json::from_str::<Value>(&stamped).unwrap()["user"].clone()
    }

    #[test]
    fn a_forged_identity_is_overwritten() {
        let user = user_of(r#"{"cursor":1,"user":{"id":"x","name":"Grace","role":"owner"}}"#);
        assert_eq!(user["name"], "Ada \"the\" First");
        assert_eq!(user["id"], ada().user_id.to_string());
        assert_eq!(user["role"], "viewer");
        assert_eq!(user_of("{}"), user, "nothing of the client's is left");
        assert_eq!(user_of(r#"{"user":"Grace"}"#), user);
    }

    #[test]
    fn a_colour_is_kept_if_it_is_one() {
        let color = |color: &str| {
            user_of(&json!({ "user": { "color": color } }).to_string())["color"].clone()
        };
        assert_eq!(color("#30BCED"), "#30bced");
        assert_eq!(color("#abc"), "#aabbcc");
        assert_eq!(color("#30bced80"), "#30bced");
        let own = color("none");
        for bad in ["red;background:url(//x)", "#12", "#ggg", "30bced", "#é1"] {
            assert_eq!(color(bad), own, "{bad}");
        }
        assert!(COLORS.iter().any(|color| own == *color));
    }

    #[test]
    fn what_is_not_a_shallow_object_is_refused() {
        let deep = format!("{}1{}", "[".repeat(9), "]".repeat(9));
        for state in [
            "",
            "not json",
            "[]",
            "7",
            "\"x\"",
            "{",
            &format!("{{\"a\":{deep}}}"),
        ] {
            assert_eq!(stamp(state, &ada(), 8), None, "{state}");
        }
    }
}
