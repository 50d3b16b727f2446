//! The steps around an instance: their lines, and what decides whether something is so already.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rstest::rstest;
use tourniquet::guardrails::{Allow, Direction, EvidenceLock, LockMode, Peer};
use tourniquet::id::{CaseId, FindingId, GroupId, InstanceId, InterfaceId, Region, SnapshotId, VolumeId, VpcId};
use tourniquet::step::{
    Asked, COOL_OFF_HOURS, DeregisterFromLoadBalancer, DeregisterTarget, DetachFromAutoScaling, DisassociateAddress,
    EnterStandby, IsolateInterface, KeepVolume, Lock, LockSnapshot, LowerConnectionTimeout, Origin, PrepareIsolationGroup,
    ProtectFromScaleIn, ProtectFromStop, ProtectFromTermination, RemovePublicAddress, SnapshotVolumes, Step, StopOnShutdown,
    Timeouts, UntrackConnections,
};

use crate::plan::words;
use crate::support::{INSTANCE, arn};

const FIRST_GROUP: &str = "sg-0a1b2c3d4e5f60001";
const SECOND_GROUP: &str = "sg-0a1b2c3d4e5f60002";
const ISOLATION_GROUP: &str = "sg-0a1b2c3d4e5f6fff1";

fn region() -> Region {
    Region::parse("eu-west-1").expect("a Region")
}

fn instance() -> InstanceId {
    InstanceId::parse(INSTANCE).expect("an instance")
}

fn interface(last: u32) -> InterfaceId {
    InterfaceId::parse(&format!("eni-0a1b2c3d{last:09}")).expect("an interface")
}

fn group(text: &str) -> GroupId {
    GroupId::parse(text).expect("a group")
}

fn vpc(last: u32) -> VpcId {
    VpcId::parse(&format!("vpc-0a1b2c3d{last:09}")).expect("a VPC")
}

fn volume(last: u32) -> VolumeId {
    VolumeId::parse(&format!("vol-0a1b2c3d{last:09}")).expect("a volume")
}

fn snapshot(last: u32) -> SnapshotId {
    SnapshotId::parse(&format!("snap-0a1b2c3d{last:09}")).expect("a snapshot")
}

fn origin() -> Origin {
    let finding = "arn:aws:guardduty:eu-west-1:111122223333:detector/d/finding/f,o'o";
    Origin {
        case: CaseId::parse("IR-20261121-3f9a1c2e").expect("a case"),
        finding: FindingId::parse(finding).expect("a finding"),
    }
}

fn allow(direction: Direction, peer: Peer, of: Option<u32>) -> Allow {
    Allow { direction, peer, port: 22, vpc: of.map(vpc), because: "bastion".to_owned() }
}

fn cidr(text: &str) -> Peer {
    Peer::Cidr(text.to_owned())
}

pub(crate) fn prepare(of: u32, known: Option<&str>) -> PrepareIsolationGroup {
    PrepareIsolationGroup {
        region: region(),
        vpc: vpc(of),
        name: PrepareIsolationGroup::name_in(&vpc(of)),
        allow: vec![
            allow(Direction::In, cidr("203.0.113.10/32"), None),
            allow(Direction::Out, cidr("2001:db8::/64"), None),
            allow(Direction::Out, Peer::Group(group(FIRST_GROUP)), Some(1)),
            allow(Direction::Out, Peer::PrefixList("pl-0123456789abcdef0".to_owned()), Some(2)),
        ],
        origin: origin(),
        group: known.map(group),
        unrecorded: None,
    }
}

fn isolate(original: &[&str], by: Option<&str>) -> IsolateInterface {
    IsolateInterface {
        region: region(),
        interface: interface(1),
        vpc: vpc(1),
        original: original.iter().copied().map(group).collect(),
        group: by.map(group),
    }
}

fn untrack(open: Option<&str>, by: Option<&str>) -> UntrackConnections {
    UntrackConnections {
        region: region(),
        interface: interface(1),
        vpc: vpc(1),
        open_group: open.map(group),
        group: by.map(group),
    }
}

fn lower(before: Timeouts) -> LowerConnectionTimeout {
    LowerConnectionTimeout { region: region(), interface: interface(1), before }
}

