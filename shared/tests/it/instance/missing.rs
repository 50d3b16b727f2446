//! What of an isolation is gone, or was never done.

use std::collections::BTreeSet;

use rstest::rstest;
use tourniquet::containment::instance::{Address, Found, HOLD_STAGE, ISOLATE_STAGE, IsolationGroup, ObservedInstance, missing};
use tourniquet::id::CaseId;
use tourniquet::plan::{Plan, Stage};
use tourniquet::policy;
use tourniquet::step::{DisassociateAddress, Step, Timeouts, UntrackConnections};

use super::support::{GROUP, decided, eni, group, in_auto_scaling, instance, interface, names, observed, vpc};

/// The plan, as carried out.
fn plan(instance: &ObservedInstance) -> Plan {
    let mut plan = decided(&observed(instance.clone())).plan;
    for step in plan.then.iter_mut().flat_map(|stage| &mut stage.steps) {
        if let Step::SnapshotVolumes(step) = step {
            step.snapshots = vec![tourniquet::id::SnapshotId::parse("snap-0123456789abcdef0").expect("a snapshot id")];
        }
    }
    plan
}

/// The instance after its plan was carried out, as it is read back.
fn contained(of: &ObservedInstance) -> ObservedInstance {
    let mut after = of.clone();
    for interface in &mut after.interfaces {
        interface.groups = vec![group(GROUP)];
        interface.timeouts = Timeouts::LOWEST;
    }
    after.isolation.insert(vpc(1), IsolationGroup { id: group(GROUP), is_clean: Some(true) });
    after.protected_from_termination = Some(true);
    after.protected_from_stop = Some(true);
    after.on_shutdown = Some("stop".to_owned());
    for volume in &mut after.volumes {
        volume.goes_with_instance = false;
    }
    if let Some(place) = &mut after.auto_scaling {
        place.is_protected = true;
        "Standby".clone_into(&mut place.lifecycle);
    }
    for step in plan(of).steps() {
        if let Step::DenySession(step) = step {
            after.denies.insert(policy::deny_session_name(&step.session), Some(step.document()));
        }
    }
    after
}

/// What is missing, with the plan for the instance as it is now beside the one that was carried out.
fn missing_now(plan: &Plan, instance: &ObservedInstance) -> Plan {
    let fresh = decided(&observed(instance.clone())).plan;
    missing(plan, &fresh, &Found::Instance(Box::new(instance.clone())))
}

fn missing_of(plan: &Plan, instance: &ObservedInstance) -> Vec<&'static str> {
    missing_now(plan, instance).steps().map(Step::name).collect()
}

fn subject() -> ObservedInstance {
    ObservedInstance { auto_scaling: Some(in_auto_scaling("InService")), ..instance() }
}

#[test]
fn a_contained_instance_misses_nothing() {
    assert_eq!(missing_of(&plan(&subject()), &contained(&subject())), Vec::<&str>::new());
}

#[test]
fn an_untouched_instance_misses_the_whole_plan() {
    let mut before = subject();
    before.denies.extend(contained(&subject()).denies.into_keys().map(|name| (name, None)));
    before.isolation.insert(vpc(1), IsolationGroup { id: group(GROUP), is_clean: Some(false) });
    // The set is there, and shorter timeouts are offered, not promised.
    let is_promised = |name: &&str| !["snapshot_volumes", "lower_connection_timeout"].contains(name);
    let whole: Vec<_> = plan(&subject()).steps().map(Step::name).filter(is_promised).collect();
    assert_eq!(missing_of(&plan(&subject()), &before), whole);
}

#[rstest]
#[case::the_old_groups_are_back(|one: &mut ObservedInstance| one.interfaces[0].groups = vec![group("sg-0aaaaaaaaaaaaaaa1")], "isolate_interface")]
#[case::a_group_was_added(|one: &mut ObservedInstance| one.interfaces[0].groups.push(group("sg-0aaaaaaaaaaaaaaa1")), "isolate_interface")]
#[case::our_group_was_edited(|one: &mut ObservedInstance| one.isolation.values_mut().for_each(|group| group.is_clean = Some(false)), "prepare_isolation_group")]
#[case::the_deny_is_gone(|one: &mut ObservedInstance| one.denies.values_mut().for_each(|deny| *deny = None), "deny_session")]
#[case::the_deny_was_edited(|one: &mut ObservedInstance| one.denies.values_mut().for_each(|deny| *deny = Some("{}".to_owned())), "deny_session")]
#[case::it_may_be_terminated(|one: &mut ObservedInstance| one.protected_from_termination = Some(false), "protect_from_termination")]
#[case::it_may_be_stopped(|one: &mut ObservedInstance| one.protected_from_stop = Some(false), "protect_from_stop")]
#[case::shutting_down_ends_it(|one: &mut ObservedInstance| one.on_shutdown = Some("terminate".to_owned()), "stop_on_shutdown")]
#[case::a_volume_goes_with_it(|one: &mut ObservedInstance| one.volumes[0].goes_with_instance = true, "keep_volume")]
#[case::it_serves_again(|one: &mut ObservedInstance| one.auto_scaling = Some(in_auto_scaling("InService")), "enter_standby")]
fn whatever_somebody_undoes_is_missing(#[case] undo: impl Fn(&mut ObservedInstance), #[case] step: &str) {
    let mut tampered = contained(&subject());
    undo(&mut tampered);
    let missing = missing_of(&plan(&subject()), &tampered);
    assert!(missing.contains(&step), "{missing:?}");
}

