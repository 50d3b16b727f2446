//! Take an instance out of a classic load balancer (CONTAINMENT B10).

use serde::{Deserialize, Serialize};

use super::{Change, Undo};
use crate::id::{InstanceId, Region};
use crate::text::{option, printable};

/// Deregisters an instance from a classic load balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeregisterFromLoadBalancer {
    /// The Region.
    pub region: Region,
    /// The name of the load balancer.
    pub load_balancer: String,
    /// The instance.
    pub instance: InstanceId,
}

impl DeregisterFromLoadBalancer {
    fn line(&self, verb: &str) -> String {
        let balancer = option("--load-balancer-name", &self.load_balancer);
        format!("aws elb {verb} --region {} {balancer} --instances {}", self.region, self.instance)
    }
}

impl Change for DeregisterFromLoadBalancer {
    const NAME: &'static str = "deregister_from_load_balancer";

    fn on(&self) -> String {
        format!("{} from {}", self.instance, printable(&self.load_balancer, 64))
    }

    fn permissions(&self) -> &'static [&'static str] {
        &["elasticloadbalancing:DeregisterInstancesFromLoadBalancer"]
    }

    fn command(&self) -> String {
        self.line("deregister-instances-from-load-balancer")
    }

    fn undo(&self) -> Undo {
        Undo::by(self.line("register-instances-with-load-balancer"))
    }
}

#[cfg(feature = "instance")]
impl DeregisterFromLoadBalancer {
    /// A load balancer that is gone, or that knows no such instance, sends it nothing.
    pub(super) async fn apply(&self, aws: &crate::aws::Compute) -> Result<super::Applied, crate::aws::Fault> {
        let instance = aws_sdk_elasticloadbalancing::types::Instance::builder().instance_id(self.instance.as_str()).build();
        let request = aws.classic_balancers.deregister_instances_from_load_balancer();
        let request = request.load_balancer_name(&self.load_balancer).instances(instance);
        super::ec2::unless(request.send().await, &["LoadBalancerNotFound", "InvalidInstance"])
    }
}

#[cfg(feature = "release")]
impl DeregisterFromLoadBalancer {
    pub(super) async fn revert(&self, aws: &crate::aws::Compute) -> Result<super::Applied, crate::aws::Fault> {
        let instance = aws_sdk_elasticloadbalancing::types::Instance::builder().instance_id(self.instance.as_str()).build();
        let request = aws.classic_balancers.register_instances_with_load_balancer();
        Ok(super::Applied::changed(&request.load_balancer_name(&self.load_balancer).instances(instance).send().await?))
    }
}
