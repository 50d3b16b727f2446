//! The rungs below the deny: which are planned, when one still holds, and when nothing does.

use rstest::rstest;
use tourniquet::containment::identity::{
    self, ATTACHED_POLICIES, GROUPS, Observed, ObservedRole, ObservedUser, Principal, decide, not_denied, scp_lines,
};
use tourniquet::containment::{CannotContain, Decision, Responder};
use tourniquet::guardrails::Guardrails;
use tourniquet::id::{Arn, Partition};
use tourniquet::outcome::Status;
use tourniquet::plan::Plan;
use tourniquet::policy;
use tourniquet::step::{DenyByBoundary, Step};

use crate::support::{
    ROLE_ID, accused_role, accused_user, arn, finding, now, observed_role, observed_user, responder, role, session, shipped_text,
    unique_id, user,
};

const DENY_ALL: &str = "arn:aws:iam::aws:policy/AWSDenyAll";
const LIMITS: &str = "arn:aws:iam::111122223333:policy/limits/build";

fn plan_of(user: ObservedUser, responder: &Responder) -> Plan {
    decide(&finding("leaked-access-key"), &accused_user(), &observed_user(user), responder, now()).plan
}

/// The names of the rungs, those in place before us marked.
fn rungs(plan: &Plan) -> Vec<String> {
    plan.fallback.iter().map(|rung| format!("{}{}", rung.name(), if rung.was_before() { " before" } else { "" })).collect()
}

#[rstest]
#[case::plain(user(), &["attach_deny_all", "deny_by_boundary", "join_deny_group"])]
#[case::attached_before(
    ObservedUser { attached_policies: vec![arn(DENY_ALL)], ..user() },
    &["attach_deny_all before", "deny_by_boundary", "join_deny_group"]
)]
#[case::bounded_before(
    ObservedUser { permissions_boundary: Some(arn(DENY_ALL)), ..user() },
    &["deny_by_boundary before", "attach_deny_all", "join_deny_group"]
)]
#[case::in_the_group_before(
    ObservedUser { groups: vec!["tourniquetdenied".to_owned()], ..user() },
    &["attach_deny_all", "deny_by_boundary", "join_deny_group before"]
)]
#[case::a_policy_of_that_name_of_the_account_s_own(
    ObservedUser { attached_policies: vec![arn("arn:aws:iam::111122223333:policy/AWSDenyAll")], ..user() },
    &["attach_deny_all", "deny_by_boundary", "join_deny_group"]
)]
#[case::policies_unread(
    ObservedUser { unread: vec![format!("{ATTACHED_POLICIES}: AccessDenied: no")], ..user() },
    &["deny_by_boundary", "join_deny_group"]
)]
#[case::groups_unread(
    ObservedUser { unread: vec![format!("{GROUPS}: AccessDenied: no")], ..user() },
    &["attach_deny_all", "deny_by_boundary"]
)]
fn a_user_s_rungs_are_planned_and_what_was_there_before_is_not_ours(#[case] user: ObservedUser, #[case] expected: &[&str]) {
    assert_eq!(rungs(&plan_of(user, &responder())), expected);
}

#[test]
fn without_a_deny_group_there_is_no_such_rung() {
    let plan = plan_of(user(), &Responder { deny_group: None, ..responder() });
    assert_eq!(rungs(&plan), ["attach_deny_all", "deny_by_boundary"]);
}

#[test]
fn the_boundary_that_would_be_replaced_is_remembered() {
    let plan = plan_of(ObservedUser { permissions_boundary: Some(arn(LIMITS)), ..user() }, &responder());
    let old = |rung: &Step| match rung {
        Step::DenyByBoundary(DenyByBoundary { old, .. }) => old.clone(),
        _ => None,
    };
    assert_eq!(plan.fallback.iter().find_map(old), Some(arn(LIMITS)));
}

