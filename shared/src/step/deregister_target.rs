//! Take an instance out of a target group of an application, network or gateway load balancer (CONTAINMENT B10).

use serde::{Deserialize, Serialize};

use super::{Change, Undo};
use crate::id::{Arn, Region};
use crate::text::{printable, shell_word};

/// Deregisters one target. Connections in flight last as long as the group's deregistration delay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeregisterTarget {
    /// The Region.
    pub region: Region,
    /// The target group.
    pub target_group: Arn,
    /// The target: the instance or one of its addresses, as it is registered.
    pub target: String,
    /// The port it is registered with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub port: Option<i32>,
    /// The Availability Zone it is registered with.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub zone: Option<String>,
}

impl DeregisterTarget {
    fn line(&self, verb: &str) -> String {
        // As JSON: the short form knows no quoting.
        let mut target = serde_json::json!({ "Id": self.target });
        if let Some(port) = self.port {
            target["Port"] = port.into();
        }
        if let Some(zone) = &self.zone {
            target["AvailabilityZone"] = zone.as_str().into();
        }
        let targets = shell_word(&serde_json::json!([target]).to_string());
        let group = shell_word(self.target_group.as_str());
        format!("aws elbv2 {verb} --region {} --target-group-arn {group} --targets {targets}", self.region)
    }
}

impl Change for DeregisterTarget {
    const NAME: &'static str = "deregister_target";

    fn on(&self) -> String {
        let port = self.port.map(|port| format!(" port {port}")).unwrap_or_default();
        format!("{}{port} from {}", printable(&self.target, 64), self.target_group.resource())
    }

    fn permissions(&self) -> &'static [&'static str] {
        &["elasticloadbalancing:DeregisterTargets"]
    }

    fn command(&self) -> String {
        self.line("deregister-targets")
    }

    fn undo(&self) -> Undo {
        Undo::by(self.line("register-targets"))
    }
}

#[cfg(feature = "instance")]
impl DeregisterTarget {
    /// AWS does not mind a target that is not registered; a target group that is gone sends nothing either.
    pub(super) async fn apply(&self, aws: &crate::aws::Compute) -> Result<super::Applied, crate::aws::Fault> {
        let target = aws_sdk_elasticloadbalancingv2::types::TargetDescription::builder().id(&self.target);
        let target = target.set_port(self.port).set_availability_zone(self.zone.clone()).build();
        let request = aws.balancers.deregister_targets().target_group_arn(self.target_group.as_str()).targets(target);
        super::ec2::unless(request.send().await, &["TargetGroupNotFound"])
    }
}

#[cfg(feature = "release")]
impl DeregisterTarget {
    pub(super) async fn revert(&self, aws: &crate::aws::Compute) -> Result<super::Applied, crate::aws::Fault> {
        let target = aws_sdk_elasticloadbalancingv2::types::TargetDescription::builder().id(&self.target);
        let target = target.set_port(self.port).set_availability_zone(self.zone.clone()).build();
        let request = aws.balancers.register_targets().target_group_arn(self.target_group.as_str()).targets(target);
        Ok(super::Applied::changed(&request.send().await?))
    }
}
