//! What a proposal is worth when it is approved: the same plan, another one, and until when.

use rstest::rstest;
use tourniquet::containment::Decision;
use tourniquet::containment::identity::{AccessKey, ObservedRole, ObservedUser, decide};
use tourniquet::containment::proposal::{Approver, PROPOSAL_HOLDS, Proposal, Standing, digest, standing};
use tourniquet::event::{parse_approval, pressed};
use tourniquet::finding::Finding;
use tourniquet::step::{IsolateInterface, Step};
use tourniquet::timestamp::Timestamp;

use crate::support::{accused_role, accused_user, at, finding, key, now, observed_role, observed_user, responder, role, user};

fn of_user(user: ObservedUser, at: Timestamp) -> Decision {
    decide(&finding("anomalous-behaviour-user"), &accused_user(), &observed_user(user), &responder(), at)
}

fn of_role(role: ObservedRole, at: Timestamp) -> Decision {
    decide(&finding("role-without-session"), &accused_role(None, None), &observed_role(role), &responder(), at)
}

fn asked_again(before: &Decision, after: &Decision) -> String {
    match standing(&Proposal::of(before, now()), before, after, now()) {
        Standing::AskAgain(reason) => reason,
        Standing::Holds => unreachable!("it changed"),
    }
}

#[test]
fn the_same_plan_holds_until_it_expires() {
    let (before, after) = (of_user(user(), now()), of_user(user(), now()));
    let proposal = Proposal::of(&before, now());
    assert_eq!(proposal.expires, now().plus(PROPOSAL_HOLDS));
    let worth = |at| standing(&proposal, &before, &after, at);
    let last = at("2026-11-22T20:47:59.999Z");
    assert!(last < proposal.expires, "{last}");
    assert_eq!(worth(last), Standing::Holds);
    let Standing::AskAgain(reason) = worth(proposal.expires) else { unreachable!("expired") };
    assert!(reason.starts_with("the proposal could be approved until 2026-11-22T") && !reason.contains("changed"), "{reason}");
}

#[test]
fn an_expired_proposal_says_what_changed_too() {
    let before = of_user(user(), now());
    let after = of_user(ObservedUser { login: None, ..user() }, now());
    let worth = standing(&Proposal::of(&before, now()), &before, &after, now().plus(PROPOSAL_HOLDS));
    let Standing::AskAgain(reason) = worth else { unreachable!("expired") };
    assert!(reason.contains("approved until") && reason.contains("no longer in the plan: remove_login_profile"), "{reason}");
}

#[test]
fn what_came_and_what_went_is_named_with_keys_redacted() {
    let made = AccessKey { id: key("AKIAMADESINCETHENEWX"), active: true, created: Some(now()), last_used: None };
    let mut keys = user().keys;
    keys.push(made);
    let reason = asked_again(&of_user(user(), now()), &of_user(ObservedUser { keys, login: None, ..user() }, now()));
    assert_eq!(
        reason,
        "the world has changed since it was proposed: new in the plan: deactivate_key on AKIA…NEWX; no longer in the plan: \
         remove_login_profile on user/svc-build console password"
    );
}

#[test]
fn what_cannot_be_seen_now_has_not_gone() {
    let before = of_user(user(), now());
    let blind = ObservedUser { login: None, unread: vec!["console password: throttled".to_owned()], ..user() };
    let worth = standing(&Proposal::of(&before, now()), &before, &of_user(blind.clone(), now()), now());
    assert_eq!(worth, Standing::Holds);
    // What could not be seen then and is seen now was not part of what was asked.
    assert!(asked_again(&of_user(blind, now()), &before).contains("new in the plan: remove_login_profile"));
}

#[test]
fn a_later_cut_off_is_the_same_plan() {
    let (before, after) = (of_role(role(), now()), of_role(role(), at("2026-11-22T10:00:00Z")));
    assert_ne!(before.plan, after.plan, "the cut-off is of the moment");
    assert_eq!(digest(&before), digest(&after));
    assert_eq!(standing(&Proposal::of(&before, now()), &before, &after, now()), Standing::Holds);
}

#[test]
fn whoever_is_hit_since_then_is_named() {
    let more = ObservedRole { instance_profiles: vec!["fleet".to_owned(), "one-more".to_owned()], ..role() };
    let reason = asked_again(&of_role(role(), now()), &of_role(more, now()));
    assert!(reason.contains("now hit as well: every session of role") && reason.contains("one-more"), "{reason}");
}

