//! The isolation group of a VPC, which all cases there share. Which one it is, is recorded: by name and tag alone a group
//! is nobody's (CONTAINMENT B4).

use std::time::Duration;

use super::super::Function;
use super::super::walk::Decided;
use super::Instances;
use crate::aws::{Compute, Fault};
use crate::id::GroupId;
use crate::step::{Applied, PrepareIsolationGroup, Step};
use crate::text::printable;

/// How often the record is looked at for the group of a delivery that was first. Long enough for that one to empty its
/// group and record it; where it is an attacker who took the name, the isolation is late by so much, once.
const LOOKS: u32 = 8;
const BETWEEN_LOOKS: Duration = Duration::from_millis(250);

/// Has the isolation group ready, and recorded.
pub(super) async fn prepare(
    function: &Function<Instances>,
    decided: &Decided<Instances>,
    step: &PrepareIsolationGroup,
    aws: &Compute,
) -> Result<Applied, Fault> {
    let mut applied = match step.by_first_name(aws).await? {
        Some(applied) => applied,
        None => match recorded_meanwhile(function, decided, step, aws).await? {
            Some(group) => return given(step, group, aws).await,
            None => step.by_second_name(aws).await?,
        },
    };
    let Some(group) = group_of(&applied, step) else { return Ok(applied) };
    let is_known = decided.state.instance().is_some_and(|instance| instance.knows_group(&step.vpc, &group));
    if is_known {
        return Ok(applied);
    }
    match record(function, decided, step, &group, aws).await {
        Ok(None) => Ok(applied),
        Ok(Some(first)) => given(step, first, aws).await,
        // The record is for later cases; this one isolates with what it has, and says that it is recorded nowhere.
        Err(fault) => {
            let unrecorded = Some(printable(&fault.to_string(), 200));
            applied.as_done = Some(PrepareIsolationGroup { group: Some(group), unrecorded, ..step.clone() }.into());
            Ok(applied)
        }
    }
}

/// The group that a step was carried out with.
fn group_of(applied: &Applied, step: &PrepareIsolationGroup) -> Option<GroupId> {
    match &applied.as_done {
        Some(Step::PrepareIsolationGroup(done)) => done.group.clone(),
        _ => step.group.clone(),
    }
}

/// The step with the group of another delivery.
async fn given(step: &PrepareIsolationGroup, group: GroupId, aws: &Compute) -> Result<Applied, Fault> {
    let known: Step = PrepareIsolationGroup { group: Some(group), ..step.clone() }.into();
    let applied = known.apply_to_instance(aws).await?;
    Ok(Applied { as_done: applied.as_done.or(Some(known)), ..applied })
}

/// The group that another delivery, which had the name first, has recorded by now.
async fn recorded_meanwhile(
    function: &Function<Instances>,
    decided: &Decided<Instances>,
    step: &PrepareIsolationGroup,
    aws: &Compute,
) -> Result<Option<GroupId>, Fault> {
    let finding = decided.finding();
    for look in 0..LOOKS {
        if look > 0 {
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        // Where nobody can look, no waiting helps: the case's own name is free.
        let Ok(mut recorded) = function.store.isolation_groups(&finding.account, &finding.region).await else { break };
        if let Some(group) = recorded.remove(&step.vpc)
            && step.is_tagged(aws, &group).await?
        {
            return Ok(Some(group));
        }
    }
    Ok(None)
}

/// Records `group`; the one that was recorded first, where there is one that is still ours.
async fn record(
    function: &Function<Instances>,
    decided: &Decided<Instances>,
    step: &PrepareIsolationGroup,
    group: &GroupId,
    aws: &Compute,
) -> Result<Option<GroupId>, Fault> {
    let (account, region) = (&decided.finding().account, &decided.finding().region);
    let mut first = function.store.record_isolation_group(account, region, &step.vpc, group, None).await?;
    if first != *group && !step.is_tagged(aws, &first).await? {
        first = function.store.record_isolation_group(account, region, &step.vpc, group, Some(&first)).await?;
    }
    Ok((first != *group).then_some(first))
}
