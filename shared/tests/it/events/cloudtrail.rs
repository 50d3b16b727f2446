//! Single CloudTrail records as evidence: who issued a session, who enabled an MFA device.

use rstest::rstest;
use serde_json::{Value, json};
use tourniquet::event::{issuer_of, mfa_enabled_by};
use tourniquet::finding::{Target, User};

use super::hostile::pointers;
use crate::support::{ACCOUNT, HOSTILE, account, at, key, name, unique_id};

const SESSION_KEY: &str = "ASIAFEDALICEQEXAMPLE";

/// A call made with the session that `token-broker` asked for in alice's name.
fn federated_call() -> Value {
    json!({
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "FederatedUser",
            "principalId": "111122223333:alice",
            "arn": "arn:aws:sts::111122223333:federated-user/alice",
            "accountId": ACCOUNT,
            "accessKeyId": SESSION_KEY,
            "sessionContext": {
                "sessionIssuer": {
                    "type": "IAMUser",
                    "principalId": "AIDATOKENBROKEEXAMPLE",
                    "arn": "arn:aws:iam::111122223333:user/apps/token-broker",
                    "accountId": ACCOUNT,
                    "userName": "token-broker"
                },
                "attributes": { "creationDate": "2026-11-21T20:02:11Z", "mfaAuthenticated": "false" }
            }
        },
        "eventTime": "2026-11-21T20:41:07Z",
        "eventSource": "s3.amazonaws.com",
        "eventName": "ListBuckets",
        "awsRegion": "eu-west-1",
        "sourceIPAddress": "198.51.100.24",
        "userAgent": "[aws-cli/2.31.0]",
        "requestParameters": { "Host": "s3.eu-west-1.amazonaws.com" },
        "responseElements": null,
        "eventType": "AwsApiCall",
        "recipientAccountId": ACCOUNT
    })
}

fn with(mut record: Value, pointer: &str, value: Value) -> Value {
    *record.pointer_mut(pointer).unwrap_or_else(|| unreachable!("the record has {pointer}")) = value;
    record
}

fn issuer(record: &Value) -> Option<Target> {
    issuer_of(record, &key(SESSION_KEY), &account())
}

#[test]
fn the_user_that_asked_for_the_session_is_its_issuer() {
    let expected =
        User { name: name("token-broker"), unique_id: Some(unique_id("AIDATOKENBROKEEXAMPLE")), key: Some(key(SESSION_KEY)) };
    assert_eq!(issuer(&federated_call()), Some(Target::User(expected)));
}

#[test]
fn root_may_be_the_issuer() {
    let root = json!({
        "type": "Root",
        "principalId": ACCOUNT,
        "arn": "arn:aws:iam::111122223333:root",
        "accountId": ACCOUNT
    });
    let record = with(federated_call(), "/userIdentity/sessionContext/sessionIssuer", root);
    assert_eq!(issuer(&record), Some(Target::Root { key: Some(key(SESSION_KEY)) }));
}

#[rstest]
#[case::another_key("/userIdentity/accessKeyId", json!("ASIASOMEBODYELSEXMPL"))]
#[case::a_user_called_like_the_session("/userIdentity/type", json!("IAMUser"))]
#[case::a_call_in_another_account("/userIdentity/accountId", json!("444455556666"))]
#[case::an_issuer_of_another_account("/userIdentity/sessionContext/sessionIssuer/accountId", json!("444455556666"))]
#[case::an_arn_of_another_account(
    "/userIdentity/sessionContext/sessionIssuer/arn",
    json!("arn:aws:iam::444455556666:user/token-broker")
)]
#[case::an_arn_of_another_user(
    "/userIdentity/sessionContext/sessionIssuer/arn",
    json!("arn:aws:iam::111122223333:user/payroll-admin")
)]
#[case::an_arn_of_a_role("/userIdentity/sessionContext/sessionIssuer/arn", json!("arn:aws:iam::111122223333:role/token-broker"))]
#[case::an_arn_of_another_service(
    "/userIdentity/sessionContext/sessionIssuer/arn",
    json!("arn:aws:sts::111122223333:user/token-broker")
)]
#[case::a_role_as_issuer("/userIdentity/sessionContext/sessionIssuer/type", json!("Role"))]
#[case::root_by_type_only("/userIdentity/sessionContext/sessionIssuer/type", json!("Root"))]
#[case::an_issuer_without_its_unique_id("/userIdentity/sessionContext/sessionIssuer/principalId", Value::Null)]
#[case::the_unique_id_of_a_role("/userIdentity/sessionContext/sessionIssuer/principalId", json!("AROATOKENBROKEEXAMPLE"))]
#[case::an_issuer_without_an_arn("/userIdentity/sessionContext/sessionIssuer/arn", Value::Null)]
#[case::no_issuer("/userIdentity/sessionContext/sessionIssuer", json!({}))]
#[case::nobody("/userIdentity", Value::Null)]
fn a_record_of_something_else_or_half_a_record_names_nobody(#[case] pointer: &str, #[case] value: Value) {
    assert_eq!(issuer(&with(federated_call(), pointer, value)), None);
}

