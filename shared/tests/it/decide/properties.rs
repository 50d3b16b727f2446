//! What must hold of every decision.

use proptest::prelude::*;
use tourniquet::containment::identity::{Observed, ObservedRole, ObservedUser, Principal, decide};
use tourniquet::containment::{AtSource, Decision, Responder, Verdict};
use tourniquet::finding::{Button, Elsewhere, ElsewhereSort, Finding, RoleSession, Target, Trigger, User};
use tourniquet::guardrails::Guardrails;
use tourniquet::id::{AccountId, InstanceId, PrincipalName};
use tourniquet::step::{AttachDenyAll, DenyByBoundary, Entity, Step};

use crate::support::{
    FIRST_KEY, INSTANCE, ROLE_ID, USER_ID, arn, at, finding, key, now, responder, role, session, shipped, unique_id, user,
};

fn user_target() -> impl Strategy<Value = Target> {
    let ids = prop::option::of(prop_oneof![Just(USER_ID), Just("AIDAANOTHERUSEREXAMPL")]);
    let keys = prop::option::of(prop_oneof![Just(FIRST_KEY), Just("AKIAANOTHERUSEREXAMP"), Just("ASIASVCBUILDQEXAMPLE")]);
    ("svc-build|SVC-BUILD|jdoe", ids, keys).prop_map(|(name, id, by_key)| {
        Target::User(User {
            name: PrincipalName::parse(&name).expect("a name"),
            unique_id: id.map(unique_id),
            key: by_key.map(key),
        })
    })
}

fn role_target() -> impl Strategy<Value = Target> {
    let ids = prop::option::of(prop_oneof![Just(ROLE_ID), Just("AROAANOTHERROLEEXAMPL")]);
    let sessions = prop::option::of(prop_oneof![Just("someone"), Just(INSTANCE)]);
    ("developer|other", ids, sessions, any::<bool>()).prop_map(|(name, id, of, on_instance)| {
        Target::RoleSession(RoleSession {
            role: PrincipalName::parse(&name).expect("a name"),
            role_id: id.map(unique_id),
            session: of.map(session),
            instance: on_instance.then(|| InstanceId::parse(INSTANCE).expect("an instance id")),
            key: None,
        })
    })
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        5 => user_target(),
        5 => role_target(),
        1 => Just(Target::AccessKey { key: key(FIRST_KEY) }),
        1 => Just(Target::Root { key: None }),
        1 => Just(Target::Elsewhere(Elsewhere { sort: ElsewhereSort::FederatedUser, label: "svc-build".to_owned(), key: None })),
        1 => Just(Target::Resource { resource_type: "S3Bucket".to_owned() }),
    ]
}

fn principal() -> impl Strategy<Value = Principal> {
    let users = (any::<[bool; 6]>(), prop::option::of(Just(tourniquet::policy::deny_all()))).prop_map(|(active, deny)| {
        let mut user = user();
        let [first, second, login, service, ssh, certificate] = active;
        (user.keys[0].active, user.keys[1].active) = (first, second);
        user.login = user.login.filter(|_| login);
        user.service_credentials[0].active = service;
        user.ssh_keys[0].active = ssh;
        user.certificates[0].active = certificate;
        Principal::User(Box::new(ObservedUser { deny, ..user }))
    });
    let paths = prop_oneof![
        Just("people/developer"),
        Just("aws-service-role/ec2.amazonaws.com/developer"),
        Just("aws-reserved/sso.amazonaws.com/developer"),
        Just("contain-identity-role"),
    ];
    let roles = paths.prop_map(|path| {
        Principal::Role(Box::new(ObservedRole { arn: arn(&format!("arn:aws:iam::111122223333:role/{path}")), ..role() }))
    });
    let unreachable = Just(Principal::Unreachable { reason: "AccessDenied".to_owned() });
    prop_oneof![4 => users, 4 => roles, 1 => Just(Principal::Absent), 1 => Just(Principal::NotLooked), 1 => unreachable]
}

fn source() -> impl Strategy<Value = AtSource> {
    prop_oneof![
        Just(AtSource::NotKept),
        Just(AtSource::Absent),
        Just(AtSource::Settled("archived finding".to_owned())),
        any::<bool>().prop_map(|retryable| AtSource::Unconfirmed { reason: "throttled".to_owned(), retryable }),
        target().prop_map(|target| AtSource::Confirmed(Box::new(Finding { targets: vec![target], ..claim() }))),
    ]
}

fn claim() -> Finding {
    finding("leaked-access-key")
}

fn a_finding() -> impl Strategy<Value = Finding> {
    let accounts = prop_oneof![4 => Just("111122223333"), 1 => Just("444455556666")];
    let types = prop_oneof![Just("Trojan:EC2/DropPoint"), Just("A:IAMUser/AnomalousBehavior"), Just("New:Thing/Else")];
    (accounts, types, 0.0..10.0_f64, any::<bool>()).prop_map(|(account, finding_type, severity, pressed)| Finding {
        account: AccountId::parse(account).expect("an account"),
        finding_type: finding_type.to_owned(),
        severity,
        assumed_roles: Vec::new(),
        trigger: if pressed { crate::support::pressed(Button::Contain) } else { Trigger::Event },
        ..claim()
    })
}

