//! Attacker-influenced text, made fit to be read by a person.

/// `text` with control characters, line breaks and direction overrides replaced by spaces, access key ids redacted,
/// cut to `limit` characters (not bytes) with an ellipsis.
#[must_use]
pub fn printable(text: &str, limit: usize) -> String {
    let text = &redacted(text);
    let clean = text.chars().map(|character| if is_treacherous(character) { ' ' } else { character });
    let mut out: String = clean.clone().take(limit).collect();
    if clean.count() > limit {
        out.pop();
        out.push('…');
    }
    out
}

/// `text` with everything that looks like an access key id redacted: AWS repeats keys in its error messages.
#[must_use]
pub fn redacted(text: &str) -> String {
    let is_key_character = |character: char| character.is_ascii_uppercase() || character.is_ascii_digit();
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("AKIA").into_iter().chain(rest.find("ASIA")).min() {
        let length = rest[at..].find(|character| !is_key_character(character)).unwrap_or(rest.len() - at);
        let (before, key) = (&rest[..at], &rest[at..at + length]);
        out.push_str(before);
        if length >= 16 {
            out.push_str(&key[..4]);
            out.push('…');
            out.push_str(&key[length - 4..]);
        } else {
            out.push_str(key);
        }
        rest = &rest[at + length..];
    }
    out.push_str(rest);
    out
}

/// Characters that move the cursor, reorder the line or hide: what a terminal or a chat must not get from a finding.
fn is_treacherous(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
        || ('\u{e0000}'..='\u{e007f}').contains(&character)
}

/// `text` as one word of a POSIX shell line: quoted unless it holds nothing a shell would look at.
#[must_use]
pub fn shell_word(text: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "_+=,.@-/:%".contains(character);
    if !text.is_empty() && text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// An option of a shell line and its value: `--name value`, or `--name=value` where the value starts with a dash, as an
/// IAM name may, and would be taken for another option.
#[must_use]
pub fn option(name: &str, value: &str) -> String {
    let joint = if value.starts_with('-') { '=' } else { ' ' };
    format!("{name}{joint}{}", shell_word(value))
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing to a String cannot fail.
        write!(out, "{byte:02x}").unwrap_or_default();
        out
    })
}

/// The SHA-256 of `bytes`, in lower-case hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    hex(&sha2::Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn treacherous_characters_become_spaces() {
        assert_eq!(printable("a\u{1b}[31mb\nc\u{202e}d", 80), "a [31mb c d");
    }

    #[test]
    fn an_access_key_id_in_a_message_is_redacted() {
        let message = "The Access Key with id AKIAIOSFODNN7EXAMPLE cannot be found (ASIAIOSFODNN7EXAMPLF), AKIA is a prefix";
        let redacted = "The Access Key with id AKIA…MPLE cannot be found (ASIA…MPLF), AKIA is a prefix";
        assert_eq!(printable(message, 200), redacted);
    }

    #[test]
    fn a_cut_counts_characters_and_shows() {
        assert_eq!(printable("äöü", 3), "äöü");
        assert_eq!(printable("äöüx", 3), "äö…");
    }

    #[test]
    fn a_shell_word_cannot_leave_its_quotes() {
        assert_eq!(shell_word("svc-build"), "svc-build");
        assert_eq!(shell_word("a'; rm -rf /"), r"'a'\''; rm -rf /'");
        assert_eq!(shell_word(""), "''");
    }

    #[test]
    fn a_value_is_never_taken_for_an_option() {
        assert_eq!(option("--user-name", "svc-build"), "--user-name svc-build");
        assert_eq!(option("--user-name", "-x"), "--user-name=-x");
        assert_eq!(option("--user-name", "--no-sign-request"), "--user-name=--no-sign-request");
        assert_eq!(option("--user-name", "-a b"), "--user-name='-a b'");
    }

    #[test]
    fn sha256_is_the_published_test_vector() {
        assert_eq!(sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
