//! What is new since the first sighting, and what is said of roles the accused assumed.

use rstest::rstest;
use tourniquet::containment::identity::{
    AccessKey, Credential, MfaDevice, ObservedRole, ObservedUser, Principal, ServiceCredential, Sign, SignKind, decide,
    signs_since,
};
use tourniquet::finding::Finding;
use tourniquet::timestamp::Timestamp;

use crate::checks::text::holds_a_key;
use crate::support::{
    FIRST_KEY, accused_role, accused_user, arn, at, finding, key, name, now, observed_role, observed_user, responder, role, user,
};

const FIRST_SEEN: &str = "2026-11-21T20:41:07.500Z";

/// The user without anything that has a date.
fn undated() -> ObservedUser {
    ObservedUser {
        created: None,
        password_last_used: None,
        keys: Vec::new(),
        login: Some((None, false)),
        service_credentials: vec![service(None)],
        ssh_keys: vec![credential("APKASSHKEYQ77EXAMPLE", None)],
        certificates: vec![credential("CERTIFICATEQ7EXAMPLE", None)],
        mfa_devices: vec![MfaDevice { serial: "GAHT12345678".to_owned(), enabled: None }],
        ..user()
    }
}

fn credential(id: &str, uploaded: Option<Timestamp>) -> Credential {
    Credential { id: id.to_owned(), active: true, uploaded }
}

fn service(created: Option<Timestamp>) -> ServiceCredential {
    let service = "bedrock.amazonaws.com".to_owned();
    ServiceCredential { id: "ACCABEDROCKQ7EXAMPLE".to_owned(), service, active: true, created, expires: None }
}

fn access_key(created: Option<Timestamp>, last_used: Option<Timestamp>) -> AccessKey {
    AccessKey { id: key(FIRST_KEY), active: true, created, last_used }
}

type Put = fn(&mut ObservedUser, Option<Timestamp>);

#[rstest]
#[case(|user: &mut ObservedUser, at: Option<Timestamp>| user.created = at, SignKind::UserCreated, None)]
#[case(|user: &mut ObservedUser, at: Option<Timestamp>| user.login = Some((at, true)), SignKind::LoginProfileSet, None)]
#[case(|user: &mut ObservedUser, at: Option<Timestamp>| user.password_last_used = at, SignKind::PasswordUsed, None)]
#[case(|user: &mut ObservedUser, at: Option<Timestamp>| user.keys = vec![access_key(at, None)], SignKind::AccessKeyCreated, Some("AKIA…MPLE"))]
#[case(|user: &mut ObservedUser, at: Option<Timestamp>| user.keys = vec![access_key(None, at)], SignKind::AccessKeyUsed, Some("AKIA…MPLE"))]
#[case(|user: &mut ObservedUser, at: Option<Timestamp>| user.mfa_devices[0].enabled = at, SignKind::MfaDeviceEnabled, Some("GAHT12345678"))]
#[case(
    |user: &mut ObservedUser, at: Option<Timestamp>| user.service_credentials = vec![service(at)],
    SignKind::ServiceCredentialCreated,
    Some("ACCABEDROCKQ7EXAMPLE (bedrock.amazonaws.com)")
)]
#[case(|user: &mut ObservedUser, at: Option<Timestamp>| user.ssh_keys[0].uploaded = at, SignKind::SshKeyUploaded, Some("APKASSHKEYQ77EXAMPLE"))]
#[case(|user: &mut ObservedUser, at: Option<Timestamp>| user.certificates[0].uploaded = at, SignKind::CertificateUploaded, Some("CERTIFICATEQ7EXAMPLE"))]
fn what_is_dated_at_or_after_the_first_sighting_is_a_sign(#[case] put: Put, #[case] what: SignKind, #[case] id: Option<&str>) {
    let signs = |date: Option<&str>| {
        let mut user = undated();
        put(&mut user, date.map(at));
        signs_since(&Principal::User(Box::new(user)), at(FIRST_SEEN))
    };
    let sign = |text: &str| vec![Sign { what, id: id.map(str::to_owned), at: at(text) }];
    // IAM cuts its dates off to the second: the second of the first sighting counts.
    for since in ["2026-11-21T20:41:07Z", "2026-11-21T20:41:08Z", "2027-01-01T00:00:00Z"] {
        assert_eq!(signs(Some(since)), sign(since));
    }
    for before in [None, Some("2026-11-21T20:41:06Z"), Some("2020-01-01T00:00:00Z")] {
        assert_eq!(signs(before), []);
    }
    assert!(!holds_a_key(&sign(FIRST_SEEN)[0].line()));
}

