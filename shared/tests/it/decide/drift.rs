//! Does the containment still hold? What somebody undid, and nothing else, has to be done again.

use std::collections::BTreeSet;

use tourniquet::containment::identity::{AccessKey, ObservedRole, ObservedUser, Principal, decide, drift};
use tourniquet::id::Partition;
use tourniquet::plan::Plan;
use tourniquet::policy;
use tourniquet::step::Step;

use crate::support::{
    accused_role, accused_user, arn, at, finding, key, now, observed_role, observed_user, responder, role, user,
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
    let plan = drift(&plan_for_user(), &Principal::User(Box::new(user)), Partition::Aws);
    plan.steps().map(|step| format!("{} {}", step.name(), step.on())).collect()
}

#[test]
fn a_contained_user_has_not_drifted() {
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
    user.keys.push(AccessKey { id: key("AKIAMADEAFTERWARDSQQ"), active: true, created: None });
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
        assert!(drift(&plan_for_user(), &principal, Partition::Aws).is_empty());
    }
}

fn role_drift(plan: &Plan, role: ObservedRole) -> Plan {
    drift(plan, &Principal::Role(Box::new(role)), Partition::Aws)
}

#[test]
fn a_session_s_deny_holds_only_byte_for_byte() {
    let target = accused_role(Some("someone"), None);
    let plan = decide(&finding("role-session-named"), &target, &observed_role(role()), &responder(), now()).plan;
    let Some(Step::DenySession(step)) = plan.steps().next() else { unreachable!("a session's deny") };
    let document = step.document();
    let with = |session_deny| ObservedRole { session_deny, ..role() };
    assert!(role_drift(&plan, with(Some(document.clone()))).is_empty());
    assert_eq!(role_drift(&plan, with(None)), plan);
    assert_eq!(role_drift(&plan, with(Some(document.replace("someone", "nobody")))), plan);
    assert_eq!(role_drift(&plan, ObservedRole { revocation: Some(document), ..role() }), plan);
}

#[test]
fn a_revocation_holds_while_its_cut_off_is_not_earlier() {
    let plan =
        decide(&finding("role-without-session"), &accused_role(None, None), &observed_role(role()), &responder(), now()).plan;
    let with = |cutoff: &str| ObservedRole { revocation: Some(policy::revoke_older_sessions(at(cutoff))), ..role() };
    assert!(role_drift(&plan, with("2026-11-21T20:48:30Z")).is_empty());
    assert!(role_drift(&plan, with("2026-11-21T20:50:00Z")).is_empty());
    assert_eq!(role_drift(&plan, with("2026-11-21T20:48:29Z")), plan);
    assert_eq!(role_drift(&plan, role()), plan);
}

#[test]
fn a_deny_that_could_not_be_read_is_not_called_undone() {
    let unread = vec!["our own deny: AccessDenied: not authorized".to_owned()];
    let blind = ObservedUser { deny: None, unread: unread.clone(), login: Some((None, false)), ..contained() };
    assert_eq!(missing(blind), BTreeSet::from(["remove_login_profile user/svc-build console password".to_owned()]));
    let plan =
        decide(&finding("role-without-session"), &accused_role(None, None), &observed_role(role()), &responder(), now()).plan;
    assert!(role_drift(&plan, ObservedRole { unread, ..role() }).is_empty());
    let elsewhere = vec!["instance profiles: AccessDenied".to_owned()];
    assert_eq!(role_drift(&plan, ObservedRole { unread: elsewhere, ..role() }), plan, "only the deny's own reading counts");
}
