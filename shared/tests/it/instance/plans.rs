//! What would be done about an instance, and in which wave.

use rstest::rstest;
use tourniquet::containment::Verdict;
use tourniquet::containment::instance::{
    Address, Found, HOLD_STAGE, ISOLATE_STAGE, IsolationGroup, Lifecycle, Observed, ObservedInstance, Profile, Registration,
    deregistration, locks,
};
use tourniquet::plan::Plan;
use tourniquet::policy;
use tourniquet::step::{IsolateInterface, SnapshotVolumes, Step};

use super::support::{
    GROUP, decided, eni, group, guardrails_with, in_auto_scaling, instance, instance_id, interface, names, observed, vpc,
};
use crate::support::arn;

fn isolations(plan: &Plan) -> Vec<&IsolateInterface> {
    plan.steps().filter_map(|step| if let Step::IsolateInterface(step) = step { Some(step) } else { None }).collect()
}

fn plan_of(instance: ObservedInstance) -> Plan {
    decided(&observed(instance)).plan
}

fn has(plan: &Plan, name: &str) -> bool {
    plan.steps().any(|step| step.name() == name)
}

#[test]
fn the_whole_decision() {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\(line \d+\)", "(line N)");
    settings.add_filter(r"tourniquet \d+\.\d+\.\d+", "tourniquet V");
    settings.bind(|| insta::assert_json_snapshot!("instance", decided(&observed(instance()))));
}

#[test]
fn isolation_credentials_protections_and_snapshots_are_one_wave() {
    let plan = plan_of(instance());
    assert!(plan.cut.is_empty(), "the original state is remembered before the first change");
    assert_eq!(
        names(&plan)[0],
        (
            HOLD_STAGE,
            vec![
                "prepare_isolation_group",
                "isolate_interface",
                "deny_session",
                "protect_from_termination",
                "protect_from_stop",
                "stop_on_shutdown",
                "keep_volume",
                "snapshot_volumes",
            ]
        )
    );
}

#[test]
fn only_an_interface_without_a_group_waits_for_one() {
    let mut two = instance();
    two.interfaces.push(interface(2));
    two.interfaces[1].vpc = vpc(2);
    let plan = plan_of(two);
    let by_name = names(&plan);
    assert_eq!(by_name[0].1.iter().filter(|name| **name == "prepare_isolation_group").count(), 2, "one group a VPC");
    assert_eq!(by_name[0].1.iter().filter(|name| **name == "isolate_interface").count(), 1);
    assert_eq!(by_name[1], (ISOLATE_STAGE, vec!["isolate_interface"]));
    assert_eq!(isolations(&plan)[1].group, None);
    assert!(by_name[0].1.contains(&"snapshot_volumes"), "nothing else waits");
}

#[test]
fn every_interface_gets_our_group_alone_and_its_own_groups_are_remembered() {
    let mut three = instance();
    three.interfaces.extend([interface(2), interface(3)]);
    three.interfaces[2].groups = vec![group("sg-0bbbbbbbbbbbbbbbb")];
    let plan = plan_of(three.clone());
    let isolations = isolations(&plan);
    assert_eq!(isolations.iter().map(|step| step.interface.clone()).collect::<Vec<_>>(), [eni(1), eni(2), eni(3)]);
    for (step, interface) in isolations.iter().zip(&three.interfaces) {
        assert_eq!(step.group, Some(group(GROUP)));
        assert_eq!(step.original, interface.groups);
    }
}

#[test]
fn an_interface_of_an_aws_service_is_left_alone_and_named() {
    let mut managed = instance();
    managed.interfaces.push(interface(2));
    managed.interfaces[1].is_managed = true;
    let decision = decided(&observed(managed));
    assert_eq!(isolations(&decision.plan).len(), 1);
    assert!(decision.residual_risk.iter().any(|risk| risk.contains(eni(2).as_str())), "{:?}", decision.residual_risk);
}

