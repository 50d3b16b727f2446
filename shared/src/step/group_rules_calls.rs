//! Giving a security group the rules it should have and no others.

use std::time::Duration;

use aws_sdk_ec2::types::{IpPermission, IpRange, Ipv6Range, PrefixListId, SecurityGroupRule, UserIdGroupPair};
use aws_types::request_id::RequestId as _;

use super::ec2::{filter, permanent, refused_with, retryable};
use super::group_rules::{Difference, FoundRule, Opening, difference};
use crate::aws::{Compute, Fault};
use crate::guardrails::{Direction, Peer};
use crate::id::GroupId;

/// How often a group is brought into its state before it counts as one that somebody keeps changing.
const ROUNDS: usize = 3;

/// How long to wait after a look that shows a change missing: what EC2 describes lags behind what it was told (CONTAINMENT B4).
const BETWEEN_ROUNDS: Duration = Duration::from_secs(1);

/// What became of a group's rules.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// Whether any was revoked or authorised.
    pub(super) changed: bool,
    /// AWS's request id of the last write.
    pub(super) request_id: Option<String>,
}

impl FoundRule {
    /// The rule as EC2 describes it. One without an id cannot be revoked.
    pub(crate) fn read(rule: &SecurityGroupRule) -> Result<Self, Fault> {
        let id = rule.security_group_rule_id().ok_or_else(|| permanent("Unreadable", "a rule without an id"))?.to_owned();
        let direction = if rule.is_egress() == Some(true) { Direction::Out } else { Direction::In };
        let network = rule.cidr_ipv4().or(rule.cidr_ipv6()).map(|network| Peer::Cidr(network.to_owned()));
        let prefix_list = rule.prefix_list_id().map(|list| Peer::PrefixList(list.to_owned()));
        let group = rule.referenced_group_info().and_then(|info| info.group_id()).and_then(|id| GroupId::parse(id).ok());
        let peer = network.or(prefix_list).or(group.map(Peer::Group));
        let opening = peer.zip(rule.ip_protocol()).map(|(peer, protocol)| Opening {
            direction,
            protocol: protocol.to_owned(),
            ports: rule.from_port().zip(rule.to_port()).filter(|_| protocol != "-1"),
            peer,
            because: rule.description().map(str::to_owned),
        });
        Ok(Self { id, direction, opening })
    }
}

/// The rules of a group, every page of them.
pub(super) async fn rules_of(aws: &Compute, group: &GroupId) -> Result<Vec<FoundRule>, Fault> {
    let request = aws.ec2.describe_security_group_rules().filters(filter("group-id", group.as_str()));
    let mut pages = request.into_paginator().send();
    let mut rules = Vec::new();
    while let Some(page) = pages.next().await {
        for rule in page?.security_group_rules() {
            rules.push(FoundRule::read(rule)?);
        }
    }
    Ok(rules)
}

/// Revokes every rule of a group that is none of `wanted`, authorises those of `wanted` that are missing, and looks
/// again; what is still not so after some rounds is a fault with `code`.
pub(super) async fn settle(aws: &Compute, group: &GroupId, wanted: &[Opening], code: &str) -> Result<Settled, Fault> {
    let mut settled = Settled::default();
    for round in 0..=ROUNDS {
        if round > 1 {
            tokio::time::sleep(BETWEEN_ROUNDS).await;
        }
        let found = rules_of(aws, group).await?;
        let difference = difference(&found, wanted);
        if difference.is_empty() {
            return Ok(settled);
        }
        if round == ROUNDS {
            return Err(retryable(code, &format!("{group} is not as it should be: {}", difference.describe())));
        }
        if let Some(request_id) = change(aws, group, &difference).await? {
            settled = Settled { changed: true, request_id: Some(request_id) };
        }
    }
    Ok(settled)
}

/// Another delivery may be at the same group: what is gone or there already is no fault, the next look tells.
const REVOKED: [&str; 2] = ["InvalidPermission.NotFound", "InvalidSecurityGroupRuleId.NotFound"];
const AUTHORISED: [&str; 1] = ["InvalidPermission.Duplicate"];

async fn change(aws: &Compute, group: &GroupId, difference: &Difference<'_>) -> Result<Option<String>, Fault> {
    let mut last = None;
    for direction in [Direction::In, Direction::Out] {
        let ids: Vec<_> =
            difference.surplus.iter().filter(|rule| rule.direction == direction).map(|rule| rule.id.clone()).collect();
        if !ids.is_empty() {
            last = revoke(aws, group, direction, ids).await?.or(last);
        }
        let openings: Vec<_> = difference
            .missing
            .iter()
            .filter(|opening| opening.direction == direction)
            .map(|opening| permission(opening))
            .collect();
        if !openings.is_empty() {
            last = authorise(aws, group, direction, openings).await?.or(last);
        }
    }
    Ok(last)
}

/// The request id of a write, none where `codes` say that it was made already.
macro_rules! written {
    ($answer:expr, $codes:expr) => {
        match $answer {
            Ok(output) => Ok(Some(output.request_id().unwrap_or_default().to_owned())),
            Err(error) if refused_with(&error, &$codes) => Ok(None),
            Err(error) => Err(error.into()),
        }
    };
}

async fn revoke(aws: &Compute, group: &GroupId, way: Direction, ids: Vec<String>) -> Result<Option<String>, Fault> {
    match way {
        Direction::In => {
            let request = aws.ec2.revoke_security_group_ingress().group_id(group.as_str());
            written!(request.set_security_group_rule_ids(Some(ids)).send().await, REVOKED)
        }
        Direction::Out => {
            let request = aws.ec2.revoke_security_group_egress().group_id(group.as_str());
            written!(request.set_security_group_rule_ids(Some(ids)).send().await, REVOKED)
        }
    }
}

async fn authorise(aws: &Compute, group: &GroupId, way: Direction, what: Vec<IpPermission>) -> Result<Option<String>, Fault> {
    match way {
        Direction::In => {
            let request = aws.ec2.authorize_security_group_ingress().group_id(group.as_str());
            written!(request.set_ip_permissions(Some(what)).send().await, AUTHORISED)
        }
        Direction::Out => {
            let request = aws.ec2.authorize_security_group_egress().group_id(group.as_str());
            written!(request.set_ip_permissions(Some(what)).send().await, AUTHORISED)
        }
    }
}

fn permission(opening: &Opening) -> IpPermission {
    let permission = IpPermission::builder()
        .ip_protocol(&opening.protocol)
        .set_from_port(opening.ports.map(|(from, _)| from))
        .set_to_port(opening.ports.map(|(_, to)| to));
    let because = || opening.because.clone();
    match &opening.peer {
        Peer::Cidr(network) if network.contains(':') => {
            permission.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(network).set_description(because()).build())
        }
        Peer::Cidr(network) => permission.ip_ranges(IpRange::builder().cidr_ip(network).set_description(because()).build()),
        Peer::Group(group) => {
            let pair = UserIdGroupPair::builder().group_id(group.as_str()).set_description(because()).build();
            permission.user_id_group_pairs(pair)
        }
        Peer::PrefixList(list) => {
            permission.prefix_list_ids(PrefixListId::builder().prefix_list_id(list).set_description(because()).build())
        }
    }
    .build()
}
