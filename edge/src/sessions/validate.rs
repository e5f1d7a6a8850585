//! What a session's settings, participants and content may be (CC-SESS-01 to 09). Pure.

use std::collections::BTreeSet;

use codecrafter_shared::api::{
    AddParticipant, CreateSession, ForkSession, SessionContent, UpdateSession, WriteContent,
};
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

/// Checks who is to be added, and gives the role.
pub fn add_participant(fields: &mut Fields, request: &AddParticipant) -> Role {
    let AddParticipant {
        username,
        role: given,
    } = request;
    fields.line("username", username, limits::USERNAME_CHARS);
    given.map_or(Role::Viewer, |given| role(fields, given))
}

/// Checks a role that is to be given, and gives it back.
pub fn role(fields: &mut Fields, role: Role) -> Role {
    if role == Role::Owner {
        fields.wrong("role", "is viewer, editor or admin");
    }
    role
}

/// Checks what is to be written, field by field.
pub fn write(fields: &mut Fields, request: &WriteContent) {
    let WriteContent { content, files } = request;
    let content = content.as_deref().unwrap_or_default();
    if content.len() > limits::CONTENT_BYTES_MAX {
        let max = limits::CONTENT_BYTES_MAX;
        fields.wrong("content", format!("is at most {max} bytes"));
    }
    let files = files.as_deref().unwrap_or_default();
    fields.files("files", content.len(), files);
}

/// Checks how a fork is to be called.
pub fn fork(fields: &mut Fields, request: &ForkSession) {
    let ForkSession {
        title,
        description,
        version,
        step,
    } = request;
    if let Some(title) = title {
        fields.line("title", title, limits::TITLE_CHARS);
    }
    if version.is_some() && step.is_some() {
        fields.wrong("step", "cannot be there beside a version");
    }
    common(fields, description.as_deref(), None, None);
}

/// Checks whether a text is short enough to fork a session with.
pub fn forked(fields: &mut Fields, content: &SessionContent) {
    let files = content.files.iter();
    let files = files.map(|file| file.path.len().saturating_add(file.content.len()));
    let bytes = files.fold(content.content.len(), usize::saturating_add);
    if bytes > limits::FORK_BYTES_MAX {
        let max = limits::FORK_BYTES_MAX;
        fields.wrong("version", format!("is too much text: at most {max} bytes"));
    }
}

/// Checks what is searched for, and gives its words in lower case, each once.
pub fn search(fields: &mut Fields, q: Option<&str>) -> Vec<String> {
    let q = q.unwrap_or_default();
    if q.chars().count() > limits::SEARCH_CHARS_MAX || q.chars().any(char::is_control) {
        let max = limits::SEARCH_CHARS_MAX;
        fields.wrong("q", format!("is one line of at most {max} characters"));
        return Vec::new();
    }
    let words: BTreeSet<String> = q
        .to_lowercase()
        .split_whitespace()
        .map(Into::into)
        .collect();
    words.into_iter().collect()
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

#[cfg(test)]
mod tests {
    use codecrafter_shared::job::SourceFile;

    use super::*;

    fn wrong(check: impl FnOnce(&mut Fields)) -> Vec<String> {
        let mut fields = Fields::default();
        check(&mut fields);
        let errors = fields.check().err().map(|refusal| refusal.errors);
        let errors = errors.unwrap_or_default().into_iter();
        errors.map(|error| error.field).collect()
    }

    #[test]
    fn nobody_is_given_the_role_of_the_owner() {
        let add = |role| {
            let username = "bob".into();
            wrong(|fields| {
                add_participant(fields, &AddParticipant { username, role });
            })
        };
        assert_eq!(add(Some(Role::Owner)), ["role"]);
        for role in [None, Some(Role::Viewer), Some(Role::Admin)] {
            assert!(add(role).is_empty(), "{role:?}");
        }
    }

    #[test]
    fn what_is_written_has_the_limits_of_what_is_run() {
        let file = |path: &str, bytes: usize| SourceFile {
            path: path.into(),
            content: "x".repeat(bytes),
        };
        let write = |content: usize, files: Vec<SourceFile>| {
            let content = Some("x".repeat(content));
            let request = WriteContent {
                content,
                files: Some(files),
            };
            wrong(|fields| super::write(fields, &request))
        };
        let max = limits::SOURCE_FILE_BYTES_MAX;
        assert!(write(max, vec![file("a", max), file("b", max)]).is_empty());
        assert_eq!(write(max + 1, vec![]), ["content"]);
        assert_eq!(write(0, vec![file("a", max + 1)]), ["files[0].content"]);
        assert_eq!(write(0, vec![file("../a", 1)]), ["files[0].path"]);
        let twice = vec![file("a", 1), file("A", 1)];
        assert_eq!(write(0, twice), ["files[1].path"]);
        let many = (0..32).map(|n| file(&n.to_string(), 1)).collect();
        assert_eq!(write(0, many), ["files"]);
        let large = (0..4).map(|n| file(&n.to_string(), max)).collect();
        assert_eq!(write(1, large), ["files"]);
    }

    #[test]
    fn words_are_searched_for_in_any_case_and_once() {
        let words = |q: &str| search(&mut Fields::default(), Some(q));
        assert_eq!(words("  Zwei  SUMMEN zwei "), ["summen", "zwei"]);
        assert_eq!(words("ÄPFEL 50%_'"), ["50%_'", "äpfel"]);
        assert!(words(" ").is_empty());
        for bad in ["x".repeat(101), "a\0b".into()] {
            assert_eq!(
                wrong(|fields| {
                    search(fields, Some(&bad));
                }),
                ["q"]
            );
        }
    }
}
