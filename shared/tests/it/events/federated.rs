//! A federated user is its issuer where the event says who that is, and otherwise nobody here: never the IAM user that
//! happens to have the federated name.

use rstest::rstest;
use serde_json::{Value, json};
use tourniquet::event::parse;
use tourniquet::finding::{Elsewhere, ElsewhereSort, Target, User};

use crate::support::{finding, findings, key, name, sample, unique_id};

const SESSION_KEY: &str = "ASIAFEDALICEQEXAMPLE";

fn issuer() -> Target {
    let (name, id) = (name("token-broker"), unique_id("AIDATOKENBROKEEXAMPLE"));
    Target::User(User { name, unique_id: Some(id), key: Some(key(SESSION_KEY)) })
}

#[rstest]
#[case("application-finding-federated-user")]
#[case("macie-policy-federated-user")]
fn the_issuer_a_finding_names_is_the_accused(#[case] event: &str) {
    assert_eq!(finding(event).targets[0], issuer());
}

#[test]
fn without_an_issuer_the_key_is_kept_for_cloudtrail() {
    let expected = Elsewhere { sort: ElsewhereSort::FederatedUser, label: "alice".to_owned(), key: Some(key(SESSION_KEY)) };
    assert_eq!(finding("federated-user-same-name").targets, [Target::Elsewhere(expected)]);
}

#[rstest]
#[case::of_another_account("Arn", "arn:aws:iam::444455556666:user/apps/token-broker")]
#[case::of_another_name("UserName", "alice")]
#[case::without_a_unique_id("PrincipalId", "111122223333:alice")]
#[case::of_an_unknown_type("Type", "Directory")]
fn an_issuer_that_does_not_hold_together_accuses_nobody(#[case] field: &str, #[case] value: &str) {
    let mut event: Value = serde_json::from_slice(&sample("application-finding-federated-user")).expect("JSON");
    event["detail"]["findings"][0]["Resources"][0]["Details"]["AwsIamAccessKey"]["SessionContext"]["SessionIssuer"][field] =
        json!(value);
    let finding = findings(event.to_string().as_bytes()).remove(0);
    let is_out_of_reach = |target: &Target| {
        matches!(target, Target::Elsewhere(Elsewhere { sort: ElsewhereSort::FederatedUser, key: Some(known), .. })
            if *known == key(SESSION_KEY))
    };
    assert!(is_out_of_reach(&finding.targets[0]), "{:?}", finding.targets);
}

#[test]
fn ocsf_names_a_federated_user_without_a_whole_issuer() {
    let mut event: Value = serde_json::from_slice(&sample("leaked-access-key-ocsf-copy")).expect("JSON");
    let resource = &mut event["detail"]["findings"][0]["resources"][0];
    resource["uid"] = json!(SESSION_KEY);
    resource["data"] = json!({ "user_type": "FederatedUser", "user_name": "alice", "access_key_id": SESSION_KEY });
    let finding = findings(event.to_string().as_bytes()).remove(0);
    let expected = Elsewhere { sort: ElsewhereSort::FederatedUser, label: "alice".to_owned(), key: Some(key(SESSION_KEY)) };
    assert_eq!(finding.targets, [Target::Elsewhere(expected)]);
}

#[test]
fn the_name_of_a_federated_user_never_becomes_an_iam_user() {
    for (event, bytes) in crate::support::samples() {
        let text = String::from_utf8_lossy(bytes);
        if text.contains("FederatedUser") {
            assert!(!parse(bytes).is_empty());
            for target in findings(bytes).iter().flat_map(|finding| &finding.targets) {
                assert!(!matches!(target, Target::User(user) if user.name.as_str() == "alice"), "{event}: {target:?}");
            }
        }
    }
}
