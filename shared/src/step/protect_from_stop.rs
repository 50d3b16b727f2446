//! Keep an instance from being stopped: stopping loses its memory and its instance store (CONTAINMENT B8, B12).

use serde::{Deserialize, Serialize};

use super::ec2::instance_line;
use super::{Change, Undo};
use crate::id::{InstanceId, Region};

/// Turns stop protection on. It does not keep the instance from shutting itself down. Planned only where it is off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtectFromStop {
    /// The Region.
    pub region: Region,
    /// The instance.
    pub instance: InstanceId,
}

impl Change for ProtectFromStop {
    const NAME: &'static str = "protect_from_stop";

    fn on(&self) -> String {
        self.instance.to_string()
    }

    fn permissions(&self) -> &'static [&'static str] {
        &["ec2:ModifyInstanceAttribute"]
    }

    fn command(&self) -> String {
        instance_line(&self.region, &self.instance, "--disable-api-stop")
    }

    fn undo(&self) -> Undo {
        Undo::by(instance_line(&self.region, &self.instance, "--no-disable-api-stop"))
    }
}

#[cfg(feature = "instance")]
impl ProtectFromStop {
    pub(super) async fn apply(&self, aws: &crate::aws::Compute) -> Result<super::Applied, crate::aws::Fault> {
        let request = aws.ec2.modify_instance_attribute().instance_id(self.instance.as_str());
        let output = request.disable_api_stop(super::ec2::yes()).send().await?;
        Ok(super::Applied::changed(&output))
    }
}

#[cfg(feature = "release")]
impl ProtectFromStop {
    pub(super) async fn revert(&self, aws: &crate::aws::Compute) -> Result<super::Applied, crate::aws::Fault> {
        let request = aws.ec2.modify_instance_attribute().instance_id(self.instance.as_str());
        Ok(super::Applied::changed(&request.disable_api_stop(super::ec2::no()).send().await?))
    }
}
