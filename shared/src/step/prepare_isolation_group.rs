//! Have the isolation group of a VPC ready: empty but for what the guardrails let through, whoever changed it since
//! (CONTAINMENT B4).

use serde::{Deserialize, Serialize};

use super::ec2::tags_option;
use super::group_rules::Opening;
use super::{Change, Origin, Release, Undo};
use crate::guardrails::{Allow, Direction, Peer};
use crate::id::{GroupId, Region, VpcId};
use crate::text::{option, shell_word};

/// The key of the tag that makes a security group an isolation group; its value is the VPC.
pub const ISOLATION_TAG: &str = "ir:isolation";

/// Makes the isolation group of a VPC, or makes sure that the one there is still isolates: every rule is revoked that the
/// guardrails do not allow, in both directions and both families, and the rules are read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrepareIsolationGroup {
    /// The Region.
    pub region: Region,
    /// The VPC. A group cannot be used in another.
    pub vpc: VpcId,
    /// The name of a new group. A group is never chosen by its name: whoever holds the account may have taken it.
    pub name: String,
    /// What the guardrails let through, of this VPC and of others.
    pub allow: Vec<Allow>,
    /// The case it is first made for.
    pub origin: Origin,
    /// The group; none until there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub group: Option<GroupId>,
    /// Why the group could not be recorded as ours, once it was tried: the next case of the VPC makes another.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unrecorded: Option<String>,
}

impl PrepareIsolationGroup {
    /// What an isolation group of `vpc` is called.
    #[must_use]
    pub fn name_in(vpc: &VpcId) -> String {
        format!("tourniquet-isolation-{vpc}")
    }

    /// The name where the other is taken.
    #[must_use]
    pub fn second_name(&self) -> String {
        format!("{}-{}", self.name, self.origin.case)
    }

    /// The tags of a new group.
    #[must_use]
    pub fn tags(&self) -> Vec<(String, String)> {
        let mut tags = self.origin.tags();
        tags.push((ISOLATION_TAG.to_owned(), self.vpc.to_string()));
        tags
    }

    /// The rules it has, and no others.
    #[must_use]
    pub fn openings(&self) -> Vec<Opening> {
        let applies = |allow: &&Allow| allow.vpc.as_ref().is_none_or(|vpc| *vpc == self.vpc);
        self.allow.iter().filter(applies).map(Opening::from).collect()
    }

    /// Makes the group, for the lines that need its id takes everything off it that AWS put there, and lets through what
    /// is allowed.
    fn create_by_hand(&self) -> String {
        let (region, variable) = (&self.region, variable(&self.vpc));
        let mut line = format!(
            "{variable}=$(aws ec2 create-security-group --region {region} {} --description {} --vpc-id {} {} --query GroupId --output text) && \
             aws ec2 revoke-security-group-egress --region {region} --group-id \"${variable}\" --security-group-rule-ids \
             $(aws ec2 describe-security-group-rules --region {region} --filters Name=group-id,Values=\"${variable}\" \
             --query 'SecurityGroupRules[].SecurityGroupRuleId' --output text)",
            option("--group-name", &self.name),
            shell_word(DESCRIPTION),
            self.vpc,
            tags_option("security-group", &self.tags()),
        );
        for opening in self.openings() {
            let way = match opening.direction {
                Direction::In => "ingress",
                Direction::Out => "egress",
            };
            let permission = shell_word(&permission(&opening).to_string());
            let authorise = format!("aws ec2 authorize-security-group-{way} --region {region} --group-id \"${variable}\"");
            line = format!("{line} && {authorise} --ip-permissions {permission}");
        }
        line
    }
}

/// What AWS shows for the group.
const DESCRIPTION: &str = "Isolates instances of a case. Made by Tourniquet.";

/// The shell variable that the lines of a VPC hand its isolation group on in.
pub(super) fn variable(vpc: &VpcId) -> String {
    format!("ISOLATION_GROUP_{}", vpc.as_str().replace('-', "_"))
}

