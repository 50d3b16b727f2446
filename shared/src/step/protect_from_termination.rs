//! Keep an instance from being terminated: it is evidence (CONTAINMENT B8).

use serde::{Deserialize, Serialize};

use super::ec2::instance_line;
use super::{Change, Undo};
use crate::id::{InstanceId, Region};

/// Turns termination protection on. Not possible for a Spot instance; it keeps neither Auto Scaling nor the instance's
/// own shutdown from terminating it. Planned only where it is off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtectFromTermination {
    /// The Region.
    pub region: Region,
    /// The instance.
    pub instance: InstanceId,
}

impl Change for ProtectFromTermination {
    const NAME: &'static str = "protect_from_termination";

    fn on(&self) -> String {
        self.instance.to_string()
    }

    fn permissions(&self) -> &'static [&'static str] {
        &["ec2:ModifyInstanceAttribute"]
    }

    fn command(&self) -> String {
        instance_line(&self.region, &self.instance, "--disable-api-termination")
    }

    fn undo(&self) -> Undo {
        Undo::by(instance_line(&self.region, &self.instance, "--no-disable-api-termination"))
    }
}

#[cfg(feature = "instance")]
impl ProtectFromTermination {
    pub(super) async fn apply(&self, aws: &crate::aws::Compute) -> Result<super::Applied, crate::aws::Fault> {
        let request = aws.ec2.modify_instance_attribute().instance_id(self.instance.as_str());
        let output = request.disable_api_termination(super::ec2::yes()).send().await?;
        Ok(super::Applied::changed(&output))
    }
}

#[cfg(feature = "release")]
impl ProtectFromTermination {
    pub(super) async fn revert(&self, aws: &crate::aws::Compute) -> Result<super::Applied, crate::aws::Fault> {
        let request = aws.ec2.modify_instance_attribute().instance_id(self.instance.as_str());
        Ok(super::Applied::changed(&request.disable_api_termination(super::ec2::no()).send().await?))
    }
}
