//! Does the containment still hold? What is not in force, and nothing else, has to be done again.

use std::collections::BTreeSet;

use rstest::rstest;
use tourniquet::containment::identity::{self, AccessKey, ObservedRole, ObservedUser, Principal, decide};
use tourniquet::id::Partition;
use tourniquet::plan::Plan;
use tourniquet::policy;
use tourniquet::step::{DenySession, RevokeOlderSessions, Step};
use tourniquet::timestamp::Timestamp;

use crate::support::{
    INSTANCE, accused_role, accused_user, arn, at, finding, key, now, observed_role, observed_user, responder, role, user,
};

fn plan_for_user() -> Plan {
    decide(&finding("leaked-access-key"), &accused_user(), &observed_user(user()), &responder(), now()).plan
}

/// The user as the whole plan leaves it.
fn contained() -> ObservedUser {
    let mut user = user();
    user.deny = Some(policy::deny_all());
    user.keys.iter_mut().for_each(|key| key.active = false);
    user.login = None;
    user.service_credentials.iter_mut().for_each(|credential| credential.active = false);
    user.ssh_keys.iter_mut().for_each(|key| key.active = false);
    user.certificates.iter_mut().for_each(|certificate| certificate.active = false);
    user.attached_policies.push(arn("arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV4"));
    user
}

fn missing(user: ObservedUser) -> BTreeSet<String> {
    let plan = identity::missing(&plan_for_user(), &Principal::User(Box::new(user)), Partition::Aws, now());
    plan.steps().map(|step| format!("{} {}", step.name(), step.on())).collect()
}

#[test]
fn a_contained_user_misses_nothing() {
    assert_eq!(missing(contained()), BTreeSet::new());
}

/// Everything the plan changed, each with how somebody undoes it and what then is missing.
#[expect(clippy::type_complexity, reason = "a table")]
const UNDONE: [(fn(&mut ObservedUser), &str); 9] = [
    (|user| user.deny = None, "deny_all user/svc-build"),
    (|user| user.keys[0].active = true, "deactivate_key AKIA…MPLE"),
    (|user| user.keys[1].active = true, "deactivate_key AKIA…ONDQ"),
    (|user| user.login = Some((None, true)), "remove_login_profile user/svc-build console password"),
    (
        |user| user.service_credentials[0].active = true,
        "deactivate_service_credential ACCABEDROCKQ7EXAMPLE (bedrock.amazonaws.com)",
    ),
    (
        |user| user.service_credentials[1].active = true,
        "deactivate_service_credential ACCACODECOMMQEXAMPLE (codecommit.amazonaws.com)",
    ),
    (|user| user.ssh_keys[0].active = true, "deactivate_ssh_key APKASSHKEYQ77EXAMPLE"),
    (|user| user.certificates[0].active = true, "deactivate_signing_certificate CERTIFICATEQ7EXAMPLECERTIFICATEQ"),
    (
        |user| user.attached_policies.retain(|policy| policy.account() != "aws" || policy.resource().contains("ReadOnly")),
        "attach_quarantine_marker user/svc-build",
    ),
];

#[test]
fn every_subset_of_undone_things_is_named_exactly() {
    for subset in 0..1_u32 << UNDONE.len() {
        let mut user = contained();
        let mut expected = BTreeSet::new();
        for (at, (undo, step)) in UNDONE.iter().enumerate() {
            if subset & (1 << at) != 0 {
                undo(&mut user);
                expected.insert((*step).to_owned());
            }
        }
        assert_eq!(missing(user), expected, "subset {subset:b}");
    }
}

#[test]
fn a_credential_made_after_the_containment_is_missing_too() {
    let mut user = contained();
    user.keys.push(AccessKey { id: key("AKIAMADEAFTERWARDSQQ"), active: true, created: None, last_used: None });
    assert_eq!(missing(user), BTreeSet::from(["deactivate_key AKIA…DSQQ".to_owned()]));
}

#[test]
fn a_deny_that_was_edited_is_missing() {
    let mut user = contained();
    user.deny = Some(policy::deny_all().replace("Deny", "Allow"));
    assert_eq!(missing(user), BTreeSet::from(["deny_all user/svc-build".to_owned()]));
}