#[test]
fn the_credentials_of_this_instance_are_denied_and_of_no_other() {
    let plan = plan_of(instance());
    let Some(Step::DenySession(step)) = plan.steps().find(|step| step.name() == "deny_session") else {
        unreachable!("the role is known")
    };
    assert_eq!(
        step.document(),
        r#"{"Version":"2012-10-17","Statement":[{"Sid":"IRDenyByUserId","Effect":"Deny","Action":"*","Resource":"*","Condition":{"StringEquals":{"aws:userid":"AROAWEBROLEQ7QEXAMPLE:i-0123456789abcdef0"}}},{"Sid":"IRDenyByInstanceArn","Effect":"Deny","Action":"*","Resource":"*","Condition":{"ArnEquals":{"ec2:SourceInstanceARN":"arn:aws:ec2:eu-west-1:111122223333:instance/i-0123456789abcdef0"}}}]}"#
    );
}

#[rstest]
#[case::no_profile(None)]
#[case::an_empty_profile(Some(Profile { arn: arn("arn:aws:iam::111122223333:instance-profile/web"), association: None, role: None }))]
fn an_instance_without_a_role_is_isolated_all_the_same(#[case] profile: Option<Profile>) {
    let decision = decided(&observed(ObservedInstance { profile, ..instance() }));
    assert_eq!(decision.verdict, Verdict::Contain);
    assert_eq!(isolations(&decision.plan).len(), 1);
    assert!(!has(&decision.plan, "deny_session"));
}

#[test]
fn a_spot_instance_is_isolated_and_not_called_protected() {
    let decision = decided(&observed(ObservedInstance { lifecycle: Lifecycle::Spot, ..instance() }));
    for step in ["protect_from_termination", "protect_from_stop", "stop_on_shutdown"] {
        assert!(!has(&decision.plan, step), "{step} does not exist for Spot");
    }
    assert!(has(&decision.plan, "isolate_interface") && has(&decision.plan, "snapshot_volumes"));
    assert!(decision.residual_risk.iter().any(|risk| risk.contains("Spot")), "{:?}", decision.residual_risk);
}

#[test]
fn what_lies_in_the_instance_store_is_said_to_be_in_no_snapshot() {
    let decision = decided(&observed(ObservedInstance { has_ebs_root: false, volumes: Vec::new(), ..instance() }));
    assert!(!has(&decision.plan, "snapshot_volumes") && !has(&decision.plan, "protect_from_stop"));
    assert!(has(&decision.plan, "protect_from_termination"));
    let risks = decision.residual_risk.join("\n");
    assert!(risks.contains("instance store: no snapshot holds it") && risks.contains("no EBS volume"), "{risks}");
}

#[test]
fn what_is_protected_already_is_left_as_it_is() {
    let mut protected = instance();
    protected.protected_from_termination = Some(true);
    protected.protected_from_stop = Some(true);
    protected.on_shutdown = Some("stop".to_owned());
    protected.volumes[0].goes_with_instance = false;
    let plan = plan_of(protected);
    for step in ["protect_from_termination", "protect_from_stop", "stop_on_shutdown", "keep_volume"] {
        assert!(!has(&plan, step), "{step} would be undone to a state that never was");
    }
}

#[test]
fn what_could_not_be_read_is_not_changed_and_makes_it_partial() {
    let unread = vec!["termination protection: UnauthorizedOperation".to_owned()];
    let decision =
        decided(&observed(ObservedInstance { protected_from_termination: None, unread: unread.clone(), ..instance() }));
    assert!(!has(&decision.plan, "protect_from_termination"));
    assert_eq!(decision.unread, unread);
}

#[rstest]
#[case::in_service("InService", &["protect_from_scale_in", "enter_standby"])]
#[case::on_standby("Standby", &[])]
#[case::being_launched("Pending", &[])]
#[case::going_already("Terminating:Wait", &[])]
#[case::warm("Warmed:Running", &[])]
fn auto_scaling_must_not_replace_the_evidence(#[case] lifecycle: &str, #[case] expected: &[&str]) {
    let decision = decided(&observed(ObservedInstance { auto_scaling: Some(in_auto_scaling(lifecycle)), ..instance() }));
    let steps: Vec<_> =
        decision.plan.steps().map(Step::name).filter(|name| name.contains("scale_in") || name.contains("standby")).collect();
    assert_eq!(steps, expected);
    let is_named = decision.residual_risk.iter().any(|risk| risk.contains("Auto Scaling has it as"));
    assert_eq!(is_named, !matches!(lifecycle, "InService" | "Standby"), "{:?}", decision.residual_risk);
}

