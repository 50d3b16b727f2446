//! Exposed keys (AWS Health), exposed principals (IAM Access Analyzer), exposed buckets (Macie).

use std::collections::BTreeSet;

use rstest::rstest;
use serde_json::{Value, json};
use tourniquet::case::CaseId;
use tourniquet::containment::TargetRecord;
use tourniquet::event::{IgnoredReason, Parsed, parse};
use tourniquet::finding::{ElsewhereSort, Finding, Target};

use crate::support::{finding, findings, key, sample};

fn edited(event: &str, edit: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut event: Value = serde_json::from_slice(&sample(event)).expect("JSON");
    edit(&mut event["detail"]);
    event.to_string().into_bytes()
}

fn reason(bytes: &[u8]) -> Option<IgnoredReason> {
    match &parse(bytes)[..] {
        [Parsed::Ignored(ignored)] => Some(ignored.reason),
        _ => None,
    }
}

fn one(bytes: &[u8]) -> Finding {
    findings(bytes).remove(0)
}

#[test]
fn each_key_of_a_health_event_is_accused_once() {
    let expected = ["AKIASVCBUILDQEXAMPLE", "AKIASVCDEPLOYEXAMPLE"].map(|id| Target::AccessKey { key: key(id) });
    assert_eq!(finding("exposed-keys-health-two-users").targets, expected);
}

#[test]
fn the_copy_from_the_backup_region_is_the_same_finding() {
    assert_eq!(finding("exposed-key-health-backup-region"), finding("exposed-key-health"));
}

#[test]
fn two_keys_that_read_alike_once_redacted_get_a_case_each() {
    let exposed = one(&edited("exposed-key-health", |detail| {
        detail["affectedEntities"] =
            json!([{ "entityValue": "AKIASVCBUILDQEXAMPLE" }, { "entityValue": "AKIASVCDEPLOYEXAMPLE" }]);
    }));
    let cases = exposed.targets.iter().map(|target| {
        let record = TargetRecord::accused(&exposed, target);
        assert!(record.arn.starts_with("access key AKIA\u{2026}MPLE #"), "{}", record.arn);
        CaseId::of(&exposed, &record.key(&exposed.id)).to_string()
    });
    assert_eq!(cases.collect::<BTreeSet<_>>().len(), 2);
}

#[test]
fn a_key_named_only_in_the_metadata_is_accused() {
    let named = one(&edited("exposed-key-health", |detail| detail["affectedEntities"] = json!([])));
    assert_eq!(named.targets, finding("exposed-key-health").targets);
}

#[test]
fn an_exposed_session_key_has_no_owner_to_ask_iam_for() {
    let exposed = one(&edited("exposed-key-health", |detail| {
        detail["affectedEntities"] = json!([{ "entityValue": "ASIASVCBUILDQEXAMPLE" }]);
    }));
    assert!(matches!(&exposed.targets[..], [Target::Elsewhere(elsewhere)]
        if elsewhere.sort == ElsewhereSort::Unnamed && elsewhere.key == Some(key("ASIASVCBUILDQEXAMPLE"))));
}

#[rstest]
#[case("AWS_RISK_CREDENTIALS_COMPROMISED", 9.0)]
#[case("AWS_RISK_CREDENTIALS_COMPROMISE_SUSPECTED", 7.0)]
fn a_code_akin_to_the_documented_one_accuses_too(#[case] code: &str, #[case] severity: f64) {
    let akin = one(&edited("exposed-key-health", |detail| detail["eventTypeCode"] = json!(code)));
    assert_eq!((akin.finding_type.as_str(), akin.severity), (code, severity));
}

#[test]
fn any_other_health_event_is_no_finding() {
    let other = edited("exposed-key-health", |detail| detail["eventTypeCode"] = json!("AWS_RISK_IAM_QUARANTINE"));
    assert_eq!(reason(&other), Some(IgnoredReason::UnknownEnvelope));
}

#[test]
fn an_analyzers_finding_and_its_copy_in_security_hub_share_an_id() {
    let (own, copy) = (finding("access-analyzer-role"), finding("access-analyzer-security-hub-copy"));
    assert_eq!((own.id, own.targets), (copy.id, copy.targets));
}

#[rstest]
#[case::resolved("status", json!("RESOLVED"), IgnoredReason::ResolvedFinding)]
#[case::archived("status", json!("ARCHIVED"), IgnoredReason::ArchivedFinding)]
#[case::deleted("isDeleted", json!(true), IgnoredReason::ResolvedFinding)]
#[case::not_analysed("error", json!("ACCESS_DENIED"), IgnoredReason::NoFindings)]
#[case::without_a_resource("resource", Value::Null, IgnoredReason::IncompleteFinding)]
#[case::without_an_account("accountId", json!("everyone"), IgnoredReason::IncompleteFinding)]
fn an_analyzers_finding_that_says_nothing_is_ignored(#[case] field: &str, #[case] value: Value, #[case] expected: IgnoredReason) {
    for event in ["access-analyzer-role", "access-analyzer-unused-key"] {
        assert_eq!(reason(&edited(event, |detail| detail[field] = value.clone())), Some(expected), "{event}");
    }
}

