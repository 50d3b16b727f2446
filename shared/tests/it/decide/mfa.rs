//! Which MFA device is proved to be the attacker's.

use rstest::rstest;
use tourniquet::containment::identity::{
    self, MFA_DEVICES, MfaDevice, MfaEvidence, ObservedUser, PERSISTENCE_STAGE, Principal, decide, mfa_left, mfa_suspects,
    mfa_to_deactivate,
};
use tourniquet::finding::{Finding, Target, User};
use tourniquet::id::{AccessKeyId, Partition};
use tourniquet::plan::{Plan, Stage};
use tourniquet::step::{DeactivateMfaDevice, Step};

use crate::support::{
    FIRST_KEY, SECOND_KEY, USER_ID, accused_user, at, finding, key, name, now, observed_user, responder, unique_id, user,
};

const SERIAL: &str = "arn:aws:iam::111122223333:mfa/phone";
const ENABLED: &str = "2026-11-21T20:45:00Z";
const SESSION_KEY: &str = "ASIASVCBUILDQEXAMPLE";

fn accusing(by_key: Option<&str>) -> Finding {
    let Target::User(accused) = accused_user() else { unreachable!("a user") };
    Finding { targets: vec![Target::User(User { key: by_key.map(key), ..accused })], ..finding("leaked-access-key") }
}

fn with_device(enabled: Option<&str>) -> ObservedUser {
    let mut user = user();
    user.mfa_devices.push(MfaDevice { serial: SERIAL.to_owned(), enabled: enabled.map(at) });
    user
}

fn record(by_key: Option<&str>, when: &str) -> MfaEvidence {
    MfaEvidence { serial: SERIAL.to_owned(), by_key: by_key.map(key), by_principal: Some(unique_id(USER_ID)), at: at(when) }
}

#[test]
fn a_device_enabled_with_the_accused_key_is_taken_off_and_the_owner_s_stays() {
    for by_key in [FIRST_KEY, SESSION_KEY] {
        let evidence = [record(Some(by_key), "2026-11-21T20:45:01Z")];
        let steps = mfa_to_deactivate(&accusing(Some(by_key)), &with_device(Some(ENABLED)), &evidence);
        let expected = DeactivateMfaDevice { user: name("svc-build"), serial: SERIAL.to_owned(), enabled: Some(at(ENABLED)) };
        assert_eq!(steps, [Step::from(expected)]);
        assert!(mfa_left(&accusing(Some(by_key)), &with_device(Some(ENABLED)), &evidence).is_empty());
    }
}

#[rstest]
#[case::no_key_accused(accusing(None), vec![record(Some(FIRST_KEY), ENABLED)], "names no key")]
#[case::no_record(accusing(Some(FIRST_KEY)), vec![], "no record yet")]
#[case::another_device(
    accusing(Some(FIRST_KEY)),
    vec![MfaEvidence { serial: "GAHT1".to_owned(), ..record(Some(FIRST_KEY), ENABLED) }],
    "no record yet"
)]
#[case::another_key(accusing(Some(FIRST_KEY)), vec![record(Some(SECOND_KEY), ENABLED)], "other credentials")]
#[case::by_the_console(accusing(Some(FIRST_KEY)), vec![record(None, ENABLED)], "other credentials")]
#[case::a_session_s_key(accusing(Some(SESSION_KEY)), vec![record(Some(FIRST_KEY), ENABLED)], "other credentials")]
#[case::another_principal(
    accusing(Some(FIRST_KEY)),
    vec![MfaEvidence { by_principal: Some(unique_id("AIDAANOTHERUSEREXAMPL")), ..record(Some(FIRST_KEY), ENABLED) }],
    "another principal"
)]
#[case::enabled_again_by_its_owner(
    accusing(Some(FIRST_KEY)),
    vec![record(Some(FIRST_KEY), "2026-11-21T20:42:00Z"), record(Some(SECOND_KEY), ENABLED)],
    "other credentials"
)]
#[case::the_record_of_another_enabling(accusing(Some(FIRST_KEY)), vec![record(Some(FIRST_KEY), "2026-11-21T20:42:00Z")], "another time")]
fn a_device_that_is_not_proved_to_be_the_attacker_s_is_left_to_a_person(
    #[case] finding: Finding,
    #[case] evidence: Vec<MfaEvidence>,
    #[case] why: &str,
) {
    let user = with_device(Some(ENABLED));
    assert_eq!(mfa_to_deactivate(&finding, &user, &evidence), []);
    let left = mfa_left(&finding, &user, &evidence);
    assert!(matches!(&left[..], [line] if line.contains(SERIAL) && line.contains(why)), "{left:?}");
}

