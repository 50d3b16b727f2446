//! Keep an Auto Scaling group from choosing an instance when it scales in (CONTAINMENT B9).

use serde::{Deserialize, Serialize};

use super::{Change, Undo};
use crate::id::{InstanceId, Region};
use crate::text::{option, printable};

/// Protects an instance from scale-in. An unhealthy one is replaced all the same: that is what leaving service is for.
/// Planned only where it is not protected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtectFromScaleIn {
    /// The Region.
    pub region: Region,
    /// The instance.
    pub instance: InstanceId,
    /// The Auto Scaling group.
    pub auto_scaling_group: String,
}

impl ProtectFromScaleIn {
    fn line(&self, verb: &str, more: &str) -> String {
        let group = option("--auto-scaling-group-name", &self.auto_scaling_group);
        format!("aws autoscaling {verb} --region {} --instance-ids {} {group}{more}", self.region, self.instance)
    }
}

impl Change for ProtectFromScaleIn {
    const NAME: &'static str = "protect_from_scale_in";

    fn on(&self) -> String {
        format!("{} in {}", self.instance, printable(&self.auto_scaling_group, 255))
    }

    fn permissions(&self) -> &'static [&'static str] {
        &["autoscaling:SetInstanceProtection", "autoscaling:DescribeAutoScalingInstances"]
    }

    fn command(&self) -> String {
        self.line("set-instance-protection", " --protected-from-scale-in")
    }

    fn undo(&self) -> Undo {
        Undo::by(self.line("set-instance-protection", " --no-protected-from-scale-in"))
    }
}

#[cfg(feature = "instance")]
impl ProtectFromScaleIn {
    pub(super) async fn apply(&self, aws: &crate::aws::Compute) -> Result<super::Applied, crate::aws::Fault> {
        let group = &self.auto_scaling_group;
        let request =
            aws.autoscaling.set_instance_protection().auto_scaling_group_name(group).instance_ids(self.instance.as_str());
        let answer = request.protected_from_scale_in(true).send().await;
        super::auto_scaling::moved(answer, aws, &self.instance, |place| super::auto_scaling::has_left(place, group)).await
    }
}

#[cfg(feature = "release")]
impl ProtectFromScaleIn {
    pub(super) async fn revert(&self, aws: &crate::aws::Compute) -> Result<super::Applied, crate::aws::Fault> {
        let group = &self.auto_scaling_group;
        let request =
            aws.autoscaling.set_instance_protection().auto_scaling_group_name(group).instance_ids(self.instance.as_str());
        let answer = request.protected_from_scale_in(false).send().await;
        super::auto_scaling::moved(answer, aws, &self.instance, |place| super::auto_scaling::has_left(place, group)).await
    }
}
