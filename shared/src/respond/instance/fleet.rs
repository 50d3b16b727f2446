//! How much of an instance's Auto Scaling group is out of service. Read in the first wave, beside the question which
//! group it is: so all groups of the Region are listed, a hundred to a page, each further page after the one before.

use aws_sdk_autoscaling::types::{AutoScalingGroup, LifecycleState};

use crate::aws::{Compute, Fault};
use crate::containment::budget::{Fleet, Unread};
use crate::id::InstanceId;

/// The most groups AWS gives in a page.
const PAGE: i32 = 100;

/// Every group of the Region.
pub(super) async fn fleets(aws: &Compute) -> Result<Vec<AutoScalingGroup>, Fault> {
    let mut pages = aws.autoscaling.describe_auto_scaling_groups().max_records(PAGE).into_paginator().send();
    let mut groups = Vec::new();
    while let Some(page) = pages.next().await {
        groups.extend(page?.auto_scaling_groups.unwrap_or_default());
    }
    Ok(groups)
}

/// The group of this name, and how many of its instances but this one are on standby.
pub(super) fn of(group: &str, instance: &InstanceId, fleets: &Result<Vec<AutoScalingGroup>, Fault>) -> Fleet {
    let unread = |reason: String, passing: bool| Err(Unread { reason, passing });
    let size = match fleets {
        Err(fault) => unread(fault.to_string(), fault.is_retryable()),
        Ok(groups) => match groups.iter().find(|known| known.auto_scaling_group_name() == Some(group)) {
            None => unread("it is not among the groups of the Region".to_owned(), true),
            Some(known) => {
                let is_out = |state: Option<&LifecycleState>| {
                    matches!(state, Some(LifecycleState::Standby | LifecycleState::EnteringStandby))
                };
                let others = known.instances().iter().filter(|one| one.instance_id() != Some(instance.as_str()));
                Ok((known.instances().len(), others.filter(|one| is_out(one.lifecycle_state())).count()))
            }
        },
    };
    Fleet { group: group.to_owned(), size }
}
