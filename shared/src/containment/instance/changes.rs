//! The changes that isolate an instance and hold its evidence.

use std::collections::{BTreeMap, BTreeSet};

use super::observed::{Interface, IsolationGroup, Lifecycle, ObservedInstance, Registration};
use crate::guardrails::{Allow, AutoScaling, EvidenceLock, Isolation};
use crate::id::{CaseId, GroupId, SnapshotId, VpcId};
use crate::plan::{Plan, Stage};
use crate::policy;
use crate::step::{
    DenySession, DeregisterFromLoadBalancer, DeregisterTarget, DetachFromAutoScaling, DisassociateAddress, EnterStandby,
    IsolateInterface, KeepVolume, Lock, LockSnapshot, LowerConnectionTimeout, Origin, PrepareIsolationGroup, ProtectFromScaleIn,
    ProtectFromStop, ProtectFromTermination, RemovePublicAddress, SnapshotVolumes, Step, StopOnShutdown, Timeouts,
    UntrackConnections,
};

/// What is issued in one wave as soon as the original state is remembered.
pub const HOLD_STAGE: &str = "hold";
/// The interfaces that have to wait for their isolation group to be made.
pub const ISOLATE_STAGE: &str = "isolate";
/// What is done about connections that a group cannot cut.
const CONNECTIONS_STAGE: &str = "connections";
/// What keeps others from replacing or feeding the instance.
const SERVICE_STAGE: &str = "service";
/// What is known only once the snapshots are there.
const EVIDENCE_STAGE: &str = "evidence";

/// What the plan depends on besides the instance.
pub(super) struct Setting<'a> {
    pub(super) isolation: &'a Isolation,
    pub(super) origin: &'a Origin,
    pub(super) lock: &'a EvidenceLock,
    /// Whether the role must not be written to.
    pub(super) leave_role: bool,
}

/// The plan for an instance: stages in order, the first in one wave.
pub(super) fn plan_for_instance(instance: &ObservedInstance, setting: &Setting<'_>) -> Plan {
    let mut hold = Vec::new();
    let mut isolate = Vec::new();
    if instance.state == "shutting-down" {
        hold.extend(snapshot(instance, setting));
        return plan(vec![(HOLD_STAGE, hold)]);
    }
    for vpc in vpcs(instance) {
        hold.push(group_of(instance, &vpc, setting).into());
    }
    for step in instance.interfaces.iter().filter(|interface| !interface.is_managed).map(|one| isolation_of(instance, one)) {
        let stage = if step.group.is_some() { &mut hold } else { &mut isolate };
        stage.push(step.into());
    }
    hold.extend(credentials(instance).filter(|_| !setting.leave_role));
    hold.extend(protections(instance));
    hold.extend(snapshot(instance, setting));
    if setting.isolation.disassociate_addresses {
        hold.extend(addresses(instance));
    }
    plan(vec![
        (HOLD_STAGE, hold),
        (ISOLATE_STAGE, isolate),
        (CONNECTIONS_STAGE, connections(instance, setting.isolation)),
        (SERVICE_STAGE, service(instance, setting.isolation)),
    ])
}

fn plan(stages: Vec<(&str, Vec<Step>)>) -> Plan {
    let stages = stages.into_iter().filter(|(_, steps)| !steps.is_empty());
    Plan { then: stages.map(|(name, steps)| Stage { name: name.to_owned(), steps }).collect(), ..Plan::default() }
}

/// The VPCs its interfaces lie in, each once.
fn vpcs(instance: &ObservedInstance) -> Vec<VpcId> {
    let mut vpcs: Vec<_> = instance.interfaces.iter().filter(|one| !one.is_managed).map(|one| one.vpc.clone()).collect();
    vpcs.sort();
    vpcs.dedup();
    vpcs
}

/// What makes sure of the isolation group of a VPC. Also where it is known: somebody may have edited it since.
fn group_of(instance: &ObservedInstance, vpc: &VpcId, setting: &Setting<'_>) -> PrepareIsolationGroup {
    let is_for = |allow: &&Allow| allow.vpc.as_ref().is_none_or(|only| only == vpc);
    PrepareIsolationGroup {
        region: instance.region.clone(),
        vpc: vpc.clone(),
        name: PrepareIsolationGroup::name_in(vpc),
        allow: setting.isolation.allow.iter().filter(is_for).cloned().collect(),
        origin: setting.origin.clone(),
        group: known_group(instance, vpc),
        unrecorded: None,
    }
}

fn known_group(instance: &ObservedInstance, vpc: &VpcId) -> Option<GroupId> {
    instance.isolation.get(vpc).map(|group| group.id.clone())
}

/// The isolation of one interface, with the groups it has now as the original ones.
fn isolation_of(instance: &ObservedInstance, interface: &Interface) -> IsolateInterface {
    IsolateInterface {
        region: instance.region.clone(),
        interface: interface.id.clone(),
        vpc: interface.vpc.clone(),
        original: interface.groups.clone(),
        group: known_group(instance, &interface.vpc),
    }
}

