//! Findings about instances, whichever feed brings them.

use proptest::prelude::*;
use rstest::rstest;
use serde_json::{Value, json};
use tourniquet::finding::{Elsewhere, ElsewhereSort, Finding, Instance, Target};
use tourniquet::id::InstanceId;

use crate::checks::event::check;
use crate::support::{arn, finding, findings, sample};

const INSTANCE: &str = "i-0123456789abcdef0";
const PROFILE: &str = "arn:aws:iam::111122223333:instance-profile/web";
const ARN: &str = "arn:aws:ec2:eu-west-1:111122223333:instance/i-0123456789abcdef0";

const GUARDDUTY: &str = "contain-instance/crypto-mining-instance";
const ASFF: &str = "contain-instance/security-hub-copy";
const OCSF: &str = "contain-instance/ocsf-copy-instance";
const GROUP: &str = "contain-instance/attack-sequence-instance-group";

fn instance(id: &str, profile: Option<&str>) -> Target {
    Target::Instance(Instance { id: InstanceId::parse(id).expect("an instance id"), profile: profile.map(arn) })
}

/// The finding of `event`, after `edit`.
fn edited(event: &str, edit: impl FnOnce(&mut Value)) -> Finding {
    let mut event: Value = serde_json::from_slice(&sample(event)).expect("JSON");
    edit(&mut event);
    let bytes = event.to_string();
    check(bytes.as_bytes());
    findings(bytes.as_bytes()).remove(0)
}

/// The targets of `event` with `value` at `pointer`; without the field where it is null.
fn with(event: &str, pointer: &str, value: &Value) -> Vec<Target> {
    let edit = |event: &mut Value| {
        let (parent, field) = pointer.rsplit_once('/').expect("a pointer");
        let parent = event.pointer_mut(parent).expect("the parent");
        match (parent, value) {
            (Value::Object(fields), Value::Null) => drop(fields.remove(field)),
            (parent, value) => parent[field] = value.clone(),
        }
    };
    edited(event, edit).targets
}

#[rstest]
#[case::guardduty(GUARDDUTY)]
#[case::asff(ASFF)]
#[case::ocsf(OCSF)]
#[case::an_application("contain-instance/application-finding-instance")]
#[case::the_button("contain-instance/custom-action-instance")]
#[case::hostile_text("contain-instance/hostile-text")]
fn an_instance_is_named_with_its_profile(#[case] event: &str) {
    assert_eq!(finding(event).targets, [instance(INSTANCE, Some(PROFILE))]);
}

#[test]
fn the_copies_of_a_finding_about_an_instance_share_id_type_and_first_sighting() {
    let identity = |finding: &Finding| (finding.id.clone(), finding.finding_type.clone(), finding.first_seen);
    let original = identity(&finding(GUARDDUTY));
    assert_eq!(identity(&finding(ASFF)), original);
    assert_eq!(identity(&finding(OCSF)), original);
}

#[rstest]
#[case(GUARDDUTY, "/detail/resource/instanceDetails/instanceId")]
#[case(ASFF, "/detail/findings/0/Resources/0/Id")]
#[case(OCSF, "/detail/findings/0/resources/0/uid")]
fn what_is_no_instance_id_leaves_a_resource(#[case] event: &str, #[case] pointer: &str) {
    let no_ids = [
        Value::Null,
        json!(""),
        json!(7),
        json!([INSTANCE]),
        json!("i-0123456789ABCDEF0"),
        json!("i-0123456789abcdef"),
        json!("i-0123456789abcdef0 "),
        json!("mi-0123456789abcdef0"),
        json!("instance/i-0123456789abcdef0"),
        json!("*"),
        json!("arn:"),
        json!("arn:aws:ec2:eu-west-1:111122223333:instance/"),
        json!("arn:aws:ec2:eu-west-1:111122223333:instance/*"),
        json!("arn:aws:ec2:eu-west-1:111122223333:volume/vol-0123456789abcdef0"),
        json!("arn:aws:ec2:eu-west-1:111122223333:instance/i-0123456789abcdef0/x"),
        json!("arn:aws:ssm:eu-west-1:111122223333:instance/i-0123456789abcdef0"),
        // Of another account, Region or partition, or of none.
        json!("arn:aws:ec2:eu-west-1:444455556666:instance/i-0123456789abcdef0"),
        json!("arn:aws:ec2:eu-west-2:111122223333:instance/i-0123456789abcdef0"),
        json!("arn:aws-cn:ec2:eu-west-1:111122223333:instance/i-0123456789abcdef0"),
        json!("arn:aws:ec2:::instance/i-0123456789abcdef0"),
        json!("arn:aws:eu-west-1:111122223333:instance/i-0123456789abcdef0"),
    ];
    for value in no_ids {
        let targets = with(event, pointer, &value);
        assert!(matches!(&targets[..], [Target::Resource { .. }]), "{value}: {targets:?}");
    }
    for value in [INSTANCE, ARN] {
        assert_eq!(with(event, pointer, &value.into()), [instance(INSTANCE, Some(PROFILE))], "{value}");
    }
    assert_eq!(with(event, pointer, &"i-99999999".into()), [instance("i-99999999", Some(PROFILE))], "the short form");
}