#[test]
fn the_guardrails_may_ask_to_detach_it_from_its_group() {
    let guardrails = guardrails_with("auto_scaling = \"standby\"", "auto_scaling = \"detach\"");
    let state = Found::Instance(Box::new(ObservedInstance { auto_scaling: Some(in_auto_scaling("InService")), ..instance() }));
    let plan = decided(&Observed { guardrails: Ok(guardrails), state, ..observed(instance()) }).plan;
    assert!(has(&plan, "detach_from_auto_scaling") && !has(&plan, "enter_standby"));
}

#[test]
fn an_elastic_address_is_taken_off_and_an_assigned_one_stays() {
    let mut public = instance();
    public.interfaces.push(interface(2));
    public.interfaces[0].addresses[0] = Address {
        private_ip: "10.0.0.1".to_owned(),
        public_ip: Some("203.0.113.7".to_owned()),
        allocation: Some("eipalloc-0123456789abcdef0".to_owned()),
        association: Some("eipassoc-0123456789abcdef0".to_owned()),
    };
    public.interfaces[1].addresses[0].public_ip = Some("198.51.100.9".to_owned());
    let decision = decided(&observed(public.clone()));
    assert!(has(&decision.plan, "disassociate_address") && !has(&decision.plan, "remove_public_address"));
    assert!(decision.residual_risk.iter().any(|risk| risk.contains("198.51.100.9 stays")), "{:?}", decision.residual_risk);
    let guardrails = guardrails_with("remove_public_addresses = false", "remove_public_addresses = true");
    let harder = decided(&Observed { guardrails: Ok(guardrails), ..observed(public) });
    assert!(has(&harder.plan, "remove_public_address"));
}

#[test]
fn existing_connections_are_never_called_cut() {
    for change in
        [|_: &mut ObservedInstance| {}, |one: &mut ObservedInstance| one.interfaces[0].ipv6 = vec!["2001:db8::1".to_owned()]]
    {
        let mut one = instance();
        change(&mut one);
        let risks = decided(&observed(one)).residual_risk.join("\n");
        assert!(risks.contains("not guaranteed to be cut") && risks.contains("NAT gateways"), "{risks}");
        assert!(risks.contains("DNS") && risks.contains("metadata service"), "{risks}");
    }
}

#[test]
fn the_world_is_let_in_for_a_moment_only_where_that_is_switched_on_and_nothing_is_public() {
    let on = || guardrails_with("untrack_connections = false", "untrack_connections = true");
    let plan = |instance: ObservedInstance| {
        let state = Found::Instance(Box::new(instance.clone()));
        decided(&Observed { guardrails: Ok(on()), state, ..observed(instance) })
    };
    assert!(!has(&plan_of(instance()), "untrack_connections"), "it is off as shipped");
    let decision = plan(instance());
    let last = decision.plan.steps().position(|step| step.name() == "untrack_connections").expect("it is on");
    let isolated = decision.plan.steps().position(|step| step.name() == "isolate_interface").expect("always");
    assert!(isolated < last, "the cut comes first");
    let mut public = instance();
    public.interfaces[0].ipv6 = vec!["2001:db8::1".to_owned()];
    let left_out = plan(public);
    assert!(!has(&left_out.plan, "untrack_connections"));
    assert!(left_out.residual_risk.iter().any(|risk| risk.contains("left out")), "{:?}", left_out.residual_risk);
}

#[test]
fn a_stopped_instance_is_isolated_for_when_it_starts() {
    let decision = decided(&observed(ObservedInstance { state: "stopped".to_owned(), ..instance() }));
    assert_eq!(isolations(&decision.plan).len(), 1);
    assert!(decision.residual_risk[0].contains("starts it isolated"), "{:?}", decision.residual_risk);
}