fn for_role(of: Option<&str>, word: Option<&str>) -> Decision {
    let text = shipped_text()
        .replace("deny_whole_role = \"never\"", &word.map(|word| format!("deny_whole_role = \"{word}\"")).unwrap_or_default());
    let guardrails = Ok(Guardrails::parse("guardrails.toml", &text).expect("guardrails"));
    let observed = Observed { guardrails, ..observed_role(role()) };
    decide(&finding("role-session-named"), &accused_role(of, None), &observed, &responder(), now())
}

#[test]
fn a_whole_role_is_denied_only_where_the_guardrails_say_so() {
    for of in [None, Some("someone")] {
        assert!(for_role(of, Some("never")).plan.fallback.is_empty());
        assert!(for_role(of, None).plan.fallback.is_empty());
        assert_eq!(rungs(&for_role(of, Some("when_full")).plan), ["attach_deny_all", "deny_by_boundary"], "and no group");
    }
    let blind = Observed { guardrails: Err("no such object".to_owned()), ..observed_role(role()) };
    let decision = decide(&finding("role-session-named"), &accused_role(None, None), &blind, &responder(), now());
    assert!(decision.plan.fallback.is_empty());
}

fn missing(plan: &Plan, user: ObservedUser) -> Vec<&'static str> {
    identity::missing(plan, &Principal::User(Box::new(user)), Partition::Aws, now()).steps().map(Step::name).collect()
}

/// The user with no credential left, and no deny on it.
fn bare() -> ObservedUser {
    ObservedUser {
        keys: Vec::new(),
        login: None,
        service_credentials: Vec::new(),
        ssh_keys: Vec::new(),
        certificates: Vec::new(),
        attached_policies: vec![arn("arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV4")],
        ..user()
    }
}

fn attached(also: &[&str]) -> Vec<Arn> {
    bare().attached_policies.into_iter().chain(also.iter().map(|text| arn(text))).collect()
}

#[rstest]
#[case::attached(0, ObservedUser { attached_policies: attached(&[DENY_ALL]), ..bare() })]
#[case::bounded(1, ObservedUser { permissions_boundary: Some(arn(DENY_ALL)), ..bare() })]
#[case::grouped(2, ObservedUser { groups: vec!["TourniquetDenied".to_owned()], ..bare() })]
fn a_user_that_a_rung_denies_misses_nothing_and_one_that_lost_it_misses_both(#[case] rung: usize, #[case] holding: ObservedUser) {
    let mut plan = plan_of(bare(), &responder());
    assert_eq!(missing(&plan, holding.clone()), ["deny_all"], "a rung of nobody's is no deny of this plan");
    let rung = plan.fallback[rung].clone();
    plan.take_rung(&rung);
    assert!(missing(&plan, holding.clone()).is_empty());
    assert_eq!(missing(&plan, bare()), ["deny_all", rung.name()]);
    // The deny fits again: the rung that was carried out has to hold all the same.
    assert_eq!(missing(&plan, ObservedUser { deny: Some(policy::deny_all()), ..bare() }), [rung.name()]);
    // Another boundary, another policy of that name, another group hold nothing.
    let others = ObservedUser {
        attached_policies: attached(&["arn:aws:iam::111122223333:policy/AWSDenyAll"]),
        permissions_boundary: Some(arn(LIMITS)),
        groups: vec!["TourniquetDenied2".to_owned()],
        ..bare()
    };
    assert_eq!(missing(&plan, others), ["deny_all", rung.name()]);
}

#[test]
fn a_rung_that_could_not_be_read_is_not_called_undone() {
    for (rung, what) in [(0, ATTACHED_POLICIES), (2, GROUPS)] {
        let mut plan = plan_of(bare(), &responder());
        plan.take_rung(&plan.fallback[rung].clone());
        let blind = ObservedUser { unread: vec![format!("{what}: Throttling: slow down")], ..bare() };
        assert!(missing(&plan, blind).is_empty(), "{what}");
    }
}