#[test]
fn a_hostile_record_never_names_another_principal() {
    let record = federated_call();
    for pointer in pointers(&record) {
        for text in HOSTILE {
            let named = issuer(&with(record.clone(), &pointer, json!(text)));
            assert!(named.is_none() || named == issuer(&record), "{pointer} = {text:?} named {named:?}");
            assert_eq!(mfa_enabled_by(&with(record.clone(), &pointer, json!(text))), None);
        }
    }
    for bare in [Value::Null, json!([]), json!("FederatedUser"), json!(7)] {
        assert_eq!((issuer(&bare), mfa_enabled_by(&bare)), (None, None));
    }
}

/// `svc-build` enabling a device, for itself where no user is named.
fn mfa_call() -> Value {
    json!({
        "eventVersion": "1.11",
        "userIdentity": {
            "type": "IAMUser",
            "principalId": "AIDASVCBUILDQ7EXAMPLE",
            "arn": "arn:aws:iam::111122223333:user/ci/svc-build",
            "accountId": ACCOUNT,
            "accessKeyId": "AKIASVCBUILDQEXAMPLE",
            "userName": "svc-build"
        },
        "eventTime": "2026-11-21T20:43:10Z",
        "eventSource": "iam.amazonaws.com",
        "eventName": "EnableMFADevice",
        "awsRegion": "us-east-1",
        "sourceIPAddress": "198.51.100.24",
        "requestParameters": { "userName": "alice", "serialNumber": "arn:aws:iam::111122223333:mfa/phone" },
        "responseElements": null,
        "eventType": "AwsApiCall",
        "recipientAccountId": ACCOUNT
    })
}

#[test]
fn the_record_says_which_device_who_enabled_it_for_whom_and_when() {
    let enabled = mfa_enabled_by(&mfa_call()).expect("a device was enabled");
    assert_eq!(enabled.serial, "arn:aws:iam::111122223333:mfa/phone");
    assert_eq!(enabled.by_key, Some(key("AKIASVCBUILDQEXAMPLE")));
    assert_eq!(enabled.by_principal, Some(unique_id("AIDASVCBUILDQ7EXAMPLE")));
    assert_eq!((enabled.at, enabled.user), (at("2026-11-21T20:43:10Z"), name("alice")));
}

#[test]
fn a_user_that_names_nobody_enables_its_own_device() {
    let mut record = mfa_call();
    record["requestParameters"].as_object_mut().expect("parameters").remove("userName");
    assert_eq!(mfa_enabled_by(&record).expect("a device was enabled").user, name("svc-build"));
}

#[test]
fn a_role_session_is_known_by_the_id_of_its_role() {
    let record = with(
        with(mfa_call(), "/userIdentity/type", json!("AssumedRole")),
        "/userIdentity/principalId",
        json!("AROADEVELOPERQEXAMPLE:m.rossi@example.com"),
    );
    let enabled = mfa_enabled_by(&record).expect("a device was enabled");
    assert_eq!((enabled.by_principal, enabled.user), (Some(unique_id("AROADEVELOPERQEXAMPLE")), name("alice")));
}

#[rstest]
#[case::refused("/errorCode", json!("AccessDenied"))]
#[case::a_device_that_was_only_made("/eventName", json!("CreateVirtualMFADevice"))]
#[case::another_service("/eventSource", json!("example.amazonaws.com"))]
#[case::root_enabling_its_own("/requestParameters/userName", json!("AWS ROOT USER"))]
#[case::no_parameters("/requestParameters", Value::Null)]
#[case::no_serial_number("/requestParameters/serialNumber", Value::Null)]
#[case::a_serial_number_no_device_has("/requestParameters/serialNumber", json!("phone\nof alice"))]
#[case::no_time("/eventTime", json!("yesterday"))]
#[case::nobody("/userIdentity", Value::Null)]
fn anything_but_a_call_that_went_through_is_no_evidence(#[case] pointer: &str, #[case] value: Value) {
    let mut record = mfa_call();
    record["errorCode"] = Value::Null;
    assert!(mfa_enabled_by(&record).is_some());
    assert_eq!(mfa_enabled_by(&with(record, pointer, value)), None);
}

#[test]
fn a_role_session_that_names_nobody_enables_nothing() {
    let mut record = with(mfa_call(), "/userIdentity/type", json!("AssumedRole"));
    record["requestParameters"].as_object_mut().expect("parameters").remove("userName");
    assert_eq!(mfa_enabled_by(&record), None);
}
