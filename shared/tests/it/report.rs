//! What people read: the notification, the note on the finding, the answer in the log.

use tourniquet::case::CaseId;
use tourniquet::containment::Decision;
use tourniquet::containment::identity::{AccessKey, Observed, ObservedUser, Principal, decide};
use tourniquet::containment::proposal::Proposal;
use tourniquet::finding::{Finding, Target};
use tourniquet::guardrails::Guardrails;
use tourniquet::outcome::{Outcome, Status, StepReport};
use tourniquet::plan::Plan;
use tourniquet::report::answer::{Answer, FindingSummary, TargetResult, release_hint};
use tourniquet::report::message::Notification;
use tourniquet::report::notification::{Told, note, notification, undo_lines};
use tourniquet::report::proposal::Question;
use tourniquet::step::Step;

use crate::checks::text::holds_a_key;
use crate::support::{
    FIRST_KEY, SECOND_KEY, accused_role, accused_user, at, finding, key, now, observed, observed_role, observed_user, responder,
    role, shipped_text, user,
};

const FUNCTION: &str = "arn:aws:lambda:eu-west-1:111122223333:function:tourniquet-ContainIdentity-X";

pub(crate) struct Story {
    pub(crate) finding: Finding,
    pub(crate) target: Target,
    pub(crate) decision: Decision,
    pub(crate) result: TargetResult,
    /// What there is to undo: what was done.
    pub(crate) plan: Plan,
}

impl Story {
    /// Decides, and settles what was decided with `outcome` and what became of each step.
    pub(crate) fn new(
        finding: Finding,
        target: Target,
        observed: &Observed,
        outcome: Outcome,
        status: impl Fn(&Step) -> Status,
    ) -> Self {
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

    pub(crate) fn notification(&self) -> Notification {
        notification(Told {
            finding: &self.finding,
            target: &self.target,
            decision: &self.decision,
            result: &self.result,
            plan: &self.plan,
            case_bucket: "tourniquet-cases-111122223333",
            may_be_repeated: false,
            question: self.proposal().as_ref().map(|proposal| Question { proposal, function: FUNCTION }),
        })
    }

    /// What people are asked, where the outcome is to ask.
    fn proposal(&self) -> Option<Proposal> {
        matches!(self.result.outcome, Outcome::Proposed(_)).then(|| Proposal::of(&self.decision, now()))
    }

    fn answer(&self) -> Answer {
        Answer { finding: Some(FindingSummary::from(&self.finding)), results: vec![self.result.clone()], ignored: Vec::new() }
    }

    /// Everything that leaves the case.
    fn told(&self) -> Vec<String> {
        let message = self.notification();
        vec![
            message.body(),
            message.subject,
            message.text,
            note(&self.result),
            serde_json::to_string(&self.answer()).expect("JSON"),
        ]
    }

    fn assert(&self, name: &str) {
        let Notification { subject, text, .. } = self.notification();
        let page = format!("{subject}\n\n{text}\n---- note ----\n{}", note(&self.result));
        let mut settings = insta::Settings::clone_current();
        settings.add_filter(r"\(line \d+\)", "(line N)");
        settings.bind(|| insta::assert_snapshot!(name, page));
    }
}

pub(crate) fn contained_user() -> Story {
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

pub(crate) fn contested_session() -> Story {
    let outcome = Outcome::Contested("deny_session was undone 3 times".to_owned());
    let target = accused_role(Some("m.rossi@example.com"), None);
    Story::new(finding("role-session-named"), target, &observed_role(role()), outcome, |_| Status::Done)
}

fn revoked_role() -> Story {
    let target = accused_role(None, None);
    Story::new(finding("role-without-session"), target, &observed_role(role()), Outcome::Contained, |_| Status::Done)
}

pub(crate) fn root() -> Story {
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

/// Nothing fits on the user: its keys are dead, its sessions are not.
fn quota_full() -> Story {
    let outcome = Outcome::CannotContain("quota_full".to_owned());
    let made = AccessKey { id: key(SECOND_KEY), active: true, created: Some(at("2026-11-21T20:44:00Z")), last_used: None };
    let full = ObservedUser { keys: vec![made], ..user() };
    let mut story =
        Story::new(finding("leaked-access-key"), accused_user(), &observed_user(full), Outcome::Contained, |step| match step {
            Step::DenyAll(_) => Status::Failed("LimitExceeded: Maximum policy size of 2048 bytes exceeded".to_owned()),
            _ => Status::Done,
        });
    story.plan = story.plan.clone().without(&[story.decision.plan.cut[0].step().clone()]);
    story.result.outcome = outcome;
    (story.result.cut_off_ms, story.result.cut_off_calls) = (None, None);
    story.result.release = release_hint(&story.result.case);
    story
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
        ("quota_full", quota_full()),
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
        question: None,
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
        assert_eq!(text.contains("HOW TO UNDO"), story.result.acted(), "{name}");
        let release = &story.result.release;
        let expected = if story.result.acted() { release_hint(&story.result.case) } else { "nothing to undo".to_owned() };
        assert_eq!(*release, expected, "{name}");
        assert_eq!(text.contains("nothing was changed"), !story.result.acted(), "{name}");
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
        let (acted, would_act) = (story.result.acted(), !story.decision.plan.is_empty());
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
    let Notification { subject, text, .. } = partial_user().notification();
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
    let Notification { subject, text, .. } = story.notification();
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

/// What no policy inside the account can hold.
fn scp_is_the_way(name: &str) -> bool {
    ["quota_full", "cannot_contain_root", "contested_session"].contains(&name)
}

#[test]
fn where_no_deny_fits_people_get_the_scp_and_the_way_back() {
    let text = quota_full().notification().text;
    for expected in [
        "NOT CONTAINED: user/ci/svc-build cannot be contained from here (quota_full)",
        "aws organizations create-policy --type SERVICE_CONTROL_POLICY",
        r#"{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:user/ci/svc-build"}}"#,
        r#"aws organizations attach-policy --policy-id "$policy_id" --target-id 111122223333"#,
        "HOW TO UNDO",
        "access key created AKIA…ONDQ",
    ] {
        assert!(text.contains(expected), "{expected}\n{text}");
    }
    for (name, story) in stories() {
        let text = story.notification().text;
        assert_eq!(text.contains("aws organizations"), scp_is_the_way(name), "{name}");
        assert_eq!(text.contains("SINCE THE FIRST SIGHTING"), !story.decision.persistence.is_empty(), "{name}");
        assert_eq!(story.result.persistence, story.decision.persistence, "{name}");
    }
}