#[test]
fn a_principal_that_is_gone_has_nothing_left_to_contain() {
    for principal in [Principal::Absent, Principal::NotLooked] {
        assert!(identity::missing(&plan_for_user(), &principal, Partition::Aws, now()).is_empty());
    }
}

fn missing_on_role(plan: &Plan, role: ObservedRole, now: Timestamp) -> Plan {
    identity::missing(plan, &Principal::Role(Box::new(role)), Partition::Aws, now)
}

#[test]
fn a_session_s_deny_holds_only_byte_for_byte() {
    let target = accused_role(Some("someone"), None);
    let plan = decide(&finding("role-session-named"), &target, &observed_role(role()), &responder(), now()).plan;
    let Some(Step::DenySession(step)) = plan.steps().next() else { unreachable!("a session's deny") };
    let document = step.document();
    let with = |session_deny| ObservedRole { session_deny, ..role() };
    assert!(missing_on_role(&plan, with(Some(document.clone())), now()).is_empty());
    assert_eq!(missing_on_role(&plan, with(None), now()), plan);
    assert_eq!(missing_on_role(&plan, with(Some(document.replace("someone", "nobody"))), now()), plan);
    assert_eq!(missing_on_role(&plan, ObservedRole { revocation: Some(document), ..role() }, now()), plan);
}

fn revoking_plan() -> Plan {
    decide(&finding("role-without-session"), &accused_role(None, None), &observed_role(role()), &responder(), now()).plan
}

fn revoked(cutoff: &str) -> ObservedRole {
    ObservedRole { revocation: Some(policy::revoke_older_sessions(at(cutoff))), ..role() }
}

#[test]
fn a_revocation_holds_while_its_cut_off_is_not_earlier() {
    let plan = revoking_plan();
    assert!(missing_on_role(&plan, revoked("2026-11-21T20:48:30Z"), now()).is_empty());
    assert!(missing_on_role(&plan, revoked("2026-11-21T20:50:00Z"), now()).is_empty());
    assert_eq!(missing_on_role(&plan, revoked("2026-11-21T20:48:29Z"), now()), plan);
    assert_eq!(missing_on_role(&plan, role(), now()), plan);
    // It does not wear off: hours later the same cut-off still denies the sessions it denied.
    assert!(missing_on_role(&plan, revoked("2026-11-21T20:48:30Z"), at("2026-11-22T08:00:00Z")).is_empty());
}

fn cutoff(plan: &Plan) -> Timestamp {
    match &plan.steps().collect::<Vec<_>>()[..] {
        [Step::RevokeOlderSessions(step)] => step.cutoff,
        other => unreachable!("one revocation, not {other:?}"),
    }
}

#[rstest]
#[case::deleted(role())]
#[case::set_back(revoked("2026-11-21T20:00:00Z"))]
#[case::edited(ObservedRole { revocation: Some("{}".to_owned()), ..role() })]
fn a_revocation_that_is_gone_is_wanted_again_with_a_later_cut_off(#[case] found: ObservedRole) {
    // The sessions the attacker made while it was gone must not escape the new one.
    let plan = revoking_plan();
    assert_eq!(cutoff(&plan), at("2026-11-21T20:48:30Z"));
    let wanted = missing_on_role(&plan, found, at("2026-11-21T22:15:00Z"));
    assert_eq!(cutoff(&wanted), at("2026-11-21T22:15:30Z"));
    // And the case takes the new one up.
    assert_eq!(cutoff(&plan.merged(&wanted)), at("2026-11-21T22:15:30Z"));
}

#[test]
fn a_later_cut_off_that_a_new_finding_asks_for_is_missing_until_it_is_in_force() {
    let renewed = at("2026-11-21T22:15:00Z");
    let target = accused_role(None, None);
    let fresh =
        decide(&finding("role-without-session"), &target, &observed_role(revoked("2026-11-21T20:48:30Z")), &responder(), renewed);
    let wanted = revoking_plan().merged(&fresh.plan);
    assert_eq!(cutoff(&missing_on_role(&wanted, revoked("2026-11-21T20:48:30Z"), renewed)), at("2026-11-21T22:15:30Z"));
    assert!(missing_on_role(&wanted, revoked("2026-11-21T22:15:30Z"), renewed).is_empty());
}

