"""Elastic addresses, and the public addresses an instance was given.

AWS behaviour: EC2 User Guide, "Elastic IP addresses" and "Amazon EC2 instance IP addressing": an elastic address
belongs to one private address of an interface; associating one releases the public address the instance was
given; after it is taken off, an instance that had been given one gets another, unless it has more than one
interface. EC2 API reference, DisassociateAddress.
"""

from moto.ec2.models.elastic_ip_addresses import ElasticAddress
from moto.ec2.utils import random_eip_association_id, random_public_ip

from ..call import handles
from ..ec2_model import backend_of, flag
from ..errors import AwsError
from .ec2_interfaces import interface_or_refuse

ElasticAddress.private_ip_address = property(lambda address: getattr(address, "private_ip", None))
ElasticAddress.instance_id = property(lambda address: address.instance.id if address.instance else None)
ElasticAddress.network_interface_id = property(lambda address: address.eni.id if address.eni else None)


@handles("ec2", "AssociateAddress")
def associate_address(call):
    backend, params = backend_of(call), call.params
    address = _address(backend, params)
    if params.get("NetworkInterfaceId"):
        eni = interface_or_refuse(backend.enis, params["NetworkInterfaceId"])
    else:
        instance = backend.get_instance_by_id(params.get("InstanceId"))
        if instance is None:
            raise AwsError("InvalidInstanceID.NotFound", f"The instance ID '{params.get('InstanceId')}' does not exist")
        eni = instance.nics[0]
    if address.eni is not None and flag(params.get("AllowReassociation")) is False:
        raise AwsError("Resource.AlreadyAssociated", f"resource {address.allocation_id} is already associated")
    private_ip = params.get("PrivateIpAddress") or eni.private_ip_address
    if private_ip not in [item.get("PrivateIpAddress") for item in eni.private_ip_addresses]:
        raise AwsError("InvalidParameterValue", f"{private_ip} is no address of {eni.id}")
    _take_off(address)
    address.eni, address.instance, address.private_ip = eni, eni.instance, private_ip
    address.association_id = random_eip_association_id()
    if private_ip == eni.private_ip_address:
        eni.public_ip = address.public_ip
    return {"AssociationId": address.association_id}


@handles("ec2", "DisassociateAddress")
def disassociate_address(call):
    backend, params = backend_of(call), call.params
    association, public_ip = params.get("AssociationId"), params.get("PublicIp")
    for address in backend.addresses:
        if association and address.association_id == association or public_ip and address.public_ip == public_ip:
            _take_off(address)
            return {}
    if association:
        raise AwsError("InvalidAssociationID.NotFound", f"The association ID '{association}' does not exist")
    raise AwsError("InvalidAddress.NotFound", f"Address '{public_ip}' not found.")


def _address(backend, params):
    for address in backend.addresses:
        if address.allocation_id == params.get("AllocationId") or address.public_ip == params.get("PublicIp"):
            return address
    raise AwsError(
        "InvalidAllocationID.NotFound", f"The allocation ID '{params.get('AllocationId')}' does not exist"
    )


def _take_off(address):
    eni, instance = address.eni, address.instance
    address.eni = address.instance = address.association_id = address.private_ip = None
    if eni is None or eni.public_ip != address.public_ip:
        return
    eni.public_ip = None
    given = str(eni.public_ip_auto_assign).lower() == "true"
    if given and instance is not None and instance.state == "running" and len(instance.nics) == 1:
        eni.public_ip = random_public_ip()


def release_all(instance):
    """What termination does."""
    for address in instance.ec2_backend.addresses:
        if address.instance is instance:
            _take_off(address)
