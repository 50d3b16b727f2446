//! How far to go about an instance, and when not at all.

use rstest::rstest;
use tourniquet::containment::instance::{Found, Observed, ObservedInstance, decide};
use tourniquet::containment::{AtSource, CannotContain, Member, Responder, TargetRecord, Verdict};
use tourniquet::event::IgnoredReason;
use tourniquet::finding::{Button, Finding, Instance, Target, Trigger};
use tourniquet::guardrails::Guardrails;
use tourniquet::id::{AccountId, CaseId, InstanceId};

use super::support::{accused, decided, decided_by, finding, guardrails_with, instance, instance_id, observed};
use crate::support::{account, accused_role, arn, responder, shipped, shipped_text};

fn state(state: Found) -> Observed {
    Observed { state, ..observed(instance()) }
}

#[rstest]
#[case::gone(Found::Absent, CannotContain::NoSuchInstance)]
#[case::terminated(Found::Instance(Box::new(ObservedInstance { state: "terminated".to_owned(), ..instance() })), CannotContain::Terminated)]
#[case::no_way_in(Found::Unreachable { reason: "AccessDenied".to_owned() }, CannotContain::NoAccess)]
#[case::another_one(
    Found::Instance(Box::new(ObservedInstance { id: InstanceId::parse("i-0ffffffffffffffff").expect("an id"), ..instance() })),
    CannotContain::NoSuchInstance
)]
#[case::another_account_s(
    Found::Instance(Box::new(ObservedInstance { account: AccountId::parse("999988887777").expect("an account"), ..instance() })),
    CannotContain::NoSuchInstance
)]
fn what_is_not_there_is_not_changed(#[case] found: Found, #[case] reason: CannotContain) {
    let decision = decided(&state(found));
    assert_eq!(decision.verdict, Verdict::CannotContain(reason));
    assert!(decision.plan.is_empty());
    assert!(decision.next_steps.iter().any(|step| step == reason.next_step()));
}

#[test]
fn an_instance_of_an_account_that_is_not_listed_is_not_ours_to_isolate() {
    let foreign = Finding { account: AccountId::parse("999988887777").expect("an account"), ..finding() };
    let verdict = |responder: &Responder| decide(&foreign, &accused(), &state(Found::NotLooked), responder).verdict;
    assert_eq!(verdict(&responder()), Verdict::CannotContain(CannotContain::ForeignAccount));
    let member = Member { account: foreign.account.clone(), role: arn("arn:aws:iam::999988887777:role/tourniquet/R") };
    let listed = Responder { members: vec![member], ..responder() };
    assert_eq!(verdict(&listed), Verdict::CannotContain(CannotContain::NoSuchInstance));
}

#[rstest]
#[case::forged(AtSource::Absent)]
#[case::of_another_instance(AtSource::Confirmed(Box::new(Finding {
    targets: vec![Target::Instance(Instance { id: InstanceId::parse("i-0ffffffffffffffff").expect("an id"), profile: None })],
    ..finding()
})))]
#[case::archived_since(AtSource::Settled("archived finding".to_owned()))]
fn a_claim_that_its_detector_does_not_make_changes_nothing(#[case] source: AtSource) {
    let decision = decided(&Observed { source, ..observed(instance()) });
    assert!(matches!(decision.verdict, Verdict::Ignore(_) | Verdict::Skip(_)), "{:?}", decision.verdict);
    assert!(decision.plan.is_empty());
}

#[test]
fn a_detector_that_cannot_be_asked_means_propose() {
    let source = AtSource::Unconfirmed { reason: "Timeout".to_owned(), retryable: true };
    assert!(matches!(decided(&Observed { source, ..observed(instance()) }).verdict, Verdict::Propose(_)));
}

#[test]
fn unreadable_guardrails_mean_propose_with_the_least_that_isolates() {
    let decision = decided(&Observed { guardrails: Err("no such key".to_owned()), ..observed(instance()) });
    assert!(matches!(decision.verdict, Verdict::Propose(_)), "{:?}", decision.verdict);
    assert!(decision.plan.steps().any(|step| step.name() == "isolate_interface"));
}

#[test]
fn a_protected_instance_is_left_alone() {
    let text = format!(
        "{}\n[[protect]]\narn = \"arn:aws:ec2:eu-west-1:111122223333:instance/{}\"\nbecause = \"the bastion\"\n",
        shipped_text(),
        instance_id()
    );
    let guardrails = Guardrails::parse("guardrails.toml", &text).expect("guardrails");
    let decision = decided(&Observed { guardrails: Ok(guardrails), ..observed(instance()) });
    assert_eq!(decision.verdict, Verdict::Skip("protected: the bastion".to_owned()));
    assert!(decision.plan.is_empty());
}