/// The rule as `aws` takes it.
fn permission(opening: &Opening) -> serde_json::Value {
    let (list, key, peer) = match &opening.peer {
        Peer::Cidr(network) if network.contains(':') => ("Ipv6Ranges", "CidrIpv6", network.as_str()),
        Peer::Cidr(network) => ("IpRanges", "CidrIp", network.as_str()),
        Peer::Group(group) => ("UserIdGroupPairs", "GroupId", group.as_str()),
        Peer::PrefixList(id) => ("PrefixListIds", "PrefixListId", id.as_str()),
    };
    let mut entry = serde_json::json!({ key: peer });
    if let Some(because) = &opening.because {
        entry["Description"] = because.as_str().into();
    }
    let mut permission = serde_json::json!({ "IpProtocol": opening.protocol, list: [entry] });
    if let Some((from, to)) = opening.ports {
        (permission["FromPort"], permission["ToPort"]) = (from.into(), to.into());
    }
    serde_json::json!([permission])
}

impl Change for PrepareIsolationGroup {
    const NAME: &'static str = "prepare_isolation_group";

    fn on(&self) -> String {
        match &self.group {
            Some(group) => format!("{group} of {}", self.vpc),
            None => self.vpc.to_string(),
        }
    }

    fn permissions(&self) -> &'static [&'static str] {
        &[
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

    /// For a group there is, the line that shows its rules: which of them to revoke is for whoever reads them.
    fn command(&self) -> String {
        match &self.group {
            Some(group) => {
                format!("aws ec2 describe-security-group-rules --region {} --filters Name=group-id,Values={group}", self.region)
            }
            None => self.create_by_hand(),
        }
    }

    fn undo(&self) -> Undo {
        Undo {
            commands: Vec::new(),
            note: Some(
                "the isolation group stays: it lets nothing through but what the guardrails allow, and the next case of the VPC uses it",
            ),
        }
    }

    fn release(&self) -> Release {
        Release::Stays("the isolation group stays for the next case of its VPC")
    }
}

#[cfg(feature = "instance")]
mod calls {
    use aws_sdk_ec2::types::ResourceType;
    use aws_types::request_id::RequestId as _;
    use futures_util::future::join;

    use super::super::Applied;
    use super::super::ec2::{filter, permanent, read, refused_with, tagged};
    use super::super::group_rules_calls::{rules_of, settle};
    use super::{DESCRIPTION, ISOLATION_TAG, PrepareIsolationGroup};
    use crate::aws::{Compute, Fault};
    use crate::id::GroupId;
    use crate::step::INCIDENT_TAG;
    use crate::step::group_rules::difference;

    /// AWS's code for a name that is taken in the VPC.
    const TAKEN: [&str; 1] = ["InvalidGroup.Duplicate"];

    /// AWS's codes for a group that does not exist.
    pub(in super::super) const NO_SUCH_GROUP: [&str; 2] = ["InvalidGroup.NotFound", "InvalidGroupId.Malformed"];

    impl PrepareIsolationGroup {
        pub(in super::super) async fn apply(&self, aws: &Compute) -> Result<Applied, Fault> {
            match self.by_first_name(aws).await? {
                Some(applied) => Ok(applied),
                None => self.by_second_name(aws).await,
            }
        }

        /// Has the group ready, unless it has to be made and its name is taken by one that this case did not make: then
        /// another delivery may be about to record it, or somebody may have taken the name.
        ///
        /// # Errors
        /// With what AWS said.
        pub(crate) async fn by_first_name(&self, aws: &Compute) -> Result<Option<Applied>, Fault> {
            let openings = self.openings();
            if let Some(group) = &self.group {
                // Side by side: whether it is there, and what it lets through. A filter finds no rules of a group that is
                // gone, as it finds none of one that is clean.
                let (is_there, found) = join(self.is_there(aws, group), rules_of(aws, group)).await;
                if is_there? {
                    if difference(&found?, &openings).is_empty() {
                        return Ok(Some(Applied::already()));
                    }
                    return self.settled(aws, group.clone(), None).await.map(Some);
                }
            }
            match self.create(aws, &self.name).await? {
                Some((group, request_id)) => self.settled(aws, group, Some(request_id)).await.map(Some),
                None => match self.find(aws).await? {
                    Some(group) => self.settled(aws, group, None).await.map(Some),
                    None => Ok(None),
                },
            }
        }

        /// Makes the group by the name that holds the case's id.
        ///
        /// # Errors
        /// With what AWS said.
        pub(crate) async fn by_second_name(&self, aws: &Compute) -> Result<Applied, Fault> {
            if let Some((group, request_id)) = self.create(aws, &self.second_name()).await? {
                return self.settled(aws, group, Some(request_id)).await;
            }
            let message =
                format!("{} and {} are taken in {} by groups that are not ours", self.name, self.second_name(), self.vpc);
            Err(permanent("IsolationGroupTaken", &message))
        }

        /// Whether the group is there and lets through what is allowed, and nothing else; none where it is gone.
        ///
        /// # Errors
        /// With what AWS said.
        pub(crate) async fn is_clean(&self, aws: &Compute) -> Result<Option<bool>, Fault> {
            let Some(group) = &self.group else { return Ok(None) };
            let (is_there, found) = join(self.is_there(aws, group), rules_of(aws, group)).await;
            Ok(if is_there? { Some(difference(&found?, &self.openings()).is_empty()) } else { None })
        }

        /// Whether the group is there, and still carries our tag: without it nothing may be changed about it.
        ///
        /// # Errors
        /// With what AWS said.
        pub(crate) async fn is_tagged(&self, aws: &Compute, group: &GroupId) -> Result<bool, Fault> {
            let filters = vec![
                filter("group-id", group.as_str()),
                filter("vpc-id", self.vpc.as_str()),
                filter(&format!("tag:{ISOLATION_TAG}"), self.vpc.as_str()),
            ];
            Ok(!aws.ec2.describe_security_groups().set_filters(Some(filters)).send().await?.security_groups().is_empty())
        }

        async fn settled(&self, aws: &Compute, group: GroupId, created: Option<String>) -> Result<Applied, Fault> {
            let settled = settle(aws, &group, &self.openings(), "IsolationGroupNotClean").await?;
            let done = Self { group: Some(group), ..self.clone() };
            Ok(Applied {
                changed: created.is_some() || settled.changed,
                request_id: settled.request_id.or(created),
                as_done: (done != *self).then(|| done.into()),
            })
        }

        /// Whether `group` exists, and in this VPC.
        async fn is_there(&self, aws: &Compute, group: &GroupId) -> Result<bool, Fault> {
            match aws.ec2.describe_security_groups().group_ids(group.as_str()).send().await {
                Ok(output) => Ok(output.security_groups().iter().any(|found| found.vpc_id() == Some(self.vpc.as_str()))),
                Err(error) if refused_with(&error, &NO_SUCH_GROUP) => Ok(false),
                Err(error) => Err(error.into()),
            }
        }

        /// None where the name is taken.
        async fn create(&self, aws: &Compute, name: &str) -> Result<Option<(GroupId, String)>, Fault> {
            let request = aws.ec2.create_security_group().group_name(name).description(DESCRIPTION).vpc_id(self.vpc.as_str());
            match request.tag_specifications(tagged(ResourceType::SecurityGroup, self.tags())).send().await {
                Ok(output) => {
                    let request_id = output.request_id().unwrap_or_default().to_owned();
                    Ok(Some((read(output.group_id(), GroupId::parse)?, request_id)))
                }
                Err(error) if refused_with(&error, &TAKEN) => Ok(None),
                Err(error) => Err(error.into()),
            }
        }

        /// The group an earlier delivery of this case made, and died before it could remember it: by our tags, which another account's on a shared VPC do not
        /// show. Tags prove nothing, so its rules are settled as those of every group.
        async fn find(&self, aws: &Compute) -> Result<Option<GroupId>, Fault> {
            let filters = vec![
                filter("vpc-id", self.vpc.as_str()),
                filter(&format!("tag:{ISOLATION_TAG}"), self.vpc.as_str()),
                filter(&format!("tag:{INCIDENT_TAG}"), self.origin.case.as_str()),
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
