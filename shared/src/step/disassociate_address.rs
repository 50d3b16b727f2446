//! Take an elastic address off a network interface: a hard cut of everything that comes and goes through it, and one that
//! can be put back (CONTAINMENT B3, B11).

use serde::{Deserialize, Serialize};

use super::{Change, Undo};
use crate::id::{InterfaceId, Region};
use crate::text::{option, printable};

/// Disassociates an elastic address. It stays allocated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DisassociateAddress {
    /// The Region.
    pub region: Region,
    /// What AWS calls this address on this interface; another one once it is put back.
    pub association: String,
    /// The address, as AWS names it.
    pub allocation: String,
    /// The address, as the world sees it.
    pub public_ip: String,
    /// The interface.
    pub interface: InterfaceId,
    /// The private address it stood for: an interface may have several.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub private_ip: Option<String>,
}

impl Change for DisassociateAddress {
    const NAME: &'static str = "disassociate_address";

    fn on(&self) -> String {
        format!("{} from {}", printable(&self.public_ip, 64), self.interface)
    }

    fn permissions(&self) -> &'static [&'static str] {
        &["ec2:DisassociateAddress"]
    }

    fn command(&self) -> String {
        format!("aws ec2 disassociate-address --region {} {}", self.region, option("--association-id", &self.association))
    }

    /// Refused where the address was given to something else since: it is not taken from there.
    fn undo(&self) -> Undo {
        let private = self.private_ip.as_ref().map(|ip| format!(" {}", option("--private-ip-address", ip))).unwrap_or_default();
        Undo::by(format!(
            "aws ec2 associate-address --region {} {} --network-interface-id {}{private} --no-allow-reassociation",
            self.region,
            option("--allocation-id", &self.allocation),
            self.interface
        ))
    }
}

#[cfg(feature = "instance")]
impl DisassociateAddress {
    pub(super) async fn apply(&self, aws: &crate::aws::Compute) -> Result<super::Applied, crate::aws::Fault> {
        let answer = aws.ec2.disassociate_address().association_id(&self.association).send().await;
        super::ec2::unless(answer, &["InvalidAssociationID.NotFound"])
    }
}

#[cfg(feature = "release")]
impl DisassociateAddress {
    pub(super) async fn revert(&self, aws: &crate::aws::Compute) -> Result<super::Applied, crate::aws::Fault> {
        // Refused where the address was given to something else since: it is not taken from there.
        let request = aws.ec2.associate_address().allocation_id(&self.allocation).allow_reassociation(false);
        let request = request.network_interface_id(self.interface.as_str()).set_private_ip_address(self.private_ip.clone());
        Ok(super::Applied::changed(&request.send().await?))
    }
}
