"""Instances: attributes, console, and what termination leaves.

AWS behaviour: EC2 API reference, ModifyInstanceAttribute (one attribute a call), GetConsoleScreenshot,
StopInstances; EC2 User Guide, "Enable termination protection" (not for Spot Instances), "Terminate Amazon EC2
instances" (volumes and interfaces with DeleteOnTermination go, the others are detached; no interfaces are shown).
moto takes InstanceInitiatedShutdownBehavior for a change of security groups and leaves the instance without any.
"""

import base64
import functools
import zlib

from moto.ec2.models.instances import Instance

from ..call import guards, handles
from ..ec2_model import backend_of, flag, groups_in_vpc, only_one_attribute
from ..errors import AwsError
from .ec2_addresses import release_all

_ATTRIBUTES = ("BlockDeviceMappings", "DisableApiStop", "DisableApiTermination", "EbsOptimized", "EnaSupport", "Groups",
               "InstanceInitiatedShutdownBehavior", "InstanceType", "Kernel", "Ramdisk", "SourceDestCheck",
               "SriovNetSupport", "UserData")  # fmt: skip
_GONE = ("shutting-down", "terminated")


def instance_or_refuse(call, instance_id):
    instance = backend_of(call).get_instance_by_id(instance_id)
    if instance is None:
        raise AwsError("InvalidInstanceID.NotFound", f"The instance ID '{instance_id}' does not exist")
    return instance


def refuse_gone(instance):
    if instance.state in _GONE:
        raise AwsError(
            "IncorrectInstanceState", f"The instance '{instance.id}' is not in a state from which it can be modified."
        )


@handles("ec2", "ModifyInstanceAttribute")
def modify_instance_attribute(call):
    params = call.params
    instance = instance_or_refuse(call, params.get("InstanceId"))
    refuse_gone(instance)
    if params.get("Attribute"):
        return call.lab.gateway.forward(call)
    attribute = only_one_attribute(call, _ATTRIBUTES)
    if attribute == "DisableApiTermination" and instance.lifecycle == "spot":
        raise AwsError(
            "UnsupportedOperation", "Modifying 'disableApiTermination' is not supported for spot instances."
        )
    if attribute == "InstanceInitiatedShutdownBehavior":
        wanted = params[attribute].get("Value")
        if wanted not in ("stop", "terminate"):
            raise AwsError("InvalidParameterValue", f"Invalid value '{wanted}' for instanceInitiatedShutdownBehavior.")
        instance.instance_initiated_shutdown_behavior = wanted
        return {}
    if attribute == "BlockDeviceMappings":
        _keep_or_delete(instance, params[attribute])
        return {}
    if attribute == "Groups":
        if len(instance.nics) > 1:
            raise AwsError(
                "InvalidInstanceID",
                f"There are multiple interfaces attached to instance '{instance.id}'. "
                "Please specify an interface ID for the operation instead.",
            )
        instance.security_groups = groups_in_vpc(backend_of(call), params["Groups"], instance.vpc_id)
        return {}
    return call.lab.gateway.forward(call)


def _keep_or_delete(instance, mappings):
    for mapping in mappings:
        device = mapping.get("DeviceName")
        if device not in instance.block_device_mapping:
            raise AwsError("InvalidInstanceAttributeValue", f"No device is currently mapped at {device}")
    for mapping in mappings:
        wanted = flag((mapping.get("Ebs") or {}).get("DeleteOnTermination"))
        if wanted is not None:
            instance.block_device_mapping[mapping["DeviceName"]].delete_on_termination = wanted


# --- console ------------------------------------------------------------------------------------------


@handles("ec2", "GetConsoleScreenshot")
def get_console_screenshot(call):
    instance = instance_or_refuse(call, call.params["InstanceId"])
    if instance.state != "running":
        raise AwsError("IncorrectInstanceState", f"The instance '{instance.id}' is not in the 'running' state.")
    return {"InstanceId": instance.id, "ImageData": base64.b64encode(_picture(instance.id)).decode()}


def _picture(instance_id):
    """Bytes that begin as a JPEG does and differ by instance; nobody looks at them."""
    return b"\xff\xd8\xff\xe0\x00\x10JFIF\x00" + zlib.compress(instance_id.encode()) + b"\xff\xd9"


# --- stopping and terminating -------------------------------------------------------------------------


@guards("ec2", "StopInstances")
def refuse_stopping_instance_store(call):
    for instance_id in call.params.get("InstanceIds") or []:
        instance = instance_or_refuse(call, instance_id)
        if instance.root_device_type == "instance-store":
            raise AwsError(
                "UnsupportedOperation",
                f"The instance '{instance_id}' does not have an 'ebs' root device type and cannot be stopped.",
            )


def _terminated(plain):
    @functools.wraps(plain)
    def terminate(self):
        release_all(self)
        previous = plain(self)
        for eni in list(self.nics.values()):
            if eni.id in self.ec2_backend.enis:
                eni.instance = eni.attachment_id = eni.attach_time = None
                eni.status = "available"
        return previous

    return terminate


Instance.terminate = _terminated(Instance.terminate)
Instance.network_interfaces = property(lambda self: [] if self.state in _GONE else list(self.nics.values()))
# An interface of an IPv6-only subnet has no address to take a name from.
Instance.private_dns_name = property(
    lambda self: f"{self.id}.{self.region_name}.compute.internal"
    if not self.private_ip
    else f"ip-{self.private_ip.replace('.', '-')}.{self.region_name}.compute.internal"
)


def set_instance_store(backend, instance_id):
    """Make the root device an instance store: no volume behind it, nothing to take a snapshot of."""
    instance = backend.get_instance(instance_id)
    for device in list(instance.block_device_mapping):
        volume = instance.block_device_mapping[device].volume_id
        backend.detach_volume(volume, instance.id, device)
        backend.delete_volume(volume)
    instance.root_device_type = "instance-store"
    return instance
