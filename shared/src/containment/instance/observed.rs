//! What AWS says about an instance right now. Also the original state that the case remembers: it alone has to suffice
//! to put everything back.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{AccountId, Arn, GroupId, InstanceId, InterfaceId, PrincipalName, Region, UniqueId, VolumeId, VpcId};
use crate::step::Timeouts;
use crate::timestamp::Timestamp;

/// Everything the decision about an instance needs.
pub type Observed = super::super::Observed<Found>;

/// The instance, as EC2 knows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Found {
    /// It is there.
    Instance(Box<ObservedInstance>),
    /// EC2 knows no such instance.
    Absent,
    /// Its account is not one to look into.
    NotLooked,
    /// Its account could not be entered; why not.
    Unreachable {
        /// What AWS said to the attempt to assume the responder role.
        reason: String,
    },
}

impl Found {
    /// The instance, where there is one.
    #[must_use]
    pub fn instance(&self) -> Option<&ObservedInstance> {
        match self {
            Self::Instance(instance) => Some(instance),
            Self::Absent | Self::NotLooked | Self::Unreachable { .. } => None,
        }
    }

    /// What could not be read of it.
    #[must_use]
    pub fn unread(&self) -> &[String] {
        self.instance().map_or(&[], |instance| &instance.unread)
    }
}

/// An EC2 instance and what hangs on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ObservedInstance {
    /// Its id.
    pub id: InstanceId,
    /// Its account: the reservation's owner.
    pub account: AccountId,
    /// Its Region.
    pub region: Region,
    /// `pending`, `running`, `shutting-down`, `terminated`, `stopping` or `stopped`.
    pub state: String,
    /// When it was launched.
    pub launched: Option<Timestamp>,
    /// Its type, such as `m7g.large`.
    pub instance_type: String,
    /// The image it was launched from.
    pub image: Option<String>,
    /// Its tags. Written by whoever may tag instances, an attacker included.
    pub tags: BTreeMap<String, String>,
    /// How it is paid for.
    pub lifecycle: Lifecycle,
    /// Whether its root volume is in EBS; otherwise in the instance store, which is lost when it stops.
    pub has_ebs_root: bool,
    /// Whether it was launched with hibernation.
    pub hibernates: bool,
    /// Its instance profile.
    pub profile: Option<Profile>,
    /// `DisableApiTermination`.
    pub protected_from_termination: Option<bool>,
    /// `DisableApiStop`.
    pub protected_from_stop: Option<bool>,
    /// `InstanceInitiatedShutdownBehavior`: `stop` or `terminate`.
    pub on_shutdown: Option<String>,
    /// Its EBS volumes.
    pub volumes: Vec<Volume>,
    /// Its network interfaces.
    pub interfaces: Vec<Interface>,
    /// Its metadata service's options, as EC2 gives them.
    pub metadata_options: Value,
    /// Its place in an Auto Scaling group.
    pub auto_scaling: Option<AutoScalingMembership>,
    /// The classic load balancers it is registered with.
    pub classic_balancers: Vec<String>,
    /// The isolation groups that are recorded as ours and are still there, by VPC.
    pub isolation: BTreeMap<VpcId, IsolationGroup>,
    /// Those a plan works by that are no longer there.
    #[serde(skip)]
    pub gone: BTreeSet<GroupId>,
    /// The denies of its role that were looked for, by policy name: the document, decoded, or none.
    pub denies: BTreeMap<String, Option<String>>,
    /// What could not be read.
    pub unread: Vec<String>,
    /// EC2's own words, by operation: evidence, stored apart from the case's memory.
    #[serde(skip)]
    pub raw: BTreeMap<String, Vec<u8>>,
}

/// How an instance is paid for, as far as it decides what can be protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lifecycle {
    /// On demand, or in a capacity that is kept.
    OnDemand,
    /// Spot: AWS may take it away with two minutes' notice, and it cannot be protected (CONTAINMENT B12).
    Spot,
}