#[test]
fn a_session_s_deny_without_instance_is_missing_something_once_a_finding_names_the_instance() {
    let plan = |instance: Option<&str>, role: ObservedRole| {
        let target = accused_role(Some(INSTANCE), instance);
        decide(&finding("role-session-named"), &target, &observed_role(role), &responder(), now()).plan
    };
    let document = |plan: &Plan| match plan.steps().next() {
        Some(Step::DenySession(step)) => step.document(),
        other => unreachable!("a session's deny, not {other:?}"),
    };
    let by_name = plan(None, role());
    let denied = ObservedRole { session_deny: Some(document(&by_name)), ..role() };
    assert!(missing_on_role(&by_name, denied.clone(), now()).is_empty());
    let wanted = by_name.clone().merged(&plan(Some(INSTANCE), denied.clone()));
    let more = missing_on_role(&wanted, denied.clone(), now());
    assert!(
        matches!(&more.steps().collect::<Vec<_>>()[..], [Step::DenySession(DenySession { instance: Some(_), .. })]),
        "{more:?}"
    );
    assert!(missing_on_role(&wanted, ObservedRole { session_deny: Some(document(&more)), ..role() }, now()).is_empty());
    // The other way round nothing is lost: a finding that names less never takes the instance's deny back.
    assert_eq!(wanted.clone().merged(&by_name), wanted);
}

#[test]
fn a_cut_that_is_in_force_is_planned_all_the_same_so_that_the_case_can_undo_it() {
    // An earlier delivery may have written it and crashed before it was remembered.
    let names = |plan: &Plan| plan.steps().map(|step| step.name().to_owned()).collect::<Vec<_>>();
    let user = decide(&finding("leaked-access-key"), &accused_user(), &observed_user(contained()), &responder(), now()).plan;
    assert_eq!(names(&user), ["deny_all"]);
    assert!(identity::missing(&user, &Principal::User(Box::new(contained())), Partition::Aws, now()).is_empty());

    let target = accused_role(Some("someone"), None);
    let session = |role| decide(&finding("role-session-named"), &target, &observed_role(role), &responder(), now()).plan;
    let Some(Step::DenySession(step)) = session(role()).steps().next().cloned() else { unreachable!("a session's deny") };
    let denied = ObservedRole { session_deny: Some(step.document()), ..role() };
    assert_eq!(session(denied.clone()), session(role()));
    assert!(missing_on_role(&session(denied.clone()), denied, now()).is_empty());

    let revoked = revoked("2026-11-21T20:48:45Z");
    let again =
        decide(&finding("role-without-session"), &accused_role(None, None), &observed_role(revoked.clone()), &responder(), now())
            .plan;
    assert!(matches!(&again.cut[..], [cut] if matches!(cut.step(), Step::RevokeOlderSessions(RevokeOlderSessions { .. }))));
    assert!(missing_on_role(&again, revoked, now()).is_empty());
}

#[test]
fn a_deny_that_could_not_be_read_is_not_called_undone() {
    let unread = vec!["our own deny: AccessDenied: not authorized".to_owned()];
    let blind = ObservedUser { deny: None, unread: unread.clone(), login: Some((None, false)), ..contained() };
    assert_eq!(missing(blind), BTreeSet::from(["remove_login_profile user/svc-build console password".to_owned()]));
    let plan = revoking_plan();
    assert!(missing_on_role(&plan, ObservedRole { unread, ..role() }, now()).is_empty());
    let elsewhere = vec!["instance profiles: AccessDenied".to_owned()];
    assert_eq!(
        missing_on_role(&plan, ObservedRole { unread: elsewhere, ..role() }, now()),
        plan,
        "only the deny's own reading counts"
    );
}

#[test]
fn a_revocation_that_is_gone_is_never_wanted_with_an_earlier_cut_off_than_the_case_planned() {
    let furthest = revoked("2026-11-21T20:49:00Z");
    let plan =
        decide(&finding("role-without-session"), &accused_role(None, None), &observed_role(furthest), &responder(), now()).plan;
    assert_eq!(cutoff(&missing_on_role(&plan, role(), now())), at("2026-11-21T20:49:00Z"));
    assert!(missing_on_role(&plan, revoked("2026-11-21T20:49:00Z"), now()).is_empty());
}
