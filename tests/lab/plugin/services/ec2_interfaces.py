"""Network interfaces: their own groups, addresses and connection tracking.

AWS behaviour: EC2 API reference, ModifyNetworkInterfaceAttribute (one attribute a call; AssociatePublicIpAddress
"can be enabled for any network interface but will only apply to the primary network interface"),
ConnectionTrackingSpecificationRequest (the ranges), InstanceNetworkInterfaceSpecification. An interface has exactly
the groups it was given; moto shows those of the instance with them, so that no interface ever looks isolated.
"""

import functools

from moto.ec2.models.elastic_network_interfaces import NetworkInterface
from moto.ec2.models.instances import Instance
from moto.ec2.utils import generate_dns_from_ip, random_public_ip

from ..call import guards, handles
from ..ec2_model import backend_of, flag, groups_in_vpc, only_one_attribute
from ..errors import AwsError
from ..paging import page

NetworkInterface.group_set = property(lambda eni: eni._group_set)

_ATTRIBUTES = ("Groups", "SourceDestCheck", "Description", "Attachment", "AssociatePublicIpAddress",
               "ConnectionTrackingSpecification", "EnaSrdSpecification", "EnablePrimaryIpv6")  # fmt: skip
_TIMEOUTS = {"TcpEstablishedTimeout": (60, 432000), "UdpStreamTimeout": (60, 180), "UdpTimeout": (30, 60)}


# --- the groups of an instance are those of its primary interface ---------------------------------


def _groups_of(instance):
    nic = getattr(instance, "nics", {}).get(0)
    return list(nic.group_set) if nic is not None else instance._launch_groups


def _set_groups_of(instance, groups):
    instance._launch_groups = groups
    nic = getattr(instance, "nics", {}).get(0)
    if nic is not None:
        nic._group_set = list(groups)


Instance.security_groups = property(_groups_of, _set_groups_of)


# --- launching -------------------------------------------------------------------------------------


def _prepared(plain):
    @functools.wraps(plain)
    def prep_nics(self, nic_spec, *arguments, **keywords):
        """IPv6 addresses of one interface, subnets without IPv4, and interfaces that go with their instance."""
        plain(self, nic_spec, *arguments, **keywords)
        by_index = {int(spec.get("DeviceIndex", 0)): spec for spec in nic_spec}
        for index, eni in self.nics.items():
            spec = by_index.get(index, {})
            if spec.get("NetworkInterfaceId"):
                continue
            count, stated = int(spec.get("Ipv6AddressCount") or 0), spec.get("Ipv6Addresses") or []
            native = getattr(eni.subnet, "ipv6_native", False)
            if native and not stated and not eni.ipv6_addresses:
                count = count or 1
            if count or stated:
                self.ec2_backend.assign_ipv6_addresses(eni.id, [ip["Ipv6Address"] for ip in stated], count)
            if native:
                eni.private_ip_address, eni.private_ip_addresses, eni.public_ip = None, [], None
            if spec.get("DeleteOnTermination") is None:
                eni.delete_on_termination = True

    return prep_nics


def _created(plain):
    @functools.wraps(plain)
    def with_range(self, ec2_backend, subnet, private_ip_address, *arguments, **keywords):
        found = ec2_backend.get_subnet(subnet) if isinstance(subnet, str) else subnet
        native = getattr(found, "ipv6_native", False)
        # moto draws an IPv4 address from the subnet's range, which an IPv6-only subnet does not have.
        plain(self, ec2_backend, found, private_ip_address or ("0.0.0.0" if native else None), *arguments, **keywords)
        if native:
            self.private_ip_address, self.private_ip_addresses, self.public_ip = None, [], None

    return with_range


Instance.prep_nics = _prepared(Instance.prep_nics)
NetworkInterface.__init__ = _created(NetworkInterface.__init__)


@guards("ec2", "RunInstances", "CreateNetworkInterface")
def refuse_foreign_groups(call):
    """moto makes up a group whose id it does not know."""
    backend, params = backend_of(call), call.params
    specs = params.get("NetworkInterfaces") or [params]
    for spec in specs:
        subnet_id = spec.get("SubnetId") or params.get("SubnetId")
        group_ids = list(spec.get("Groups") or []) + list(params.get("SecurityGroupIds") or [])
        if subnet_id and group_ids:
            groups_in_vpc(backend, group_ids, backend.get_subnet(subnet_id).vpc_id)


# --- addresses as DescribeNetworkInterfaces and DescribeInstances show them --------------------------