fn guardrails() -> impl Strategy<Value = Result<Guardrails, String>> {
    prop_oneof![3 => Just(Ok(shipped())), 1 => Just(Err("no such object".to_owned()))]
}

/// Whose credentials a step changes.
fn changes(step: &Step) -> (&'static str, &PrincipalName) {
    match step {
        Step::DenyAll(step) => ("user", &step.user),
        Step::DeactivateKey(step) => ("user", &step.user),
        Step::RemoveLoginProfile(step) => ("user", &step.user),
        Step::DeactivateServiceCredential(step) => ("user", &step.user),
        Step::DeactivateSshKey(step) => ("user", &step.user),
        Step::DeactivateSigningCertificate(step) => ("user", &step.user),
        Step::AttachQuarantineMarker(step) => ("user", &step.user),
        Step::DenySession(step) => ("role", &step.role),
        Step::RevokeOlderSessions(step) => ("role", &step.role),
        Step::JoinDenyGroup(step) => ("user", &step.user),
        Step::DeactivateMfaDevice(step) => ("user", &step.user),
        Step::AttachDenyAll(AttachDenyAll { principal, .. }) | Step::DenyByBoundary(DenyByBoundary { principal, .. }) => {
            match principal {
                Entity::User(name) => ("user", name),
                Entity::Role(name) => ("role", name),
            }
        }
        Step::PrepareIsolationGroup(_)
        | Step::IsolateInterface(_)
        | Step::ProtectFromTermination(_)
        | Step::ProtectFromStop(_)
        | Step::StopOnShutdown(_)
        | Step::KeepVolume(_)
        | Step::ProtectFromScaleIn(_)
        | Step::EnterStandby(_)
        | Step::DetachFromAutoScaling(_)
        | Step::DeregisterTarget(_)
        | Step::DeregisterFromLoadBalancer(_)
        | Step::DisassociateAddress(_)
        | Step::RemovePublicAddress(_)
        | Step::LowerConnectionTimeout(_)
        | Step::UntrackConnections(_)
        | Step::SnapshotVolumes(_)
        | Step::LockSnapshot(_) => unreachable!("{} is no step on an identity", step.name()),
    }
}

fn check(finding: &Finding, target: &Target, observed: &Observed, responder: &Responder, decision: &Decision) {
    let who = match &observed.state {
        Principal::User(user) => Some(("user", &user.name)),
        Principal::Role(role) => Some(("role", &role.name)),
        Principal::Absent | Principal::NotLooked | Principal::Unreachable { .. } => None,
    };
    for step in decision.plan.steps() {
        assert_eq!(Some(changes(step)), who, "a step for another principal than the observed one");
        if let Step::DeactivateKey(step) = step {
            let Principal::User(user) = &observed.state else { unreachable!("keys are users'") };
            assert!(user.keys.iter().any(|key| key.id == step.key && key.active), "a key that is not the user's");
        }
    }
    match &decision.verdict {
        Verdict::Contain | Verdict::Propose(_) | Verdict::Observe => {
            let proved = match (target, &observed.state) {
                (Target::User(accused), Principal::User(user)) => match &accused.unique_id {
                    Some(id) => *id == user.unique_id,
                    None => user.keys.iter().any(|key| Some(&key.id) == accused.key.as_ref()),
                },
                (Target::RoleSession(accused), Principal::Role(role)) => accused.role_id.as_ref() == Some(&role.unique_id),
                _ => false,
            };
            assert!(proved, "planned without a proof of identity: {decision:?}");
            assert_eq!(finding.account, responder.account);
        }
        Verdict::CannotContain(_) | Verdict::Skip(_) | Verdict::Ignore(_) => {
            assert!(decision.plan.is_empty() && decision.ruling.is_none(), "{decision:?}");
        }
    }
    if decision.verdict == Verdict::Contain {
        assert!(observed.guardrails.is_ok());
        assert!(matches!(observed.source, AtSource::Confirmed(_) | AtSource::NotKept));
        let own = |role: &ObservedRole| responder.is_own(&role.arn);
        assert!(!matches!(&observed.state, Principal::Role(role) if own(role)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn no_decision_reaches_beyond_the_principal_that_is_proved_to_be_the_accused(
        finding in a_finding(), target in target(), principal in principal(), source in source(), guardrails in guardrails(),
    ) {
        let observed = Observed { source, guardrails, state: principal };
        let decision = decide(&finding, &target, &observed, &responder(), now());
        check(&finding, &target, &observed, &responder(), &decision);
        let stored = serde_json::to_string(&decision).expect("JSON");
        prop_assert_eq!(serde_json::from_str::<Decision>(&stored).expect("what the case stores is read back"), decision);
    }

    #[test]
    fn the_same_facts_give_the_same_decision(target in target(), principal in principal(), seconds in 0_u64..100_000) {
        let observed = Observed { source: AtSource::NotKept, guardrails: Ok(shipped()), state: principal };
        let now = at("2026-11-21T20:48:00Z").plus(std::time::Duration::from_secs(seconds));
        let once = decide(&claim(), &target, &observed, &responder(), now);
        prop_assert_eq!(decide(&claim(), &target, &observed, &responder(), now), once);
    }
}
