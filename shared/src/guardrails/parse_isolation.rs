//! Reading `[isolation]` and `[evidence]`.

use std::net::IpAddr;

use serde::Deserialize;
use toml::Spanned;

use super::Mode;
use super::isolation::{Allow, AutoScaling, Direction, EvidenceLock, Isolation, LockMode, Peer};
use super::parse::{GuardrailsError, Source};
use crate::id::{GroupId, VpcId, is_ec2_id};

/// The widest networks that are taken. Two halves of the world are as open as the whole of it.
const WIDEST: (u8, u8) = (8, 16);
/// What EC2 takes in the description of a rule, beside letters and digits.
const DESCRIPTION: &str = " ._-:/()#,@[]+=&;{}!$*";

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct IsolationTable {
    disassociate_addresses: bool,
    remove_public_addresses: bool,
    lower_connection_timeouts: bool,
    untrack_connections: bool,
    auto_scaling: AutoScaling,
    cluster_nodes: ClusterNodes,
    allow: Vec<Spanned<AllowTable>>,
}

/// The modes that make a difference for a node: what the rules only observe stays so.
#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum ClusterNodes {
    #[default]
    Propose,
    Contain,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AllowTable {
    direction: Direction,
    peer: Spanned<String>,
    port: Spanned<i64>,
    vpc: Option<Spanned<String>>,
    because: Spanned<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct EvidenceTable {
    lock: Option<Spanned<LockMode>>,
    lock_days: Option<Spanned<i64>>,
}

pub(super) fn isolation(source: &Source<'_>, table: &IsolationTable) -> Result<Isolation, GuardrailsError> {
    let mut allowed: Vec<Allow> = Vec::new();
    for table in &table.allow {
        let allow = allow(source, table.get_ref())?;
        if allowed.iter().any(|earlier| earlier.lets_through_the_same_as(&allow)) {
            let reason = format!("port {} of `{}` is allowed twice", allow.port, table.get_ref().peer.get_ref());
            return Err(source.error(&table.get_ref().peer.span(), reason, Some("delete one of the two".to_owned())));
        }
        allowed.push(allow);
    }
    Ok(Isolation {
        disassociate_addresses: table.disassociate_addresses,
        remove_public_addresses: table.remove_public_addresses,
        lower_connection_timeouts: table.lower_connection_timeouts,
        untrack_connections: table.untrack_connections,
        auto_scaling: table.auto_scaling,
        cluster_nodes: match table.cluster_nodes {
            ClusterNodes::Propose => Mode::Propose,
            ClusterNodes::Contain => Mode::Contain,
        },
        allow: allowed,
    })
}

fn allow(source: &Source<'_>, table: &AllowTable) -> Result<Allow, GuardrailsError> {
    let (peer, because) = (&table.peer, &table.because);
    let vpc = table.vpc.as_ref().map(|vpc| source.checked(vpc, VpcId::parse)).transpose()?;
    let parsed = peer_of(peer.get_ref()).map_err(|(reason, suggestion)| source.error(&peer.span(), reason, suggestion))?;
    match &parsed {
        Peer::Group(group) if vpc.is_none() => {
            let suggestion = "a group can be named only within its own VPC: give it in `vpc`";
            return Err(source.error(&peer.span(), format!("`{group}` stands without its VPC"), Some(suggestion.to_owned())));
        }
        Peer::PrefixList(list) if table.direction == Direction::In => {
            let suggestion = "prefix lists are for the way out, to an endpoint: write the bastion's network";
            return Err(source.error(&peer.span(), format!("`{list}` is let in"), Some(suggestion.to_owned())));
        }
        _ => {}
    }
    let port = u16::try_from(*table.port.get_ref())
        .ok()
        .filter(|port| *port != 0)
        .ok_or_else(|| source.error(&table.port.span(), format!("port {} is outside 1 to 65535", table.port.get_ref()), None))?;
    let text = because.get_ref();
    let fits = text.len() <= 255 && text.chars().all(|c| c.is_ascii_alphanumeric() || DESCRIPTION.contains(c));
    if text.trim().is_empty() || !fits {
        let reason = "an allowed peer needs its reason in `because`, as the rule will carry it in EC2";
        let suggestion = format!("at most 255 letters, digits, spaces and any of {}", DESCRIPTION.trim_start());
        return Err(source.error(&because.span(), reason, Some(suggestion)));
    }
    Ok(Allow { direction: table.direction, peer: parsed, port, vpc, because: text.clone() })
}

/// Why a peer is refused, and what to write instead.
type Refusal = (String, Option<String>);

fn peer_of(text: &str) -> Result<Peer, Refusal> {
    if text.starts_with("sg-") {
        return GroupId::parse(text).map(Peer::Group).map_err(|error| (error.to_string(), None));
    }
    if text.starts_with("pl-") {
        let is_list = is_ec2_id(text, "pl-");
        return is_list.then(|| Peer::PrefixList(text.to_owned())).ok_or((format!("`{text}` is not a prefix list id"), None));
    }
    cidr(text).map(Peer::Cidr)
}

/// A network as EC2 writes it: no host bits, IPv6 in its shortest form.
fn cidr(text: &str) -> Result<String, Refusal> {
    let malformed = |suggestion: Option<String>| (format!("`{text}` is no network, no sg-... and no pl-..."), suggestion);
    let example = || malformed(Some("write a network as `203.0.113.10/32`".to_owned()));
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| example())?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let Some(length) = length else {
        return Err(malformed(Some(format!("one address is written `{address}/{bits}`"))));
    };
    let plain =
        !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit()) && (length == "0" || !length.starts_with('0'));
    let length: u8 = length.parse().ok().filter(|length| plain && *length <= bits).ok_or_else(example)?;
    if length < if address.is_ipv4() { WIDEST.0 } else { WIDEST.1 } {
        let suggestion = format!("name the bastion or the endpoint; /{} is the widest, in IPv6 /{}", WIDEST.0, WIDEST.1);
        return Err((format!("`{text}` is open to the world: that is no isolation"), Some(suggestion)));
    }
    let network = match address {
        IpAddr::V4(address) => {
            IpAddr::from((u32::from(address) & u32::MAX.unbounded_shl(u32::from(bits - length))).to_be_bytes())
        }
        IpAddr::V6(address) if address.to_ipv4_mapped().is_some() => {
            return Err((format!("`{text}` is an IPv4 address in IPv6"), Some("write it as IPv4".to_owned())));
        }
        IpAddr::V6(address) => {
            IpAddr::from((u128::from(address) & u128::MAX.unbounded_shl(u32::from(bits - length))).to_be_bytes())
        }
    };
    if network != address {
        return Err((format!("`{text}` has bits set behind its prefix"), Some(format!("the network is `{network}/{length}`"))));
    }
    Ok(format!("{network}/{length}"))
}

