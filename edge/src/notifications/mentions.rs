//! Who is named in a message of the chat.

use std::collections::BTreeSet;

use codecrafter_shared::api::{NamedUser, NotificationEvent};
use codecrafter_shared::limits;

use super::note::Note;
use super::questions::Mention;
use crate::accounts::store::authorize;
use crate::directory::Directory;
use crate::directory::outbox::{Committed, Draft, Letter, PersonMessage};
use crate::error::Refusal;
use crate::sessions::store::visible;

/// The user names behind an `@` in a text, in lower case, each once, as many as one message can name.
/// An `@` in the middle of a word, as in a mail address, names nobody.
#[must_use]
pub fn named(text: &str) -> Vec<String> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let mut names = BTreeSet::new();
    let mut before = ' ';
    let mut rest = text;
    while let Some((head, tail)) = rest.split_once('@') {
        before = head.chars().next_back().unwrap_or(before);
        let name: String = tail.chars().take_while(|c| is_of_name(*c)).collect();
        let in_a_word = before.is_alphanumeric() || is_of_name(before);
        if !in_a_word && limits::USERNAME_CHARS.contains(&name.len()) {
            names.insert(name.to_ascii_lowercase());
        }
        (before, rest) = ('@', tail);
    }
    let names = names.into_iter();
    names.take(limits::MENTIONS_PER_MESSAGE_MAX).collect()
}

/// How a message begins.
#[must_use]
pub fn beginning(text: &str) -> String {
    match text.char_indices().nth(limits::NOTIFICATION_TEXT_CHARS_MAX) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned() + "…",
        None => text.to_owned(),
    }
}

/// [`Mention`].
///
/// # Errors
/// [`SessionNotFound`](codecrafter_shared::error::ErrorCode::SessionNotFound); those of the database.
pub async fn mention(directory: &Directory, call: Mention) -> Result<Committed<()>, Refusal> {
    let now = directory.clock.now();
    let outbox = &Draft::new(directory, now);
    let (call, tenant) = (&call, &*directory.config.tenant);
    let (id, by) = (call.session_id, call.caller.user_id);
    directory
        .db
        .transaction(|tx| async move {
            authorize(&tx, tenant, call.caller, now).await?;
            let session = visible(&tx, tenant, id, by).await?;
            let mut people = session.participants.iter();
            let Some(author) = people.find(|person| person.user_id == by) else {
                return Ok(Committed::nothing_to_send(()));
            };
            let is_named = |name: &str| {
                call.names
                    .iter()
                    .any(|named| *named == name.to_ascii_lowercase())
            };
            let named = session.participants.iter();
            let named = named.filter(|person| person.user_id != by && is_named(&person.username));
            let letters = named.map(|person| Letter::Person {
                user_id: person.user_id,
                message: PersonMessage::Note {
                    note: Note {
                        at: call.at,
                        event: NotificationEvent::Mentioned {
                            session_id: id,
                            title: session.title.clone(),
                            message_seq: call.seq,
                            text: call.text.clone(),
                            by: NamedUser {
                                user_id: by,
                                display_name: author.display_name.clone(),
                            },
                        },
                        // Whoever repeats the message names nobody twice.
                        mark: Some(format!("message {id} {}", call.seq)),
                    },
                    unless_in: None,
                },
            });
            let letters = letters.collect();
            outbox.commit_each(&tx, tenant, letters, ()).await
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_behind_an_at_sign_are_found_and_mail_addresses_are_none() {
        let found = |text: &str| named(text).join(" ");
        assert_eq!(found("@Ada look, and @bob-2. (@eve_x)"), "ada bob-2 eve_x");
        assert_eq!(found("mail ada@example.org, or \u{fc}@ada"), "");
        assert_eq!(found("@ab @abc @ABC"), "abc", "too short, and each once");
        assert_eq!(found("nobody@ @ \u{1F600}@ada @@bob."), "ada bob");
        let many: String = (0..50).map(|n| format!("@name{n} ")).collect();
        assert_eq!(named(&many).len(), limits::MENTIONS_PER_MESSAGE_MAX);
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        assert_eq!(beginning("short"), "short");
        let cut = beginning(&"ü".repeat(500));
        assert_eq!(cut.chars().count(), limits::NOTIFICATION_TEXT_CHARS_MAX + 1);
    }
}
