//! What is collected beside the steps, and what follows from it: the console, the user data, EC2's own description, and
//! where the instance is registered. Never before the cut.

use aws_sdk_ec2::error::ProvideErrorMetadata;
use aws_sdk_ec2::types::InstanceAttributeName;
use futures_util::future::join_all;
use serde_json::json;

use super::super::Delivery;
use super::super::act::Attempt;
use super::super::conclude::Work;
use super::super::kind::Afterwards;
use super::Instances;
use crate::aws::{Compute, Fault, FaultClass};
use crate::case::store::Evidence;
use crate::containment::instance::{ObservedInstance, Registration, deregistration, locks};
use crate::id::Arn;
use crate::plan::Plan;
use crate::step::{PrepareIsolationGroup, Step};
use crate::text::printable;

/// Everything read beside the steps.
#[derive(Debug)]
pub(crate) struct Beside {
    pieces: Vec<Result<Evidence, (&'static str, Fault)>>,
    registrations: Result<Vec<Registration>, Fault>,
}

/// Reads and stores the evidence, and looks for the target groups that hold the instance.
pub(super) async fn collect(delivery: &Delivery<'_, Instances>, work: &Work<Instances>) -> Beside {
    let nothing = Beside { pieces: Vec::new(), registrations: Ok(Vec::new()) };
    let Some(instance) = work.decided.state.instance() else { return nothing };
    let aws = Compute::new(&work.decided.access, &work.decided.finding().region);
    let store = &delivery.function.store;
    let keep = async |name: &'static str, read: Result<Option<Vec<u8>>, Fault>| match read {
        Ok(Some(bytes)) => Some(store.keep_evidence(&work.case.case, name, bytes).await.map_err(|fault| (name, fault))),
        Ok(None) => None,
        Err(fault) => Some(Err((name, fault))),
    };
    let raw = |name: &str| instance.raw.get(name).cloned();
    let (console, screenshot, user_data, metadata, instances, interfaces, registrations) = tokio::join!(
        async { keep("console-output.txt", console_output(&aws, instance).await).await },
        async { keep("console-screenshot.jpg", screenshot(&aws, instance).await).await },
        async { keep("user-data", user_data(&aws, instance).await).await },
        async { keep("metadata-options.json", Ok(serde_json::to_vec(&instance.metadata_options).ok())).await },
        async { keep("describe-instances.xml", Ok(raw("describe-instances.xml"))).await },
        async { keep("describe-network-interfaces.xml", Ok(raw("describe-network-interfaces.xml"))).await },
        registrations(&aws, instance),
    );
    let pieces = [console, screenshot, user_data, metadata, instances, interfaces].into_iter().flatten().collect();
    Beside { pieces, registrations }
}

/// What follows: locks for the snapshots that were taken, and the way out of the target groups.
pub(super) fn afterwards(work: &Work<Instances>, attempts: &[Attempt], beside: &Beside) -> Afterwards {
    let mut after = Afterwards::default();
    let Some(instance) = work.decided.state.instance() else { return after };
    let mut plan = Plan::default();
    match &beside.registrations {
        Ok(registrations) => plan = plan.merged(&deregistration(instance, registrations)),
        Err(fault) => after.next_steps.push(format!(
            "The target groups of load balancers could not be searched ({fault}): take {} out of them by hand.",
            instance.id
        )),
    }
    for attempt in attempts.iter().filter(|attempt| attempt.report.status.holds()) {
        match attempt.as_done.as_ref().unwrap_or(&attempt.step) {
            Step::SnapshotVolumes(step) => plan = plan.merged(&locks(instance, step)),
            Step::PrepareIsolationGroup(step) => after.next_steps.extend(unrecorded(step)),
            _ => {}
        }
    }
    after.plan = plan;
    let objects: Vec<_> = beside.pieces.iter().filter_map(|piece| piece.as_ref().ok()).collect();
    let failed: Vec<_> = beside.pieces.iter().filter_map(|piece| piece.as_ref().err()).collect();
    for (name, fault) in &failed {
        after.next_steps.push(format!("Evidence not collected: {name} ({fault})."));
    }
    let failed: Vec<_> = failed.iter().map(|(name, fault)| json!({ "name": name, "reason": fault.to_string() })).collect();
    if !(objects.is_empty() && failed.is_empty()) {
        after.collected = Some(json!({ "objects": objects, "failed": failed }));
    }
    after
}

