//! Events: whatever the bytes, every finding is safe to act on and everything else is ignored with a reason.

use std::collections::BTreeSet;

use serde_json::Value;
use tourniquet::case::CaseId;
use tourniquet::containment::TargetRecord;
use tourniquet::event::{Parsed, parse, parse_guardduty_finding, parse_security_hub_finding, parse_snapshot_event};
use tourniquet::finding::{Finding, Target, Trigger};
use tourniquet::id::{AccountId, FindingId, InstanceId, PrincipalName, Region, SessionName, SnapshotId, UniqueId};

use super::text::is_printable;

/// Checks what `bytes` are read as, and what the same bytes are read as when a detector's own API returns them.
pub fn check(bytes: &[u8]) -> Vec<Parsed> {
    let parsed = parse(bytes);
    assert!(!parsed.is_empty(), "an event became nothing");
    assert_eq!(parse(bytes), parsed, "read twice, it says two things");
    parsed.iter().for_each(check_parsed);
    check_snapshots(bytes);
    if let Ok(value) = serde_json::from_slice::<Value>(bytes) {
        check_finding_alone(&value);
        if let Some(detail) = value.get("detail") {
            check_finding_alone(detail);
        }
    }
    parsed
}

/// Checks what the same bytes are read as where an event of EBS is expected.
fn check_snapshots(bytes: &[u8]) {
    match parse_snapshot_event(bytes) {
        Ok(event) => {
            let ids: BTreeSet<_> = event.snapshots.iter().map(|snapshot| snapshot.snapshot.as_str()).collect();
            assert!(!ids.is_empty() && ids.len() == event.snapshots.len(), "{event:?}");
            assert!(ids.iter().all(|id| SnapshotId::parse(id).is_ok()), "{event:?}");
            assert!(event.cause.iter().all(|cause| is_printable(cause) && cause.chars().count() <= 200), "{event:?}");
            assert!(!event.succeeded || event.snapshots.iter().all(|snapshot| snapshot.completed), "{event:?}");
        }
        Err(ignored) => assert!(is_printable(&ignored.detail) && ignored.detail.chars().count() <= 200, "{ignored:?}"),
    }
}

/// Checks a finding without an envelope, by a rule and by a person's click.
pub fn check_finding_alone(value: &Value) {
    for trigger in [Trigger::Event, Trigger::Button { action: "arn:aws:securityhub:a:b:action/custom/c".to_owned() }] {
        check_parsed(&parse_guardduty_finding(value, &trigger));
        check_parsed(&parse_security_hub_finding(value, &trigger));
    }
}

fn check_parsed(parsed: &Parsed) {
    match parsed {
        Parsed::Finding(finding) => check_finding(finding),
        Parsed::Ignored(ignored) => {
            assert!(is_printable(&ignored.detail) && ignored.detail.chars().count() <= 200, "{ignored:?}");
            assert!(!ignored.reason.as_str().is_empty());
        }
    }
    let stored = serde_json::to_string(parsed).expect("JSON");
    let restored: Parsed = serde_json::from_str(&stored).expect("what the case stores is read back");
    assert_eq!(restored, *parsed);
}

fn check_finding(finding: &Finding) {
    assert!(FindingId::parse(finding.id.as_str()).is_ok());
    assert!(AccountId::parse(finding.account.as_str()).is_ok());
    assert!(Region::parse(finding.region.as_str()).is_ok());
    assert!(finding.severity.is_finite());
    let product = finding.product.clone().unwrap_or_default();
    let action = match &finding.trigger {
        Trigger::Event => "",
        Trigger::Button { action } => action,
        Trigger::Approval { plan, .. } => plan,
    };
    for (text, limit) in [(&*finding.title, 200), (&finding.finding_type, 128), (&product, 256), (action, 256)] {
        assert!(is_printable(text) && text.chars().count() <= limit, "{text:?}");
    }
    for target in &finding.targets {
        check_target(finding, target);
        // What a target is filed under is a path that nobody can lead elsewhere.
        let key = TargetRecord::accused(finding, target).key(&finding.id);
        assert!(key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/_:+=,.@-".contains(&byte)), "{key}");
        assert_eq!(key.matches('/').count(), 2, "{key}");
        assert!(!key.contains("/../") && !key.ends_with("/.."), "{key}");
        assert!(CaseId::parse(&CaseId::of(finding, &key).to_string()).is_ok());
    }
    for (at, target) in finding.targets.iter().enumerate() {
        let is_known = finding.targets[..at].iter().any(|known| match (known, target) {
            (Target::Instance(known), Target::Instance(target)) => known.id == target.id,
            (Target::Resource { .. }, Target::Resource { .. }) => false,
            (known, target) => known == target,
        });
        assert!(!is_known, "accused twice: {target:?}");
    }
}

fn check_target(finding: &Finding, target: &Target) {
    match target {
        Target::User(user) => {
            assert!(PrincipalName::parse(user.name.as_str()).is_ok());
            assert!(
                user.unique_id.as_ref().is_none_or(|id| UniqueId::parse(id.as_str()).is_ok() && id.as_str().starts_with("AIDA"))
            );
        }
        Target::RoleSession(role) => {
            assert!(PrincipalName::parse(role.role.as_str()).is_ok());
            assert!(
                role.role_id.as_ref().is_none_or(|id| UniqueId::parse(id.as_str()).is_ok() && id.as_str().starts_with("AROA"))
            );
            assert!(role.session.as_ref().is_none_or(|session| SessionName::parse(session.as_str()).is_ok()));
            assert!(role.instance.as_ref().is_none_or(|id| InstanceId::parse(id.as_str()).is_ok()));
        }
        Target::AccessKey { key } => assert!(key.is_long_term()),
        Target::Root { .. } => {}
        Target::Elsewhere(elsewhere) => assert!(is_printable(&elsewhere.label) && elsewhere.label.chars().count() <= 80),
        Target::Instance(instance) => {
            assert!(InstanceId::parse(instance.id.as_str()).is_ok());
            if let Some(profile) = &instance.profile {
                assert_eq!(
                    (profile.partition(), profile.service(), profile.account()),
                    (finding.partition(), "iam", finding.account.as_str())
                );
                assert!(profile.resource().starts_with("instance-profile/"), "{profile}");
            }
        }
        Target::Resource { resource_type } => assert!(is_printable(resource_type) && resource_type.chars().count() <= 40),
    }
}
