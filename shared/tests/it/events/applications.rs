//! Findings of applications and vendors: believed if their product is listed, and about their own account only.

use rstest::rstest;
use serde_json::{Value, json};
use tourniquet::containment::identity::{Principal, decide};
use tourniquet::containment::{AtSource, Verdict};
use tourniquet::event::{IgnoredReason, Parsed, parse};
use tourniquet::finding::{ElsewhereSort, Target};
use tourniquet::guardrails::Guardrails;

use crate::support::{finding, findings, now, observed, responder, role, sample, shipped_text, user};

/// The shipped guardrails, with these products on the list.
fn listing(products: &str) -> Guardrails {
    let text = shipped_text().replacen("trusted_products = [", &format!("trusted_products = [{products},"), 1);
    Guardrails::parse("guardrails.toml", &text).expect("guardrails")
}

fn verdict(event: &str, principal: Principal, products: &str) -> Verdict {
    let finding = finding(event);
    let mut observed = observed(principal);
    observed.source = AtSource::Confirmed(Box::new(finding.clone()));
    observed.guardrails = Ok(listing(products));
    decide(&finding, &finding.targets[0], &observed, &responder(), now()).verdict
}

const OWN: &str = "\"arn:aws:securityhub:*:111122223333:product/111122223333/default\"";
const VENDOR: &str = "\"arn:aws:securityhub:*:444455556666:product/example-security/key-watch\"";

#[test]
fn a_listed_product_is_believed_and_an_unlisted_one_is_not() {
    let user = || Principal::User(Box::new(user()));
    let role = || Principal::Role(Box::new(role()));
    let is_unlisted =
        |verdict: &Verdict| matches!(verdict, Verdict::Ignore(ignored) if ignored.reason == IgnoredReason::ProductNotListed);
    for (event, principal, listed, unlisted) in
        [("application-finding-user", user(), OWN, VENDOR), ("application-finding-vendor-role", role(), VENDOR, OWN)]
    {
        let believed = verdict(event, principal.clone(), listed);
        assert!(matches!(believed, Verdict::Propose(_)), "{event}: {believed:?}");
        let refused = verdict(event, principal, unlisted);
        assert!(is_unlisted(&refused), "{event}: {refused:?}");
    }
}

fn edited(event: &str, edit: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut event: Value = serde_json::from_slice(&sample(event)).expect("JSON");
    edit(&mut event["detail"]["findings"][0]);
    event.to_string().into_bytes()
}

fn is_incomplete(bytes: &[u8]) -> bool {
    matches!(&parse(bytes)[..], [Parsed::Ignored(ignored)] if ignored.reason == IgnoredReason::IncompleteFinding)
}

#[rstest]
#[case::of_another_account("ProductArn", "arn:aws:securityhub:eu-west-1:444455556666:product/444455556666/default")]
#[case::with_two_accounts("ProductArn", "arn:aws:securityhub:eu-west-1:444455556666:product/111122223333/default")]
#[case::of_another_region("ProductArn", "arn:aws:securityhub:us-east-1:111122223333:product/111122223333/default")]
#[case::about_another_account("AwsAccountId", "444455556666")]
fn an_own_product_speaks_for_its_own_account_and_region(#[case] field: &str, #[case] value: &str) {
    assert!(!is_incomplete(&sample("application-finding-user")));
    assert!(is_incomplete(&edited("application-finding-user", |finding| finding[field] = json!(value))));
}

#[rstest]
#[case::of_another_account("arn:aws:iam::444455556666:user/ci/svc-build")]
#[case::of_another_partition("arn:aws-us-gov:iam::111122223333:user/ci/svc-build")]
fn a_resource_of_somebody_else_is_out_of_reach(#[case] arn: &str) {
    let finding = findings(&edited("application-finding-user", |finding| finding["Resources"][0]["Id"] = json!(arn))).remove(0);
    assert!(matches!(&finding.targets[..], [Target::Elsewhere(elsewhere)] if elsewhere.sort == ElsewhereSort::ForeignAccount));
}

#[test]
fn a_key_of_another_account_is_out_of_reach() {
    let finding = findings(&edited("application-finding-federated-user", |finding| {
        finding["Resources"][0]["Details"]["AwsIamAccessKey"]["AccountId"] = json!("444455556666");
    }))
    .remove(0);
    assert!(matches!(&finding.targets[..], [Target::Elsewhere(elsewhere)] if elsewhere.sort == ElsewhereSort::ForeignAccount));
}
