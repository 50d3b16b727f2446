//! One finding arrives by several feeds: its copies must end in one case.

use std::collections::BTreeSet;

use rstest::rstest;
use serde_json::Value;
use tourniquet::event::{Parsed, parse, parse_guardduty_finding};
use tourniquet::finding::{Button, ElsewhereSort, Finding, Target, Trigger};

use crate::support::{FIRST_KEY, finding, key, sample};

const COPIES: [&str; 5] = [
    "leaked-access-key",
    "leaked-access-key-updated",
    "leaked-access-key-security-hub-copy",
    "leaked-access-key-ocsf-copy",
    "leaked-access-key-ocsf-copy-sparse",
];

#[test]
fn the_copies_of_a_finding_share_id_account_region_type_and_first_sighting() {
    let identity = |finding: &Finding| {
        (
            finding.id.to_string(),
            finding.account.to_string(),
            finding.region.to_string(),
            finding.finding_type.clone(),
            finding.first_seen.to_string(),
        )
    };
    let distinct: BTreeSet<_> = COPIES.iter().map(|name| identity(&finding(name))).collect();
    assert_eq!(distinct.len(), 1, "{distinct:#?}");
}

#[rstest]
#[case("leaked-access-key-updated")]
#[case("leaked-access-key-security-hub-copy")]
#[case("leaked-access-key-ocsf-copy")]
fn a_full_copy_accuses_the_same_target(#[case] copy: &str) {
    assert_eq!(finding(copy).targets, finding("leaked-access-key").targets);
}

#[test]
fn a_sparse_copy_accuses_the_same_key() {
    assert_eq!(finding("leaked-access-key-ocsf-copy-sparse").targets, [Target::AccessKey { key: key(FIRST_KEY) }]);
    assert!(matches!(&finding("leaked-access-key").targets[0], Target::User(user) if user.key == Some(key(FIRST_KEY))));
}

#[test]
fn the_copies_of_an_anomalous_finding_name_its_type_alike() {
    let event = finding("anomalous-behaviour-user");
    let copy = finding("anomalous-behaviour-security-hub-copy");
    let pressed = finding("custom-action-user");
    assert_eq!((&event.id, &event.finding_type, &event.targets), (&copy.id, &copy.finding_type, &copy.targets));
    assert_eq!((&event.id, &event.finding_type, &event.targets), (&pressed.id, &pressed.finding_type, &pressed.targets));
}

/// The key spelt as the detector's API spells it: `resourceType` is `ResourceType`.
fn capitalised(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let capitalised_key = |text: &str| text[..1].to_ascii_uppercase() + &text[1..];
            fields.iter().map(|(key, value)| (capitalised_key(key), capitalised(value))).collect()
        }
        Value::Array(elements) => elements.iter().map(capitalised).collect(),
        value => value.clone(),
    }
}

#[rstest]
#[case("leaked-access-key")]
#[case("instance-credentials-exfiltrated")]
#[case("attack-sequence-one-actor")]
#[case("s3-finding-by-foreign-role")]
#[case("sample-finding")]
#[case("archived-finding")]
#[case("contain-instance/crypto-mining-instance")]
#[case("contain-instance/instance-without-profile")]
#[case("contain-instance/attack-sequence-instance-and-its-role")]
fn a_guardduty_finding_reads_the_same_from_event_api_and_export(#[case] name: &str) {
    let event: Value = serde_json::from_slice(&sample(name)).expect("JSON");
    let from_event = parse(&sample(name)).remove(0);
    assert_eq!(parse_guardduty_finding(&event["detail"], &Trigger::Event), from_event);
    assert_eq!(parse_guardduty_finding(&capitalised(&event["detail"]), &Trigger::Event), from_event);
    let bare = serde_json::to_vec(&event["detail"]).expect("JSON");
    assert_eq!(parse(&bare), [from_event]);
}

