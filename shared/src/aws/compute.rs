//! The services around an instance, in the Region it runs in.

use super::Access;
use crate::id::Region;

/// What it takes to observe and contain an instance.
#[derive(Debug, Clone)]
pub struct Compute {
    /// EC2.
    pub ec2: aws_sdk_ec2::Client,
    /// EC2 Auto Scaling.
    pub autoscaling: aws_sdk_autoscaling::Client,
    /// Application, network and gateway load balancers.
    pub balancers: aws_sdk_elasticloadbalancingv2::Client,
    /// Classic load balancers.
    pub classic_balancers: aws_sdk_elasticloadbalancing::Client,
    /// IAM, for the role whose credentials the instance holds.
    pub iam: aws_sdk_iam::Client,
}

impl Compute {
    /// The clients for `region` of an account. They share the connections of every other client.
    #[must_use]
    pub fn new(access: &Access, region: &Region) -> Self {
        let config = access.config_in(region);
        macro_rules! client {
            ($service:ident) => {
                $service::Client::from_conf($service::config::Builder::from(&config).interceptor(access.calls.clone()).build())
            };
        }
        Self {
            ec2: client!(aws_sdk_ec2),
            autoscaling: client!(aws_sdk_autoscaling),
            balancers: client!(aws_sdk_elasticloadbalancingv2),
            classic_balancers: client!(aws_sdk_elasticloadbalancing),
            iam: access.iam.clone(),
        }
    }
}
