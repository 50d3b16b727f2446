//! From EC2's structures to what a decision needs. Ids are checked here: nothing of an answer reaches a change unchecked.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::{
    GroupIdentifier, Instance, InstanceLifecycleType, InstanceNetworkInterface, NetworkInterface, NetworkInterfaceAssociation,
};
use serde_json::{Value, json};

use super::super::read::timestamp;
use crate::containment::instance::{Address, Interface, Lifecycle, ObservedInstance, Profile, Volume};
use crate::id::{AccountId, Arn, GroupId, InstanceId, InterfaceId, Region, VolumeId, VpcId};
use crate::step::Timeouts;

/// The instance of a reservation of `owner`; none where the answer lacks what it documents.
pub(super) fn instance(described: &Instance, owner: &str, region: &Region) -> Option<ObservedInstance> {
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    Some(ObservedInstance {
        id: InstanceId::parse(described.instance_id()?).ok()?,
        account: AccountId::parse(owner).ok()?,
        region: region.clone(),
        state: described.state()?.name()?.as_str().to_owned(),
        launched: timestamp(described.launch_time()),
        instance_type: described.instance_type().map(|kind| kind.as_str().to_owned()).unwrap_or_default(),
        image: described.image_id().map(str::to_owned),
        tags: described.tags().iter().map(|tag| (text(tag.key()), text(tag.value()))).collect(),
        lifecycle: match described.instance_lifecycle() {
            Some(InstanceLifecycleType::Spot) => Lifecycle::Spot,
            _ => Lifecycle::OnDemand,
        },
        has_ebs_root: described.root_device_type().is_none_or(|kind| kind.as_str() == "ebs"),
        hibernates: described.hibernation_options().and_then(aws_sdk_ec2::types::HibernationOptions::configured) == Some(true),
        profile: described
            .iam_instance_profile()
            .and_then(|profile| Some(Profile { arn: Arn::parse(profile.arn()?).ok()?, association: None, role: None })),
        protected_from_termination: None,
        protected_from_stop: None,
        on_shutdown: None,
        volumes: volumes(described),
        interfaces: described.network_interfaces().iter().filter_map(own_interface).collect(),
        metadata_options: metadata_options(described),
        auto_scaling: None,
        classic_balancers: Vec::new(),
        isolation: BTreeMap::new(),
        gone: BTreeSet::new(),
        denies: BTreeMap::new(),
        unread: Vec::new(),
        raw: BTreeMap::new(),
    })
}

fn volumes(described: &Instance) -> Vec<Volume> {
    let volume = |mapping: &aws_sdk_ec2::types::InstanceBlockDeviceMapping| {
        let ebs = mapping.ebs()?;
        Some(Volume {
            id: VolumeId::parse(ebs.volume_id()?).ok()?,
            device: mapping.device_name()?.to_owned(),
            // True where EC2 does not say (CONTAINMENT B8).
            goes_with_instance: ebs.delete_on_termination().unwrap_or(true),
        })
    };
    described.block_device_mappings().iter().filter_map(volume).collect()
}

fn metadata_options(described: &Instance) -> Value {
    let Some(options) = described.metadata_options() else { return Value::Null };
    json!({
        "state": options.state().map(aws_sdk_ec2::types::InstanceMetadataOptionsState::as_str),
        "http_endpoint": options.http_endpoint().map(aws_sdk_ec2::types::InstanceMetadataEndpointState::as_str),
        "http_tokens": options.http_tokens().map(aws_sdk_ec2::types::HttpTokensState::as_str),
        "http_put_response_hop_limit": options.http_put_response_hop_limit(),
        "http_protocol_ipv6": options.http_protocol_ipv6().map(aws_sdk_ec2::types::InstanceMetadataProtocolState::as_str),
        "instance_metadata_tags": options.instance_metadata_tags().map(aws_sdk_ec2::types::InstanceMetadataTagsState::as_str),
    })
}

/// An interface as the instance's own description has it: without the allocation of an elastic address.
fn own_interface(described: &InstanceNetworkInterface) -> Option<Interface> {
    Some(Interface {
        id: InterfaceId::parse(described.network_interface_id()?).ok()?,
        vpc: VpcId::parse(described.vpc_id()?).ok()?,
        subnet: described.subnet_id().unwrap_or_default().to_owned(),
        device_index: described
            .attachment()
            .and_then(aws_sdk_ec2::types::InstanceNetworkInterfaceAttachment::device_index)
            .unwrap_or_default(),
        kind: described.interface_type().unwrap_or("interface").to_owned(),
        is_managed: false,
        groups: groups(described.groups()),
        addresses: described
            .private_ip_addresses()
            .iter()
            .filter_map(|address| {
                Some(Address {
                    private_ip: address.private_ip_address()?.to_owned(),
                    public_ip: address.association().and_then(|association| association.public_ip()).map(str::to_owned),
                    allocation: None,
                    association: None,
                })
            })
            .collect(),
        ipv6: described.ipv6_addresses().iter().filter_map(|address| address.ipv6_address().map(str::to_owned)).collect(),
        timeouts: Timeouts::default(),
    })
}

/// An interface as it is described by itself: the fuller account, and of those attached to the instance all.
pub(super) fn interface(described: &NetworkInterface) -> Option<Interface> {
    let tracking = described.connection_tracking_configuration();
    let association = |association: Option<&NetworkInterfaceAssociation>, private_ip: &str| {
        let own = |text: Option<&str>| text.map(str::to_owned);
        Address {
            private_ip: private_ip.to_owned(),
            public_ip: own(association.and_then(NetworkInterfaceAssociation::public_ip)),
            allocation: own(association.and_then(NetworkInterfaceAssociation::allocation_id)),
            association: own(association.and_then(NetworkInterfaceAssociation::association_id)),
        }
    };
    Some(Interface {
        id: InterfaceId::parse(described.network_interface_id()?).ok()?,
        vpc: VpcId::parse(described.vpc_id()?).ok()?,
        subnet: described.subnet_id().unwrap_or_default().to_owned(),
        device_index: described
            .attachment()
            .and_then(aws_sdk_ec2::types::NetworkInterfaceAttachment::device_index)
            .unwrap_or_default(),
        kind: described.interface_type().map_or("interface", |kind| kind.as_str()).to_owned(),
        is_managed: described.requester_managed().unwrap_or_default(),
        groups: groups(described.groups()),
        addresses: described
            .private_ip_addresses()
            .iter()
            .filter_map(|address| Some(association(address.association(), address.private_ip_address()?)))
            .collect(),
        ipv6: described.ipv6_addresses().iter().filter_map(|address| address.ipv6_address().map(str::to_owned)).collect(),
        timeouts: Timeouts {
            tcp_established: tracking.and_then(aws_sdk_ec2::types::ConnectionTrackingConfiguration::tcp_established_timeout),
            udp_stream: tracking.and_then(aws_sdk_ec2::types::ConnectionTrackingConfiguration::udp_stream_timeout),
            udp: tracking.and_then(aws_sdk_ec2::types::ConnectionTrackingConfiguration::udp_timeout),
        },
    })
}

fn groups(described: &[GroupIdentifier]) -> Vec<GroupId> {
    let mut groups: Vec<_> = described.iter().filter_map(|group| GroupId::parse(group.group_id()?).ok()).collect();
    groups.sort();
    groups
}
