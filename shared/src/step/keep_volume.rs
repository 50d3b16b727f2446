//! Keep a volume when its instance is terminated (CONTAINMENT B8).

use serde::{Deserialize, Serialize};

use super::ec2::instance_line;
use super::{Change, Undo};
use crate::id::{InstanceId, Region, VolumeId};
use crate::text::{printable, shell_word};

/// Takes `DeleteOnTermination` off one volume. Planned only where it is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeepVolume {
    /// The Region.
    pub region: Region,
    /// The instance.
    pub instance: InstanceId,
    /// The device it is attached as: EC2 names the mapping by it.
    pub device: String,
    /// The volume.
    pub volume: VolumeId,
}

impl KeepVolume {
    fn line(&self, delete: bool) -> String {
        let mapping = serde_json::json!([{ "DeviceName": self.device, "Ebs": { "DeleteOnTermination": delete } }]);
        let change = format!("--block-device-mappings {}", shell_word(&mapping.to_string()));
        instance_line(&self.region, &self.instance, &change)
    }
}

impl Change for KeepVolume {
    const NAME: &'static str = "keep_volume";

    fn on(&self) -> String {
        format!("{} {} of {}", self.volume, printable(&self.device, 64), self.instance)
    }

    fn permissions(&self) -> &'static [&'static str] {
        &["ec2:ModifyInstanceAttribute"]
    }

    fn command(&self) -> String {
        self.line(false)
    }

    fn undo(&self) -> Undo {
        Undo::by(self.line(true))
    }
}

#[cfg(feature = "instance")]
impl KeepVolume {
    pub(super) async fn apply(&self, aws: &crate::aws::Compute) -> Result<super::Applied, crate::aws::Fault> {
        self.set(aws, false).await
    }

    async fn set(&self, aws: &crate::aws::Compute, delete: bool) -> Result<super::Applied, crate::aws::Fault> {
        use aws_sdk_ec2::types::{EbsInstanceBlockDeviceSpecification, InstanceBlockDeviceMappingSpecification};
        let keep = EbsInstanceBlockDeviceSpecification::builder().delete_on_termination(delete).build();
        let mapping = InstanceBlockDeviceMappingSpecification::builder().device_name(&self.device).ebs(keep).build();
        let request = aws.ec2.modify_instance_attribute().instance_id(self.instance.as_str());
        let output = request.block_device_mappings(mapping).send().await?;
        Ok(super::Applied::changed(&output))
    }
}

#[cfg(feature = "release")]
impl KeepVolume {
    pub(super) async fn revert(&self, aws: &crate::aws::Compute) -> Result<super::Applied, crate::aws::Fault> {
        self.set(aws, true).await
    }
}