#[rstest]
#[case::by_the_guardrails("arn:aws:iam::111122223333:role/apps/web", "arn:aws:iam::111122223333:role/apps/web")]
#[case::tourniquet_s_own("arn:aws:iam::111122223333:role/tourniquet/contain-instance", "arn:aws:iam::111122223333:user/nobody")]
#[case::the_organization_s(
    "arn:aws:iam::111122223333:role/OrganizationAccountAccessRole",
    "arn:aws:iam::111122223333:user/nobody"
)]
fn a_role_that_is_not_to_be_touched_is_not_and_the_instance_is_isolated(#[case] role: &str, #[case] protected: &str) {
    let text = format!("{}\n[[protect]]\narn = \"{protected}\"\nbecause = \"shared\"\n", shipped_text());
    let guardrails = Guardrails::parse("guardrails.toml", &text).expect("guardrails");
    let mut one = instance();
    if let Some(known) = one.profile.as_mut().and_then(|profile| profile.role.as_mut()) {
        known.arn = arn(role);
    }
    let decision = decided(&Observed { guardrails: Ok(guardrails), ..observed(one) });
    assert_eq!(decision.verdict, Verdict::Contain);
    let names: Vec<_> = decision.plan.steps().map(tourniquet::step::Step::name).collect();
    assert!(!names.contains(&"deny_session") && names.contains(&"isolate_interface"), "{names:?}");
    assert!(decision.next_steps.iter().any(|step| step.contains("the role was left alone")), "{:?}", decision.next_steps);
}

#[rstest]
#[case::event(Trigger::Event, "propose", true)]
#[case::a_person(crate::support::pressed(Button::Contain), "propose", false)]
#[case::switched_on(Trigger::Event, "contain", false)]
fn a_node_of_a_cluster_waits_for_a_person(#[case] trigger: Trigger, #[case] mode: &str, #[case] waits: bool) {
    let guardrails = guardrails_with("cluster_nodes = \"propose\"", &format!("cluster_nodes = \"{mode}\""));
    let mut node = instance();
    node.tags.insert("eks:cluster-name".to_owned(), "prod".to_owned());
    let observed = Observed { guardrails: Ok(guardrails), ..observed(node) };
    let decision = decide(&Finding { trigger, ..finding() }, &accused(), &observed, &responder());
    assert_eq!(matches!(decision.verdict, Verdict::Propose(_)), waits, "{:?}", decision.verdict);
    assert!(decision.blast_radius.iter().any(|line| line.contains("pod") && line.contains("prod")));
}

#[test]
fn a_product_nobody_listed_is_not_believed_about_instances_either() {
    let imported = Finding {
        product: Some("arn:aws:securityhub:eu-west-1:111122223333:product/111122223333/default".to_owned()),
        ..finding()
    };
    let decision = decide(&imported, &accused(), &observed(instance()), &responder());
    assert!(matches!(&decision.verdict, Verdict::Ignore(ignored) if ignored.reason == IgnoredReason::ProductNotListed));
}

#[test]
fn mode_observe_stops_the_instance_side_too() {
    let guardrails = guardrails_with("mode = \"contain\"", "mode = \"observe\"");
    let decision = decided(&Observed { guardrails: Ok(guardrails), ..observed(instance()) });
    assert_eq!(decision.verdict, Verdict::Observe);
}

#[test]
fn two_targets_of_one_finding_name_each_other_s_case() {
    let session = accused_role(Some(instance_id().as_str()), Some(instance_id().as_str()));
    let both = Finding { targets: vec![session.clone(), accused()], ..finding() };
    let decision = decide(&both, &accused(), &observed(instance()), &responder());
    let theirs = CaseId::of(&both, &TargetRecord::accused(&both, &session).key(&both.id));
    assert!(decision.next_steps.iter().any(|step| step.contains(theirs.as_str())), "{:?}", decision.next_steps);
    let state = tourniquet::containment::identity::Principal::Role(Box::new(crate::support::role()));
    let observed = tourniquet::containment::Observed { source: AtSource::NotKept, guardrails: Ok(shipped()), state };
    let other = tourniquet::containment::identity::decide(&both, &session, &observed, &responder(), crate::support::now());
    let ours = CaseId::of(&both, &TargetRecord::accused(&both, &accused()).key(&both.id));
    assert!(other.next_steps.iter().any(|step| step.contains(ours.as_str())), "{:?}", other.next_steps);
}

#[test]
fn an_instance_is_filed_by_its_id() {
    let record = TargetRecord::accused(&finding(), &accused());
    assert_eq!(record.key(&finding().id), format!("{}/instance/{}", account(), instance_id()));
    assert_eq!(decided_by(&observed(instance()), &responder()).target, record);
}
