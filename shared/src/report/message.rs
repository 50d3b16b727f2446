//! One layout for everything that is told through the topic: as text for mail, and as a card for a chat.
//!
//! Amazon Q Developer in chat applications shows nothing of a message that is not in its own schema, and says
//! nothing about it either ("Custom notifications using Amazon Q Developer in chat applications", its administrator
//! guide). It is subscribed to a topic by HTTPS, and SNS lets one publication say something else to each protocol
//! (SNS API reference, Publish, `MessageStructure`). So one publication carries both.

use serde::Serialize;
use serde_json::json;

use crate::case::CaseId;
use crate::finding::Finding;
use crate::id::{AccountId, Region};
use crate::text::printable;

/// The longest subject SNS takes: fewer than 100 ASCII characters.
const LONGEST_SUBJECT: usize = 99;
/// How much of a target's name leaves room in the subject for outcome, account and Region, in characters.
const LONGEST_NAME_IN_SUBJECT: usize = 36;
/// The longest text, in characters: SNS takes 262,144 bytes for text and card together, and a character has up to four.
const LONGEST_TEXT: usize = 50_000;
/// How much of a message its card shows, in characters. AWS states no limit for a description that could be found; a
/// card that is too long is not shown at all, so this stays far below what chats are known to take.
const LONGEST_DESCRIPTION: usize = 6_000;
/// How much of what comes next a card shows, in characters.
const LONGEST_NEXT_STEPS: usize = 3_000;
/// The section that a card shows as its next steps.
pub(super) const NEXT: &str = "NEXT";

/// A message for the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// The subject: ASCII, fewer than 100 characters.
    pub subject: String,
    /// The text, for mail and whatever else reads text.
    pub text: String,
    /// The same for a chat: a custom notification of Amazon Q Developer.
    pub card: Card,
}

impl Notification {
    /// What is published, with `MessageStructure` `json`: the card for subscribers by HTTPS, the text for all others.
    #[must_use]
    pub fn body(&self) -> String {
        json!({ "default": self.text, "https": json!(self.card).to_string() }).to_string()
    }
}

/// A custom notification of Amazon Q Developer in chat applications, schema version 1.0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Card {
    version: &'static str,
    source: &'static str,
    content: Content,
    metadata: Metadata,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    text_type: &'static str,
    title: String,
    description: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    next_steps: Vec<String>,
    keywords: [String; 3],
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    /// All messages of a case stand in one thread.
    thread_id: String,
    summary: String,
    event_type: &'static str,
    /// What a custom action in the chat can use as a variable.
    additional_context: Context,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Context {
    case: String,
    account: String,
    region: String,
}

/// A message while it is written.
#[derive(Debug)]
pub(super) struct Message<'a> {
    what: String,
    about: String,
    place: (&'a AccountId, &'a Region),
    case: &'a CaseId,
    lead: Vec<String>,
    sections: Vec<(String, Vec<String>)>,
}

impl<'a> Message<'a> {
    /// What happened in a few words, to whom, in which account and Region, in which case.
    pub(super) fn new(what: &str, about: String, (account, region): (&'a AccountId, &'a Region), case: &'a CaseId) -> Self {
        Self { what: what.to_owned(), about, place: (account, region), case, lead: Vec::new(), sections: Vec::new() }
    }

    /// The same about the target of a finding.
    pub(super) fn of_finding(what: &str, name: &str, finding: &'a Finding, case: &'a CaseId) -> Self {
        Self::new(what, printable(name, LONGEST_NAME_IN_SUBJECT), (&finding.account, &finding.region), case)
    }

    /// The first line, which has to be enough for who reads no other.
    pub(super) fn headline(&mut self, headline: String, may_be_repeated: bool) {
        self.lead.push(headline);
        if may_be_repeated {
            self.lead.push("An earlier try was cut short and may have sent this message already.".to_owned());
        }
    }

