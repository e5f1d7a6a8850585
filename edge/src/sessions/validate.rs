//! What a session's settings may be (CC-SESS-01 to 09). Pure.

use codecrafter_shared::api::{CreateSession, UpdateSession};
use codecrafter_shared::limits;
use codecrafter_shared::role::Role;

use crate::front::validate::Fields;

/// Checks a new session, field by field.
pub fn create(fields: &mut Fields, request: &CreateSession) {
    let CreateSession {
        title,
        description,
        language,
        content,
        is_public: _,
        join_role,
        max_participants,
    } = request;
    fields.line("title", title, limits::TITLE_CHARS);
    fields.language("language", language);
    if content
        .as_ref()
        .is_some_and(|content| content.len() > limits::CONTENT_BYTES_MAX)
    {
        fields.wrong(
            "content",
            format!("is at most {} bytes", limits::CONTENT_BYTES_MAX),
        );
    }
    common(
        fields,
        description.as_deref(),
        *join_role,
        *max_participants,
    );
}

/// Checks changed settings, field by field.
pub fn update(fields: &mut Fields, request: &UpdateSession) {
    let UpdateSession {
        title,
        description,
        language,
        is_public: _,
        join_role,
        max_participants,
        is_locked: _,
    } = request;
    if let Some(title) = title {
        fields.line("title", title, limits::TITLE_CHARS);
    }
    if let Some(language) = language {
        fields.language("language", language);
    }
    common(
        fields,
        description.as_deref(),
        *join_role,
        *max_participants,
    );
}

fn common(
    fields: &mut Fields,
    description: Option<&str>,
    join_role: Option<Role>,
    max_participants: Option<u32>,
) {
    if description.is_some_and(|text| text.chars().count() > limits::DESCRIPTION_CHARS_MAX) {
        let max = limits::DESCRIPTION_CHARS_MAX;
        fields.wrong("description", format!("is at most {max} characters"));
    }
    if join_role.is_some_and(|role| role > Role::Editor) {
        fields.wrong("joinRole", "is viewer or editor");
    }
    if let Some(participants) = max_participants {
        fields.within("maxParticipants", participants, &limits::PARTICIPANTS);
    }
}
