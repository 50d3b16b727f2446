//! What people read: the notification, the note on the finding, the answer in the log.

use proptest::prelude::*;
use tourniquet::case::CaseId;
use tourniquet::containment::identity::{Observed, ObservedUser, Principal, decide};
use tourniquet::containment::{Decision, Verdict};
use tourniquet::finding::{Elsewhere, ElsewhereSort, Finding, Target};
use tourniquet::guardrails::Guardrails;
use tourniquet::id::Region;
use tourniquet::outcome::{Outcome, Status, StepReport};
use tourniquet::plan::Plan;
use tourniquet::report::answer::{Answer, FindingSummary, TargetResult, release_hint};
use tourniquet::report::notification::{LONGEST_NOTE, Notification, Told, note, notification, undo_lines};
use tourniquet::step::Step;

use crate::checks::text::{holds_a_key, is_printable};
use crate::support::{
    FIRST_KEY, HOSTILE, accused_role, accused_user, finding, now, observed, observed_role, observed_user, responder, role,
    shipped_text, user,
};

struct Story {
    finding: Finding,
    target: Target,
    decision: Decision,
    result: TargetResult,
    /// What there is to undo: what was done.
    plan: Plan,
}

impl Story {
    /// Decides, and settles what was decided with `outcome` and what became of each step.
    fn new(finding: Finding, target: Target, observed: &Observed, outcome: Outcome, status: impl Fn(&Step) -> Status) -> Self {
        let decision = decide(&finding, &target, observed, &responder(), now());
        let case = CaseId::of(&finding, &decision.target.key(&finding.id));
        let mut result = TargetResult::without_steps(case, &decision, outcome);
        if result.outcome.acted() {
            result.steps = decision
                .plan
                .steps()
                .zip(0_u64..)
                .map(|(step, at)| StepReport {
                    step: step.name().to_owned(),
                    on: step.on(),
                    status: status(step),
                    started_ms: 60 + at,
                    took_ms: 24,
                    request_ids: vec![format!("request-{at}")],
                })
                .collect();
            result.cut_off_ms = Some(84);
            result.cut_off_calls = Some(2);
        }
        let mut plan = decision.plan.clone();
        for stage in &mut plan.then {
            stage.steps.retain(|step| status(step) == Status::Done);
        }
        Self { finding, target, decision, result, plan }
    }

    fn notification(&self) -> Notification {
        notification(Told {
            finding: &self.finding,
            target: &self.target,
            decision: &self.decision,
            result: &self.result,
            plan: &self.plan,
            case_bucket: "tourniquet-cases-111122223333",
            may_be_repeated: false,
        })
    }

    fn answer(&self) -> Answer {
        Answer { finding: Some(FindingSummary::from(&self.finding)), results: vec![self.result.clone()], ignored: Vec::new() }
    }

    /// Everything that leaves the case.
    fn told(&self) -> Vec<String> {
        let Notification { subject, text } = self.notification();
        vec![subject, text, note(&self.result), serde_json::to_string(&self.answer()).expect("JSON")]
    }

    fn assert(&self, name: &str) {
        let Notification { subject, text } = self.notification();
        let page = format!("{subject}\n\n{text}\n---- note ----\n{}", note(&self.result));
        let mut settings = insta::Settings::clone_current();
        settings.add_filter(r"\(line \d+\)", "(line N)");
        settings.bind(|| insta::assert_snapshot!(name, page));
    }
}

fn contained_user() -> Story {
    Story::new(finding("leaked-access-key"), accused_user(), &observed_user(user()), Outcome::Contained, |_| Status::Done)
}

fn partial_user() -> Story {
    let observed = observed_user(ObservedUser { unread: vec!["SSH keys: AccessDenied: not authorized".to_owned()], ..user() });
    let outcome = Outcome::Partial("1 of 8 steps failed; 1 thing could not be read".to_owned());
    Story::new(finding("leaked-access-key"), accused_user(), &observed, outcome, |step| match step {
        Step::RemoveLoginProfile(_) => Status::Failed("EntityTemporarilyUnmodifiable: try again".to_owned()),
        Step::AttachQuarantineMarker(_) => Status::Skipped("the user has ten policies already".to_owned()),
        Step::DeactivateSshKey(_) => Status::Already,
        _ => Status::Done,
    })
}