#[rstest]
#[case(ASFF, "/detail/findings/0/Resources/0/Region", "eu-west-2")]
#[case(ASFF, "/detail/findings/0/Resources/0/Partition", "aws-cn")]
#[case(OCSF, "/detail/findings/0/resources/0/region", "eu-west-2")]
#[case(OCSF, "/detail/findings/0/resources/0/cloud_partition", "aws-cn")]
#[case(OCSF, "/detail/findings/0/resources/0/owner/account/uid", "444455556666")]
fn a_bare_id_said_to_be_elsewhere_is_not_an_instance_of_here(
    #[case] event: &str,
    #[case] pointer: &str,
    #[case] elsewhere: &str,
) {
    for named in [INSTANCE, ARN] {
        let finding = edited(event, |event| {
            let name = if event.pointer("/detail/findings/0/resources").is_some() { "resources/0/uid" } else { "Resources/0/Id" };
            *event.pointer_mut(&format!("/detail/findings/0/{name}")).expect("a name") = named.into();
            *event.pointer_mut(pointer).expect("a field") = elsewhere.into();
        });
        assert!(matches!(&finding.targets[..], [Target::Resource { .. }]), "{named}: {:?}", finding.targets);
    }
}

#[rstest]
#[case(GUARDDUTY, "/detail/resource/instanceDetails/iamInstanceProfile/arn")]
#[case(ASFF, "/detail/findings/0/Resources/0/Details/AwsEc2Instance/IamInstanceProfileArn")]
#[case(OCSF, "/detail/findings/0/resources/0/data/iam_instance_profile/arn")]
fn a_profile_that_is_none_of_the_account_s_is_left_out(#[case] event: &str, #[case] pointer: &str) {
    let longest = format!("arn:aws:iam::111122223333:instance-profile/{}", "a".repeat(128));
    for own in ["arn:aws:iam::111122223333:instance-profile/teams/shop/web", &longest] {
        assert_eq!(with(event, pointer, &own.into()), [instance(INSTANCE, Some(own))], "{own}");
    }
    let others = [
        Value::Null,
        json!(""),
        json!({}),
        json!("web"),
        json!("arn:aws:iam::444455556666:instance-profile/web"),
        json!("arn:aws-cn:iam::111122223333:instance-profile/web"),
        json!("arn:aws:iam:eu-west-1:111122223333:instance-profile/web"),
        json!("arn:aws:ec2::111122223333:instance-profile/web"),
        json!("arn:aws:iam::111122223333:role/web"),
        json!("arn:aws:iam::111122223333:instance-profile/"),
        json!("arn:aws:iam::111122223333:instance-profile/web/"),
        json!("arn:aws:iam::111122223333:instance-profile/web:x"),
        json!("arn:aws:iam::111122223333:instance-profile/w*b"),
        json!(format!("{longest}a")),
    ];
    for value in others {
        assert_eq!(with(event, pointer, &value), [instance(INSTANCE, None)], "{value}");
    }
}