#[test]
fn a_role_denied_as_a_whole_misses_nothing_until_that_is_gone() {
    let mut plan = for_role(Some("someone"), Some("when_full")).plan;
    plan.take_rung(&plan.fallback[0].clone());
    let missing = |role: ObservedRole| {
        let wanted = identity::missing(&plan, &Principal::Role(Box::new(role)), Partition::Aws, now());
        wanted.steps().map(Step::name).collect::<Vec<_>>()
    };
    assert!(missing(ObservedRole { attached_policies: vec![arn(DENY_ALL)], ..role() }).is_empty());
    assert_eq!(missing(role()), ["deny_session", "attach_deny_all"]);
}

fn full() -> Status {
    Status::Failed("LimitExceeded: Maximum policy size exceeded".to_owned())
}

#[test]
fn quota_full_is_said_only_when_the_deny_did_not_fit_and_nothing_holds_in_its_place() {
    let plan = plan_of(user(), &responder());
    let deny = plan.cut[0].step().clone();
    let refused = || Status::Failed("AccessDenied: not authorized".to_owned());
    let tried = |denied: Status, rungs: &[Status]| -> Vec<(Step, Status)> {
        std::iter::once((deny.clone(), denied)).chain(plan.fallback.iter().cloned().zip(rungs.iter().cloned())).collect()
    };
    let quota = Some(CannotContain::QuotaFull);
    assert_eq!(not_denied(&plan, &tried(full(), &[full(), full(), full()])), quota);
    assert_eq!(not_denied(&plan, &tried(full(), &[full(), refused(), full()])), quota, "no rung holds, whatever the reason");
    assert_eq!(not_denied(&plan, &tried(Status::Done, &[])), None);
    assert_eq!(not_denied(&plan, &tried(refused(), &[])), None, "that is a permission, not a quota");
    assert_eq!(not_denied(&plan, &tried(full(), &[full(), Status::Done])), None);
    assert_eq!(not_denied(&plan, &tried(full(), &[Status::Already])), None);
    assert_eq!(not_denied(&plan, &tried(full(), &[full()])), None, "two rungs were not tried");
    // The last word counts: the deny fitted when it was tried again.
    let mut again = tried(full(), &[full(), full(), full()]);
    again.push((deny.clone(), Status::Done));
    assert_eq!(not_denied(&plan, &again), None);
    // A rung of an earlier delivery holds.
    let mut taken = plan.clone();
    taken.take_rung(&plan.fallback[0]);
    assert_eq!(not_denied(&taken, &tried(full(), &[])), None);
    // A role without rungs: the cut alone decides.
    let role_s = for_role(Some("someone"), None).plan;
    assert_eq!(not_denied(&role_s, &[(role_s.cut[0].step().clone(), full())]), quota);
}

#[test]
fn an_scp_denies_the_session_where_one_is_named_and_older_sessions_or_the_user_else() {
    let content = |decision: &Decision| {
        let lines = scp_lines(&decision.plan, &decision.target);
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[1].ends_with("--target-id 111122223333"), "{lines:?}");
        let (_, rest) = lines[0].split_once(" --content '").expect("a document");
        rest.split_once("' ").expect("its end").0.to_owned()
    };
    let session_s = content(&for_role(Some("someone"), None));
    assert_eq!(session_s, policy::scp_deny_session(&unique_id(ROLE_ID), &session("someone")));
    insta::assert_snapshot!(session_s, @r#"{"Version":"2012-10-17","Statement":[{"Sid":"IRDeny","Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:userid":"AROADEVELOPERQEXAMPLE:someone"}}}]}"#);
    insta::assert_snapshot!(content(&for_role(None, None)), @r#"{"Version":"2012-10-17","Statement":[{"Sid":"IRDeny","Effect":"Deny","Action":"*","Resource":"*","Condition":{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/people/developer"},"DateLessThan":{"aws:TokenIssueTime":"2026-11-21T20:48:30Z"}}}]}"#);
    let user_s = decide(&finding("leaked-access-key"), &accused_user(), &observed_user(user()), &responder(), now());
    insta::assert_snapshot!(content(&user_s), @r#"{"Version":"2012-10-17","Statement":[{"Sid":"IRDeny","Effect":"Deny","Action":"*","Resource":"*","Condition":{"ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:user/ci/svc-build"}}}]}"#);
}