impl Allow {
    /// A rule for every VPC lets through what one for a single VPC does.
    fn lets_through_the_same_as(&self, other: &Self) -> bool {
        let vpcs_meet = self.vpc.is_none() || other.vpc.is_none() || self.vpc == other.vpc;
        vpcs_meet && self.direction == other.direction && self.port == other.port && self.peer == other.peer
    }
}

pub(super) fn evidence(source: &Source<'_>, table: &EvidenceTable) -> Result<EvidenceLock, GuardrailsError> {
    let absent = EvidenceLock::default();
    if let Some(lock) = table.lock.as_ref().filter(|lock| *lock.get_ref() == LockMode::Compliance && table.lock_days.is_none()) {
        let suggestion = "nobody can take it back, not even AWS: say for how long in `lock_days`";
        return Err(source.error(&lock.span(), "a compliance lock needs its `lock_days`", Some(suggestion.to_owned())));
    }
    let days = match &table.lock_days {
        None => absent.days,
        Some(days) => u16::try_from(*days.get_ref())
            .ok()
            .filter(|days| (1..=36_500).contains(days))
            .ok_or_else(|| source.error(&days.span(), format!("lock_days {} is outside 1 to 36500", days.get_ref()), None))?,
    };
    Ok(EvidenceLock { mode: table.lock.as_ref().map_or(absent.mode, |lock| *lock.get_ref()), days })
}