#[test]
fn an_interface_attached_since_is_isolated_too() {
    let mut more = contained(&subject());
    more.interfaces.push(interface(7));
    let missing = missing_now(&plan(&subject()), &more);
    let [Step::IsolateInterface(step), Step::LowerConnectionTimeout(_)] = &missing.steps().collect::<Vec<_>>()[..] else {
        unreachable!("{missing:?}")
    };
    assert_eq!((&step.interface, &step.group), (&eni(7), &Some(group(GROUP))));
    assert_eq!(step.original, interface(7).groups, "what it had is remembered");
}

#[test]
fn one_in_another_vpc_gets_a_group_there_first() {
    let mut more = contained(&subject());
    more.interfaces.push(interface(7));
    more.interfaces[1].vpc = vpc(2);
    let missing = missing_now(&plan(&subject()), &more);
    let by_name = names(&missing);
    assert!(by_name.iter().any(|(_, steps)| steps == &["prepare_isolation_group"]), "{by_name:?}");
    assert!(by_name.contains(&(ISOLATE_STAGE, vec!["isolate_interface"])), "{by_name:?}");
}

#[test]
fn what_could_not_be_read_at_first_is_done_once_it_can_be() {
    let blind = ObservedInstance { protected_from_stop: None, ..subject() };
    let mut now = contained(&blind);
    now.protected_from_stop = Some(false);
    assert_eq!(missing_of(&plan(&blind), &now), ["protect_from_stop"]);
}

#[test]
fn an_elastic_address_put_on_since_is_taken_off_too() {
    let mut reached = contained(&subject());
    reached.interfaces[0].addresses[0] = Address {
        private_ip: "10.0.0.1".to_owned(),
        public_ip: Some("203.0.113.7".to_owned()),
        allocation: Some("eipalloc-0123456789abcdef0".to_owned()),
        association: Some("eipassoc-0123456789abcdef0".to_owned()),
    };
    assert_eq!(missing_of(&plan(&subject()), &reached), ["disassociate_address"]);
}

#[test]
fn what_is_gone_needs_nothing() {
    let mut less = contained(&subject());
    less.interfaces.clear();
    less.volumes.clear();
    less.auto_scaling = None;
    assert_eq!(missing_of(&plan(&subject()), &less), Vec::<&str>::new());
    assert!(missing(&plan(&subject()), &plan(&subject()), &Found::Absent).is_empty());
}

#[test]
fn what_could_not_be_read_is_not_known_to_be_gone() {
    let mut blind = contained(&subject());
    blind.denies.clear();
    blind.protected_from_stop = None;
    blind.isolation.values_mut().for_each(|group| group.is_clean = None);
    assert_eq!(missing_of(&plan(&subject()), &blind), Vec::<&str>::new());
}

#[test]
fn a_set_whose_snapshots_nobody_knows_is_asked_for_again() {
    let never = decided(&observed(subject())).plan;
    assert_eq!(missing_of(&never, &contained(&subject())), ["snapshot_volumes"]);
}

#[test]
fn untracking_left_out_for_a_risk_is_not_made_up_for_once_the_risk_is_gone() {
    let careful = plan(&subject());
    let mut fresh = careful.clone();
    let untrack = UntrackConnections {
        region: subject().region,
        interface: eni(1),
        vpc: vpc(1),
        open_group: None,
        group: Some(group(GROUP)),
    };
    fresh.then.push(Stage { name: "connections".to_owned(), steps: vec![untrack.into()] });
    let found = Found::Instance(Box::new(contained(&subject())));
    assert!(missing(&careful, &fresh, &found).is_empty());
}

#[test]
fn a_group_that_is_gone_is_made_again_before_it_is_put_on() {
    let mut forgetful = plan(&subject());
    forgetful.forget_groups(&BTreeSet::from([group(GROUP)]));
    let stages: Vec<_> = forgetful.then.iter().map(|stage| stage.name.as_str()).collect();
    let (hold, isolate) =
        (stages.iter().position(|name| *name == HOLD_STAGE), stages.iter().position(|name| *name == ISOLATE_STAGE));
    assert!(hold.is_some() && isolate == hold.map(|hold| hold + 1), "{stages:?}");
    for step in forgetful.steps() {
        match step {
            Step::PrepareIsolationGroup(step) => assert_eq!(step.group, None),
            Step::IsolateInterface(step) => assert_eq!(step.group, None),
            _ => {}
        }
    }
    let kept = plan(&subject());
    let mut same = kept.clone();
    same.forget_groups(&BTreeSet::from([group("sg-0aaaaaaaaaaaaaaa9")]));
    assert_eq!(same, kept);
}

#[test]
fn everything_decided_anew_is_filed_under_the_case_that_stands() {
    let standing = plan(&subject());
    let case = standing.filed_under().cloned();
    assert!(case.is_some());
    let other = CaseId::parse("IR-20260101-00000000").expect("a case id");
    let mut fresh = standing.clone();
    fresh.file_under(&other);
    assert_eq!(fresh.filed_under(), Some(&other));
    assert!(!fresh.steps().any(|step| matches!(step, Step::SnapshotVolumes(step) if Some(&step.origin.case) == case.as_ref())));
}

#[test]
fn an_address_taken_off_twice_is_put_back_once_and_where_it_was_first() {
    let taken_off = |association: &str, number: u8| DisassociateAddress {
        region: subject().region,
        association: association.to_owned(),
        allocation: "eipalloc-0a1b2c3d4e5f67890".to_owned(),
        public_ip: "203.0.113.7".to_owned(),
        interface: eni(number),
        private_ip: None,
    };
    let steps = vec![taken_off("eipassoc-1", 1).into(), taken_off("eipassoc-2", 2).into()];
    let plan = Plan { then: vec![Stage { name: HOLD_STAGE.to_owned(), steps }], ..Plan::default() };
    let undo = plan.undo();
    assert_eq!(undo.len(), 1, "{undo:?}");
    assert!(undo[0].contains(eni(1).as_str()), "{undo:?}");
}
