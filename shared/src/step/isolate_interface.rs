//! Isolate a network interface: our empty security group as its only one (CONTAINMENT B4, B5).

use serde::{Deserialize, Serialize};

use super::ec2::interface_line;
use super::prepare_isolation_group::variable;
use super::{Change, Release, Undo};
use crate::id::{GroupId, InterfaceId, Region, VpcId};

/// Makes the isolation group the sole security group of an interface. Rules of groups add up, so isolation works only
/// if it is the only one. Connections that are tracked already are not cut by it (CONTAINMENT B1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IsolateInterface {
    /// The Region.
    pub region: Region,
    /// The interface.
    pub interface: InterfaceId,
    /// The VPC it lies in: a group of another VPC cannot be put on it.
    pub vpc: VpcId,
    /// The groups it had before the first change.
    pub original: Vec<GroupId>,
    /// The isolation group; none until one is prepared.
    pub group: Option<GroupId>,
}

impl IsolateInterface {
    fn line(&self, groups: &[GroupId]) -> String {
        let groups = groups.iter().map(GroupId::as_str).collect::<Vec<_>>().join(" ");
        interface_line(&self.region, &self.interface, &format!("--groups {groups}"))
    }

    /// Whether it had no other group before us: then there is nothing to put back.
    #[must_use]
    pub fn was_before(&self) -> bool {
        self.group.as_ref().is_some_and(|group| self.original == [group.clone()])
    }
}

impl Change for IsolateInterface {
    const NAME: &'static str = "isolate_interface";

    fn on(&self) -> String {
        match &self.group {
            Some(group) => format!("{} by {group}", self.interface),
            None => self.interface.to_string(),
        }
    }

    fn permissions(&self) -> &'static [&'static str] {
        &["ec2:ModifyNetworkInterfaceAttribute"]
    }

    fn command(&self) -> String {
        match &self.group {
            Some(group) => self.line(std::slice::from_ref(group)),
            None => interface_line(&self.region, &self.interface, &format!("--groups \"${{{}:?}}\"", variable(&self.vpc))),
        }
    }

    fn undo(&self) -> Undo {
        if self.was_before() {
            return Undo { commands: Vec::new(), note: Some("the interface was isolated before this case: it stays so") };
        }
        Undo::by(self.line(&self.original))
    }

    fn release(&self) -> Release {
        if self.was_before() { Release::Stays("it was isolated before this case") } else { Release::Undo }
    }
}

#[cfg(feature = "instance")]
impl IsolateInterface {
    pub(super) async fn apply(&self, aws: &crate::aws::Compute) -> Result<super::Applied, crate::aws::Fault> {
        let Some(group) = &self.group else {
            return Err(no_group(&self.vpc));
        };
        let request = aws.ec2.modify_network_interface_attribute().network_interface_id(self.interface.as_str());
        let output = request.groups(group.as_str()).send().await?;
        Ok(super::Applied { changed: !self.was_before(), ..super::Applied::changed(&output) })
    }
}

/// There is no isolation group to put on: it was to be prepared before, and was not.
#[cfg(feature = "instance")]
pub(super) fn no_group(vpc: &VpcId) -> crate::aws::Fault {
    super::ec2::permanent("NoIsolationGroup", &format!("there is no isolation group for {vpc}"))
}

#[cfg(feature = "release")]
impl IsolateInterface {
    pub(super) async fn revert(&self, aws: &crate::aws::Compute) -> Result<super::Applied, crate::aws::Fault> {
        let groups = self.original.iter().map(|group| group.as_str().to_owned()).collect();
        let request = aws.ec2.modify_network_interface_attribute().network_interface_id(self.interface.as_str());
        Ok(super::Applied::changed(&request.set_groups(Some(groups)).send().await?))
    }
}
