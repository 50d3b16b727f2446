//! Lead the connections of an interface through a group that is open to the world, so that they lose their tracking and
//! end when the isolation group follows. Best effort (CONTAINMENT B2).

use serde::{Deserialize, Serialize};

use super::ec2::interface_line;
use super::prepare_isolation_group::{ISOLATION_TAG, variable};
use super::{Change, Release, Undo};
use crate::id::{GroupId, InterfaceId, Region, VpcId};

/// How long the open group stays on, in seconds. EC2 needs a moment until new groups apply, and what is tracked loses
/// its tracking only with traffic under them; every second more is one in which the instance is open to the world.
pub const OPEN_SECONDS: u64 = 3;

/// Makes an open group the sole one of an interface, waits a few seconds, and makes the isolation group the sole one.
/// It cuts nothing for sure: connections through NAT gateways, network load balancers or private links, and ICMP, stay
/// tracked whatever the groups say, and AWS nowhere promises that a tracked connection becomes an untracked one. For the
/// time of the wait the instance can be reached on every port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UntrackConnections {
    /// The Region.
    pub region: Region,
    /// The interface.
    pub interface: InterfaceId,
    /// The VPC it lies in.
    pub vpc: VpcId,
    /// The open group; none until there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub open_group: Option<GroupId>,
    /// The isolation group it ends with; none until one is prepared.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub group: Option<GroupId>,
}

impl UntrackConnections {
    /// What the open group of the VPC is called.
    #[must_use]
    pub fn open_name(&self) -> String {
        format!("tourniquet-untrack-{}", self.vpc)
    }

    /// The value of the open group's tag `ir:isolation`, by which it is found, and by which the role is allowed to make
    /// and use it. No VPC is called so: nothing takes it for an isolation group.
    #[must_use]
    pub fn open_tag(&self) -> String {
        format!("open-{}", self.vpc)
    }

    /// The tags of a new open group. It belongs to no case: every case of the VPC uses it.
    #[must_use]
    pub fn open_tags(&self) -> Vec<(String, String)> {
        vec![(ISOLATION_TAG.to_owned(), self.open_tag()), super::origin::collected_by()]
    }
}

impl Change for UntrackConnections {
    const NAME: &'static str = "untrack_connections";

    fn on(&self) -> String {
        self.interface.to_string()
    }

    fn permissions(&self) -> &'static [&'static str] {
        &[
            "ec2:ModifyNetworkInterfaceAttribute",
            "ec2:CreateSecurityGroup",
            "ec2:CreateTags",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSecurityGroupRules",
            "ec2:RevokeSecurityGroupIngress",
            "ec2:RevokeSecurityGroupEgress",
            "ec2:AuthorizeSecurityGroupIngress",
            "ec2:AuthorizeSecurityGroupEgress",
        ]
    }

    /// Both calls in one line: the second is made whatever becomes of the first.
    fn command(&self) -> String {
        let known = |group: &Option<GroupId>, otherwise: String| {
            group.as_ref().map_or_else(|| format!("\"${{{otherwise}:?}}\""), ToString::to_string)
        };
        let put = |group: &str| interface_line(&self.region, &self.interface, &format!("--groups {group}"));
        let open = known(&self.open_group, format!("OPEN_{}", variable(&self.vpc)));
        let isolation = known(&self.group, variable(&self.vpc));
        format!("{}; sleep {OPEN_SECONDS}; {}", put(&open), put(&isolation))
    }

    fn undo(&self) -> Undo {
        Undo {
            commands: Vec::new(),
            note: Some(
                "connections that were cut open anew by themselves; the group that was open to the world is on no interface any more",
            ),
        }
    }

    fn release(&self) -> Release {
        Release::Stays("nothing is left of it: the group that was open is on no interface any more")
    }
}

#[cfg(feature = "instance")]
mod calls {
    use std::time::Duration;

    use aws_sdk_ec2::operation::modify_network_interface_attribute::ModifyNetworkInterfaceAttributeOutput;
    use aws_sdk_ec2::types::ResourceType;

    use super::super::Applied;
    use super::super::ec2::{filter, permanent, read, refused_with, retryable, tagged};
    use super::super::group_rules::Opening;
    use super::super::group_rules_calls::settle;
    use super::{ISOLATION_TAG, OPEN_SECONDS, UntrackConnections};
    use crate::aws::{Compute, Fault};
    use crate::id::GroupId;

    /// How often the isolation group is put on before the interface is reported as standing open.
    const CLOSING_TRIES: usize = 3;

