//! An instance as EC2 would describe it, and findings about it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use tourniquet::containment::AtSource;
use tourniquet::containment::instance::{
    Address, AutoScalingMembership, Found, Interface, IsolationGroup, Lifecycle, Observed, ObservedInstance, Profile,
    ProfileRole, Volume, decide,
};
use tourniquet::containment::{Decision, Responder};
use tourniquet::finding::{Finding, Instance, Source, Target, Trigger};
use tourniquet::guardrails::Guardrails;
use tourniquet::id::{FindingId, GroupId, InstanceId, InterfaceId, Region, VolumeId, VpcId};
use tourniquet::plan::Plan;
use tourniquet::step::{Step, Timeouts};

use crate::support::{account, arn, at, name, responder, shipped, shipped_text, unique_id};

pub(super) const ID: &str = "i-0123456789abcdef0";
pub(super) const GROUP: &str = "sg-00000000000000150";

pub(super) fn instance_id() -> InstanceId {
    InstanceId::parse(ID).expect("an instance id")
}

pub(super) fn eni(number: u8) -> InterfaceId {
    InterfaceId::parse(&format!("eni-000000000000000{number:02}")).expect("an interface id")
}

pub(super) fn vpc(number: u8) -> VpcId {
    VpcId::parse(&format!("vpc-000000000000000{number:02}")).expect("a VPC id")
}

pub(super) fn group(text: &str) -> GroupId {
    GroupId::parse(text).expect("a group id")
}

pub(super) fn finding() -> Finding {
    Finding {
        id: FindingId::parse("arn:aws:guardduty:eu-west-1:111122223333:detector/0a/finding/0b").expect("a finding id"),
        finding_type: "CryptoCurrency:EC2/BitcoinTool.B!DNS".to_owned(),
        severity: 8.0,
        account: account(),
        region: Region::parse("eu-west-1").expect("a Region"),
        source: Source::GuardDuty,
        product: None,
        title: "The EC2 instance is querying a domain of a Bitcoin pool".to_owned(),
        first_seen: at("2026-11-21T20:30:00Z"),
        last_seen: at("2026-11-21T20:40:00Z"),
        targets: vec![accused()],
        assumed_roles: Vec::new(),
        trigger: Trigger::Event,
    }
}

pub(super) fn accused() -> Target {
    Target::Instance(Instance { id: instance_id(), profile: Some(arn("arn:aws:iam::111122223333:instance-profile/web")) })
}

pub(super) fn interface(number: u8) -> Interface {
    Interface {
        id: eni(number),
        vpc: vpc(1),
        subnet: "subnet-0123456789abcdef0".to_owned(),
        device_index: i32::from(number) - 1,
        kind: "interface".to_owned(),
        is_managed: false,
        groups: vec![group("sg-0aaaaaaaaaaaaaaa1"), group("sg-0aaaaaaaaaaaaaaa2")],
        addresses: vec![Address { private_ip: format!("10.0.0.{number}"), public_ip: None, allocation: None, association: None }],
        ipv6: Vec::new(),
        timeouts: Timeouts::default(),
    }
}

/// A running instance with one interface, two volumes, a profile, and an isolation group ready for its VPC.
pub(super) fn instance() -> ObservedInstance {
    let volume = |id: &str, device: &str, goes_with_instance| Volume {
        id: VolumeId::parse(id).expect("a volume id"),
        device: device.to_owned(),
        goes_with_instance,
    };
    ObservedInstance {
        id: instance_id(),
        account: account(),
        region: Region::parse("eu-west-1").expect("a Region"),
        state: "running".to_owned(),
        launched: Some(at("2026-10-01T00:00:00Z")),
        instance_type: "m7g.large".to_owned(),
        image: Some("ami-0123456789abcdef0".to_owned()),
        tags: BTreeMap::new(),
        lifecycle: Lifecycle::OnDemand,
        has_ebs_root: true,
        hibernates: false,
        profile: Some(Profile {
            arn: arn("arn:aws:iam::111122223333:instance-profile/web"),
            association: Some("iip-assoc-0123456789abcdef0".to_owned()),
            role: Some(ProfileRole {
                name: name("web"),
                unique_id: unique_id("AROAWEBROLEQ7QEXAMPLE"),
                arn: arn("arn:aws:iam::111122223333:role/apps/web"),
            }),
        }),
        protected_from_termination: Some(false),
        protected_from_stop: Some(false),
        on_shutdown: Some("terminate".to_owned()),
        volumes: vec![volume("vol-0123456789abcdef0", "/dev/xvda", true), volume("vol-0123456789abcdef1", "/dev/sdf", false)],
        interfaces: vec![interface(1)],
        metadata_options: json!({ "http_tokens": "required" }),
        auto_scaling: None,
        classic_balancers: Vec::new(),
        isolation: BTreeMap::from([(vpc(1), IsolationGroup { id: group(GROUP), is_clean: None })]),
        gone: BTreeSet::new(),
        denies: BTreeMap::new(),
        unread: Vec::new(),
        raw: BTreeMap::new(),
    }
}

pub(super) fn in_auto_scaling(lifecycle: &str) -> AutoScalingMembership {
    AutoScalingMembership { group: "web".to_owned(), lifecycle: lifecycle.to_owned(), is_protected: false }
}

pub(super) fn observed(instance: ObservedInstance) -> Observed {
    Observed { source: AtSource::NotKept, guardrails: Ok(shipped()), state: Found::Instance(Box::new(instance)) }
}

/// The shipped guardrails with one setting of `[isolation]` changed.
pub(super) fn guardrails_with(old: &str, new: &str) -> Guardrails {
    let text = shipped_text();
    assert!(text.contains(old), "the shipped guardrails say {old}");
    Guardrails::parse("guardrails.toml", &text.replacen(old, new, 1)).expect("guardrails that hold together")
}

pub(super) fn decided(observed: &Observed) -> Decision {
    decide(&finding(), &accused(), observed, &responder())
}

pub(super) fn decided_by(observed: &Observed, responder: &Responder) -> Decision {
    decide(&finding(), &accused(), observed, responder)
}

/// The steps' names, stage by stage.
pub(super) fn names(plan: &Plan) -> Vec<(&str, Vec<&'static str>)> {
    plan.then.iter().map(|stage| (stage.name.as_str(), stage.steps.iter().map(Step::name).collect())).collect()
}
