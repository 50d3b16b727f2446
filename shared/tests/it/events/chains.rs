//! Roles the accused assumed, and actors of an attack sequence that belong together.

use rstest::rstest;
use serde_json::{Value, json};
use tourniquet::finding::{Elsewhere, ElsewhereSort, Finding, Target};

use crate::support::{arn, finding, findings, sample};

const ACTORS: &str = "/detail/service/detection/sequence/actors";

fn edited(event: &str, edit: impl FnOnce(&mut Value)) -> Finding {
    let mut event: Value = serde_json::from_slice(&sample(event)).expect("JSON");
    edit(&mut event);
    findings(event.to_string().as_bytes()).remove(0)
}

fn with_call(edit: impl FnOnce(&mut Value)) -> Finding {
    edited("user-assumed-a-role", |event| edit(&mut event["detail"]["service"]["action"]["awsApiCallAction"]))
}

#[test]
fn the_role_a_call_assumed_is_named() {
    assert_eq!(finding("user-assumed-a-role").assumed_roles, [arn("arn:aws:iam::111122223333:role/developer")]);
    let web = with_call(|call| call["api"] = json!("AssumeRoleWithWebIdentity"));
    assert_eq!(web.assumed_roles.len(), 1);
}

#[test]
fn a_role_that_was_not_assumed_is_not_named() {
    assert!(with_call(|call| call["api"] = json!("AttachRolePolicy")).assumed_roles.is_empty());
    assert!(with_call(|call| call["errorCode"] = json!("AccessDenied")).assumed_roles.is_empty());
    assert!(with_call(|call| call["affectedResources"] = json!({})).assumed_roles.is_empty());
    assert!(with_call(|call| call["affectedResources"] = Value::Null).assumed_roles.is_empty());
    let not_roles = json!({ "AWS::S3::Bucket": "arn:aws:s3:::role", "AWS::IAM::Role": "developer", "AWS::IAM::User": 7 });
    assert!(with_call(|call| call["affectedResources"] = not_roles).assumed_roles.is_empty());
}

#[test]
fn a_copy_in_security_hub_names_the_role_too() {
    let finding = edited("leaked-access-key-security-hub-copy", |event| {
        let call = &mut event["detail"]["findings"][0]["Action"]["AwsApiCallAction"];
        call["Api"] = json!("AssumeRole");
        call["AffectedResources"] = json!({ "AWS::IAM::Role": "arn:aws:iam::111122223333:role/developer" });
    });
    assert_eq!(finding.assumed_roles, [arn("arn:aws:iam::111122223333:role/developer")]);
}

#[test]
fn another_product_does_not_get_to_name_assumed_roles() {
    let finding = edited("application-finding-user", |event| {
        event["detail"]["findings"][0]["Action"] = json!({ "ActionType": "AWS_API_CALL", "AwsApiCallAction": {
            "Api": "AssumeRole", "AffectedResources": { "AWS::IAM::Role": "arn:aws:iam::111122223333:role/developer" } } });
    });
    assert!(finding.assumed_roles.is_empty());
}

#[test]
fn actors_that_form_one_chain_are_all_accused() {
    let targets = finding("attack-sequence-chain").targets;
    assert!(matches!(&targets[..], [Target::User(_), Target::RoleSession(_)]), "{targets:?}");
    assert_eq!(several_actors(&finding("attack-sequence-two-actors")), Some("2 actors"));
}

fn several_actors(finding: &Finding) -> Option<&str> {
    match &finding.targets[..] {
        [Target::Elsewhere(Elsewhere { sort: ElsewhereSort::SeveralActors, label, .. })] => Some(label),
        _ => None,
    }
}

fn actor(name: &str, user_type: &str, uid: &str, issuer: Option<&str>) -> Value {
    json!({
        "id": uid,
        "user": { "name": name, "uid": uid, "type": user_type },
        "session": issuer.map(|issuer| json!({ "issuer": format!("arn:aws:iam::111122223333:{issuer}") })),
    })
}

fn accused(actors: Vec<Value>) -> Finding {
    edited("attack-sequence-chain", |event| *event.pointer_mut(ACTORS).expect("actors") = actors.into())
}

fn user(issuer: Option<&str>) -> Value {
    actor("svc-deploy", "IAMUser", "AIDASVCDEPLOYQEXAMPLE", issuer)
}

fn role(name: &str, id: &str, issuer: Option<&str>) -> Value {
    actor(name, "AssumedRole", &format!("{id}:work"), issuer)
}

#[rstest]
#[case::a_session_of_another_user(vec![
    user(None), role("developer", "AROADEVELOPERQEXAMPLE", Some("user/payroll-admin"))])]
#[case::a_session_of_its_own_role_only(vec![
    user(None), role("developer", "AROADEVELOPERQEXAMPLE", Some("role/developer"))])]
#[case::two_that_issued_each_other(vec![
    role("developer", "AROADEVELOPERQEXAMPLE", Some("role/admin")), role("admin", "AROAADMINQQEXAMPLEQ", Some("role/developer"))])]
#[case::a_circle_beside_a_user(vec![
    user(None),
    role("developer", "AROADEVELOPERQEXAMPLE", Some("role/admin")),
    role("admin", "AROAADMINQQEXAMPLEQ", Some("role/developer"))])]
#[case::a_third_that_hangs_nowhere(vec![
    user(None),
    role("developer", "AROADEVELOPERQEXAMPLE", Some("user/svc-deploy")),
    role("admin", "AROAADMINQQEXAMPLEQ", None)])]
fn actors_that_need_not_belong_together_are_for_a_person(#[case] actors: Vec<Value>) {
    let finding = accused(actors);
    assert!(several_actors(&finding).is_some(), "{:?}", finding.targets);
}

#[test]
fn a_chain_may_come_in_any_order() {
    let finding = accused(vec![
        role("admin", "AROAADMINQQEXAMPLEQ", Some("role/developer")),
        role("developer", "AROADEVELOPERQEXAMPLE", Some("user/ci/svc-deploy")),
        user(None),
    ]);
    assert_eq!(finding.targets.len(), 3, "{:?}", finding.targets);
}

#[test]
fn an_issuer_of_another_account_links_nobody() {
    let mut child = role("developer", "AROADEVELOPERQEXAMPLE", None);
    child["session"] = json!({ "issuer": "arn:aws:iam::444455556666:user/svc-deploy" });
    assert!(several_actors(&accused(vec![user(None), child])).is_some());
}

#[test]
fn a_federated_session_is_contained_with_the_user_that_issued_it() {
    let federated = actor("alice", "FederatedUser", "111122223333:alice", Some("user/svc-deploy"));
    let targets = accused(vec![user(None), federated]).targets;
    assert!(matches!(&targets[..], [Target::User(user)] if user.name.as_str() == "svc-deploy"), "{targets:?}");
}

#[test]
fn hundreds_of_actors_are_for_a_person() {
    let child = |index: usize| role(&format!("r{index}"), &format!("AROA{index:017}"), Some("user/svc-deploy"));
    let actors = std::iter::once(user(None)).chain((0..400).map(child)).collect();
    assert_eq!(several_actors(&accused(actors)), Some("401 actors"));
}
