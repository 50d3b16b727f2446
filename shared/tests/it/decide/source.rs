//! The event is a claim; what the detector itself says decides whether it counts.

use rstest::rstest;
use tourniquet::containment::identity::{Observed, as_named_at_source, decide};
use tourniquet::containment::{AtSource, Decision, Verdict};
use tourniquet::event::IgnoredReason;
use tourniquet::finding::{Finding, Target, Trigger, User};
use tourniquet::id::AccountId;

use crate::support::{
    FIRST_KEY, INSTANCE, accused_role, accused_user, finding, key, name, now, observed_role, observed_user, responder, role,
    unique_id, user,
};

fn decided(finding: &Finding, target: &Target, source: AtSource) -> Decision {
    let observed = Observed { source, ..observed_user(user()) };
    decide(finding, target, &observed, &responder(), now())
}

fn confirming(targets: Vec<Target>) -> AtSource {
    AtSource::Confirmed(Box::new(Finding { targets, ..finding("leaked-access-key") }))
}

#[rstest]
#[case::confirmed(confirming(vec![accused_user()]))]
#[case::confirmed_among_others(confirming(vec![Target::Resource { resource_type: "S3Bucket".to_owned() }, accused_user()]))]
#[case::not_kept(AtSource::NotKept)]
fn a_claim_the_detector_does_not_contradict_is_acted_on(#[case] source: AtSource) {
    assert_eq!(decided(&finding("leaked-access-key"), &accused_user(), source).verdict, Verdict::Contain);
}

#[test]
fn a_claim_the_detector_could_not_be_asked_about_is_proposed() {
    let decision = decided(&finding("leaked-access-key"), &accused_user(), AtSource::Unconfirmed("throttled".to_owned()));
    assert_eq!(
        decision.verdict,
        Verdict::Propose("the detector could not be asked whether the finding is real: throttled".to_owned())
    );
    assert!(!decision.plan.is_empty());
    // Nor does a click make it real.
    let click = decided(&finding("custom-action-user"), &accused_user(), AtSource::Unconfirmed("throttled".to_owned()));
    assert!(matches!(click.verdict, Verdict::Propose(_)));
}

#[test]
fn an_unconfirmed_finding_that_is_only_observed_stays_observed() {
    let decision = decided(&finding("low-severity-user"), &accused_user(), AtSource::Unconfirmed("throttled".to_owned()));
    assert_eq!(decision.verdict, Verdict::Observe);
}

#[rstest]
#[case::event("leaked-access-key")]
#[case::click("custom-action-user")]
fn a_claim_the_detector_does_not_know_is_ignored(#[case] sample: &str) {
    let decision = decided(&finding(sample), &accused_user(), AtSource::Gone("it has no such finding".to_owned()));
    let Verdict::Ignore(ignored) = &decision.verdict else { unreachable!("{:?}", decision.verdict) };
    assert_eq!((ignored.reason, ignored.detail.as_str()), (IgnoredReason::NotAtSource, "it has no such finding"));
    assert!(decision.plan.is_empty());
}

#[rstest]
#[case::another_user(Target::User(User { name: name("j.doe"), unique_id: Some(unique_id("AIDAJDOEQ7ZK3WEXAMPLE")), key: None }))]
#[case::another_id(Target::User(User { name: name("svc-build"), unique_id: Some(unique_id("AIDAJDOEQ7ZK3WEXAMPLE")), key: None }))]
#[case::a_role(accused_role(None, None))]
#[case::nobody_in_iam(Target::Resource { resource_type: "S3Bucket".to_owned() })]
fn a_claim_that_names_another_than_the_detector_does_is_skipped(#[case] named: Target) {
    let decision = decided(&finding("leaked-access-key"), &accused_user(), confirming(vec![named]));
    assert!(matches!(&decision.verdict, Verdict::Skip(reason) if reason.contains("another principal")));
    assert!(decision.plan.is_empty());
}

#[test]
fn a_claim_about_another_account_than_the_detector_s_is_skipped() {
    let source = Finding { account: AccountId::parse("444455556666").expect("an account"), ..finding("leaked-access-key") };
    let decision = decided(&finding("leaked-access-key"), &accused_user(), AtSource::Confirmed(Box::new(source)));
    assert!(matches!(decision.verdict, Verdict::Skip(_)));
}

#[rstest]
#[case::other_session(accused_role(Some("someone-else"), None))]
#[case::whole_role(accused_role(None, None))]
fn a_session_the_detector_does_not_name_is_skipped(#[case] named: Target) {
    let observed = Observed { source: confirming(vec![named]), ..observed_role(role()) };
    let target = accused_role(Some("someone"), None);
    let decision = decide(&finding("role-session-named"), &target, &observed, &responder(), now());
    assert!(matches!(decision.verdict, Verdict::Skip(_)));
}

#[test]
fn a_product_nobody_listed_is_ignored_before_anything_else() {
    let claim = finding("application-finding-unlisted-product");
    for trigger in [Trigger::Event, Trigger::Button { action: "contain".to_owned() }] {
        let decision = decided(&Finding { trigger, ..claim.clone() }, &accused_user(), AtSource::NotKept);
        let Verdict::Ignore(ignored) = &decision.verdict else { unreachable!("{:?}", decision.verdict) };
        assert_eq!(ignored.reason, IgnoredReason::ProductNotListed);
        assert!(decision.plan.is_empty());
    }
}

#[test]
fn a_target_named_sparsely_takes_the_detector_s_words() {
    let sparse = Target::User(User { name: name("svc-build"), unique_id: None, key: Some(key(FIRST_KEY)) });
    assert_eq!(as_named_at_source(&sparse, &confirming(vec![accused_user()])), accused_user());
    let session = accused_role(Some(INSTANCE), None);
    let with_instance = accused_role(Some(INSTANCE), Some(INSTANCE));
    assert_eq!(as_named_at_source(&session, &confirming(vec![with_instance.clone()])), with_instance);
}

#[rstest]
#[case::not_kept(AtSource::NotKept)]
#[case::another(confirming(vec![accused_role(None, None)]))]
fn a_target_the_detector_does_not_name_keeps_its_own_words(#[case] source: AtSource) {
    assert_eq!(as_named_at_source(&accused_user(), &source), accused_user());
}