/// The console's output: the latest where the instance can give it, else what EC2 has kept.
async fn console_output(aws: &Compute, instance: &ObservedInstance) -> Result<Option<Vec<u8>>, Fault> {
    let request = || aws.ec2.get_console_output().instance_id(instance.id.as_str());
    let output = match request().latest(true).send().await {
        Ok(output) => output,
        // Only Nitro instances have the latest.
        Err(error) if error.code() == Some("UnsupportedOperation") => request().send().await?,
        Err(error) => return Err(error.into()),
    };
    output.output().filter(|text| !text.is_empty()).map(decoded).transpose()
}

async fn screenshot(aws: &Compute, instance: &ObservedInstance) -> Result<Option<Vec<u8>>, Fault> {
    if instance.state != "running" {
        return Ok(None);
    }
    let output = aws.ec2.get_console_screenshot().instance_id(instance.id.as_str()).send().await?;
    output.image_data().filter(|text| !text.is_empty()).map(decoded).transpose()
}

async fn user_data(aws: &Compute, instance: &ObservedInstance) -> Result<Option<Vec<u8>>, Fault> {
    let request = aws.ec2.describe_instance_attribute().instance_id(instance.id.as_str());
    let output = request.attribute(InstanceAttributeName::UserData).send().await?;
    output.user_data().and_then(|value| value.value()).filter(|text| !text.is_empty()).map(decoded).transpose()
}

/// What to do about an isolation group that the record of our groups does not hold.
fn unrecorded(step: &PrepareIsolationGroup) -> Option<String> {
    let (reason, group) = (step.unrecorded.as_ref()?, step.group.as_ref()?);
    Some(format!(
        "The isolation group {group} of {} isolates, and could not be recorded as ours ({reason}): until the objects under \
         isolation/ in the case bucket can be read and written, every case there makes a group of its own.",
        step.vpc
    ))
}

fn decoded(text: &str) -> Result<Vec<u8>, Fault> {
    aws_smithy_types::base64::decode(text).map_err(|error| Fault {
        code: "Unreadable".to_owned(),
        message: printable(&format!("not base64: {error}"), 200),
        class: FaultClass::Permanent,
    })
}

/// The target groups that hold the instance: there is no way to ask for them but to look through all (CONTAINMENT B10).
async fn registrations(aws: &Compute, instance: &ObservedInstance) -> Result<Vec<Registration>, Fault> {
    let pages = aws.balancers.describe_target_groups().into_paginator().items().send();
    let groups = pages.collect::<Result<Vec<_>, _>>().await?;
    let is_near = |group: &&aws_sdk_elasticloadbalancingv2::types::TargetGroup| {
        group.vpc_id().is_some_and(|vpc| instance.interfaces.iter().any(|one| one.vpc.as_str() == vpc))
    };
    let found = join_all(groups.iter().filter(is_near).map(|group| registered(aws, instance, group))).await;
    let found: Vec<Vec<_>> = found.into_iter().collect::<Result<_, _>>()?;
    Ok(found.into_iter().flatten().collect())
}

async fn registered(
    aws: &Compute,
    instance: &ObservedInstance,
    group: &aws_sdk_elasticloadbalancingv2::types::TargetGroup,
) -> Result<Vec<Registration>, Fault> {
    let Some(Ok(target_group)) = group.target_group_arn().map(Arn::parse) else { return Ok(Vec::new()) };
    let health = aws.balancers.describe_target_health().target_group_arn(target_group.as_str()).send().await?;
    let is_its = |id: &str| {
        let addresses = || instance.interfaces.iter().flat_map(|one| &one.addresses);
        id == instance.id.as_str()
            || addresses().any(|address| address.private_ip == id)
            || instance.interfaces.iter().any(|one| one.ipv6.iter().any(|ip| ip == id))
    };
    let is_leaving = |description: &&aws_sdk_elasticloadbalancingv2::types::TargetHealthDescription| {
        description.target_health().and_then(|health| health.state()).is_some_and(|state| state.as_str() == "draining")
    };
    let descriptions = health.target_health_descriptions().iter().filter(|one| !is_leaving(one)).filter_map(|one| one.target());
    let registration = |target: &aws_sdk_elasticloadbalancingv2::types::TargetDescription| {
        let id = target.id().filter(|id| is_its(id))?;
        Some(Registration {
            target_group: target_group.clone(),
            target: id.to_owned(),
            port: target.port(),
            zone: target.availability_zone().map(str::to_owned),
        })
    };
    Ok(descriptions.filter_map(registration).collect())
}
