//! What a hostile finding makes people read: nothing but data.

use proptest::prelude::*;
use tourniquet::containment::Verdict;
use tourniquet::containment::identity::{ObservedUser, Principal};
use tourniquet::finding::{Elsewhere, ElsewhereSort, Target};
use tourniquet::id::Region;
use tourniquet::outcome::{Outcome, Status};
use tourniquet::report::message::Notification;
use tourniquet::report::notification::{LONGEST_NOTE, note};

use crate::checks::text::is_printable;
use crate::report::{Story, contested_session, root};
use crate::support::{HOSTILE, finding, observed, observed_user, user};

/// A finding whose every text a person sees is `hostile`, as the parser lets it through.
fn hostile_story(hostile: &str) -> Option<Story> {
    let mut event: serde_json::Value = serde_json::from_slice(&crate::support::sample("hostile-fields")).ok()?;
    event["detail"]["title"] = hostile.into();
    event["detail"]["resource"]["accessKeyDetails"]["userName"] = hostile.into();
    event["detail"]["resource"]["accessKeyDetails"]["userType"] = "FederatedUser".into();
    event["detail"]["type"] = hostile.into();
    let finding = crate::support::findings(&serde_json::to_vec(&event).ok()?).pop()?;
    let target = finding.targets[0].clone();
    let outcome = Outcome::CannotContain("federated_user".to_owned());
    Some(Story::new(finding, target, &observed(Principal::NotLooked), outcome, |_| Status::Done))
}

#[test]
fn hostile_text_reaches_nobody_unprintable_or_as_lines_of_its_own() {
    let plain = hostile_story("x").expect("a finding").notification().text.lines().count();
    let mut told = 0;
    for hostile in HOSTILE {
        let Some(story) = hostile_story(hostile) else { continue };
        told += 1;
        let Notification { subject, text, .. } = story.notification();
        assert!(subject.is_ascii() && is_printable(&subject), "{subject:?}");
        assert!(text.lines().all(is_printable), "{text:?}");
        assert!(text.lines().count() <= plain, "a hostile field forged a line: {text}");
        assert!(is_printable(&note(&story.result)));
    }
    assert!(told > 10, "{told}");
}

#[test]
fn a_sample_with_hostile_text_is_told_printably() {
    let finding = finding("hostile-text");
    let target = finding.targets[0].clone();
    let Target::User(accused) = &target else { unreachable!("a user") };
    let found = ObservedUser { name: accused.name.clone(), unique_id: accused.unique_id.clone().expect("a unique id"), ..user() };
    let story = Story::new(finding, target, &observed_user(found), Outcome::Contained, |_| Status::Done);
    assert_eq!(story.decision.verdict, Verdict::Contain);
    let Notification { subject, text, .. } = story.notification();
    assert!(subject.is_ascii() && text.lines().all(is_printable), "{text:?}");
}

proptest! {
    #[test]
    fn a_note_fits_whatever_the_reason_and_the_target_are_called(
        reason in prop_oneof![any::<String>(), "[\u{1f980}\u{e9}a ]{0,900}"], label in any::<String>(), risk in "\\PC{0,600}",
    ) {
        let mut story = root();
        story.result.outcome = Outcome::Partial(reason);
        story.result.target.arn = label;
        story.result.residual_risk = vec![risk];
        let note = note(&story.result);
        prop_assert!(note.chars().count() <= LONGEST_NOTE, "{} characters", note.chars().count());
        prop_assert!(is_printable(&note), "{note:?}");
        prop_assert!(note.starts_with("Tourniquet: partial"));
    }

    #[test]
    fn a_subject_is_ascii_and_fits_whatever_the_target_is_called(label in any::<String>()) {
        let mut story = root();
        story.result.target.arn = label;
        let subject = story.notification().subject;
        prop_assert!(subject.is_ascii() && subject.len() < 100 && is_printable(&subject), "{subject:?}");
        prop_assert!(subject.starts_with("[Tourniquet] CANNOT CONTAIN: "));
    }

    #[test]
    fn a_subject_says_where_however_long_the_session_is_called(
        outcome in prop::sample::select(vec![
            Outcome::Contained,
            Outcome::Partial(String::new()),
            Outcome::Contested(String::new()),
            Outcome::CannotContain(String::new()),
            Outcome::Observed,
        ]),
        role in "[a-z]{1,64}", session in "[a-z]{2,64}",
        region in prop::sample::select(vec!["eu-west-1", "us-gov-west-1", "ap-southeast-2", "ap-northeast-1"]),
    ) {
        let mut story = contested_session();
        story.finding.region = Region::parse(region).expect("a Region");
        story.result.outcome = outcome;
        story.result.target.arn = format!("arn:aws:iam::111122223333:role/{role}");
        story.result.target.id = Some(format!("AROADEVELOPERQEXAMPLE:{session}"));
        let subject = story.notification().subject;
        prop_assert!(subject.len() < 100 && subject.is_ascii(), "{} {subject}", subject.len());
        prop_assert!(subject.ends_with(&format!(" in 111122223333 ({region})")), "{subject}");
    }

    #[test]
    fn a_label_from_a_finding_never_forges_a_line(label in any::<String>()) {
        let told = |label: &str| {
            let finding = finding("federated-user-same-name");
            let label = tourniquet::text::printable(label, 80);
            let target = Target::Elsewhere(Elsewhere { sort: ElsewhereSort::FederatedUser, label, key: None });
            let outcome = Outcome::CannotContain("federated_user".to_owned());
            Story::new(finding, target, &observed(Principal::NotLooked), outcome, |_| Status::Done).notification().text
        };
        let text = told(&label);
        prop_assert_eq!(text.lines().count(), told("alice").lines().count());
        prop_assert!(text.lines().all(is_printable), "{text:?}");
    }
}