fn contested_session() -> Story {
    let outcome = Outcome::Contested("deny_session was undone 3 times".to_owned());
    let target = accused_role(Some("m.rossi@example.com"), None);
    Story::new(finding("role-session-named"), target, &observed_role(role()), outcome, |_| Status::Done)
}

fn revoked_role() -> Story {
    let target = accused_role(None, None);
    Story::new(finding("role-without-session"), target, &observed_role(role()), Outcome::Contained, |_| Status::Done)
}

fn root() -> Story {
    let finding = finding("root-credentials-used");
    let target = finding.targets[0].clone();
    let outcome = Outcome::CannotContain("root".to_owned());
    Story::new(finding, target, &observed(Principal::NotLooked), outcome, |_| Status::Done)
}

fn proposed() -> Story {
    let outcome = Outcome::Proposed("the guardrails say propose: anomalous-behaviour".to_owned());
    Story::new(finding("anomalous-behaviour-user"), accused_user(), &observed_user(user()), outcome, |_| Status::Done)
}

fn skipped() -> Story {
    let text = format!("{}\n[[protect]]\naccount = \"111122223333\"\nbecause = \"the way back in\"\n", shipped_text());
    let guardrails = Guardrails::parse("guardrails.toml", &text).expect("guardrails");
    let observed = Observed { guardrails: Ok(guardrails), ..observed_user(user()) };
    let outcome = Outcome::Skipped("protected: the way back in".to_owned());
    Story::new(finding("leaked-access-key"), accused_user(), &observed, outcome, |_| Status::Done)
}

fn only_observed() -> Story {
    Story::new(finding("low-severity-user"), accused_user(), &observed_user(user()), Outcome::Observed, |_| Status::Done)
}

fn stories() -> Vec<(&'static str, Story)> {
    vec![
        ("contained_user", contained_user()),
        ("partial_user", partial_user()),
        ("contested_session", contested_session()),
        ("revoked_role", revoked_role()),
        ("cannot_contain_root", root()),
        ("proposed", proposed()),
        ("skipped", skipped()),
        ("observed", only_observed()),
    ]
}

#[test]
fn every_outcome_is_told_so_that_a_person_can_act_on_it() {
    for (name, story) in stories() {
        story.assert(name);
    }
}

#[test]
fn the_answer_is_the_documented_one() {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\(line \d+\)", "(line N)");
    settings.bind(|| insta::assert_json_snapshot!("answer", partial_user().answer()));
    for (_, story) in stories() {
        let stored = serde_json::to_string(&story.answer()).expect("JSON");
        assert_eq!(serde_json::from_str::<Answer>(&stored).expect("an answer"), story.answer());
    }
}

#[test]
fn a_message_that_may_have_been_sent_before_says_so() {
    let story = contained_user();
    let once = story.notification();
    let again = notification(Told {
        finding: &story.finding,
        target: &story.target,
        decision: &story.decision,
        result: &story.result,
        plan: &story.plan,
        case_bucket: "tourniquet-cases-111122223333",
        may_be_repeated: true,
    });
    assert_eq!(once.subject, again.subject);
    assert!(!once.text.contains("An earlier try") && again.text.contains("An earlier try"));
}

#[test]
fn no_whole_access_key_leaves_the_case() {
    for (name, story) in stories() {
        for told in story.told() {
            assert!(!holds_a_key(&told), "{name}: {told}");
        }
        assert!(undo_lines(&story.decision.plan).iter().all(|line| !holds_a_key(line)), "{name}");
    }
}

#[test]
fn what_was_not_changed_offers_nothing_to_undo() {
    for (name, story) in stories() {
        let text = story.notification().text;
        assert_eq!(text.contains("HOW TO UNDO"), story.result.outcome.acted(), "{name}");
        let release = &story.result.release;
        let expected = if story.result.outcome.acted() { release_hint(&story.result.case) } else { "nothing to undo".to_owned() };
        assert_eq!(*release, expected, "{name}");
        assert_eq!(text.contains("nothing was changed"), !story.result.outcome.acted(), "{name}");
    }
}

/// The titles of a message's sections, in order.
fn sections(text: &str) -> Vec<&str> {
    let is_title = |line: &&str| !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b' ');
    text.lines().filter(is_title).collect()
}