/// The deny of the instance's credentials, the stolen ones and those it will be given: other instances of the role keep
/// working (CONTAINMENT B13).
fn credentials(instance: &ObservedInstance) -> Option<Step> {
    let role = instance.profile.as_ref()?.role.as_ref()?;
    let session = crate::id::SessionName::parse(instance.id.as_str()).ok()?;
    let step = DenySession { role: role.name.clone(), role_id: role.unique_id.clone(), session, instance: Some(instance.arn()) };
    Some(step.into())
}

/// The policy name of the deny of the instance's credentials.
pub(super) fn deny_name(step: &DenySession) -> String {
    policy::deny_session_name(&step.session)
}

/// What keeps the evidence from being destroyed: by the console, from within, by Auto Scaling (CONTAINMENT B8, B9).
fn protections(instance: &ObservedInstance) -> Vec<Step> {
    let (region, id) = (&instance.region, &instance.id);
    let mut steps: Vec<Step> = Vec::new();
    // Spot knows none of the three (CONTAINMENT B12).
    if instance.lifecycle == Lifecycle::OnDemand {
        if instance.protected_from_termination == Some(false) {
            steps.push(ProtectFromTermination { region: region.clone(), instance: id.clone() }.into());
        }
        if instance.protected_from_stop == Some(false) && instance.has_ebs_root {
            steps.push(ProtectFromStop { region: region.clone(), instance: id.clone() }.into());
        }
        if instance.on_shutdown.as_deref() == Some("terminate") && instance.has_ebs_root {
            steps.push(StopOnShutdown { region: region.clone(), instance: id.clone() }.into());
        }
    }
    steps.extend(instance.volumes.iter().filter(|volume| volume.goes_with_instance).map(|volume| {
        let (device, volume) = (volume.device.clone(), volume.id.clone());
        KeepVolume { region: region.clone(), instance: id.clone(), device, volume }.into()
    }));
    if let Some(place) = instance.auto_scaling.as_ref().filter(|place| !place.is_protected && place.lifecycle == "InService") {
        let auto_scaling_group = place.group.clone();
        steps.push(ProtectFromScaleIn { region: region.clone(), instance: id.clone(), auto_scaling_group }.into());
    }
    steps
}

/// A snapshot of every volume, root included, at one point in time.
fn snapshot(instance: &ObservedInstance, setting: &Setting<'_>) -> Option<Step> {
    let volumes: Vec<_> = instance.volumes.iter().map(|volume| volume.id.clone()).collect();
    let step = || SnapshotVolumes {
        region: instance.region.clone(),
        instance: instance.id.clone(),
        volumes: volumes.clone(),
        origin: setting.origin.clone(),
        lock: setting.lock.clone(),
        snapshots: Vec::new(),
    };
    (!volumes.is_empty()).then(|| step().into())
}

/// The elastic addresses: taking one off cuts what came through it, and it can be put back (CONTAINMENT B3, B11).
fn addresses(instance: &ObservedInstance) -> Vec<Step> {
    let mut steps = Vec::new();
    for interface in instance.interfaces.iter().filter(|interface| !interface.is_managed) {
        for address in &interface.addresses {
            if let (Some(association), Some(allocation)) = (&address.association, &address.allocation) {
                let step = DisassociateAddress {
                    region: instance.region.clone(),
                    association: association.clone(),
                    allocation: allocation.clone(),
                    public_ip: address.public_ip.clone().unwrap_or_default(),
                    interface: interface.id.clone(),
                    private_ip: Some(address.private_ip.clone()),
                };
                steps.push(step.into());
            }
        }
    }
    steps
}

/// What is offered against connections that are tracked already (CONTAINMENT B1 to B3).
fn connections(instance: &ObservedInstance, isolation: &Isolation) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let region = &instance.region;
    for interface in instance.interfaces.iter().filter(|interface| !interface.is_managed) {
        if isolation.lower_connection_timeouts && interface.timeouts != Timeouts::LOWEST {
            let before = interface.timeouts;
            steps.push(LowerConnectionTimeout { region: region.clone(), interface: interface.id.clone(), before }.into());
        }
        if let Some(public_ip) = interface.assigned_public_address().filter(|_| isolation.remove_public_addresses) {
            let public_ip = public_ip.to_owned();
            steps.push(RemovePublicAddress { region: region.clone(), interface: interface.id.clone(), public_ip }.into());
        }
    }
    // For seconds the host is open to everything its network lets through: only where nothing public can reach it.
    if isolation.untrack_connections && !is_publicly_reachable(instance) {
        steps.extend(instance.interfaces.iter().filter(|interface| !interface.is_managed).map(|interface| {
            UntrackConnections {
                region: region.clone(),
                interface: interface.id.clone(),
                vpc: interface.vpc.clone(),
                open_group: None,
                group: known_group(instance, &interface.vpc),
            }
            .into()
        }));
    }
    steps
}

/// Whether anything of the instance could be reached from the internet. An IPv6 address may be, whatever its subnet.
pub(super) fn is_publicly_reachable(instance: &ObservedInstance) -> bool {
    let is_public = |one: &Interface| !one.ipv6.is_empty() || one.addresses.iter().any(|address| address.public_ip.is_some());
    instance.interfaces.iter().any(is_public) || !instance.classic_balancers.is_empty()
}

