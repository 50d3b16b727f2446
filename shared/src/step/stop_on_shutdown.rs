//! Make a shutdown from within stop the instance instead of terminating it: termination protection does not cover it
//! (CONTAINMENT B8).

use serde::{Deserialize, Serialize};

use super::ec2::instance_line;
use super::{Change, Undo};
use crate::id::{InstanceId, Region};

/// Sets what a shutdown from within does to `stop`. Planned only where it is `terminate`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopOnShutdown {
    /// The Region.
    pub region: Region,
    /// The instance.
    pub instance: InstanceId,
}

impl StopOnShutdown {
    fn line(&self, behavior: &str) -> String {
        instance_line(&self.region, &self.instance, &format!("--instance-initiated-shutdown-behavior {behavior}"))
    }
}

impl Change for StopOnShutdown {
    const NAME: &'static str = "stop_on_shutdown";

    fn on(&self) -> String {
        self.instance.to_string()
    }

    fn permissions(&self) -> &'static [&'static str] {
        &["ec2:ModifyInstanceAttribute"]
    }

    fn command(&self) -> String {
        self.line("stop")
    }

    fn undo(&self) -> Undo {
        Undo::by(self.line("terminate"))
    }
}

#[cfg(feature = "instance")]
impl StopOnShutdown {
    pub(super) async fn apply(&self, aws: &crate::aws::Compute) -> Result<super::Applied, crate::aws::Fault> {
        let stop = aws_sdk_ec2::types::AttributeValue::builder().value("stop").build();
        let request = aws.ec2.modify_instance_attribute().instance_id(self.instance.as_str());
        let output = request.instance_initiated_shutdown_behavior(stop).send().await?;
        Ok(super::Applied::changed(&output))
    }
}

#[cfg(feature = "release")]
impl StopOnShutdown {
    pub(super) async fn revert(&self, aws: &crate::aws::Compute) -> Result<super::Applied, crate::aws::Fault> {
        let terminate = aws_sdk_ec2::types::AttributeValue::builder().value("terminate").build();
        let request = aws.ec2.modify_instance_attribute().instance_id(self.instance.as_str());
        Ok(super::Applied::changed(&request.instance_initiated_shutdown_behavior(terminate).send().await?))
    }
}