#[test]
fn what_a_containment_leaves_open_and_whom_it_hits_is_told_only_of_one_that_is_or_could_be() {
    for (name, story) in stories() {
        let text = story.notification().text;
        let (acted, would_act) = (story.result.outcome.acted(), !story.decision.plan.is_empty());
        let sections = sections(&text);
        assert_eq!(sections.contains(&"WHAT REMAINS POSSIBLE"), acted, "{name}: {sections:?}");
        assert_eq!(sections.contains(&"WHO ELSE IS HIT"), acted, "{name}: {sections:?}");
        let conditional = !acted && would_act;
        assert_eq!(sections.contains(&"WHAT CONTAINING IT WOULD LEAVE OPEN"), conditional, "{name}: {sections:?}");
        assert_eq!(sections.contains(&"WHOM IT WOULD HIT"), conditional, "{name}: {sections:?}");
        assert_eq!(note(&story.result).contains("Remains possible"), acted, "{name}");
    }
}

#[test]
fn a_partial_containment_is_not_called_contained() {
    let Notification { subject, text } = partial_user().notification();
    assert!(subject.starts_with("[Tourniquet] PARTIAL: "), "{subject}");
    assert!(text.starts_with("NOT FULLY CONTAINED: user/ci/svc-build. "), "{text}");
    assert!(text.contains("Do the failed steps by hand"), "{text}");
    assert!(!contained_user().notification().text.contains("Do the failed steps by hand"));
}

#[test]
fn the_time_of_the_cut_claims_no_more_than_iam_said() {
    let text = contained_user().notification().text;
    assert!(
        text.contains("IAM accepted the deny 84 ms after this function was called, in 2 dependent calls, and takes seconds"),
        "{text}"
    );
    assert!(!text.contains("was denied"));
}

#[test]
fn a_message_about_a_session_names_the_session() {
    let story = contested_session();
    let Notification { subject, text } = story.notification();
    assert!(text.starts_with("CONTESTED: role/people/developer session m.rossi@example.com. "), "{text}");
    assert!(note(&story.result).contains("Target role/people/developer session m.rossi@example.com."));
    assert!(subject.contains("role/people/developer session "), "{subject}");
    assert!(!revoked_role().notification().text.lines().next().is_some_and(|line| line.contains(" session ")));
}

#[test]
fn what_is_only_proposed_is_pasted_from_the_case_where_the_keys_are_whole() {
    for story in [proposed(), only_observed()] {
        let text = story.notification().text;
        let place = format!("`commands` in s3://tourniquet-cases-111122223333/cases/{}/", story.result.case);
        assert!(text.contains(&place), "{text}");
        // What the message shows and what the case holds are the same lines but for the keys.
        let plan = &story.decision.plan;
        let shown: Vec<_> = text.lines().map(str::trim_start).filter(|line| line.starts_with("aws iam ")).collect();
        assert_eq!(shown, plan.commands().iter().map(|line| plan.redacted(line)).collect::<Vec<_>>());
    }
    assert!(!contained_user().notification().text.contains("`commands`"));
}

#[test]
fn a_key_that_aws_repeats_in_an_error_or_a_detector_in_a_title_is_redacted() {
    let mut story = root();
    story.result.outcome = Outcome::Partial(format!("The Access Key with id {FIRST_KEY} cannot be found"));
    let told = note(&story.result);
    assert!(!holds_a_key(&told) && told.contains("The Access Key with id AKIA…MPLE cannot be found"), "{told}");

    let mut event: serde_json::Value = serde_json::from_slice(&crate::support::sample("leaked-access-key")).expect("JSON");
    event["detail"]["title"] = format!("{FIRST_KEY} was used by ASIASVCBUILDQEXAMPLE").into();
    let read = crate::support::findings(&serde_json::to_vec(&event).expect("JSON")).remove(0);
    assert_eq!(read.title, "AKIA…MPLE was used by ASIA…MPLE");
}

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
        let Notification { subject, text } = story.notification();
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
    let Notification { subject, text } = story.notification();
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
            let target = Target::Elsewhere(Elsewhere { sort: ElsewhereSort::FederatedUser, label });
            let outcome = Outcome::CannotContain("federated_user".to_owned());
            Story::new(finding, target, &observed(Principal::NotLooked), outcome, |_| Status::Done).notification().text
        };
        let text = told(&label);
        prop_assert_eq!(text.lines().count(), told("alice").lines().count());
        prop_assert!(text.lines().all(is_printable), "{text:?}");
    }
}