#[test]
fn an_instance_that_is_going_leaves_a_snapshot_and_nothing_else() {
    let decision = decided(&observed(ObservedInstance { state: "shutting-down".to_owned(), ..instance() }));
    assert_eq!(names(&decision.plan), [(HOLD_STAGE, vec!["snapshot_volumes"])]);
}

#[test]
fn an_interface_that_was_isolated_before_stays_so_when_the_case_is_undone() {
    let mut isolated = instance();
    isolated.interfaces[0].groups = vec![group(GROUP)];
    let plan = plan_of(isolated);
    assert!(isolations(&plan)[0].was_before());
    assert!(!plan.undo().iter().any(|line| line.contains("--groups")), "{:?}", plan.undo());
}

#[test]
fn everything_made_is_filed_under_the_case_that_stands() {
    let mut plan = plan_of(instance());
    let case = tourniquet::id::CaseId::parse("IR-20261101-0a0b0c0d").expect("a case id");
    plan.file_under(&case);
    for step in plan.steps() {
        match step {
            Step::PrepareIsolationGroup(step) => assert_eq!(step.origin.case, case),
            Step::SnapshotVolumes(step) => assert_eq!(step.origin.case, case),
            _ => {}
        }
    }
}

#[test]
fn a_group_recorded_before_a_crash_is_used_and_not_made_again() {
    let mut fresh = instance();
    fresh.isolation.clear();
    let mut plan = plan_of(fresh);
    assert_eq!(isolations(&plan)[0].group, None);
    plan.know_groups(&instance().isolation);
    assert_eq!(isolations(&plan)[0].group, Some(group(GROUP)));
    let Some(Step::PrepareIsolationGroup(step)) = plan.steps().next() else { unreachable!("the group comes first") };
    assert_eq!(step.group, Some(group(GROUP)));
}

#[test]
fn snapshots_are_locked_as_the_guardrails_say() {
    let snapshots = vec![tourniquet::id::SnapshotId::parse("snap-0123456789abcdef0").expect("a snapshot id")];
    let plan = |lock: &str| {
        let guardrails = guardrails_with("lock = \"governance\"", lock);
        let plan = decided(&Observed { guardrails: Ok(guardrails), ..observed(instance()) }).plan;
        let taken = plan.steps().find_map(|step| if let Step::SnapshotVolumes(step) = step { Some(step.clone()) } else { None });
        locks(&instance(), &SnapshotVolumes { snapshots: snapshots.clone(), ..taken.expect("volumes") })
    };
    assert_eq!(names(&plan("lock = \"governance\""))[0].1, ["lock_snapshot"]);
    assert!(plan("lock = \"none\"").is_empty());
}

#[test]
fn it_is_taken_out_of_every_target_group_that_holds_it() {
    let registration = |target: &str| Registration {
        target_group: arn("arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/web/0123456789abcdef"),
        target: target.to_owned(),
        port: Some(8080),
        zone: None,
    };
    let plan = deregistration(&instance(), &[registration(instance_id().as_str()), registration("10.0.0.1")]);
    assert_eq!(plan.steps().count(), 2);
    assert!(plan.undo().iter().all(|line| line.contains("register-targets")), "{:?}", plan.undo());
}

#[test]
fn an_instance_s_deny_has_the_name_that_the_identity_side_gives_it() {
    let session = tourniquet::id::SessionName::parse(instance_id().as_str()).expect("a session name");
    let plan = plan_of(instance());
    let command = plan.steps().find(|step| step.name() == "deny_session").expect("a role").command();
    assert!(command.contains(&policy::deny_session_name(&session)), "{command}");
}

#[test]
fn a_group_of_another_vpc_is_not_put_on_an_interface() {
    let mut elsewhere = instance();
    elsewhere.interfaces[0].vpc = vpc(3);
    elsewhere.isolation.insert(vpc(1), IsolationGroup { id: group(GROUP), is_clean: None });
    assert_eq!(isolations(&plan_of(elsewhere))[0].group, None);
}