#[rstest]
#[case::before(Some("2026-11-21T20:41:06Z"), false)]
#[case::at_the_first_sighting(Some("2026-11-21T20:41:07Z"), true)]
#[case::undated(None, false)]
fn only_a_device_enabled_since_the_first_sighting_is_suspect(#[case] enabled: Option<&str>, #[case] suspect: bool) {
    let (finding, user) = (accusing(Some(FIRST_KEY)), with_device(enabled));
    assert_eq!(finding.first_seen, at("2026-11-21T20:41:07Z"));
    let evidence = [record(Some(FIRST_KEY), enabled.unwrap_or(ENABLED))];
    assert_eq!(mfa_suspects(&finding, &user), suspect);
    assert_eq!(mfa_to_deactivate(&finding, &user, &evidence).len(), usize::from(suspect));
    assert!(mfa_left(&finding, &user, &evidence).is_empty());
    assert!(!mfa_suspects(&accusing(None), &user), "without a key CloudTrail could prove nothing");
}

#[test]
fn the_key_of_another_user_of_the_finding_proves_nothing() {
    let Target::User(accused) = accused_user() else { unreachable!("a user") };
    let by_another = |user: User| Finding { targets: vec![Target::User(user)], ..accusing(None) };
    let renamed = by_another(User { name: name("jdoe"), ..accused.clone() });
    let remade = by_another(User { unique_id: Some(unique_id("AIDAANOTHERUSEREXAMPL")), ..accused });
    for finding in [renamed, remade, Finding { targets: vec![stray_key("AKIAANOTHERUSEREXAMP")], ..accusing(None) }] {
        assert!(!mfa_suspects(&finding, &with_device(Some(ENABLED))));
    }
    let exposed = Finding { targets: vec![stray_key(FIRST_KEY)], ..accusing(None) };
    assert!(mfa_suspects(&exposed, &with_device(Some(ENABLED))), "the exposed key is the user's own");
}

fn stray_key(text: &str) -> Target {
    Target::AccessKey { key: AccessKeyId::parse(text).expect("a key") }
}

#[test]
fn no_device_is_in_the_first_plan_and_one_that_is_back_is_missing() {
    let first =
        decide(&accusing(Some(FIRST_KEY)), &accused_user(), &observed_user(with_device(Some(ENABLED))), &responder(), now());
    assert!(first.plan.steps().chain(&first.plan.fallback).all(|step| !matches!(step, Step::DeactivateMfaDevice(_))));
    let steps = mfa_to_deactivate(&accusing(Some(FIRST_KEY)), &with_device(Some(ENABLED)), &[record(Some(FIRST_KEY), ENABLED)]);
    let found = Plan { then: vec![Stage { name: PERSISTENCE_STAGE.to_owned(), steps }], ..Plan::default() };
    let plan = first.plan.merged(&found);
    assert_eq!(plan.then.last().map(|stage| stage.name.as_str()), Some(PERSISTENCE_STAGE));
    let is_missing = |user: ObservedUser| {
        let wanted = identity::missing(&plan, &Principal::User(Box::new(user)), Partition::Aws, now());
        wanted.steps().any(|step| matches!(step, Step::DeactivateMfaDevice(_)))
    };
    assert!(is_missing(with_device(Some(ENABLED))), "it was not taken away, or the removal did not last");
    let anew = with_device(Some("2026-11-21T20:50:00Z"));
    assert!(!is_missing(anew), "enabled anew it is another device: whose, only evidence can tell");
    assert!(!is_missing(user()), "the owner's device is no part of it");
    let blind = ObservedUser { unread: vec![format!("{MFA_DEVICES}: Throttling: slow down")], ..user() };
    assert!(!is_missing(blind));
}