    /// A section, unless there is nothing in it.
    pub(super) fn section(&mut self, title: impl Into<String>, lines: Vec<String>) {
        if !lines.is_empty() {
            self.sections.push((title.into(), lines));
        }
    }

    /// The finished message.
    pub(super) fn finish(self) -> Notification {
        let (account, region) = self.place;
        let subject = format!("[Tourniquet] {}: {} in {account} ({region})", self.what, self.about);
        let subject: String = subject.chars().map(ascii).take(LONGEST_SUBJECT).collect();
        Notification { text: self.text(), card: self.card(&subject), subject }
    }

    fn text(&self) -> String {
        let mut lines = self.lead.clone();
        for (title, items) in &self.sections {
            lines.extend([String::new(), title.clone()]);
            lines.extend(items.iter().map(|item| format!("  {item}")));
        }
        let mut text = shortened(lines, LONGEST_TEXT, self.case).join("\n");
        text.push('\n');
        text
    }

    fn card(&self, subject: &str) -> Card {
        let (account, region) = self.place;
        let mut description: Vec<String> = self.lead.iter().map(|line| prose(line)).collect();
        let (next, sections): (Vec<_>, Vec<_>) = self.sections.iter().partition(|(title, _)| title == NEXT);
        for (title, items) in sections {
            description.extend([String::new(), format!("*{}*", prose(title))]);
            description.extend(items.iter().map(|item| as_code_or_text(item)));
        }
        let next_steps: Vec<String> = next.into_iter().flat_map(|(_, items)| items).map(|item| as_code_or_text(item)).collect();
        Card {
            version: "1.0",
            source: "custom",
            content: Content {
                text_type: "client-markdown",
                title: prose(subject),
                description: shortened(description, LONGEST_DESCRIPTION, self.case).join("\n"),
                next_steps: shortened(next_steps, LONGEST_NEXT_STEPS, self.case),
                keywords: ["Tourniquet".to_owned(), self.what.clone(), account.to_string()],
            },
            metadata: Metadata {
                thread_id: self.case.to_string(),
                summary: prose(subject),
                event_type: "Tourniquet",
                additional_context: Context {
                    case: self.case.to_string(),
                    account: account.to_string(),
                    region: region.to_string(),
                },
            },
        }
    }
}

/// As many of the lines as fit, and where the rest is.
fn shortened(lines: Vec<String>, limit: usize, case: &CaseId) -> Vec<String> {
    let mut room = limit;
    let all = lines.len();
    let mut kept: Vec<String> = lines
        .into_iter()
        .map_while(|line| {
            room = room.checked_sub(line.chars().count() + 1)?;
            Some(line)
        })
        .collect();
    if kept.len() < all {
        kept.push(format!("({} more lines do not fit here: they are in case {case})", all - kept.len()));
    }
    kept
}

/// A line for a chat: what is typed or clicked on stays whole, in the one or the other way.
fn as_code_or_text(line: &str) -> String {
    let words = line.trim().trim_start_matches("# ");
    let is_command = ["aws ", "make ", "policy_id="].iter().any(|start| words.starts_with(start));
    if is_command { format!("`{}`", literal(line.trim())) } else { prose(line) }
}

/// Text that nobody types: in it an `@`, which a session's name may hold, calls nobody either.
fn prose(text: &str) -> String {
    literal(text).replace('@', "\u{ff20}")
}

/// Text in which a chat sees no markup: no mention, no link behind other words, no code that ends early. `<`, `>` and
/// `&` as Slack wants them ("Formatting text for app surfaces", its documentation). A backtick becomes a character that
/// no shell knows, so that a line that held one fails when it is typed and does nothing else.
fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '`' => out.push('\u{2cb}'),
            other => out.push(other),
        }
    }
    out.replace("](", "] (")
}

/// SNS takes printable ASCII alone in a subject.
fn ascii(character: char) -> char {
    match character {
        ' ' | '!'..='~' => character,
        '…' => '~',
        _ => '?',
    }
}
