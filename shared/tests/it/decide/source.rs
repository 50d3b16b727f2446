//! The event is a claim; what the detector itself says decides whether it counts.

use rstest::rstest;
use tourniquet::containment::identity::{Observed, as_named_at_source, decide};
use tourniquet::containment::{AtSource, CannotContain, Decision, Verdict};
use tourniquet::event::{IgnoredReason, Parsed, parse};
use tourniquet::finding::{Button, Elsewhere, ElsewhereSort, Finding, RoleSession, Target, Trigger, User};
use tourniquet::id::AccountId;
use tourniquet::step::Step;

use crate::checks::text::is_printable;
use crate::support::{
    FIRST_KEY, HOSTILE, INSTANCE, ROLE_ID, SECOND_KEY, accused_role, accused_user, finding, key, name, now, observed_role,
    observed_user, responder, role, sample, unique_id, user,
};

fn decided(finding: &Finding, target: &Target, source: AtSource) -> Decision {
    let observed = Observed { source, ..observed_user(user()) };
    decide(finding, target, &observed, &responder(), now())
}

fn throttled() -> AtSource {
    AtSource::Unconfirmed { reason: "throttled".to_owned(), retryable: true }
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
    let decision = decided(&finding("leaked-access-key"), &accused_user(), throttled());
    assert_eq!(
        decision.verdict,
        Verdict::Propose("the detector could not be asked whether the finding is real: throttled".to_owned())
    );
    assert!(!decision.plan.is_empty());
    // Nor does a click make it real.
    let click = decided(&finding("custom-action-user"), &accused_user(), throttled());
    assert!(matches!(click.verdict, Verdict::Propose(_)));
}

#[test]
fn an_unconfirmed_finding_that_is_only_observed_stays_observed() {
    let decision = decided(&finding("low-severity-user"), &accused_user(), throttled());
    assert_eq!(decision.verdict, Verdict::Observe);
}

#[test]
fn whether_asking_again_could_help_changes_nothing_in_the_decision() {
    let decision = |retryable| {
        let source = AtSource::Unconfirmed { reason: "AccessDenied: not authorized".to_owned(), retryable };
        decided(&finding("leaked-access-key"), &accused_user(), source)
    };
    assert_eq!(decision(true), decision(false));
}

#[rstest]
#[case::event("leaked-access-key")]
#[case::click("custom-action-user")]
fn a_claim_the_detector_does_not_know_is_ignored(#[case] sample: &str) {
    let decision = decided(&finding(sample), &accused_user(), AtSource::Absent);
    let Verdict::Ignore(ignored) = &decision.verdict else { unreachable!("{:?}", decision.verdict) };
    assert_eq!((ignored.reason, &ignored.detail), (IgnoredReason::NotAtSource, &finding(sample).finding_type));
    assert!(decision.plan.is_empty());
}

#[rstest]
#[case::event("leaked-access-key")]
#[case::click("custom-action-user")]
fn a_finding_settled_at_the_detector_since_the_event_is_not_acted_on_and_people_hear_of_it(#[case] sample: &str) {
    // Whoever archives it may be the attacker: never silently.
    let decision = decided(&finding(sample), &accused_user(), AtSource::Settled("archived finding".to_owned()));
    assert_eq!(decision.verdict, Verdict::Skip("since the event, at the detector: archived finding".to_owned()));
    assert!(decision.plan.is_empty() && decision.ruling.is_none());
}

#[test]
fn why_a_finding_is_settled_is_made_printable() {
    for hostile in HOSTILE {
        let decision = decided(&finding("leaked-access-key"), &accused_user(), AtSource::Settled(hostile.repeat(40)));
        let Verdict::Skip(reason) = &decision.verdict else { unreachable!("{:?}", decision.verdict) };
        assert!(is_printable(reason) && reason.chars().count() < 200, "{reason:?}");
    }
}

