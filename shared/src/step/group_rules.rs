//! The rules of a security group against those it should have. What a rule lets through decides, not how it is
//! described: a rule is what it should be, or it is revoked by its id (CONTAINMENT B4).

use std::net::IpAddr;

use crate::guardrails::{Allow, Direction, Peer};

/// What a rule of a security group lets through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening {
    /// Who opens the connection.
    pub direction: Direction,
    /// `tcp`, `udp`, `icmp`, `icmpv6` or a number; `-1` for everything.
    pub protocol: String,
    /// The ports, or the type and code of ICMP; none where every protocol is let through.
    pub ports: Option<(i32, i32)>,
    /// The other end.
    pub peer: Peer,
    /// The rule's description: lets nothing through, so it makes no difference.
    pub because: Option<String>,
}

impl Opening {
    /// Everything, to and from everywhere, over IPv4 and IPv6.
    #[must_use]
    pub fn to_the_world() -> Vec<Self> {
        let all = |direction, network: &str| Self {
            direction,
            protocol: "-1".to_owned(),
            ports: None,
            peer: Peer::Cidr(network.to_owned()),
            because: None,
        };
        [Direction::In, Direction::Out].into_iter().flat_map(|way| [all(way, "0.0.0.0/0"), all(way, "::/0")]).collect()
    }

    /// Whether both let exactly the same through. A network may be written in several ways.
    fn is(&self, other: &Self) -> bool {
        let same_peer = match (&self.peer, &other.peer) {
            (Peer::Cidr(one), Peer::Cidr(other)) => match (network(one), network(other)) {
                (Some(one), Some(other)) => one == other,
                _ => one == other,
            },
            (one, other) => one == other,
        };
        same_peer && self.direction == other.direction && self.protocol == other.protocol && self.ports == other.ports
    }
}

impl From<&Allow> for Opening {
    fn from(allow: &Allow) -> Self {
        let port = i32::from(allow.port);
        let (direction, peer) = (allow.direction, allow.peer.clone());
        Self { direction, protocol: "tcp".to_owned(), ports: Some((port, port)), peer, because: Some(allow.because.clone()) }
    }
}

/// The first address of a network and the length of its prefix.
fn network(text: &str) -> Option<(IpAddr, u32)> {
    let (address, length) = text.split_once('/')?;
    let length: u32 = length.parse().ok()?;
    let first = match address.parse().ok()? {
        IpAddr::V4(address) => {
            let host_bits = 32_u32.checked_sub(length)?;
            let mask = u32::MAX.checked_shl(host_bits).unwrap_or(0);
            IpAddr::V4((address.to_bits() & mask).into())
        }
        IpAddr::V6(address) => {
            let host_bits = 128_u32.checked_sub(length)?;
            let mask = u128::MAX.checked_shl(host_bits).unwrap_or(0);
            IpAddr::V6((address.to_bits() & mask).into())
        }
    };
    Some((first, length))
}

/// A rule as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundRule {
    /// Its id: what it is revoked by.
    pub id: String,
    /// Who opens the connection.
    pub direction: Direction,
    /// What it lets through; none where that is nothing we know, which is never what it should be.
    pub opening: Option<Opening>,
}

/// What has to change for a group to have the rules it should have and no others.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference<'a> {
    /// The rules to revoke.
    pub surplus: Vec<&'a FoundRule>,
    /// The rules to authorise.
    pub missing: Vec<&'a Opening>,
}

impl Difference<'_> {
    /// Whether the group is as it should be.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.surplus.is_empty() && self.missing.is_empty()
    }

    /// What is wrong, for a person.
    #[must_use]
    pub fn describe(&self) -> String {
        let surplus: Vec<_> = self.surplus.iter().map(|rule| rule.id.as_str()).collect();
        let mut parts = Vec::new();
        if !surplus.is_empty() {
            parts.push(format!("{} should not be there", surplus.join(", ")));
        }
        if !self.missing.is_empty() {
            parts.push(format!("{} of its rules are missing", self.missing.len()));
        }
        parts.join(", ")
    }
}

/// Compares the rules of a group with those it should have. Descriptions and tags of rules let nothing through and are
/// not looked at: to revoke a rule over its description would cut a responder off.
#[must_use]
pub fn difference<'a>(found: &'a [FoundRule], wanted: &'a [Opening]) -> Difference<'a> {
    let is_wanted = |rule: &FoundRule| rule.opening.as_ref().is_some_and(|opening| wanted.iter().any(|one| one.is(opening)));
    let is_there = |one: &Opening| found.iter().any(|rule| rule.opening.as_ref().is_some_and(|opening| opening.is(one)));
    Difference {
        surplus: found.iter().filter(|rule| !is_wanted(rule)).collect(),
        missing: wanted.iter().filter(|one| !is_there(one)).collect(),
    }
}
