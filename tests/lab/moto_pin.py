"""moto's version and the private names the lab builds on, checked before anything is served.

The lab leans on internals of moto 5.2.5. Another version may have moved any of them and would
then fail in the middle of a test, or worse, answer wrongly.
"""

import functools
import importlib
from importlib.metadata import version

MOTO = "5.2.5"

PRIVATE_NAMES = {
    "moto.core.parse": ("PROTOCOL_PARSERS",),
    "moto.core.request": ("Request", "PRESERVED_HEADER_NAMES_ENVIRON_KEY"),
    "moto.core.responses": ("method_names_from_class",),
    "moto.core.routing": ("get_service_router",),
    "moto.core.serialize": (
        "get_serializer_class", "XFormedAttributePicker.get_possible_keys", "parse_to_aware_datetime",
    ),
    "moto.core.utils": ("get_service_model",),
    "moto.moto_server.werkzeug_app": (
        "DomainDispatcherApplication.get_backend_for_host", "DomainDispatcherApplication", "create_backend_app",
    ),
    "moto.iam.models": (
        "iam_backends", "AccessKeyLastUsed", "User.__init__", "Group.__init__", "Role.permissions_boundary",
        "IAMBackend.get_groups_for_user", "IAMBackend.deactivate_mfa_device",
    ),
    "moto.autoscaling.models": ("autoscaling_backends", "AutoScalingBackend.update_attached_target_groups"),
    "moto.ec2.models": ("ec2_backends",),
    "moto.ec2.models.tags": ("EC2_PREFIX_TO_RESOURCE", "get_prefix", "TagBackend.describe_tags"),
    "moto.ec2.models.elastic_ip_addresses": ("ElasticAddress.private_ip_address", "ElasticAddress.instance_id"),
    "moto.ec2.models.elastic_network_interfaces": (
        "NetworkInterface.__init__", "NetworkInterface.group_set", "NetworkInterface.association",
        "NetworkInterface.instance_private_ip_address_list",
    ),
    "moto.ec2.models.instances": (
        "InstanceBackend.get_instance", "Instance.prep_nics", "Instance.terminate", "Instance.network_interfaces",
        "Instance.private_dns_name",
    ),
    "moto.ec2.models.elastic_block_store": (
        "Snapshot.__init__", "Snapshot.progress", "EBSBackend.create_snapshot",
        "EBSBackend._create_default_encryption_key",
    ),
    "moto.ec2.models.security_groups": ("SecurityGroupRule", "SecurityGroupBackend.describe_security_group_rules"),
    "moto.ec2.utils": (
        "generate_dns_from_ip", "generic_filter", "random_eip_association_id", "random_public_ip", "random_snapshot_id",
    ),
    "moto.elbv2.models": (
        "elbv2_backends", "FakeHealthStatus", "FakeTargetGroup.register", "FakeTargetGroup.deregister",
        "FakeTargetGroup.deregister_terminated_instances",
    ),
    "moto.events.models": ("events_backends", "Rule", "EventPattern.get_pattern"),
    "moto.guardduty.models": ("guardduty_backends",),
    "moto.kms.models": ("kms_backends", "KmsBackend.get_key_id_from_alias"),
    "moto.logs.models": ("logs_backends",),
    "moto.s3.models": ("s3_backends", "S3Backend.list_objects"),
    "moto.s3.utils": ("_VersionedKeyStore.__setitem__", "_VersionedKeyStore.setlist", "_VersionedKeyStore.pop"),
    "moto.scheduler.models": ("scheduler_backends", "Schedule.validate_target", "ScheduleGroup.add_schedule"),
    "moto.sns.models": ("sns_backends", "SNSBackend.publish"),
    "moto.sqs.models": ("sqs_backends", "SQSBackend.send_message"),
    "botocore.parsers": ("create_parser",),
    "botocore.auth": ("SigV4Auth._normalize_url_path", "SigV4Auth.canonical_query_string", "S3SigV4Auth"),
}  # fmt: skip


class WrongMoto(SystemExit):
    pass


def check_moto():
    found = version("moto")
    if found != MOTO:
        raise WrongMoto(f"the lab needs moto {MOTO}, found {found}")
    missing = [
        f"{module_name}.{name}"
        for module_name, names in PRIVATE_NAMES.items()
        for name in names
        if not _exists(module_name, name)
    ]
    if missing:
        raise WrongMoto(f"moto {MOTO} does not have what the lab builds on: {', '.join(missing)}")


def remember_what_never_changes():
    """Let moto find out once what it finds out for every request: which module a host is of, its methods, under which
    names an answer's fields may stand, what a date is, and where an instance is kept."""
    from moto.core import responses, serialize
    from moto.ec2.models.instances import InstanceBackend
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication

    responses.method_names_from_class = functools.cache(responses.method_names_from_class)
    by_host = DomainDispatcherApplication.get_backend_for_host
    DomainDispatcherApplication.get_backend_for_host = functools.lru_cache(1024)(by_host)
    InstanceBackend.get_instance = _remembered_by_id(InstanceBackend.get_instance)
    picker = serialize.XFormedAttributePicker
    picker.get_possible_keys = _remembered_by_shape(picker.get_possible_keys)
    serialize.parse_to_aware_datetime = functools.lru_cache(4096)(serialize.parse_to_aware_datetime)


def _remembered_by_shape(find):
    """The names depend on the field's place in the service's model, which lasts, and on the object's class."""

    def get_possible_keys(picker, context):
        if context.shape is None:
            return find(picker, context)
        known = context.shape.__dict__.setdefault("names_tried", {})
        place = (context.key, type(context.obj), *picker.alias_providers)
        if place not in known:
            known[place] = tuple(find(picker, context))
        return known[place]

    return get_possible_keys


def _remembered_by_id(find):
    """An instance stays where it is, terminated ones too; moto copies every reservation to find one."""

    def get_instance(backend, instance_id):
        known = backend.__dict__.setdefault("instances_found", {})
        if instance_id not in known:
            known[instance_id] = find(backend, instance_id)
        return known[instance_id]

    return get_instance


def _exists(module_name, dotted):
    try:
        node = importlib.import_module(module_name)
        for name in dotted.split("."):
            node = getattr(node, name)
    except (ImportError, AttributeError):
        return False
    return True