#[test]
fn an_application_names_a_profile_as_asff_does_in_ocsf_too() {
    let data = json!({ "iamInstanceProfileArn": PROFILE });
    assert_eq!(with(OCSF, "/detail/findings/0/resources/0/data", &data), [instance(INSTANCE, Some(PROFILE))]);
    assert_eq!(with(OCSF, "/detail/findings/0/resources/0/type", &"AwsEc2Instance".into()), [instance(INSTANCE, Some(PROFILE))]);
}

#[test]
fn stolen_credentials_accuse_the_session_and_the_instance_they_come_from() {
    let event = "contain-instance/instance-credentials-exfiltrated";
    assert_eq!(sample(event), sample("instance-credentials-exfiltrated"), "one event, two functions");
    let targets = finding(event).targets;
    let [session, accused] = &targets[..] else { unreachable!("two targets: {targets:?}") };
    assert_eq!(*accused, instance(crate::support::INSTANCE, Some("arn:aws:iam::111122223333:instance-profile/app-server")));
    assert!(matches!(session, Target::RoleSession(session) if session.instance.is_some()), "{session:?}");

    // Without an instance id it is the session's alone.
    for value in [Value::Null, json!("app-server-3")] {
        let targets = with(event, "/detail/resource/instanceDetails/instanceId", &value);
        assert!(matches!(&targets[..], [Target::RoleSession(session)] if session.instance.is_none()), "{targets:?}");
    }
    // Elsewhere instance details are noise.
    let targets = with(event, "/detail/type", &"UnauthorizedAccess:IAMUser/MaliciousIPCaller".into());
    assert!(matches!(&targets[..], [Target::RoleSession(_)]), "{targets:?}");
}

#[test]
fn an_instance_named_twice_is_one_target_with_the_profile_that_either_mention_gives() {
    for order in [[0, 1], [1, 0]] {
        let finding = edited(ASFF, |event| {
            let full = event["detail"]["findings"][0]["Resources"][0].clone();
            let bare = json!({ "Type": "AwsEc2Instance", "Id": INSTANCE });
            let mentions = [full, bare];
            event["detail"]["findings"][0]["Resources"] = order.map(|at| mentions[at].clone()).to_vec().into();
        });
        assert_eq!(finding.targets, [instance(INSTANCE, Some(PROFILE))]);
    }
}

#[test]
fn of_actors_and_targets_only_an_instance_that_is_an_actor_is_accused() {
    let finding = edited(ASFF, |event| {
        let resource = &event["detail"]["findings"][0]["Resources"][0];
        let (mut actor, mut victim) = (resource.clone(), resource.clone());
        actor["ResourceRole"] = "Actor".into();
        victim["ResourceRole"] = "Target".into();
        victim["Id"] = "i-99999999".into();
        event["detail"]["findings"][0]["Resources"] = vec![victim, actor].into();
    });
    assert_eq!(finding.targets, [instance(INSTANCE, Some(PROFILE))]);
}

const RESOURCES: &str = "/detail/service/detection/sequence/resources";

#[test]
fn the_instances_of_a_sequence_are_accused_each_once() {
    let second = "i-0123456789abcdef1";
    assert_eq!(finding(GROUP).targets, [instance(INSTANCE, Some(PROFILE)), instance(second, Some(PROFILE))]);
    let again = edited(GROUP, |event| {
        let resources = event.pointer_mut(RESOURCES).and_then(Value::as_array_mut).expect("resources");
        resources.push(json!({ "uid": INSTANCE, "resourceType": "EC2_INSTANCE" }));
        resources.insert(0, json!({ "uid": second, "resourceType": "EC2_INSTANCE" }));
    });
    assert_eq!(again.targets, [instance(second, Some(PROFILE)), instance(INSTANCE, Some(PROFILE))]);
}

#[test]
fn the_actor_of_a_sequence_stands_beside_its_instances() {
    let targets = finding("contain-instance/attack-sequence-instance-and-its-role").targets;
    assert!(matches!(&targets[..], [Target::RoleSession(_), Target::Instance(_)]), "{targets:?}");
}