#[rstest]
#[case::another_user(Target::User(User { name: name("j.doe"), unique_id: Some(unique_id("AIDAJDOEQ7ZK3WEXAMPLE")), key: None }))]
#[case::another_id(Target::User(User { name: name("svc-build"), unique_id: Some(unique_id("AIDAJDOEQ7ZK3WEXAMPLE")), key: None }))]
#[case::a_role(accused_role(None, None))]
#[case::nobody_in_iam(Target::Resource { resource_type: "S3Bucket".to_owned() })]
fn a_claim_that_names_another_than_the_detector_does_is_skipped(#[case] named: Target) {
    let decision = decided(&finding("leaked-access-key"), &accused_user(), confirming(vec![named]));
    assert!(matches!(&decision.verdict, Verdict::Skip(reason) if reason.contains("another target")));
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
    for trigger in [Trigger::Event, crate::support::pressed(Button::Contain)] {
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

/// `developer` by role name and key, as a copy without the principal id names it.
fn role_by_key(role_id: Option<&str>, of: Option<&str>, by_key: &str) -> Target {
    let Target::RoleSession(role) = accused_role(of, None) else { unreachable!("a role") };
    Target::RoleSession(RoleSession { role_id: role_id.map(unique_id), key: Some(key(by_key)), ..role })
}

#[test]
fn a_copy_that_leaves_out_the_role_s_id_is_matched_by_its_key() {
    let source = confirming(vec![role_by_key(Some(ROLE_ID), Some("someone"), "ASIADEVELOPEREXAMPLE")]);
    let same_key = role_by_key(None, Some("someone"), "ASIADEVELOPEREXAMPLE");
    assert_eq!(as_named_at_source(&same_key, &source), role_by_key(Some(ROLE_ID), Some("someone"), "ASIADEVELOPEREXAMPLE"));
    let other_key = role_by_key(None, Some("someone"), "ASIASOMEBODYEXAMPLEQ");
    assert_eq!(as_named_at_source(&other_key, &source), other_key);
    let other_id = role_by_key(Some("AROAANOTHERROLEEXAMPL"), Some("someone"), "ASIADEVELOPEREXAMPLE");
    assert_eq!(as_named_at_source(&other_id, &source), other_id);
    let observed = Observed { source, ..observed_role(role()) };
    let verdict = |target| decide(&finding("role-session-named"), &target, &observed, &responder(), now()).verdict;
    assert!(matches!(verdict(other_key), Verdict::Skip(reason) if reason.contains("another target")));
    assert!(matches!(verdict(other_id), Verdict::Skip(reason) if reason.contains("another target")));
}

#[rstest]
#[case(None, None)]
#[case(None, Some(FIRST_KEY))]
#[case(Some(FIRST_KEY), None)]
#[case(Some(FIRST_KEY), Some(SECOND_KEY))]
fn root_is_root_whichever_key_it_used(#[case] claimed: Option<&str>, #[case] known: Option<&str>) {
    let root = |by_key: Option<&str>| Target::Root { key: by_key.map(key) };
    let decision = decided(&finding("root-credentials-used"), &root(claimed), confirming(vec![root(known)]));
    assert_eq!(decision.verdict, Verdict::CannotContain(CannotContain::Root));
    assert_eq!(as_named_at_source(&root(claimed), &confirming(vec![root(known)])), root(known));
}

fn elsewhere(sort: ElsewhereSort) -> Target {
    Target::Elsewhere(Elsewhere { sort, label: "whoever".to_owned(), key: None })
}

#[test]
fn what_a_copy_could_not_name_takes_the_detector_s_name_only_where_that_is_one_identity() {
    let bucket = Target::Resource { resource_type: "S3Bucket".to_owned() };
    for sort in [ElsewhereSort::Unnamed, ElsewhereSort::UnknownType] {
        let copy = elsewhere(sort);
        assert_eq!(as_named_at_source(&copy, &confirming(vec![accused_user()])), accused_user());
        assert_eq!(as_named_at_source(&copy, &confirming(vec![bucket.clone(), accused_user()])), accused_user());
        let two = confirming(vec![accused_user(), accused_role(None, None)]);
        assert_eq!(as_named_at_source(&copy, &two), copy, "which of the two is nobody's guess");
        assert_eq!(as_named_at_source(&copy, &confirming(vec![bucket.clone()])), copy);
        assert_eq!(as_named_at_source(&copy, &AtSource::NotKept), copy);
    }
    // Named so, it is contained as if the copy had named it.
    let source = confirming(vec![accused_user()]);
    let target = as_named_at_source(&elsewhere(ElsewhereSort::Unnamed), &source);
    assert_eq!(decided(&finding("leaked-access-key"), &target, source).verdict, Verdict::Contain);
}

#[test]
fn a_principal_out_of_reach_is_told_as_such_whatever_the_detector_calls_it() {
    let source = confirming(vec![accused_user(), accused_role(None, None)]);
    let decision = decided(&finding("leaked-access-key"), &elsewhere(ElsewhereSort::SamlUser), source);
    assert_eq!(decision.verdict, Verdict::CannotContain(CannotContain::SamlUser));
}

#[test]
fn a_copy_without_the_principal_id_names_no_session_either_and_takes_the_detector_s() {
    let mut event: serde_json::Value = serde_json::from_slice(&sample("role-session-named")).expect("JSON");
    event["detail"]["resource"]["accessKeyDetails"]["principalId"] = serde_json::Value::Null;
    let Some(Parsed::Finding(copy)) = parse(&serde_json::to_vec(&event).expect("JSON")).pop() else { unreachable!() };
    let whole = finding("role-session-named");
    assert!(matches!(&copy.targets[..], [Target::RoleSession(RoleSession { role_id: None, session: None, .. })]));
    let source = AtSource::Confirmed(Box::new(whole.clone()));
    let target = as_named_at_source(&copy.targets[0], &source);
    assert_eq!(target, whole.targets[0]); // one session, not the whole role
    let observed = Observed { source, ..observed_role(role()) };
    let decision = decide(&copy, &target, &observed, &responder(), now());
    assert_eq!(decision.verdict, Verdict::Contain);
    assert_eq!(decision.plan.steps().map(Step::name).collect::<Vec<_>>(), ["deny_session"]);
    let unnamed = decide(&copy, &copy.targets[0], &observed, &responder(), now());
    assert_eq!(unnamed.verdict, Verdict::CannotContain(CannotContain::UniqueIdMissing));
}

#[test]
fn a_key_that_the_detector_names_alone_is_contained_with_its_owner() {
    let key_alone = Target::AccessKey { key: key(FIRST_KEY) };
    let claimed = Finding { targets: vec![key_alone.clone()], ..finding("leaked-access-key") };
    let source = AtSource::Confirmed(Box::new(claimed.clone()));
    // What IAM answers when asked whose the key is: a name, and no unique id.
    let owner = Target::User(User { name: name("svc-build"), unique_id: None, key: Some(key(FIRST_KEY)) });
    let decision = decide(&claimed, &owner, &Observed { source, ..observed_user(user()) }, &responder(), now());
    assert_eq!(decision.verdict, Verdict::Contain);
    // A key of somebody else proves nothing about this user.
    let other =
        AtSource::Confirmed(Box::new(Finding { targets: vec![Target::AccessKey { key: key(SECOND_KEY) }], ..claimed.clone() }));
    let decision = decide(&claimed, &owner, &Observed { source: other, ..observed_user(user()) }, &responder(), now());
    assert!(matches!(decision.verdict, Verdict::Skip(_)), "{:?}", decision.verdict);
}

/// A `GetFederationToken` session, as a detector names it: by the name it was given, and by its key.
fn federated_with(by_key: &str) -> AtSource {
    let elsewhere = Elsewhere { sort: ElsewhereSort::FederatedUser, label: "nightly-export".to_owned(), key: Some(key(by_key)) };
    confirming(vec![Target::Elsewhere(elsewhere)])
}

#[test]
fn a_federated_session_whose_issuer_was_found_by_its_key_is_contained_as_that_user() {
    let session_key = "ASIAFEDERATEDEXAMPLE";
    let Target::User(accused) = accused_user() else { unreachable!("a user") };
    let issuer = Target::User(User { key: Some(key(session_key)), ..accused });
    assert_eq!(decided(&finding("leaked-access-key"), &issuer, federated_with(session_key)).verdict, Verdict::Contain);
    // The detector's word says less than what was found out: it takes nothing back.
    assert_eq!(as_named_at_source(&issuer, &federated_with(session_key)), issuer);
    let root = Target::Root { key: Some(key(session_key)) };
    let decision = decided(&finding("leaked-access-key"), &root, federated_with(session_key));
    assert_eq!(decision.verdict, Verdict::CannotContain(CannotContain::Root));
    assert_eq!(as_named_at_source(&root, &federated_with(session_key)), root);
}

#[test]
fn a_federated_session_with_another_key_proves_nothing_about_a_user_or_root() {
    for target in [accused_user(), Target::Root { key: Some(key(FIRST_KEY)) }, Target::Root { key: None }] {
        let decision = decided(&finding("leaked-access-key"), &target, federated_with("ASIAFEDERATEDEXAMPLE"));
        assert!(matches!(&decision.verdict, Verdict::Skip(reason) if reason.contains("another target")), "{decision:?}");
        assert!(decision.plan.is_empty());
    }
}