    /// How long after a failed try.
    const BETWEEN_TRIES: Duration = Duration::from_millis(500);

    impl UntrackConnections {
        /// Whatever becomes of the first half, the second is carried out.
        pub(in super::super) async fn apply(&self, aws: &Compute) -> Result<Applied, Fault> {
            let Some(group) = &self.group else {
                return Err(super::super::isolate_interface::no_group(&self.vpc));
            };
            let opened = self.open(aws, group).await;
            let closed = self.close(aws, group).await.map_err(|fault| {
                // However AWS refuses: what stands open to the world is never left at that.
                retryable(&fault.code, &format!("{} may stand open to the world: {}", self.interface, fault.message))
            })?;
            let done = Self { open_group: Some(opened?), ..self.clone() };
            Ok(Applied { as_done: (done != *self).then(|| done.into()), ..Applied::changed(&closed) })
        }

        /// The first half: the open group, and the wait.
        async fn open(&self, aws: &Compute, isolation: &GroupId) -> Result<GroupId, Fault> {
            let group = match &self.open_group {
                Some(group) => group.clone(),
                None => self.open_group(aws, isolation).await?,
            };
            settle(aws, &group, &Opening::to_the_world(), "OpenGroupNotOpen").await?;
            self.put(aws, &group).await?;
            tokio::time::sleep(Duration::from_secs(OPEN_SECONDS)).await;
            Ok(group)
        }

        /// The second half: the isolation group, tried again where it fails.
        async fn close(&self, aws: &Compute, group: &GroupId) -> Result<ModifyNetworkInterfaceAttributeOutput, Fault> {
            let mut tries = 1;
            loop {
                match self.put(aws, group).await {
                    Ok(output) => return Ok(output),
                    Err(fault) if tries == CLOSING_TRIES => return Err(fault),
                    Err(fault) => tracing::warn!(%fault, interface = %self.interface, "the isolation group is not on yet"),
                }
                tries += 1;
                tokio::time::sleep(BETWEEN_TRIES).await;
            }
        }

        async fn put(&self, aws: &Compute, group: &GroupId) -> Result<ModifyNetworkInterfaceAttributeOutput, Fault> {
            let request = aws.ec2.modify_network_interface_attribute().network_interface_id(self.interface.as_str());
            Ok(request.groups(group.as_str()).send().await?)
        }

        /// The open group of the VPC. Two interfaces of a VPC may ask for it at once, so one whose name is taken is looked
        /// for again.
        async fn open_group(&self, aws: &Compute, isolation: &GroupId) -> Result<GroupId, Fault> {
            if let Some(group) = self.find(aws, isolation).await? {
                return Ok(group);
            }
            let request = aws.ec2.create_security_group().group_name(self.open_name()).vpc_id(self.vpc.as_str());
            let request = request.description("Open to the world for seconds, to end tracked connections. Made by Tourniquet.");
            match request.tag_specifications(tagged(ResourceType::SecurityGroup, self.open_tags())).send().await {
                Ok(output) => read(output.group_id(), GroupId::parse),
                Err(error) if refused_with(&error, &["InvalidGroup.Duplicate"]) => {
                    let message = format!("{} is taken in {} by a group without our tag", self.open_name(), self.vpc);
                    self.find(aws, isolation).await?.ok_or_else(|| retryable("OpenGroupTaken", &message))
                }
                Err(error) => Err(error.into()),
            }
        }

        /// The group with our tag in this VPC that belongs to the owner of the isolation group: a VPC may be shared.
        async fn find(&self, aws: &Compute, isolation: &GroupId) -> Result<Option<GroupId>, Fault> {
            let ours = aws.ec2.describe_security_groups().group_ids(isolation.as_str()).send().await?;
            let owner = ours.security_groups().first().and_then(|group| group.owner_id());
            let owner = owner.ok_or_else(|| permanent("Unreadable", &format!("{isolation} without an owner")))?;
            let filters = vec![
                filter("vpc-id", self.vpc.as_str()),
                filter("owner-id", owner),
                filter(&format!("tag:{ISOLATION_TAG}"), &self.open_tag()),
            ];
            let mut pages = aws.ec2.describe_security_groups().set_filters(Some(filters)).into_paginator().send();
            let mut groups = Vec::new();
            while let Some(page) = pages.next().await {
                for group in page?.security_groups() {
                    groups.push(read(group.group_id(), GroupId::parse)?);
                }
            }
            Ok(groups.into_iter().min())
        }
    }
}