#[rstest]
#[case::event(Trigger::Event, Some("archived_finding"))]
#[case::button(crate::support::pressed(Button::Contain), None)]
fn an_archived_finding_at_the_detector_counts_only_for_a_person_s_click(
    #[case] trigger: Trigger,
    #[case] expected: Option<&str>,
) {
    let event: Value = serde_json::from_slice(&sample("archived-finding")).expect("JSON");
    let parsed = parse_guardduty_finding(&event["detail"], &trigger);
    assert_eq!(ignored(&parsed), expected);
    if let Parsed::Finding(finding) = parsed {
        assert_eq!(finding.trigger, trigger, "it is read as the click it stands for");
    }
    // A generated sample is nobody's, whoever clicks.
    let sample: Value = serde_json::from_slice(&sample("sample-finding")).expect("JSON");
    assert_eq!(ignored(&parse_guardduty_finding(&sample["detail"], &trigger)), Some("sample_finding"));
}

#[rstest]
#[case(Value::Bool(false), false)]
#[case(Value::Bool(true), true)]
#[case("false".into(), false)]
#[case("true".into(), true)]
#[case("TRUE".into(), true)]
#[case(Value::Null, false)]
fn a_flag_may_be_text(#[case] archived: Value, #[case] is_archived: bool) {
    let mut event: Value = serde_json::from_slice(&sample("leaked-access-key")).expect("JSON");
    event["detail"]["service"]["archived"] = archived;
    let parsed = parse(&serde_json::to_vec(&event).expect("JSON")).remove(0);
    assert_eq!(matches!(&parsed, Parsed::Ignored(ignored) if ignored.reason.as_str() == "archived_finding"), is_archived);
    assert_eq!(matches!(parsed, Parsed::Finding(_)), !is_archived);
}

#[rstest]
#[case::float(serde_json::json!(8.0))]
#[case::integer(serde_json::json!(8))]
#[case::text(serde_json::json!("8"))]
fn a_severity_may_be_an_integer_a_float_or_text(#[case] severity: Value) {
    let mut event: Value = serde_json::from_slice(&sample("leaked-access-key")).expect("JSON");
    event["detail"]["severity"] = severity;
    assert_eq!(parse(&serde_json::to_vec(&event).expect("JSON")), parse(&sample("leaked-access-key")));
}

#[rstest]
#[case(
    "Instance",
    "Instance(Instance { id: i-0a1b2c3d4e5f67890, profile: Some(arn:aws:iam::111122223333:instance-profile/app-server) })"
)]
#[case("instance", "Resource { resource_type: \"instance\" }")]
#[case("EKSCluster", "Resource { resource_type: \"EKSCluster\" }")]
#[case("Lambda", "Resource { resource_type: \"Lambda\" }")]
#[case("SomethingNew", "Resource { resource_type: \"SomethingNew\" }")]
fn the_target_follows_the_resource_type_not_the_details_present(#[case] resource_type: &str, #[case] target: &str) {
    let mut event: Value = serde_json::from_slice(&sample("instance-credentials-exfiltrated")).expect("JSON");
    event["detail"]["resource"]["resourceType"] = resource_type.into();
    let findings = crate::support::findings(&serde_json::to_vec(&event).expect("JSON"));
    assert_eq!(format!("{:?}", findings[0].targets), format!("[{target}]"));
}

#[test]
fn instance_details_count_only_where_the_finding_is_about_stolen_instance_credentials() {
    let mut event: Value = serde_json::from_slice(&sample("instance-credentials-exfiltrated")).expect("JSON");
    let instance = |event: &Value| {
        let findings = crate::support::findings(&serde_json::to_vec(event).expect("JSON"));
        match &findings[0].targets[0] {
            Target::RoleSession(session) => session.instance.as_ref().map(ToString::to_string),
            _ => None,
        }
    };
    assert_eq!(instance(&event).as_deref(), Some(crate::support::INSTANCE));
    event["detail"]["type"] = "UnauthorizedAccess:IAMUser/MaliciousIPCaller".into();
    assert_eq!(instance(&event), None);
}

