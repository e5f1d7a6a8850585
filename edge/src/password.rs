//! Passwords: the rule for new ones, and Argon2id (E6, X-08, X-09). Pure; where it runs is the
//! [`crate::ports::Hasher`]'s business.

use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};

/// Memory in KiB, passes, lanes. OWASP's sets of equal strength: the one with the least memory in
/// wasm, whose memory never shrinks, and the one with the fewest passes natively.
const POLICY: (u32, u32, u32) = if cfg!(target_family = "wasm") {
    (7_168, 5, 1)
} else {
    (19_456, 2, 1)
};

/// Verified when there is no account, so that an unknown user costs as much time as a wrong
/// password.
pub const NOBODY: &str = if cfg!(target_family = "wasm") {
    "$argon2id$v=19$m=7168,t=5,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
} else {
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
};

fn argon2() -> Result<Argon2<'static>, String> {
    let (memory, passes, lanes) = POLICY;
    let params = Params::new(memory, passes, lanes, None).map_err(|error| error.to_string())?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// The password's hash under the present policy, as a PHC string.
///
/// # Errors
/// A sentence, if the policy itself is impossible.
pub fn hash(password: &str, salt: [u8; 16]) -> Result<String, String> {
    let salt = SaltString::encode_b64(&salt).map_err(|error| error.to_string())?;
    let hash = argon2()?.hash_password(password.as_bytes(), &salt);
    hash.map(|hash| hash.to_string())
        .map_err(|error| error.to_string())
}

/// Whether `password` is the one behind `phc`, whatever policy it was hashed under.
#[must_use]
pub fn verify(password: &str, phc: &str) -> bool {
    let Ok(hash) = PasswordHash::new(phc) else {
        return false;
    };
    // The parameters are those of the hash, not of the policy.
    Argon2::default()
        .verify_password(password.as_bytes(), &hash)
        .is_ok()
}

/// Whether a hash is of an older policy, so that the next login should replace it.
#[must_use]
pub fn is_outdated(phc: &str) -> bool {
    let (memory, passes, lanes) = POLICY;
    !phc.starts_with(&format!("$argon2id$v=19$m={memory},t={passes},p={lanes}$"))
}

/// What is wrong with a new password, if something is. Length and a blocklist, no rules about
/// character classes (NIST SP 800-63B-4, ASVS 5.0 6.2.5).
#[must_use]
pub fn weakness(password: &str, context: &[&str]) -> Option<&'static str> {
    let lower = password.to_lowercase();
    if COMMON.contains(&lower.as_str()) {
        return Some("is one of the most common passwords");
    }
    let is_context = |word: &&str| !word.is_empty() && lower == word.to_lowercase();
    if context.iter().any(is_context) {
        return Some("is your user name or mail address");
    }
    let mut characters = password.chars();
    let first = characters.next();
    if characters.all(|c| Some(c) == first) {
        return Some("is one character repeated");
    }
    None
}

/// Passwords of eight characters and more that head every published list of leaks.
const COMMON: &[&str] = &[
    "00000000",
    "11111111",
    "11223344",
    "12121212",
    "123123123",
    "12341234",
    "12345678",
    "123456789",
    "1234567890",
    "123456789a",
    "147258369",
    "1q2w3e4r",
    "1q2w3e4r5t",
    "1qaz2wsx",
    "1qaz@wsx",
    "87654321",
    "88888888",
    "987654321",
    "9876543210",
    "a1234567",
    "a12345678",
    "aa123456",
    "aa12345678",
    "abc12345",
    "abcd1234",
    "abcdefgh",
    "admin123",
    "administrator",
    "asdf1234",
    "asdfasdf",
    "asdfghjk",
    "asdfghjkl",
    "baseball",
    "basketball",
    "changeme",
    "charlie1",
    "codecrafter",
    "computer",
    "corvette",
    "danielle",
    "dragon123",
    "football",
    "football1",
    "iloveyou",
    "iloveyou1",
    "internet",
    "jennifer",
    "letmein1",
    "liverpool",
    "master123",
    "michael1",
    "michelle",
    "mustang1",
    "p@ssw0rd",
    "p@ssword",
    "pass1234",
    "passw0rd",
    "password",
    "password!",
    "password1",
    "password12",
    "password123",
    "princess",
    "princess1",
    "q1w2e3r4",
    "qazwsxedc",
    "qwer1234",
    "qwerty12",
    "qwerty123",
    "qwertyui",
    "qwertyuiop",
    "samantha",
    "starwars",
    "sunshine",
    "sunshine1",
    "superman",
    "trustno1",
    "victoria",
    "welcome1",
    "welcome123",
    "whatever",
    "zaq12wsx",
    "zxcvbnm1",
    "zxcvbnm123",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_matches_its_own_hash_only() {
        let phc = hash("correct horse", [3; 16]).unwrap();
        assert!(verify("correct horse", &phc));
        assert!(!verify("correct horse ", &phc));
        assert!(!verify("correct horse", "$argon2id$broken"));
        assert!(!is_outdated(&phc));
        assert!(is_outdated(
            "$argon2id$v=19$m=4096,t=3,p=1$c2FsdHNhbHQ$aGFzaA"
        ));
    }

    #[test]
    fn nobody_has_a_hash_of_the_present_policy_that_matches_nothing() {
        assert!(PasswordHash::new(NOBODY).is_ok());
        assert!(!is_outdated(NOBODY));
        assert!(!verify("", NOBODY));
    }

    #[test]
    fn weak_passwords_are_named() {
        assert!(weakness("Password123", &[]).is_some());
        assert!(weakness("ada-lovelace", &["Ada-Lovelace"]).is_some());
        assert!(weakness("aaaaaaaaaaaa", &[]).is_some());
        assert!(weakness("plain long words", &["ada"]).is_none());
    }
}
