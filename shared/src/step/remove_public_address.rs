//! Take the auto-assigned public address away: a hard cut that cannot be put back as it was (CONTAINMENT B3).

use serde::{Deserialize, Serialize};

use super::ec2::interface_line;
use super::{Change, Undo};
use crate::id::{InterfaceId, Region};
use crate::text::printable;

/// Removes the public IPv4 address that AWS assigned to the primary interface of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovePublicAddress {
    /// The Region.
    pub region: Region,
    /// The interface: EC2 does this to the primary one alone.
    pub interface: InterfaceId,
    /// The address it had.
    pub public_ip: String,
}

impl Change for RemovePublicAddress {
    const NAME: &'static str = "remove_public_address";

    fn on(&self) -> String {
        format!("{} from {}", printable(&self.public_ip, 64), self.interface)
    }

    fn permissions(&self) -> &'static [&'static str] {
        &["ec2:ModifyNetworkInterfaceAttribute"]
    }

    fn command(&self) -> String {
        interface_line(&self.region, &self.interface, "--no-associate-public-ip-address")
    }

    fn undo(&self) -> Undo {
        Undo::by(interface_line(&self.region, &self.interface, "--associate-public-ip-address"))
            .noting("AWS assigns another public address: the one it had is gone, and whatever names it has to be changed")
    }
}

#[cfg(feature = "instance")]
impl RemovePublicAddress {
    pub(super) async fn apply(&self, aws: &crate::aws::Compute) -> Result<super::Applied, crate::aws::Fault> {
        let request = aws.ec2.modify_network_interface_attribute().network_interface_id(self.interface.as_str());
        let output = request.associate_public_ip_address(false).send().await?;
        Ok(super::Applied::changed(&output))
    }
}

#[cfg(feature = "release")]
impl RemovePublicAddress {
    pub(super) async fn revert(&self, aws: &crate::aws::Compute) -> Result<super::Applied, crate::aws::Fault> {
        let request = aws.ec2.modify_network_interface_attribute().network_interface_id(self.interface.as_str());
        Ok(super::Applied::changed(&request.associate_public_ip_address(true).send().await?))
    }
}
