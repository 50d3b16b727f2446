//! Let tracked connections that idle end soon: new groups do not cut what is tracked already, and by default it may idle
//! for five days (CONTAINMENT B1, B3).

use serde::{Deserialize, Serialize};

use super::ec2::interface_line;
use super::{Change, Undo};
use crate::id::{InterfaceId, Region};

/// The idle timeouts of tracked connections, in seconds; none where AWS's default applies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeouts {
    /// TCP connections that are established.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub tcp_established: Option<i32>,
    /// UDP flows with more than one request and answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub udp_stream: Option<i32>,
    /// Other UDP flows.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub udp: Option<i32>,
}

impl Timeouts {
    /// The least that EC2 takes.
    pub const LOWEST: Self = Self { tcp_established: Some(60), udp_stream: Some(60), udp: Some(30) };

    /// What EC2 takes where nothing is set, but for TCP on instances of the sixth Nitro generation.
    pub const DEFAULTS: Self = Self { tcp_established: Some(432_000), udp_stream: Some(180), udp: Some(30) };

    /// These, and those of `others` where none is set.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            tcp_established: self.tcp_established.or(others.tcp_established),
            udp_stream: self.udp_stream.or(others.udp_stream),
            udp: self.udp.or(others.udp),
        }
    }

    fn option(self) -> String {
        let parts =
            [("TcpEstablishedTimeout", self.tcp_established), ("UdpStreamTimeout", self.udp_stream), ("UdpTimeout", self.udp)];
        let parts: Vec<_> = parts.iter().filter_map(|(name, value)| value.map(|value| format!("{name}={value}"))).collect();
        format!("--connection-tracking-specification {}", parts.join(","))
    }
}

/// Lowers the idle timeouts of an interface to the least there is. A connection with traffic on it lives on. Only
/// instances built on Nitro know it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LowerConnectionTimeout {
    /// The Region.
    pub region: Region,
    /// The interface.
    pub interface: InterfaceId,
    /// The timeouts it had.
    pub before: Timeouts,
}

impl Change for LowerConnectionTimeout {
    const NAME: &'static str = "lower_connection_timeout";

    fn on(&self) -> String {
        self.interface.to_string()
    }

    fn permissions(&self) -> &'static [&'static str] {
        &["ec2:ModifyNetworkInterfaceAttribute"]
    }

    fn command(&self) -> String {
        interface_line(&self.region, &self.interface, &Timeouts::LOWEST.option())
    }

    fn undo(&self) -> Undo {
        let undo = Undo::by(interface_line(&self.region, &self.interface, &self.before.or(Timeouts::DEFAULTS).option()));
        if self.before.tcp_established.is_some() {
            return undo;
        }
        undo.noting(
            "no TCP timeout was set before: 432000 s is what AWS takes then, but 350 s on instance types of Nitro v6 (CONTAINMENT B1)",
        )
    }
}

#[cfg(feature = "instance")]
impl LowerConnectionTimeout {
    pub(super) async fn apply(&self, aws: &crate::aws::Compute) -> Result<super::Applied, crate::aws::Fault> {
        self.set(aws, Timeouts::LOWEST).await
    }

    async fn set(&self, aws: &crate::aws::Compute, timeouts: Timeouts) -> Result<super::Applied, crate::aws::Fault> {
        let timeouts = aws_sdk_ec2::types::ConnectionTrackingSpecificationRequest::builder()
            .set_tcp_established_timeout(timeouts.tcp_established)
            .set_udp_stream_timeout(timeouts.udp_stream)
            .set_udp_timeout(timeouts.udp)
            .build();
        let request = aws.ec2.modify_network_interface_attribute().network_interface_id(self.interface.as_str());
        let output = request.connection_tracking_specification(timeouts).send().await?;
        Ok(super::Applied::changed(&output))
    }
}

#[cfg(feature = "release")]
impl LowerConnectionTimeout {
    pub(super) async fn revert(&self, aws: &crate::aws::Compute) -> Result<super::Applied, crate::aws::Fault> {
        self.set(aws, self.before.or(Timeouts::DEFAULTS)).await
    }
}