#[test]
fn a_role_that_anybody_may_assume_weighs_more() {
    let public = one(&edited("access-analyzer-role", |detail| detail["isPublic"] = json!(true)));
    assert!(public.severity > finding("access-analyzer-role").severity);
}

#[test]
fn an_analyzer_of_the_organisation_may_see_another_account() {
    let foreign = one(&edited("access-analyzer-role", |detail| {
        detail["resource"] = json!("arn:aws:iam::444455556666:role/partner-upload");
    }));
    assert!(matches!(&foreign.targets[..], [Target::Elsewhere(elsewhere)] if elsewhere.sort == ElsewhereSort::ForeignAccount));
}

#[test]
fn who_may_reach_a_bucket_is_not_accused_of_it() {
    let targets = finding("access-analyzer-internal").targets;
    assert!(matches!(&targets[..], [Target::Resource { .. }]), "{targets:?}");
}

/// The actor of a Macie policy finding, of type `user_type`, with these fields.
fn macie_actor(user_type: &str, field: &str, fields: &Value) -> Target {
    one(&edited("macie-policy-user", |detail| {
        detail["policyDetails"]["actor"]["userIdentity"] = json!({ "type": user_type, field: fields });
    }))
    .targets
    .remove(0)
}

#[test]
fn macie_names_every_sort_of_actor() {
    let own = "111122223333";
    let sort = |target: &Target| match target {
        Target::Elsewhere(elsewhere) => Some(elsewhere.sort),
        _ => None,
    };
    let root = macie_actor("Root", "root", &json!({ "accountId": own, "principalId": own }));
    assert_eq!(root, Target::Root { key: None });
    let foreign = macie_actor("AWSAccount", "awsAccount", &json!({ "accountId": "444455556666", "principalId": "AIDAX" }));
    assert_eq!(sort(&foreign), Some(ElsewhereSort::ForeignAccount));
    let service = macie_actor("AWSService", "awsService", &json!({ "invokedBy": "cloudformation.amazonaws.com" }));
    assert_eq!(sort(&service), Some(ElsewhereSort::AwsService));
    let guest = json!({
        "accountId": "444455556666",
        "principalId": "AROAGUESTROLEQEXAMPLE:x1",
        "arn": "arn:aws:sts::444455556666:assumed-role/developer/x1"
    });
    assert_eq!(sort(&macie_actor("AssumedRole", "assumedRole", &guest)), Some(ElsewhereSort::ForeignAccount));
    let unknown = macie_actor("Robot", "robot", &json!({ "accountId": own, "principalId": "AIDASVCBUILDQ7EXAMPLE" }));
    assert_eq!(sort(&unknown), Some(ElsewhereSort::UnknownType));
}

#[test]
fn a_role_session_without_its_issuer_has_the_roles_name_in_its_arn() {
    let fields = json!({
        "accountId": "111122223333",
        "principalId": "AROADEVELOPERQEXAMPLE:m.rossi@example.com",
        "arn": "arn:aws:sts::111122223333:assumed-role/developer/m.rossi@example.com",
        "accessKeyId": "ASIADEVROSSIQEXAMPLE"
    });
    assert_eq!(macie_actor("AssumedRole", "assumedRole", &fields), finding("macie-policy-role-session").targets[0]);
}

#[test]
fn sensitive_data_accuses_nobody_whoever_else_is_named() {
    let mut event: Value = serde_json::from_slice(&sample("macie-sensitive-data")).expect("JSON");
    let policy: Value = serde_json::from_slice(&sample("macie-policy-user")).expect("JSON");
    event["detail"]["policyDetails"] = policy["detail"]["policyDetails"].clone();
    assert!(matches!(&one(event.to_string().as_bytes()).targets[..], [Target::Resource { .. }]));
}

#[rstest]
#[case("Low", 1, 1.0)]
#[case("Medium", 2, 4.0)]
#[case("High", 3, 7.0)]
fn macies_three_grades_are_the_lowest_of_their_word(#[case] word: &str, #[case] score: i64, #[case] expected: f64) {
    for severity in [json!({ "score": score }), json!({ "description": word })] {
        let graded = one(&edited("macie-policy-user", |detail| detail["severity"] = severity)).severity;
        assert!((graded - expected).abs() < f64::EPSILON, "{graded}");
    }
}

#[test]
fn an_archived_macie_finding_is_ignored() {
    let archived = edited("macie-policy-user", |detail| detail["archived"] = json!(true));
    assert_eq!(reason(&archived), Some(IgnoredReason::ArchivedFinding));
}
