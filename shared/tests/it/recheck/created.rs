//! What a contained principal created, out of CloudTrail's records.

use rstest::rstest;
use serde_json::{Value, json};
use tourniquet::containment::identity::line_to_contain;
use tourniquet::event::{Created, Suspect, created_by};
use tourniquet::id::{Partition, UniqueId};

const USER: &str = "AIDACKCEVSQ6C2EXAMPLE";
const ROLE: &str = "AROACKCEVSQ6C2EXAMPLE";

fn suspect(id: &str, session: Option<&str>) -> Suspect {
    Suspect { id: UniqueId::parse(id).expect("an id"), session: session.map(str::to_owned) }
}

fn record(call: &str, principal: &str, parameters: &Value) -> Value {
    json!({
        "eventID": "5b1f0e9a-0000-4000-8000-000000000000", "eventName": call, "eventSource": "iam.amazonaws.com",
        "eventTime": "2026-11-21T20:46:56Z", "requestParameters": parameters, "responseElements": null,
        "userIdentity": { "type": "IAMUser", "principalId": principal, "userName": "svc-build" },
    })
}

#[rstest]
#[case::user("CreateUser", json!({ "userName": "spawn" }), "CreateUser user/spawn", "aws iam put-user-policy --user-name spawn")]
#[case::role("CreateRole", json!({ "roleName": "door" }), "CreateRole role/door", "aws iam attach-role-policy --role-name door")]
#[case::trust("UpdateAssumeRolePolicy", json!({ "roleName": "door" }), "UpdateAssumeRolePolicy role/door", "aws iam attach-role-policy")]
#[case::version(
    "CreatePolicyVersion", json!({ "policyArn": "arn:aws:iam::111122223333:policy/p" }),
    "CreatePolicyVersion arn:aws:iam::111122223333:policy/p", "aws iam list-policy-versions"
)]
#[case::provider("CreateSAMLProvider", json!({ "name": "idp" }), "CreateSAMLProvider idp", "aws iam list-saml-providers")]
#[case::its_own("CreateAccessKey", json!(null), "CreateAccessKey user/svc-build", "aws iam put-user-policy --user-name svc-build")]
fn what_went_through_is_named_with_a_line(
    #[case] call: &str,
    #[case] parameters: Value,
    #[case] label: &str,
    #[case] line: &str,
) {
    let created = created_by(&record(call, USER, &parameters), &suspect(USER, None)).expect("created");
    assert_eq!(created.label(), label);
    assert!(line_to_contain(&created, Partition::Aws).starts_with(line), "{}", line_to_contain(&created, Partition::Aws));
}

#[test]
fn a_key_is_named_redacted_and_kept_whole() {
    let mut made = record("CreateAccessKey", USER, &json!({ "userName": "spawn" }));
    made["responseElements"] = json!({ "accessKey": { "accessKeyId": "AKIAIOSFODNN7EXAMPLE", "userName": "spawn" } });
    let created = created_by(&made, &suspect(USER, None)).expect("created");
    assert_eq!(created.label(), "CreateAccessKey user/spawn AKIA…MPLE");
    assert!(!line_to_contain(&created, Partition::Aws).contains("AKIAIOSFODNN7EXAMPLE"));
    let kept = serde_json::to_string(&created).expect("JSON");
    assert!(kept.contains("AKIAIOSFODNN7EXAMPLE"));
    assert_eq!(serde_json::from_str::<Created>(&kept).expect("the same"), created);
}

#[test]
fn of_a_role_one_session_or_all_of_them() {
    let made = record("CreateUser", &format!("{ROLE}:m.rossi"), &json!({ "userName": "spawn" }));
    for (session, is_its) in [(None, true), (Some("m.rossi"), true), (Some("alice"), false)] {
        assert_eq!(created_by(&made, &suspect(ROLE, session)).is_some(), is_its, "{session:?}");
    }
}

#[test]
fn a_federated_session_is_its_issuers() {
    let mut made = record("CreateUser", "111122223333:build", &json!({ "userName": "spawn" }));
    made["userIdentity"]["sessionContext"] = json!({ "sessionIssuer": { "principalId": USER } });
    assert!(created_by(&made, &suspect(USER, None)).is_some());
}

#[rstest]
#[case::refused("/errorCode", json!("AccessDenied"))]
#[case::another_principal("/userIdentity/principalId", json!("AIDAI44QH8DHBEXAMPLE"))]
#[case::another_service("/eventSource", json!("ec2.amazonaws.com"))]
#[case::another_call("/eventName", json!("ListUsers"))]
#[case::hostile_name("/requestParameters/userName", json!("a b;rm"))]
#[case::no_time("/eventTime", json!("yesterday"))]
fn anything_else_is_nothing(#[case] pointer: &str, #[case] value: Value) {
    let mut made = record("CreateUser", USER, &json!({ "userName": "spawn" }));
    made["userIdentity"].as_object_mut().expect("an object").remove("userName");
    match made.pointer_mut(pointer) {
        Some(place) => *place = value,
        None => made["errorCode"] = value,
    }
    assert_eq!(created_by(&made, &suspect(USER, None)), None);
}
