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

/// A SHA-256 written in lower-case hexadecimal; nothing for any other text.
#[must_use]
pub fn digest(text: &str) -> Option<[u8; 32]> {
    let text = text.as_bytes();
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut out = [0; 32];
    if text.len() != 2 * out.len() {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
}

/// Base64 with its padding.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let three = [chunk[0], chunk.get(1).copied().unwrap_or(0), chunk.get(2).copied().unwrap_or(0)];
        let number = u32::from_be_bytes([0, three[0], three[1], three[2]]);
        for place in 0..4 {
            let sextet = (number >> (18 - 6 * place)) & 0x3f;
            out.push(if place <= chunk.len() { char::from(ALPHABET[sextet as usize]) } else { '=' });
        }
    }
    out
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

    #[test]
    fn base64_is_the_published_test_vectors() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("foobar", "Zm9vYmFy")]
        {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfd]), "//79");
    }

    #[test]
    fn only_a_sha256_in_lower_case_is_one() {
        let text = sha256(b"abc");
        assert_eq!(digest(&text).map(|bytes| hex(&bytes)), Some(text.clone()));
        for wrong in [text.to_uppercase(), text[1..].to_owned(), format!("{text}0"), text.replacen('b', "g", 1), String::new()] {
            assert_eq!(digest(&wrong), None, "{wrong}");
        }
    }
}