#[test]
fn the_digest_names_changes_and_target_and_no_finding() {
    let first = digest(&of_user(user(), now()));
    assert!(first.len() == 32 && first.bytes().all(|byte| byte.is_ascii_hexdigit()), "{first}");
    let other = Finding { id: finding("leaked-access-key").id, ..finding("anomalous-behaviour-user") };
    let by_another = decide(&other, &accused_user(), &observed_user(user()), &responder(), now());
    assert_eq!(first, digest(&by_another));
    assert_ne!(first, digest(&of_user(ObservedUser { login: None, ..user() }, now())));
    assert_ne!(digest(&of_role(role(), now())), digest(&Decision::of(of_role(role(), now()).target)));
}

#[test]
fn what_a_change_replaces_is_no_other_change() {
    let isolate = |original: &[&str], group: Option<&str>| {
        let id = |text: &str| tourniquet::id::GroupId::parse(text).expect("a group");
        let mut decision = of_user(user(), now());
        let step: Step = IsolateInterface {
            region: tourniquet::id::Region::parse("eu-west-1").expect("a Region"),
            interface: tourniquet::id::InterfaceId::parse("eni-0123456789abcdef0").expect("an interface"),
            vpc: tourniquet::id::VpcId::parse("vpc-0123456789abcdef0").expect("a VPC"),
            original: original.iter().map(|text| id(text)).collect(),
            group: group.map(id),
        }
        .into();
        decision.plan.then.push(tourniquet::plan::Stage { name: "isolate".to_owned(), steps: vec![step] });
        digest(&decision)
    };
    assert_eq!(isolate(&["sg-0123456789abcdef0"], None), isolate(&["sg-0123456789abcdef1"], Some("sg-0123456789abcdef2")));
}

const CASE: &str = "IR-20261121-3f9a1c2e";
const DIGEST: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn an_approval_is_read_in_one_form_only() {
    let read = |event: &str| parse_approval(event.as_bytes());
    let approve = read(&format!(r#"{{"approve":{{"case":"{CASE}","plan":"{DIGEST}"}}}}"#)).expect("one").expect("of its form");
    assert_eq!((approve.case.as_str(), approve.plan.as_str()), (CASE, DIGEST));
    assert_eq!(read("{}"), None);
    assert_eq!(read("["), None);
}

#[rstest]
#[case::no_case(r#"{"approve":{"plan":"0123456789abcdef0123456789abcdef"}}"#)]
#[case::no_plan(r#"{"approve":{"case":"IR-20261121-3f9a1c2e"}}"#)]
#[case::a_path(r#"{"approve":{"case":"IR-20261121-3f9a1c2e/../x","plan":"0123456789abcdef0123456789abcdef"}}"#)]
#[case::short(r#"{"approve":{"case":"IR-20261121-3f9a1c2e","plan":"0123"}}"#)]
#[case::capitals(r#"{"approve":{"case":"IR-20261121-3f9a1c2e","plan":"0123456789ABCDEF0123456789ABCDEF"}}"#)]
#[case::more(r#"{"approve":{"case":"IR-20261121-3f9a1c2e","plan":"0123456789abcdef0123456789abcdef","force":true}}"#)]
#[case::text(r#"{"approve":"yes"}"#)]
fn an_approval_of_another_form_is_refused(#[case] event: &str) {
    let refused = parse_approval(event.as_bytes()).expect("it means to be one").expect_err("of another form");
    assert_eq!(refused.reason.as_str(), "approval_refused");
    assert!(!refused.detail.is_empty());
}

#[test]
fn one_press_is_one_act_however_often_it_is_delivered() {
    let told = pressed(br#"{"id":"e-1","account":"111122223333","time":"2026-11-21T21:05:33Z"}"#);
    assert_eq!(told.event.as_deref(), Some("e-1"));
    assert_eq!(told.account.as_ref().map(ToString::to_string).as_deref(), Some("111122223333"));
    assert_eq!(told.at, Some(at("2026-11-21T21:05:33Z")));
    let nothing = pressed(br#"{"id":"","account":5,"time":"soon"}"#);
    assert_eq!((nothing.event, nothing.account, nothing.at), (None, None, None));
    let press = Approver::Button { event: "e-1".to_owned(), account: None, at: None, action: "arn".to_owned() };
    assert_eq!((press.act(), Approver::Invocation { request: "r".to_owned() }.act()), ("e-1", "r"));
    let approval = press.approves(None);
    assert!(approval.plan.is_none() && approval.not_told.contains("does not name the person"));
}
