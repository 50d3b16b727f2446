//! The rungs of a plan: data until one is carried out, a step like every other from then on.

use rstest::rstest;
use tourniquet::id::Partition;
use tourniquet::plan::{DENY_STAGE, Plan};
use tourniquet::step::{DenyAll, DenyByBoundary, Entity, JoinDenyGroup, Step, is_full};

use crate::plan::{attach_deny_all, boundary, deactivate, plan, user};
use crate::support::{FIRST_KEY, name};

const LIMITS: &str = "arn:aws:iam::111122223333:policy/limits/build";

fn entity() -> Entity {
    Entity::User(user())
}

fn rungs() -> [Step; 3] {
    let group = JoinDenyGroup { user: user(), group: "TourniquetDenied".to_owned(), before: false };
    [attach_deny_all(entity()).into(), boundary(entity(), Some(LIMITS)).into(), group.into()]
}

fn deny() -> Step {
    DenyAll { user: user() }.into()
}

fn laddered() -> Plan {
    Plan { fallback: rungs().to_vec(), ..plan(vec![DenyAll { user: user() }.into()], vec![deactivate(FIRST_KEY)]) }
}

#[test]
fn a_rung_is_no_step_until_it_is_carried_out() {
    let bare = Plan { fallback: Vec::new(), ..laddered() };
    assert_eq!(laddered().commands(), bare.commands());
    assert_eq!(laddered().undo(), bare.undo());
    assert!(Plan { fallback: rungs().to_vec(), ..Plan::default() }.is_empty());
    let stored = serde_json::to_value(laddered()).expect("JSON");
    assert_eq!(stored["fallback"].as_array().map(Vec::len), Some(3));
    assert_eq!(serde_json::from_value::<Plan>(stored).expect("a plan"), laddered());
    // A plan without rungs is stored as before, and one stored before is read.
    let stored = serde_json::to_value(&bare).expect("JSON");
    assert!(stored.get("fallback").is_none());
    assert_eq!(serde_json::from_value::<Plan>(stored).expect("a plan"), bare);
}

#[test]
fn the_ladder_is_climbed_down_rung_by_rung_and_ends() {
    let plan = laddered();
    let mut tried = vec![deny()];
    while let Some(next) = plan.rung_after(tried.last().expect("a step")) {
        tried.push(next.clone());
        assert!(tried.len() < 9, "it never ends: {tried:?}");
    }
    assert_eq!(tried, [&[deny()][..], &rungs()[..]].concat());
    assert_eq!(plan.rung_after(&deactivate(FIRST_KEY)), None, "a key is no deny");
    assert_eq!(Plan { fallback: Vec::new(), ..plan }.rung_after(&deny()), None);
}

#[test]
fn a_rung_that_was_carried_out_is_undone_with_the_rest_and_before_the_deny_goes() {
    let [attach, by_boundary, group] = rungs();
    let mut plan = laddered();
    plan.take_rung(&by_boundary);
    assert_eq!(plan.then[0].name, DENY_STAGE);
    assert_eq!(plan.then[0].steps, std::slice::from_ref(&by_boundary));
    assert_eq!(plan.fallback, [attach.clone(), group.clone()]);
    assert_eq!(plan.rungs().collect::<Vec<_>>(), [&by_boundary]);
    let undo = plan.clone().without(&[deny()]).undo();
    let restored = format!("&& aws iam put-user-permissions-boundary --user-name svc-build --permissions-boundary {LIMITS}");
    assert!(undo.iter().any(|line| line.ends_with(&restored)), "{undo:#?}");
    // Taken twice, or no rung at all, it changes nothing.
    let once = plan.clone();
    plan.take_rung(&by_boundary);
    plan.take_rung(&deactivate(FIRST_KEY));
    assert_eq!(plan, once);
    // Gone and not fitting any more, the others are tried.
    assert_eq!(plan.rung_after(&by_boundary), Some(&attach));
    assert_eq!(plan.rung_after(&attach), Some(&group));
    plan.take_rung(&group);
    assert_eq!(plan.then.iter().filter(|stage| stage.name == DENY_STAGE).count(), 1);
}

#[test]
fn what_was_in_place_before_us_is_never_undone() {
    let join = JoinDenyGroup { user: user(), group: "TourniquetDenied".to_owned(), before: true };
    let mut attach = attach_deny_all(entity());
    attach.before = true;
    let by_boundary = DenyByBoundary { before: true, ..boundary(entity(), None) };
    for step in [Step::from(attach), by_boundary.into(), join.into()] {
        assert!(step.was_before());
        assert!(step.undo().commands.is_empty() && step.undo().note.is_some(), "{step:?}");
        let stored = serde_json::to_value(&step).expect("JSON");
        assert_eq!(serde_json::from_value::<Step>(stored).expect("a step"), step);
    }
    assert!(rungs().iter().all(|rung| !rung.was_before() && !rung.undo().commands.is_empty()));
}

#[test]
fn a_rung_found_in_place_later_keeps_what_it_replaced() {
    let [attach, by_boundary, group] = rungs();
    // An earlier delivery carried the boundary out and crashed: found in place now, it is still that delivery's.
    let found = DenyByBoundary { before: true, ..boundary(entity(), None) };
    let fresh = Plan { fallback: vec![found.into(), attach.clone(), group.clone()], ..laddered() };
    assert_eq!(laddered().merged(&fresh), laddered());
    // Not in place: what it would replace is what is there now.
    let other = Step::from(boundary(entity(), None));
    let fresh = Plan { fallback: vec![attach.clone(), other.clone(), group.clone()], ..laddered() };
    assert_eq!(laddered().merged(&fresh).fallback, [attach, other, group]);
    // Taken, it is no rung any more.
    let mut taken = laddered();
    taken.take_rung(&by_boundary);
    assert_eq!(taken.clone().merged(&laddered()), taken);
    // A plan that lacks the stage gets it before the others.
    let merged = laddered().merged(&taken);
    assert_eq!(merged.then[0].name, DENY_STAGE);
}

#[rstest]
#[case("LimitExceeded", true)]
#[case("AccessDenied", false)]
#[case("MalformedPolicyDocument", false)]
#[case("NoSuchEntity", false)]
#[case("Throttling", false)]
#[case("limitexceeded", false)]
fn only_want_of_room_asks_for_a_rung(#[case] code: &str, #[case] full: bool) {
    assert_eq!(is_full(code), full);
}

#[test]
fn a_rung_is_the_same_change_whatever_it_replaces_and_another_on_another_principal() {
    let one = Step::from(boundary(entity(), Some(LIMITS)));
    assert!(one.is_same_change(&boundary(entity(), None).into()));
    let role = Entity::Role(name("svc-build"));
    assert!(!one.is_same_change(&boundary(role.clone(), None).into()), "a role of the same name is another principal");
    assert!(!Step::from(attach_deny_all(entity())).is_same_change(&attach_deny_all(role).into()));
    let mut gov = attach_deny_all(entity());
    gov.partition = Partition::GovCloud;
    assert!(Step::from(gov).undo().commands[0].contains("arn:aws-us-gov:iam::aws:policy/AWSDenyAll"));
}