#[test]
fn a_role_made_or_used_since_is_a_sign_and_nobody_has_none() {
    let found = |created: Option<&str>, last_used: Option<&str>| {
        let role = ObservedRole { created: created.map(at), last_used: last_used.map(at), ..role() };
        let signs = signs_since(&Principal::Role(Box::new(role)), at(FIRST_SEEN));
        signs.into_iter().map(|sign| sign.what).collect::<Vec<_>>()
    };
    let (early, late) = (Some("2026-11-21T20:41:06Z"), Some("2026-11-21T20:41:07Z"));
    assert_eq!(found(early, early), []);
    assert_eq!(found(None, late), [SignKind::RoleUsed]);
    assert_eq!(found(late, None), [SignKind::RoleCreated]);
    for principal in [Principal::Absent, Principal::NotLooked] {
        assert_eq!(signs_since(&principal, at("1970-01-01T00:00:00Z")), []);
    }
}

#[test]
fn signs_are_told_oldest_first_with_the_decision() {
    let mut user = user();
    user.keys[0].last_used = Some(at("2026-11-21T20:47:00Z"));
    user.login = Some((Some(at("2026-11-21T20:44:00Z")), false));
    let decision = decide(&finding("leaked-access-key"), &accused_user(), &observed_user(user), &responder(), now());
    let lines: Vec<_> = decision.persistence.iter().map(Sign::line).collect();
    assert_eq!(
        lines,
        ["2026-11-21T20:44:00.000Z console password set", "2026-11-21T20:47:00.000Z access key last used AKIA…MPLE"]
    );
}

#[rstest]
#[case::with_a_path(
    "arn:aws:iam::444455556666:role/ci/deploy",
    "in account 444455556666: aws iam put-role-policy --role-name deploy --policy-name TourniquetRevokeOlderSessions "
)]
#[case::service_linked(
    "arn:aws:iam::111122223333:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS",
    "can only be changed by AWS"
)]
#[case::identity_center(
    "arn:aws:iam::111122223333:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_a_b",
    "can only be changed by AWS"
)]
#[case::no_role("arn:aws:iam::111122223333:user/deploy", "revoke the older sessions of arn:aws:iam::111122223333:user/deploy")]
fn a_role_the_accused_assumed_is_a_risk_and_a_person_gets_the_line(#[case] assumed: &str, #[case] expected: &str) {
    let with = |name| Finding { assumed_roles: vec![arn(assumed)], ..finding(name) };
    for decision in [
        decide(&with("leaked-access-key"), &accused_user(), &observed_user(user()), &responder(), now()),
        decide(&with("role-session-named"), &accused_role(Some("someone"), None), &observed_role(role()), &responder(), now()),
    ] {
        assert!(decision.residual_risk.iter().any(|line| line.contains(assumed)), "{:?}", decision.residual_risk);
        let line = decision.next_steps.iter().find(|line| line.contains(assumed)).expect("a line");
        assert!(line.contains(expected), "{line}");
        // The plan itself stays within the accused.
        assert!(decision.plan.commands().iter().all(|line| !line.contains("deploy")));
    }
}

#[test]
fn a_user_named_like_those_of_bedrock_api_keys_gets_bedrock_s_advice() {
    let advice = |called: &str| {
        let user = ObservedUser { name: name(called), ..user() };
        let decision = decide(&finding("leaked-access-key"), &accused_user(), &observed_user(user), &responder(), now());
        decision.next_steps.iter().any(|line| line.contains("Bedrock API key"))
    };
    assert!(advice("BedrockAPIKey-a1b2"));
    assert!(!advice("svc-build") && !advice("my-BedrockAPIKey-a1b2"));
}