#[rstest]
#[case::account("accountId", json!("444455556666"))]
#[case::region("region", json!("eu-west-2"))]
#[case::partition("cloudPartition", json!("aws-us-gov"))]
#[case::arn_of_another_account("uid", json!("arn:aws:ec2:eu-west-1:444455556666:instance/i-0123456789abcdef0"))]
#[case::arn_of_another_region("uid", json!("arn:aws:ec2:us-east-1:111122223333:instance/i-0123456789abcdef0"))]
#[case::no_id("uid", json!("web-1"))]
#[case::another_type("resourceType", json!("EC2_IMAGE"))]
fn an_instance_of_a_sequence_that_is_none_of_here_is_not_accused(#[case] field: &str, #[case] value: Value) {
    let targets = with(GROUP, &format!("{RESOURCES}/0/{field}"), &value);
    assert_eq!(targets, [instance("i-0123456789abcdef1", Some(PROFILE))]);
}

#[test]
fn an_instance_of_another_kind_of_sequence_is_where_something_happened_not_the_accused() {
    for kind in ["AttackSequence:EKS/CompromisedCluster", "AttackSequence:IAM/CompromisedCredentials", "AttackSequence:S3/EC2/"] {
        let targets = with(GROUP, "/detail/type", &kind.into());
        assert_eq!(unnamed(&targets), Some("attack sequence without an actor"), "{kind}: {targets:?}");
    }
}

#[test]
fn a_sequence_that_names_nobody_here_is_for_a_person() {
    let targets = with(GROUP, RESOURCES, &json!([]));
    assert_eq!(unnamed(&targets), Some("attack sequence without an actor or an instance of its account and Region"));
}

fn unnamed(targets: &[Target]) -> Option<&str> {
    match targets {
        [Target::Elsewhere(Elsewhere { sort: ElsewhereSort::Unnamed, label, key: None })] => Some(label),
        _ => None,
    }
}

#[rstest]
#[case::the_largest_group(8, None)]
#[case::one_more(9, Some("9 instances"))]
#[case::as_many_as_guardduty_names(400, Some("400 instances"))]
fn more_than_eight_instances_at_once_are_for_a_person(#[case] count: usize, #[case] told: Option<&str>) {
    let uid = |index: usize| json!({ "uid": format!("i-{index:017x}"), "resourceType": "EC2_INSTANCE" });
    let targets = with(GROUP, RESOURCES, &(0..count).map(uid).collect());
    match (told, &targets[..]) {
        (None, instances) => assert!(instances.len() == count && instances.iter().all(Target::is_instance), "{instances:?}"),
        (Some(told), [Target::Elsewhere(Elsewhere { sort: ElsewhereSort::SeveralActors, label, .. })]) => {
            assert_eq!(label, told);
        }
        (Some(_), other) => unreachable!("{count} instances became {other:?}"),
    }
}

proptest! {
    #[test]
    fn an_instance_named_by_its_arn_is_of_the_finding_s_account_and_region(
        partition in prop::sample::select(vec!["aws", "aws-cn", "aws-us-gov"]),
        service in prop::sample::select(vec!["ec2", "ssm", ""]),
        region in prop::sample::select(vec!["eu-west-1", "eu-west-2", "us-gov-west-1", ""]),
        account in prop::sample::select(vec!["111122223333", "444455556666", ""]),
        resource in "(instance/i-[0-9a-f]{8}([0-9a-f]{9})?|instance/.{0,8}|i-[0-9a-f]{8})",
    ) {
        let named = format!("arn:{partition}:{service}:{region}:{account}:{resource}");
        let own = (partition, service, region, account) == ("aws", "ec2", "eu-west-1", "111122223333");
        let group = json!([{ "uid": named, "resourceType": "EC2_INSTANCE" }]);
        for targets in [
            with(GUARDDUTY, "/detail/resource/instanceDetails/instanceId", &named.clone().into()),
            with(ASFF, "/detail/findings/0/Resources/0/Id", &named.clone().into()),
            with(OCSF, "/detail/findings/0/resources/0/uid", &named.clone().into()),
            with(GROUP, RESOURCES, &group),
        ] {
            prop_assert_eq!(targets.len(), 1);
            if let [Target::Instance(instance)] = &targets[..] {
                prop_assert!(own, "{}", named);
                prop_assert_eq!(format!("instance/{}", instance.id), &*resource);
            } else {
                let id = resource.strip_prefix("instance/").unwrap_or_default();
                prop_assert!(!own || InstanceId::parse(id).is_err(), "{}", named);
            }
        }
    }
}