/// The Security Hub copy of the sample finding, with `change` made to it.
fn imported(change: impl Fn(&mut Value)) -> Parsed {
    let mut event: Value = serde_json::from_slice(&sample("leaked-access-key-security-hub-copy")).expect("JSON");
    change(&mut event["detail"]["findings"][0]);
    parse(&serde_json::to_vec(&event).expect("JSON")).remove(0)
}

fn ignored(parsed: &Parsed) -> Option<&'static str> {
    match parsed {
        Parsed::Ignored(ignored) => Some(ignored.reason.as_str()),
        Parsed::Finding(_) => None,
    }
}

#[test]
fn a_configuration_check_accuses_nobody() {
    assert_eq!(ignored(&imported(|_| {})), None);
    let by_status = imported(|finding| finding["Compliance"] = serde_json::json!({ "Status": "FAILED" }));
    assert_eq!(ignored(&by_status), Some("posture_finding"));
    let by_type = imported(|finding| {
        finding["ProductArn"] = "arn:aws:securityhub:eu-west-1::product/aws/securityhub".into();
        finding["Types"] = serde_json::json!(["Software and Configuration Checks/Industry and Regulatory Standards"]);
    });
    assert_eq!(ignored(&by_type), Some("posture_finding"));
    let mut ocsf: Value = serde_json::from_slice(&sample("leaked-access-key-ocsf-copy")).expect("JSON");
    ocsf["detail"]["findings"][0]["class_uid"] = 2003.into();
    assert_eq!(ignored(&parse(&serde_json::to_vec(&ocsf).expect("JSON"))[0]), Some("posture_finding"));
}

#[rstest]
#[case::flag("Sample", Value::Bool(true))]
#[case::flag_as_text("Sample", "true".into())]
#[case::title("Title", "[SAMPLE] API ListUsers was invoked".into())]
fn a_sample_is_ignored_in_security_hub_s_format_too(#[case] field: &str, #[case] value: Value) {
    assert_eq!(ignored(&imported(|finding| finding[field] = value.clone())), Some("sample_finding"));
}

#[test]
fn where_a_finding_tells_actors_from_targets_only_the_actors_are_accused() {
    let parsed = imported(|finding| {
        let mut actor = finding["Resources"][0].clone();
        actor["ResourceRole"] = "Actor".into();
        let bait =
            serde_json::json!({ "Type": "AwsIamRole", "Id": "arn:aws:iam::111122223333:role/bait", "ResourceRole": "Target" });
        finding["Resources"] = Value::Array(vec![bait, actor]);
    });
    let Parsed::Finding(decoy) = parsed else { unreachable!("a finding") };
    assert_eq!(decoy.targets, finding("leaked-access-key").targets);
}

#[test]
fn a_principal_named_twice_is_one_target_and_one_of_another_account_is_elsewhere() {
    let parsed = imported(|finding| {
        let key = finding["Resources"][0].clone();
        let user = serde_json::json!({ "Type": "AwsIamUser", "Id": "arn:aws:iam::111122223333:user/ci/svc-build" });
        let foreign = serde_json::json!({ "Type": "AwsIamUser", "Id": "arn:aws:iam::444455556666:user/svc-build" });
        finding["Resources"] = Value::Array(vec![key, user, foreign]);
    });
    let Parsed::Finding(parsed) = parsed else { unreachable!("a finding") };
    let [user, elsewhere] = &parsed.targets[..] else { unreachable!("two targets: {:?}", parsed.targets) };
    assert_eq!(*user, finding("leaked-access-key").targets[0]);
    assert!(matches!(elsewhere, Target::Elsewhere(elsewhere) if elsewhere.sort == ElsewhereSort::ForeignAccount));
}
