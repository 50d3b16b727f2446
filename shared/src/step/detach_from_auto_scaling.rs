//! Take an instance out of its Auto Scaling group, which then leaves it alone (CONTAINMENT B9).

use serde::{Deserialize, Serialize};

use super::{Change, Undo};
use crate::id::{InstanceId, Region};
use crate::text::{option, printable};

/// Detaches an instance from its Auto Scaling group and from the group's target groups; the group starts another in its
/// place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DetachFromAutoScaling {
    /// The Region.
    pub region: Region,
    /// The instance.
    pub instance: InstanceId,
    /// The Auto Scaling group.
    pub auto_scaling_group: String,
}

impl DetachFromAutoScaling {
    fn line(&self, verb: &str, more: &str) -> String {
        let group = option("--auto-scaling-group-name", &self.auto_scaling_group);
        format!("aws autoscaling {verb} --region {} --instance-ids {} {group}{more}", self.region, self.instance)
    }
}

impl Change for DetachFromAutoScaling {
    const NAME: &'static str = "detach_from_auto_scaling";

    fn on(&self) -> String {
        format!("{} in {}", self.instance, printable(&self.auto_scaling_group, 255))
    }

    fn permissions(&self) -> &'static [&'static str] {
        &["autoscaling:DetachInstances", "autoscaling:DescribeAutoScalingInstances"]
    }

    fn command(&self) -> String {
        self.line("detach-instances", " --no-should-decrement-desired-capacity")
    }

    fn undo(&self) -> Undo {
        Undo::by(self.line("attach-instances", "")).noting(
            "attaching raises the desired capacity of the group by one: make room below its maximum first, or AWS refuses; protection from scale-in is set anew",
        )
    }
}

#[cfg(feature = "instance")]
impl DetachFromAutoScaling {
    pub(super) async fn apply(&self, aws: &crate::aws::Compute) -> Result<super::Applied, crate::aws::Fault> {
        let group = &self.auto_scaling_group;
        let request = aws.autoscaling.detach_instances().auto_scaling_group_name(group).instance_ids(self.instance.as_str());
        let answer = request.should_decrement_desired_capacity(false).send().await;
        super::auto_scaling::moved(answer, aws, &self.instance, |place| super::auto_scaling::has_left(place, group)).await
    }
}

#[cfg(feature = "release")]
impl DetachFromAutoScaling {
    pub(super) async fn revert(&self, aws: &crate::aws::Compute) -> Result<super::Applied, crate::aws::Fault> {
        let group = &self.auto_scaling_group;
        let request = aws.autoscaling.attach_instances().auto_scaling_group_name(group).instance_ids(self.instance.as_str());
        super::auto_scaling::moved(request.send().await, aws, &self.instance, |place| super::auto_scaling::serves(place, group))
            .await
    }
}
