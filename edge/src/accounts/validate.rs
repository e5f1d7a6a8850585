//! What an account may be called (X-10, CC-USER-02, CC-AUTH-13). Pure.

use codecrafter_shared::api::Register;
use codecrafter_shared::limits;

use crate::front::validate::Fields;
use crate::password;

/// Names that would pass for a part of the service (CC-AUTH-13).
const RESERVED: &[&str] = &[
    "admin",
    "administrator",
    "api",
    "codecrafter",
    "help",
    "mail",
    "root",
    "support",
    "system",
    "www",
];

/// Checks a registration, field by field.
pub fn register(fields: &mut Fields, request: &Register) {
    let username = request.username.as_str();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !limits::USERNAME_CHARS.contains(&username.len()) || !username.chars().all(is_name) {
        fields.wrong("username", "is 3–30 of letters, digits, `_` and `-`");
    } else if RESERVED.contains(&username.to_ascii_lowercase().as_str()) {
        fields.wrong("username", "is reserved");
    }
    if !is_email(&request.email) {
        fields.wrong(
            "email",
            "is a mail address of at most 254 bytes, such as ada@example.org",
        );
    }
    let length = request.password.chars().count();
    if !limits::PASSWORD_CHARS.contains(&length) {
        fields.wrong("password", "is 8–128 characters");
    } else {
        let local = request.email.split('@').next().unwrap_or_default();
        if let Some(weakness) =
            password::weakness(&request.password, &[username, local, &request.email])
        {
            fields.wrong("password", weakness);
        }
    }
    if let Some(name) = &request.display_name {
        fields.line("displayName", name, limits::DISPLAY_NAME_CHARS);
    }
}

/// The shape of a mail address; whether it receives mail only a mail can tell.
fn is_email(email: &str) -> bool {
    let Some((local, domain)) = email.rsplit_once('@') else {
        return false;
    };
    let plain = |c: char| !c.is_whitespace() && !c.is_control();
    email.len() <= limits::EMAIL_BYTES_MAX
        && !local.is_empty()
        && !local.contains('@')
        && domain.contains('.')
        && !domain.starts_with('.')
        && !domain.ends_with('.')
        && email.chars().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(username: &str, email: &str, password: &str) -> Vec<String> {
        let mut fields = Fields::default();
        let request = Register {
            username: username.into(),
            email: email.into(),
            password: password.into(),
            display_name: None,
        };
        register(&mut fields, &request);
        fields.check().err().map_or_else(Vec::new, |refusal| {
            refusal
                .errors
                .into_iter()
                .map(|error| error.field)
                .collect()
        })
    }

    #[test]
    fn a_plain_registration_is_taken() {
        assert!(wrong("ada_l-1", "ada@example.org", "plain long words").is_empty());
    }

    #[test]
    fn every_field_that_breaks_a_rule_is_named() {
        assert_eq!(
            wrong("a", "ada", "short"),
            ["username", "email", "password"]
        );
        assert_eq!(wrong("Admin", "a@b.c", "plain long words"), ["username"]);
        assert_eq!(wrong("ada", "a b@c.d", "plain long words"), ["email"]);
        assert_eq!(wrong("ada", "lovelace@b.c", "Lovelace"), ["password"]);
    }
}
