//! What a chat shows of a notification: the same, as a card in the schema of Amazon Q Developer in chat applications.

use serde_json::Value;
use tourniquet::outcome::Outcome;

use crate::report::{Story, contained_user, contested_session};
use crate::support::HOSTILE;

/// What SNS hands to subscribers by HTTPS.
fn card(story: &Story) -> Value {
    let body: Value = serde_json::from_str(&story.notification().body()).expect("JSON");
    serde_json::from_str(body["https"].as_str().expect("a string for the protocol")).expect("a card")
}

/// Everything of a card that a chat shows as markup.
fn shown(card: &Value) -> Vec<String> {
    let content = &card["content"];
    let next = content["nextSteps"].as_array().map(Vec::as_slice).unwrap_or_default();
    [&content["title"], &content["description"], &card["metadata"]["summary"]]
        .into_iter()
        .chain(next)
        .map(|text| text.as_str().expect("text").to_owned())
        .collect()
}

fn unescaped(text: &str) -> String {
    text.replace('\u{ff20}', "@").replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

#[test]
fn contained_user_as_a_card() {
    insta::assert_json_snapshot!(card(&contained_user()));
}

#[test]
fn whoever_reads_no_card_reads_the_text() {
    let message = contained_user().notification();
    let body: Value = serde_json::from_str(&message.body()).expect("JSON");
    assert_eq!(body["default"], message.text.as_str());
    assert_eq!(body.as_object().expect("an object").len(), 2);
}

#[test]
fn a_card_says_everything_that_the_text_says() {
    for story in [contained_user(), contested_session()] {
        let card = card(&story);
        let all = unescaped(&shown(&card).join("\n"));
        for line in story.notification().text.lines().map(str::trim).filter(|line| *line != "NEXT") {
            assert!(all.contains(line), "not on the card: {line}");
        }
    }
}

#[test]
fn messages_of_one_case_stand_in_one_thread() {
    let contained = contained_user();
    let mut contested = contained_user();
    contested.result.outcome = Outcome::Contested("somebody undid it".to_owned());
    assert_eq!(card(&contained)["metadata"]["threadId"], contained.result.case.as_str());
    assert_eq!(card(&contained)["metadata"]["threadId"], card(&contested)["metadata"]["threadId"]);
}

#[test]
fn hostile_text_mentions_nobody_and_hides_no_link() {
    let attacks = [
        "<!channel> now",
        "<https://evil.example|Case report>",
        "[Case report](https://evil.example)",
        "`rm -rf /`",
        "```",
        "@here @channel",
    ];
    for hostile in attacks.into_iter().chain(HOSTILE) {
        let mut story = contained_user();
        story.finding.title = tourniquet::text::printable(hostile, 200);
        story.result.residual_risk.push(story.finding.title.clone());
        for text in shown(&card(&story)) {
            assert!(!text.contains(['<', '>']) && !text.contains("]("), "{text}");
            assert!(text.lines().all(|line| line.starts_with('`') || !line.contains('@')), "{text}");
            for line in text.lines().filter(|line| line.contains('`')) {
                // A command, whole, and nothing else.
                assert!(line.starts_with('`') && line.ends_with('`') && line.matches('`').count() == 2, "{line}");
            }
        }
    }
}

#[test]
fn a_huge_message_is_shortened_and_says_so() {
    let mut story = contained_user();
    story.result.residual_risk = (0..9_000).map(|number| format!("risk {number} of a very great many of them")).collect();
    let message = story.notification();
    assert!(message.body().len() < 256 * 1024, "{} bytes", message.body().len());
    let rest = format!("more lines do not fit here: they are in case {}", story.result.case);
    assert!(message.text.lines().last().is_some_and(|line| line.contains(&rest)), "{}", message.text.len());
    let card = card(&story);
    let description = card["content"]["description"].as_str().expect("text");
    assert!(description.chars().count() < 6_200 && description.contains(&rest));
    assert!(card["content"]["nextSteps"].as_array().is_some_and(|next| !next.is_empty()), "what comes next is not crowded out");
}
