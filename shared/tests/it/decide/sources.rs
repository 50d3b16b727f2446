//! Where a role's sessions come from, and what a person does about that.

use rstest::rstest;
use tourniquet::containment::Decision;
use tourniquet::containment::identity::{ObservedRole, decide};

use crate::support::{accused_role, finding, now, observed_role, responder, role};

fn decided(effect: &str, principal: &str, profiles: &[&str]) -> Decision {
    let trust_policy = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"{effect}","Action":"sts:AssumeRole","Principal":{principal}}}]}}"#
    );
    let instance_profiles = profiles.iter().map(|&profile| profile.to_owned()).collect();
    let role = ObservedRole { trust_policy, instance_profiles, ..role() };
    decide(&finding("role-session-named"), &accused_role(Some("someone"), None), &observed_role(role), &responder(), now())
}

#[rstest]
#[case::roles_anywhere(r#"{"Service":"rolesanywhere.amazonaws.com"}"#, "IAM Roles Anywhere", "import-crl")]
#[case::lambda(r#"{"Service":["lambda.amazonaws.com"]}"#, "Lambda functions", "update-function-configuration")]
#[case::ecs(r#"{"Service":"ecs-tasks.amazonaws.com"}"#, "ECS tasks", "stop the tasks")]
#[case::ec2(r#"{"Service":"ec2.amazonaws.com"}"#, "EC2 instances", "associating the profile anew")]
#[case::ec2_in_china(r#"{"Service":"ec2.amazonaws.com.cn"}"#, "EC2 instances", "associating the profile anew")]
#[case::pod_identity(r#"{"Service":"pods.eks.amazonaws.com"}"#, "EKS Pod Identity", "service account")]
#[case::irsa(
    r#"{"Federated":"arn:aws:iam::111122223333:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/0123"}"#,
    "a cluster's OIDC provider",
    "service account"
)]
#[case::github(
    r#"{"Federated":"arn:aws:iam::111122223333:oidc-provider/token.actions.githubusercontent.com"}"#,
    "GitHub Actions workflows",
    "Disable the workflow"
)]
#[case::oidc(r#"{"Federated":"cognito-identity.amazonaws.com"}"#, "web identities", "list-open-id-connect-providers")]
#[case::saml(r#"{"Federated":"arn:aws:iam::111122223333:saml-provider/corp"}"#, "signed in by SAML", "get-saml-provider")]
fn the_source_is_named_with_what_to_do_about_it(#[case] principal: &str, #[case] sessions: &str, #[case] next: &str) {
    let decision = decided("Allow", principal, &[]);
    let said = |lines: &[String], what: &str| lines.iter().any(|line| line.contains(what));
    assert!(said(&decision.blast_radius, sessions), "{:?}", decision.blast_radius);
    assert!(matches!(&decision.next_steps[..], [line] if line.contains(next)), "{:?}", decision.next_steps);
    let denied = decided("Deny", principal, &[]);
    assert!(!said(&denied.blast_radius, sessions) && denied.next_steps.is_empty(), "who is denied is no source");
}

#[rstest]
#[case::an_account(r#"{"AWS":"arn:aws:iam::444455556666:root"}"#)]
#[case::anyone(r#""*""#)]
#[case::another_service(r#"{"Service":"events.amazonaws.com"}"#)]
#[case::no_service_of_aws(r#"{"Service":"lambda.example.com"}"#)]
fn what_iam_does_not_tell_is_not_guessed(#[case] principal: &str) {
    let decision = decided("Allow", principal, &[]);
    assert!(decision.next_steps.is_empty(), "{:?}", decision.next_steps);
    assert!(!decision.blast_radius.iter().any(|line| line.starts_with("where its sessions")));
}

#[test]
fn an_instance_profile_is_a_source_and_each_source_is_named_once() {
    let by_profile = decided("Allow", r#"{"AWS":"arn:aws:iam::444455556666:root"}"#, &["app", "app2"]);
    assert_eq!(by_profile.next_steps.iter().filter(|line| line.starts_with("EC2: ")).count(), 1);
    let both = r#"{"Service":["ec2.amazonaws.com","lambda.amazonaws.com","ec2.amazonaws.com"]}"#;
    let decision = decided("Allow", both, &["app"]);
    assert_eq!(decision.next_steps.len(), 2);
    assert!(decision.blast_radius.iter().any(|line| line.ends_with("EC2 instances; Lambda functions")));
}
