//! How an instance is isolated, and how long its evidence is locked: what the guardrails say about it.

use serde::{Deserialize, Serialize};

use super::Mode;
use crate::id::{GroupId, VpcId};

/// How far the isolation of an instance goes, and who still reaches it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Isolation {
    /// Whether elastic addresses are taken off: a hard cut that can be put back.
    pub disassociate_addresses: bool,
    /// Whether the auto-assigned public address is removed: a hard cut that brings another address when undone.
    pub remove_public_addresses: bool,
    /// Whether the idle timeouts of tracked connections are lowered (CONTAINMENT B3).
    pub lower_connection_timeouts: bool,
    /// Whether connections are led through a group that is open to the world, so that they lose their tracking
    /// (CONTAINMENT B2).
    pub untrack_connections: bool,
    /// What happens to an instance of an Auto Scaling group.
    pub auto_scaling: AutoScaling,
    /// How far to go, at most, for a node of an EKS cluster: every pod on it is hit (CONTAINMENT B15).
    pub cluster_nodes: Mode,
    /// What the isolation group lets through.
    pub allow: Vec<Allow>,
}

impl Default for Isolation {
    fn default() -> Self {
        Self {
            disassociate_addresses: false,
            remove_public_addresses: false,
            lower_connection_timeouts: false,
            untrack_connections: false,
            auto_scaling: AutoScaling::default(),
            cluster_nodes: Mode::Propose,
            allow: Vec::new(),
        }
    }
}

/// What happens to an instance of an Auto Scaling group (CONTAINMENT B9). Neither lowers the desired capacity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoScaling {
    /// It stays in the group, on standby.
    #[default]
    Standby,
    /// It leaves the group.
    Detach,
}

/// One thing that the isolation group lets through: the responder's way in, the forensic endpoint's way out
/// (CONTAINMENT B14). TCP alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allow {
    /// Who opens the connection.
    pub direction: Direction,
    /// The other end.
    pub peer: Peer,
    /// The port that is connected to.
    pub port: u16,
    /// The VPC it holds in; every one where none is given.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub vpc: Option<VpcId>,
    /// Why, in the words of whoever wrote the file, of what EC2 takes as the description of a rule.
    pub because: String,
}

/// Who opens a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The other end, to the instance.
    In,
    /// The instance, to the other end.
    Out,
}

/// The other end of a connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Peer {
    /// A network, IPv4 or IPv6, as EC2 writes it.
    Cidr(String),
    /// A security group of the same VPC.
    Group(GroupId),
    /// A prefix list, such as that of the S3 gateway endpoint.
    PrefixList(String),
}

/// How the snapshots of a case are locked (CONTAINMENT B18).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvidenceLock {
    /// Who may unlock.
    pub mode: LockMode,
    /// For how many days, from the snapshot's completion.
    pub days: u16,
}

impl Default for EvidenceLock {
    fn default() -> Self {
        Self { mode: LockMode::Governance, days: 365 }
    }
}

/// Who may unlock a locked snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockMode {
    /// Whoever has `ec2:UnlockSnapshot`.
    Governance,
    /// Nobody, once the 72 hours are over in which it may still be taken off.
    Compliance,
    /// There is no lock.
    None,
}
