//! Take an instance out of service and leave it in its Auto Scaling group (CONTAINMENT B9).

use serde::{Deserialize, Serialize};

use super::{Change, Undo};
use crate::id::{InstanceId, Region};
use crate::text::{option, printable};

/// Puts an instance of an Auto Scaling group on standby: no health checks, no traffic of the load balancer, and the group
/// starts another in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnterStandby {
    /// The Region.
    pub region: Region,
    /// The instance.
    pub instance: InstanceId,
    /// The Auto Scaling group.
    pub auto_scaling_group: String,
}

impl EnterStandby {
    fn line(&self, verb: &str, more: &str) -> String {
        let group = option("--auto-scaling-group-name", &self.auto_scaling_group);
        format!("aws autoscaling {verb} --region {} --instance-ids {} {group}{more}", self.region, self.instance)
    }
}

impl Change for EnterStandby {
    const NAME: &'static str = "enter_standby";

    fn on(&self) -> String {
        format!("{} in {}", self.instance, printable(&self.auto_scaling_group, 255))
    }

    fn permissions(&self) -> &'static [&'static str] {
        &["autoscaling:EnterStandby", "autoscaling:DescribeAutoScalingInstances"]
    }

    fn command(&self) -> String {
        self.line("enter-standby", " --no-should-decrement-desired-capacity")
    }

    fn undo(&self) -> Undo {
        Undo::by(self.line("exit-standby", "")).noting(
            "leaving standby raises the desired capacity of the group by one: make room below its maximum first, or AWS refuses; the group may then terminate an instance",
        )
    }
}

#[cfg(feature = "instance")]
impl EnterStandby {
    pub(super) async fn apply(&self, aws: &crate::aws::Compute) -> Result<super::Applied, crate::aws::Fault> {
        let group = &self.auto_scaling_group;
        let request = aws.autoscaling.enter_standby().auto_scaling_group_name(group).instance_ids(self.instance.as_str());
        let answer = request.should_decrement_desired_capacity(false).send().await;
        super::auto_scaling::moved(answer, aws, &self.instance, |place| super::auto_scaling::is_on_standby(place, group)).await
    }
}

#[cfg(feature = "release")]
impl EnterStandby {
    pub(super) async fn revert(&self, aws: &crate::aws::Compute) -> Result<super::Applied, crate::aws::Fault> {
        let group = &self.auto_scaling_group;
        let request = aws.autoscaling.exit_standby().auto_scaling_group_name(group).instance_ids(self.instance.as_str());
        super::auto_scaling::moved(request.send().await, aws, &self.instance, |place| super::auto_scaling::serves(place, group))
            .await
    }
}