/// Its place among those that serve: held out of Auto Scaling, taken out of classic load balancers (CONTAINMENT B9, B10).
fn service(instance: &ObservedInstance, isolation: &Isolation) -> Vec<Step> {
    let (region, id) = (&instance.region, &instance.id);
    let mut steps: Vec<Step> = Vec::new();
    if let Some(place) = &instance.auto_scaling {
        let auto_scaling_group = place.group.clone();
        match (isolation.auto_scaling, place.lifecycle.as_str()) {
            (AutoScaling::Standby, "InService") => {
                steps.push(EnterStandby { region: region.clone(), instance: id.clone(), auto_scaling_group }.into());
            }
            (AutoScaling::Detach, "InService" | "Standby") => {
                steps.push(DetachFromAutoScaling { region: region.clone(), instance: id.clone(), auto_scaling_group }.into());
            }
            _ => {}
        }
    }
    steps.extend(instance.classic_balancers.iter().map(|name| {
        let load_balancer = name.clone();
        DeregisterFromLoadBalancer { region: region.clone(), load_balancer, instance: id.clone() }.into()
    }));
    steps
}

/// What takes the instance out of the target groups that were found to hold it.
#[must_use]
pub fn deregistration(instance: &ObservedInstance, registrations: &[Registration]) -> Plan {
    let step = |one: &Registration| {
        DeregisterTarget {
            region: instance.region.clone(),
            target_group: one.target_group.clone(),
            target: one.target.clone(),
            port: one.port,
            zone: one.zone.clone(),
        }
        .into()
    };
    plan(vec![(SERVICE_STAGE, registrations.iter().map(step).collect())])
}

/// What locks the snapshots that were taken, pending or not (CONTAINMENT B18).
#[must_use]
pub fn locks(instance: &ObservedInstance, taken: &SnapshotVolumes) -> Plan {
    let Some(mode) = Lock::of(taken.lock.mode) else { return Plan::default() };
    let days = taken.lock.days;
    let step =
        |snapshot: &SnapshotId| LockSnapshot { region: instance.region.clone(), snapshot: snapshot.clone(), mode, days }.into();
    plan(vec![(EVIDENCE_STAGE, taken.snapshots.iter().map(step).collect())])
}

impl Plan {
    /// Puts the isolation groups that are recorded into the steps that wait for one.
    pub fn know_groups(&mut self, known: &BTreeMap<VpcId, IsolationGroup>) {
        let group_of = |vpc: &VpcId| known.get(vpc).map(|group| group.id.clone());
        for step in self.then.iter_mut().flat_map(|stage| &mut stage.steps) {
            let (vpc, group) = match step {
                Step::PrepareIsolationGroup(step) => (&step.vpc, &mut step.group),
                Step::IsolateInterface(step) => (&step.vpc, &mut step.group),
                Step::UntrackConnections(step) => (&step.vpc, &mut step.group),
                _ => continue,
            };
            if group.is_none() {
                *group = group_of(vpc);
            }
        }
    }

    /// Takes isolation groups that are gone out of the steps, so that another is made first and then put on.
    pub fn forget_groups(&mut self, gone: &BTreeSet<GroupId>) {
        let mut wait = Vec::new();
        for stage in &mut self.then {
            for step in &mut stage.steps {
                match step {
                    Step::PrepareIsolationGroup(PrepareIsolationGroup { group, .. })
                    | Step::IsolateInterface(IsolateInterface { group, .. })
                    | Step::UntrackConnections(UntrackConnections { group, .. }) => {
                        group.take_if(|group| gone.contains(group));
                    }
                    _ => {}
                }
            }
            if stage.name == HOLD_STAGE {
                let is_to_wait = |step: &mut Step| matches!(step, Step::IsolateInterface(step) if step.group.is_none());
                wait.extend(stage.steps.extract_if(.., is_to_wait));
            }
        }
        if wait.is_empty() {
            return;
        }
        if let Some(stage) = self.then.iter_mut().find(|stage| stage.name == ISOLATE_STAGE) {
            stage.steps.extend(wait);
        } else {
            let after = self.then.iter().position(|stage| stage.name == HOLD_STAGE).map_or(0, |hold| hold + 1);
            self.then.insert(after, Stage { name: ISOLATE_STAGE.to_owned(), steps: wait });
        }
    }

    /// The case that what it makes is filed under.
    #[must_use]
    pub fn filed_under(&self) -> Option<&CaseId> {
        self.steps().find_map(|step| match step {
            Step::PrepareIsolationGroup(step) => Some(&step.origin.case),
            Step::SnapshotVolumes(step) => Some(&step.origin.case),
            _ => None,
        })
    }

    /// Files everything it makes under `case`: the one that stands, where a finding joins it.
    pub fn file_under(&mut self, case: &CaseId) {
        for step in self.then.iter_mut().flat_map(|stage| &mut stage.steps) {
            match step {
                Step::PrepareIsolationGroup(step) => step.origin.case = case.clone(),
                Step::SnapshotVolumes(step) => step.origin.case = case.clone(),
                _ => {}
            }
        }
    }
}
