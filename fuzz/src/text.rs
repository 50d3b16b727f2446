//! What a text may hold.

use tourniquet::id::AccessKeyId;

/// Whether `text` can be put before a person: nothing in it moves the cursor, reorders the line or hides.
pub fn is_printable(text: &str) -> bool {
    !text.chars().any(|character| {
        character.is_control()
            || "\u{61c}\u{200b}\u{200c}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\u{2060}\u{feff}".contains(character)
            || ('\u{202a}'..='\u{202e}').contains(&character)
            || ('\u{2066}'..='\u{2069}').contains(&character)
            || ('\u{e0000}'..='\u{e007f}').contains(&character)
    })
}

/// Whether `text` holds a whole access key id.
pub fn holds_a_key(text: &str) -> bool {
    text.split(|character: char| !character.is_ascii_alphanumeric()).any(|word| AccessKeyId::parse(word).is_ok())
}

/// The words a POSIX shell makes of `line`. Nothing where the shell would do anything but pass words on: expand,
/// substitute, redirect, chain, or wait for a quote to be closed.
pub fn shell_words(line: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = line.chars();
    while let Some(character) = rest.next() {
        match character {
            ' ' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match rest.next()? {
                        '\'' => break,
                        quoted => word.push(quoted),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(rest.next().filter(|escaped| *escaped == '\'')?),
            _ if character.is_ascii_alphanumeric() || "_+=,.@-/:%".contains(character) => {
                word.get_or_insert_default().push(character);
            }
            _ => return None,
        }
    }
    words.extend(word);
    Some(words)
}