fn snapshots(of: &[u32], taken: &[u32]) -> SnapshotVolumes {
    SnapshotVolumes {
        region: region(),
        instance: instance(),
        volumes: of.iter().copied().map(volume).collect(),
        origin: origin(),
        lock: EvidenceLock::default(),
        snapshots: taken.iter().copied().map(snapshot).collect(),
    }
}

fn lock(mode: Lock, days: u16) -> LockSnapshot {
    LockSnapshot { region: region(), snapshot: snapshot(1), mode, days }
}

/// What carries text that is no id of ours: `say` is handed what would stand there, and says what does.
fn steps_named(say: impl Fn(&str) -> String) -> Vec<Step> {
    let target_group = "arn:aws:elasticloadbalancing:eu-west-1:111122223333:targetgroup/web/0123456789abcdef";
    vec![
        KeepVolume { region: region(), instance: instance(), device: say("/dev/xvda"), volume: volume(1) }.into(),
        ProtectFromScaleIn { region: region(), instance: instance(), auto_scaling_group: say("web asg") }.into(),
        EnterStandby { region: region(), instance: instance(), auto_scaling_group: say("web asg") }.into(),
        DetachFromAutoScaling { region: region(), instance: instance(), auto_scaling_group: say("web asg") }.into(),
        DeregisterTarget {
            region: region(),
            target_group: arn(target_group),
            target: say("10.0.0.5"),
            port: Some(8080),
            zone: Some(say("eu-west-1a")),
        }
        .into(),
        DeregisterFromLoadBalancer { region: region(), load_balancer: say("classic"), instance: instance() }.into(),
        DisassociateAddress {
            region: region(),
            association: say("eipassoc-0a1b2c3d4e5f67890"),
            allocation: say("eipalloc-0a1b2c3d4e5f67890"),
            public_ip: say("203.0.113.7"),
            interface: interface(1),
            private_ip: Some(say("10.0.0.5")),
        }
        .into(),
        RemovePublicAddress { region: region(), interface: interface(1), public_ip: say("203.0.113.8") }.into(),
    ]
}

/// One of every step around an instance, and more of those that have several lines.
pub(crate) fn steps_around_an_instance() -> Vec<Step> {
    let mut steps: Vec<Step> = vec![
        prepare(1, None).into(),
        prepare(2, Some(ISOLATION_GROUP)).into(),
        isolate(&[FIRST_GROUP, SECOND_GROUP], None).into(),
        isolate(&[FIRST_GROUP, SECOND_GROUP], Some(ISOLATION_GROUP)).into(),
        isolate(&[ISOLATION_GROUP], Some(ISOLATION_GROUP)).into(),
        ProtectFromTermination { region: region(), instance: instance() }.into(),
        ProtectFromStop { region: region(), instance: instance() }.into(),
        StopOnShutdown { region: region(), instance: instance() }.into(),
        lower(Timeouts::default()).into(),
        lower(Timeouts { tcp_established: Some(3600), udp_stream: None, udp: Some(45) }).into(),
        untrack(None, None).into(),
        untrack(Some(FIRST_GROUP), Some(ISOLATION_GROUP)).into(),
        snapshots(&[1, 2], &[]).into(),
        snapshots(&[1, 2], &[1, 2]).into(),
        lock(Lock::Governance, 365).into(),
        lock(Lock::Compliance, 30).into(),
    ];
    steps.extend(steps_named(str::to_owned));
    steps
}

fn lines(step: &Step) -> Vec<String> {
    step.undo().commands.into_iter().chain([step.command()]).collect()
}

/// What a shell makes of a line without carrying it out.
fn is_shell(line: &str) -> bool {
    let checked = std::process::Command::new("sh").args(["-n", "-c", line]).status();
    checked.expect("a shell").success()
}

#[test]
fn every_line_is_one_line_of_shell_and_names_the_region() {
    for step in steps_around_an_instance() {
        for line in lines(&step) {
            assert!(is_shell(&line) && !line.contains('\n'), "{line}");
            let calls =
                line.matches("aws ec2 ").count() + line.matches("aws autoscaling ").count() + line.matches("aws elb").count();
            assert_eq!(line.matches("--region eu-west-1 ").count(), calls, "{line}");
        }
    }
}