/// An instance profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Its ARN, with its path.
    pub arn: Arn,
    /// The association that puts it on the instance.
    pub association: Option<String>,
    /// The role in it; none where the profile is empty, or could not be read.
    pub role: Option<ProfileRole>,
}

/// The role in an instance profile.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProfileRole {
    /// Its name.
    pub name: PrincipalName,
    /// Its unique id.
    pub unique_id: UniqueId,
    /// Its ARN, with its path.
    pub arn: Arn,
}

/// An EBS volume of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Its id.
    pub id: VolumeId,
    /// The device name it is attached as.
    pub device: String,
    /// Whether it goes when the instance is terminated.
    pub goes_with_instance: bool,
}

/// A network interface of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its id.
    pub id: InterfaceId,
    /// The VPC it lies in: not always the instance's.
    pub vpc: VpcId,
    /// The subnet it lies in.
    pub subnet: String,
    /// Its place: 0 is the primary one, which cannot be detached.
    pub device_index: i32,
    /// `interface`, `trunk`, `efa`, ….
    pub kind: String,
    /// Whether an AWS service made it for itself: then only that service may change it.
    pub is_managed: bool,
    /// Its security groups.
    pub groups: Vec<GroupId>,
    /// Its IPv4 addresses.
    pub addresses: Vec<Address>,
    /// Its IPv6 addresses.
    pub ipv6: Vec<String>,
    /// Its connection-tracking timeouts, where they were set.
    pub timeouts: Timeouts,
}

impl Interface {
    /// The public address that AWS gave it, as against an elastic one.
    #[must_use]
    pub fn assigned_public_address(&self) -> Option<&str> {
        self.addresses.iter().filter(|address| address.allocation.is_none()).find_map(|address| address.public_ip.as_deref())
    }
}

/// An IPv4 address of an interface.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Address {
    /// The private address.
    pub private_ip: String,
    /// The public address in front of it.
    pub public_ip: Option<String>,
    /// The elastic address's allocation; none for an address that AWS assigned.
    pub allocation: Option<String>,
    /// The association of the elastic address.
    pub association: Option<String>,
}

/// A place in an Auto Scaling group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AutoScalingMembership {
    /// The group.
    pub group: String,
    /// `InService`, `Standby`, `Pending`, `Terminating:Wait`, `Warmed:Running`, ….
    pub lifecycle: String,
    /// Whether it is protected from scale-in.
    pub is_protected: bool,
}

/// An isolation group that is recorded as ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IsolationGroup {
    /// Its id.
    pub id: GroupId,
    /// Whether it holds exactly the rules it should; none where nobody looked.
    pub is_clean: Option<bool>,
}

/// A registration with a target group of a load balancer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The target group.
    pub target_group: Arn,
    /// The target: an instance id or an address.
    pub target: String,
    /// Its port.
    pub port: Option<i32>,
    /// Its Availability Zone, where the registration names one.
    pub zone: Option<String>,
}

impl ObservedInstance {
    /// Its ARN.
    #[must_use]
    pub fn arn(&self) -> Arn {
        Arn::instance(crate::id::Partition::of_region(&self.region), &self.region, &self.account, &self.id)
    }

    /// Whether `group` is the one recorded for `vpc`.
    #[must_use]
    pub fn knows_group(&self, vpc: &VpcId, group: &GroupId) -> bool {
        self.isolation.get(vpc).is_some_and(|known| known.id == *group)
    }

    /// The cluster it is a node of, by the tags that EKS sets. Anybody who may tag instances can set them too.
    #[must_use]
    pub fn cluster(&self) -> Option<&str> {
        let by_name = || self.tags.keys().find_map(|key| key.strip_prefix("kubernetes.io/cluster/"));
        self.tags.get("eks:cluster-name").map(String::as_str).or_else(by_name)
    }
}