def association_of(eni, private_ip):
    """The public address of one private address: an elastic one, or for the primary the assigned one."""
    for address in eni.ec2_backend.addresses:
        if address.eni is eni and address.private_ip_address == private_ip:
            return {
                "AllocationId": address.allocation_id,
                "AssociationId": address.association_id,
                "IpOwnerId": eni.owner_id,
                "PublicDnsName": generate_dns_from_ip(address.public_ip),
                "PublicIp": address.public_ip,
            }
    if eni.public_ip and private_ip == eni.private_ip_address:
        return {
            "IpOwnerId": "amazon",
            "PublicDnsName": generate_dns_from_ip(eni.public_ip),
            "PublicIp": eni.public_ip,
        }
    return None


def _addresses(eni):
    found = []
    for item in eni.private_ip_addresses:
        ip = item.get("PrivateIpAddress")
        shown = {"PrivateIpAddress": ip, "Primary": ip == eni.private_ip_address}
        association = association_of(eni, ip)
        found.append({**shown, "Association": association} if association else shown)
    return found


NetworkInterface.instance_private_ip_address_list = property(_addresses)
NetworkInterface.association = property(lambda eni: association_of(eni, eni.private_ip_address) or {})


def shown(eni):
    """An interface as DescribeNetworkInterfaces answers it."""
    association, attachment = association_of(eni, eni.private_ip_address), eni.attachment
    return {
        **({"Association": association} if association else {}),
        **({"Attachment": attachment} if attachment else {}),
        **({"ConnectionTrackingConfiguration": dict(eni.timeouts)} if getattr(eni, "timeouts", None) else {}),
        "AvailabilityZone": eni.availability_zone,
        "Description": eni.description,
        "Groups": [{"GroupId": group.id, "GroupName": group.name} for group in eni.group_set],
        "InterfaceType": eni.interface_type,
        "Ipv6Addresses": [{"Ipv6Address": ip} for ip in eni.ipv6_addresses],
        "MacAddress": eni.mac_address,
        "NetworkInterfaceId": eni.id,
        "OwnerId": eni.owner_id,
        "PrivateIpAddress": eni.private_ip_address,
        "PrivateIpAddresses": _addresses(eni),
        "RequesterManaged": eni.requester_managed,
        "SourceDestCheck": eni.source_dest_check,
        "Status": eni.status,
        "SubnetId": eni.subnet_id,
        "TagSet": [{"Key": tag["key"], "Value": tag["value"]} for tag in eni.get_tags()],
        "VpcId": eni.vpc_id,
        "Operator": {"Managed": False},
    }


@handles("ec2", "DescribeNetworkInterfaces")
def describe_network_interfaces(call):
    filters = {f["Name"]: f.get("Values") or [] for f in call.params.get("Filters") or []}
    ids = call.params.get("NetworkInterfaceIds") or []
    known = backend_of(call).enis
    for eni_id in ids:
        interface_or_refuse(known, eni_id)
    found = backend_of(call).get_all_network_interfaces(ids, filters)
    return page(call, "NetworkInterfaces", [shown(eni) for eni in found])


# --- changing them -----------------------------------------------------------------------------------


def interface_or_refuse(enis, eni_id):
    if eni_id not in enis:
        raise AwsError("InvalidNetworkInterfaceID.NotFound", f"The networkInterface ID '{eni_id}' does not exist")
    return enis[eni_id]


@handles("ec2", "ModifyNetworkInterfaceAttribute")
def modify_network_interface_attribute(call):
    backend = backend_of(call)
    eni = interface_or_refuse(backend.enis, call.params["NetworkInterfaceId"])
    attribute = only_one_attribute(call, _ATTRIBUTES)
    if eni.requester_managed:
        raise AwsError("AuthFailure", "You do not have permission to access the specified resource.")
    if attribute == "Groups":
        eni._group_set = groups_in_vpc(backend, call.params["Groups"], eni.vpc_id)
    elif attribute == "ConnectionTrackingSpecification":
        _set_timeouts(eni, call.params[attribute])
    elif attribute == "AssociatePublicIpAddress":
        _set_public_address(eni, flag(call.params[attribute]))
    else:
        return call.lab.gateway.forward(call)
    return {}


def _set_timeouts(eni, stated):
    timeouts = {name: int(value) for name, value in stated.items() if value is not None}
    for name, value in timeouts.items():
        low, high = _TIMEOUTS[name]
        if not low <= value <= high:
            raise AwsError("InvalidParameterValue", f"Invalid value '{value}' for {name}: it is from {low} to {high}")
    eni.timeouts = {**(getattr(eni, "timeouts", None) or {}), **timeouts}


def _set_public_address(eni, wanted):
    if eni.device_index != 0:
        return
    eni.public_ip_auto_assign = wanted
    if not wanted:
        eni.public_ip = None
    elif not eni.public_ip:
        eni.public_ip = random_public_ip()