#[test]
fn no_line_ends_deletes_or_frees_anything() {
    for line in steps_around_an_instance().iter().flat_map(lines) {
        for call in line.split("aws ").skip(1) {
            let operation = call.split(' ').nth(1).expect("an operation");
            let destroys = ["terminate", "stop", "reboot", "delete", "release", "unlock", "detach-volume", "detach-network"];
            assert!(!destroys.iter().any(|verb| operation.starts_with(verb)), "{line}");
        }
    }
}

#[test]
fn what_leaves_evidence_is_never_undone_by_a_line() {
    let kept: [Step; 5] = [
        prepare(1, None).into(),
        prepare(1, Some(ISOLATION_GROUP)).into(),
        untrack(None, None).into(),
        snapshots(&[1], &[1]).into(),
        lock(Lock::Compliance, 30).into(),
    ];
    for step in kept {
        let undo = step.undo();
        assert!(undo.commands.is_empty() && undo.note.is_some(), "{undo:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn whatever_a_name_holds_a_line_hands_it_to_aws_as_it_is(text in any::<String>()) {
        for line in steps_named(|_| text.clone()).iter().flat_map(lines) {
            let words = words(&line);
            prop_assert!(words.is_some(), "{line}");
            for word in words.into_iter().flatten() {
                let is_ours = word.chars().all(|one| one.is_ascii_alphanumeric() || "-:/.".contains(one));
                let as_json = serde_json::from_str::<serde_json::Value>(&word).is_ok();
                // The value of an option, joined to it where it starts with a dash.
                let is_text = word == text || word.split_once('=').is_some_and(|(_, value)| value == text);
                prop_assert!(is_ours || as_json || is_text, "{word:?} in {line}");
            }
        }
        for step in steps_named(|_| text.clone()) {
            prop_assert!(step.on().chars().all(|one| !one.is_control()), "{}", step.on());
        }
    }

    #[test]
    fn isolating_is_undone_to_exactly_the_groups_there_were(digits in prop::collection::vec("[0-9a-f]{17}", 1..17)) {
        let original: Vec<_> = digits.iter().map(|hex| group(&format!("sg-{hex}"))).collect();
        let step = IsolateInterface { original: original.clone(), ..isolate(&[], Some("sg-00000000000000000")) };
        let undo = Step::from(step).undo();
        let put = match &undo.commands[..] {
            [] => vec![group("sg-00000000000000000")],
            [line] => {
                let words = words(line).expect("a shell line");
                let at = words.iter().position(|word| word == "--groups").expect("groups");
                words[at + 1..].iter().map(|word| group(word)).collect()
            }
            more => unreachable!("{more:?}"),
        };
        prop_assert_eq!(put, original);
    }
}

#[test]
fn the_same_change_is_the_same_both_ways_and_no_two_steps_are_one_another() {
    let steps = steps_around_an_instance();
    for one in &steps {
        assert!(one.is_same_change(one), "{one:?}");
        for other in &steps {
            assert_eq!(one.is_same_change(other), other.is_same_change(one), "{one:?} {other:?}");
            assert!(one.name() == other.name() || !one.is_same_change(other), "{one:?} {other:?}");
        }
    }
}

#[test]
fn what_was_found_out_on_the_way_makes_no_other_change() {
    let same: [(Step, Step); 5] = [
        (prepare(1, None).into(), prepare(1, Some(ISOLATION_GROUP)).into()),
        (isolate(&[FIRST_GROUP], None).into(), isolate(&[ISOLATION_GROUP], Some(ISOLATION_GROUP)).into()),
        (lower(Timeouts::default()).into(), lower(Timeouts::LOWEST).into()),
        (untrack(None, None).into(), untrack(Some(FIRST_GROUP), Some(ISOLATION_GROUP)).into()),
        (snapshots(&[1, 2], &[]).into(), snapshots(&[1], &[1]).into()),
    ];
    for (one, other) in &same {
        assert!(one.is_same_change(other), "{one:?} {other:?}");
    }
    let different: [(Step, Step); 3] = [
        (prepare(1, None).into(), prepare(2, None).into()),
        (isolate(&[], None).into(), IsolateInterface { interface: interface(2), ..isolate(&[], None) }.into()),
        (lock(Lock::Governance, 1).into(), LockSnapshot { snapshot: snapshot(2), ..lock(Lock::Governance, 1) }.into()),
    ];
    for (one, other) in &different {
        assert!(!one.is_same_change(other), "{one:?} {other:?}");
    }
}

#[test]
fn an_interface_is_given_the_isolation_group_of_its_own_vpc() {
    let done: Vec<Step> =
        vec![prepare(2, Some(SECOND_GROUP)).into(), prepare(1, None).into(), prepare(1, Some(ISOLATION_GROUP)).into()];
    let given = |step: Step| step.given(&done);
    assert_eq!(given(isolate(&[FIRST_GROUP], None).into()), isolate(&[FIRST_GROUP], Some(ISOLATION_GROUP)).into());
    assert_eq!(given(untrack(None, None).into()), untrack(None, Some(ISOLATION_GROUP)).into());
    // One it has is kept, and what waits for no group is left as it is.
    assert_eq!(given(isolate(&[], Some(FIRST_GROUP)).into()), isolate(&[], Some(FIRST_GROUP)).into());
    assert_eq!(given(prepare(1, None).into()), prepare(1, None).into());
    let other: Step = IsolateInterface { vpc: vpc(3), ..isolate(&[], None) }.into();
    assert_eq!(given(other.clone()), other);
}

#[test]
fn an_interface_that_was_isolated_before_stays_so() {
    assert!(Step::from(isolate(&[ISOLATION_GROUP], Some(ISOLATION_GROUP))).was_before());
    for step in [isolate(&[FIRST_GROUP, ISOLATION_GROUP], Some(ISOLATION_GROUP)), isolate(&[ISOLATION_GROUP], None)] {
        let step = Step::from(step);
        assert!(!step.was_before() && step.undo().commands.len() == 1, "{step:?}");
    }
}

#[test]
fn timeouts_go_back_to_what_they_were_or_to_what_aws_takes() {
    let line = |before| Step::from(lower(before)).undo().commands.join("");
    let was = Timeouts { tcp_established: Some(3600), udp_stream: None, udp: Some(45) };
    assert!(line(was).ends_with(" TcpEstablishedTimeout=3600,UdpStreamTimeout=180,UdpTimeout=45"), "{}", line(was));
    let unset = Timeouts::default();
    assert!(line(unset).ends_with(" TcpEstablishedTimeout=432000,UdpStreamTimeout=180,UdpTimeout=30"), "{}", line(unset));
    // What AWS takes depends on the instance type: the line cannot know, so the note says it.
    assert!(Step::from(lower(unset)).undo().note.is_some_and(|note| note.contains("350 s")));
    assert_eq!(Step::from(lower(was)).undo().note, None);
}

#[test]
fn the_isolation_group_ends_the_line_that_opens_an_interface_whatever_became_of_the_first_half() {
    let line = Step::from(untrack(Some(FIRST_GROUP), Some(ISOLATION_GROUP))).command();
    let parts: Vec<_> = line.split("; ").collect();
    let [open, wait, isolate] = parts[..] else { unreachable!("{line}") };
    assert!(open.ends_with(&format!("--groups {FIRST_GROUP}")) && wait.starts_with("sleep "), "{line}");
    assert!(isolate.ends_with(&format!("--groups {ISOLATION_GROUP}")), "{line}");
}

#[test]
fn a_line_that_needs_a_group_hands_it_on_by_its_vpc() {
    let made = Step::from(prepare(1, None)).command();
    let variable = made.split_once('=').expect("a variable").0;
    for step in [Step::from(isolate(&[FIRST_GROUP], None)), untrack(None, None).into()] {
        assert!(step.command().contains(&format!("\"${{{variable}:?}}\"")), "{}", step.command());
    }
    assert!(!Step::from(prepare(2, None)).command().contains(&format!("{variable}=")), "each VPC has its own");
}

#[test]
fn a_volume_without_a_snapshot_is_the_one_that_is_missing() {
    let step = snapshots(&[1, 2, 3], &[]);
    let taken =
        |of: &[(u32, Option<u32>)]| -> BTreeMap<_, _> { of.iter().map(|(id, of)| (snapshot(*id), of.map(volume))).collect() };
    assert_eq!(step.uncovered(&taken(&[])), [volume(1), volume(2), volume(3)]);
    assert_eq!(step.uncovered(&taken(&[(7, Some(1)), (8, Some(3)), (9, Some(4))])), [volume(2)]);
    // A copy is of no volume that AWS names: it covers none.
    assert_eq!(step.uncovered(&taken(&[(7, None)])).len(), 3);
}

#[test]
fn what_is_made_says_where_it_comes_from() {
    let value = |tags: Vec<(String, String)>, key: &str| {
        tags.into_iter().find(|(known, _)| known == key).map(|(_, value)| value).unwrap_or_default()
    };
    for tags in [prepare(1, None).tags(), snapshots(&[1], &[]).tags()] {
        assert_eq!(value(tags.clone(), "ir:incident"), "IR-20261121-3f9a1c2e");
        assert_eq!(value(tags.clone(), "ir:source"), origin().finding.as_str());
        assert!(!value(tags, "ir:collected-by").is_empty());
    }
    assert_eq!(value(prepare(1, None).tags(), "ir:isolation"), vpc(1).as_str());
    assert_eq!(value(snapshots(&[1], &[]).tags(), "ir:instance"), INSTANCE);
    assert_eq!(value(untrack(None, None).open_tags(), "ir:isolation"), format!("open-{}", vpc(1)));
    assert!(prepare(1, None).second_name().len() <= 255, "the longest name EC2 takes");
    let Some(line) = words(&Step::from(snapshots(&[1], &[])).command()) else { unreachable!("a shell line") };
    let tags: serde_json::Value = serde_json::from_str(line.last().expect("tags")).expect("JSON");
    assert_eq!(tags[0]["Tags"][1]["Value"], origin().finding.as_str(), "a comma and a quote in a finding id stay what they are");
}

#[rstest]
#[case::unlocked(None, None, Lock::Governance, Some((Lock::Governance, 30, None)))]
#[case::expired(Some("expired"), Some(900), Lock::Governance, Some((Lock::Governance, 30, None)))]
#[case::so_already(Some("governance"), Some(30), Lock::Governance, None)]
#[case::for_longer_already(Some("governance"), Some(900), Lock::Governance, None)]
#[case::of_unknown_length(Some("governance"), None, Lock::Governance, None)]
#[case::too_short(Some("governance"), Some(7), Lock::Governance, Some((Lock::Governance, 30, None)))]
#[case::stricter_already(Some("compliance"), Some(30), Lock::Governance, None)]
#[case::stricter_and_too_short(Some("compliance"), Some(7), Lock::Governance, Some((Lock::Compliance, 30, None)))]
#[case::cooling_off(Some("compliance-cooloff"), Some(30), Lock::Compliance, None)]
#[case::cooling_off_and_too_short(Some("compliance-cooloff"), Some(7), Lock::Compliance, Some((Lock::Compliance, 30, Some(COOL_OFF_HOURS))))]
#[case::final_and_too_short(Some("compliance"), Some(7), Lock::Compliance, Some((Lock::Compliance, 30, None)))]
#[case::made_stricter(Some("governance"), Some(900), Lock::Compliance, Some((Lock::Compliance, 900, Some(COOL_OFF_HOURS))))]
#[case::unlocked_for_compliance(None, None, Lock::Compliance, Some((Lock::Compliance, 30, Some(COOL_OFF_HOURS))))]
fn a_lock_is_never_made_shorter_or_less_strict(
    #[case] state: Option<&str>,
    #[case] days: Option<i32>,
    #[case] mode: Lock,
    #[case] asked: Option<(Lock, i32, Option<i32>)>,
) {
    let asked = asked.map(|(mode, days, cool_off)| Asked { mode, days, cool_off });
    assert_eq!(Asked::beyond(state, days, &lock(mode, 30)), asked);
}

#[test]
fn the_guardrails_may_ask_for_no_lock() {
    assert_eq!(Lock::of(LockMode::Governance), Some(Lock::Governance));
    assert_eq!(Lock::of(LockMode::Compliance), Some(Lock::Compliance));
    assert_eq!(Lock::of(LockMode::None), None);
}
