"""Which actions on which resources EC2, EBS direct, Auto Scaling and load balancing need.

AWS behaviour: Service Authorization Reference, "Actions, resources, and condition keys" for Amazon EC2, Amazon
Elastic Block Store, Amazon EC2 Auto Scaling, Elastic Load Balancing (V2); EC2 User Guide, "Grant permission to tag
Amazon EC2 resources during creation" (CreateTags is needed too, with `ec2:CreateAction`). An action on several
resources must be allowed on each. Describe actions have no resource; so the lab judges DescribeInstanceAttribute
as well, which AWS lets one scope: what passes here passes there.
"""

from .ec2_model import ec2_of, tags_of
from .need import Need, request_tags, tag_context
from .world import PARTITION

_KINDS = {
    "i": "instance", "eni": "network-interface", "sg": "security-group", "sgr": "security-group-rule",
    "vol": "volume", "snap": "snapshot", "vpc": "vpc", "subnet": "subnet", "eipalloc": "elastic-ip", "ami": "image",
    "lt": "launch-template", "rtb": "route-table", "acl": "network-acl", "pl": "prefix-list",
}  # fmt: skip
_WITHOUT_ACCOUNT = ("snapshot", "image")

# Parameters that name what an operation acts on; of a structure, its member.
_NAMING = ("InstanceId", "InstanceIds", "NetworkInterfaceId", "GroupId", "VolumeId", "SnapshotId", "VpcId",
           "AllocationId", "SubnetId", "Groups")  # fmt: skip
# What an operation makes, and what of the request it is judged on besides.
_CREATING = {
    "CreateSecurityGroup": ("security-group", ("VpcId",)),
    "CreateSnapshot": ("snapshot", ("VolumeId",)),
    "CreateSnapshots": ("snapshot", ()),
    "CopySnapshot": ("snapshot", ()),
    "RunInstances": ("instance", ()),
    "CreateVolume": ("volume", ("SnapshotId",)),
    "CreateNetworkInterface": ("network-interface", ("SubnetId", "Groups")),
}
_ATTRIBUTES = {
    "ModifyInstanceAttribute": ("BlockDeviceMappings", "DisableApiStop", "DisableApiTermination", "Groups",
                                "InstanceInitiatedShutdownBehavior", "InstanceType", "SourceDestCheck", "UserData"),
    "ModifySnapshotAttribute": ("Attribute",),
}  # fmt: skip


def ec2_needs(operation, _, account):
    action, params, name = f"ec2:{operation.name}", operation.params, operation.name
    if name.startswith("Describe") or name == "":
        return [Need(action)]
    judge = _Judge(operation, account)
    if name in _CREATING:
        return judge.creation(action, *_CREATING[name])
    if name in ("CreateTags", "DeleteTags"):
        tags = {tag["Key"]: tag.get("Value", "") for tag in params.get("Tags") or []}
        return [judge.need(action, i, request_tags(tags)) for i in params.get("Resources") or []] or [Need(action)]
    named = judge.named(params, _NAMING)
    if name == "DisassociateAddress":
        named += judge.of_association(params)
    if name == "ModifyInstanceAttribute":
        named += judge.of_devices(params)
    extra = {**_attribute(operation), **_lock(params)}
    return [judge.need(action, i, extra) for i in named] or [Need(action)]


class _Judge:
    """ARNs and condition keys of what a request names."""

    def __init__(self, operation, account):
        self.operation, self.account = operation, account
        self.backend = ec2_of(account, operation.region)

    def arn(self, kind, name, region=None):
        account = "" if kind in _WITHOUT_ACCOUNT else self.account
        return f"arn:{PARTITION}:ec2:{region or self.operation.region}:{account}:{kind}/{name}"

    def need(self, action, resource_id, extra=None):
        kind = _KINDS.get(resource_id.split("-")[0], "*")
        return Need(action, self.arn(kind, resource_id), {**self.context(kind, resource_id), **(extra or {})})

    def named(self, params, names):
        found = []
        for name in names:
            value = params.get(name)
            if value:
                found += value if isinstance(value, list) else [value]
        return [i for i in found if isinstance(i, str)]

    def context(self, kind, resource_id):
        context = {"ec2:region": self.operation.region}
        context |= tag_context(tags_of(self.backend, resource_id), ("aws:resourcetag", "ec2:resourcetag"))
        vpc = self._vpc(kind, resource_id)
        if vpc:
            context["ec2:vpc"] = self.arn("vpc", vpc)
        if kind == "instance":
            context["ec2:instanceid"] = resource_id
        snapshot = self.backend.snapshots.get(resource_id)
        if snapshot is not None:
            context |= {"ec2:owner": snapshot.owner_id, "ec2:encrypted": str(bool(snapshot.encrypted)).lower()}
            context["ec2:parentvolume"] = self.arn("volume", snapshot.volume_id)
        return context

    def _vpc(self, kind, resource_id):
        if kind == "security-group":
            return getattr(self.backend.get_security_group_from_id(resource_id), "vpc_id", None)
        if kind == "network-interface":
            return getattr(self.backend.enis.get(resource_id), "vpc_id", None)
        return None

    def of_association(self, params):
        for address in self.backend.addresses:
            if address.association_id and address.association_id == params.get("AssociationId"):
                return [address.allocation_id, address.eni.id]
        # Nobody's: who may take any address off is told that there is no such association.
        return ["eipalloc-*", "eni-*"]

    def of_devices(self, params):
        """The volumes whose attachment is changed."""
        instance = self.backend.get_instance_by_id(params.get("InstanceId"))
        attached = dict(instance.get_block_device_mapping) if instance else {}
        names = [mapping.get("DeviceName") for mapping in params.get("BlockDeviceMappings") or []]
        return [attached[name].volume_id for name in names if name in attached]

    def creation(self, action, kind, named):
        """The new thing, what it is made of or in, and CreateTags for each kind that is tagged."""
        params = self.operation.params
        specified = {
            spec.get("ResourceType"): {tag["Key"]: tag.get("Value", "") for tag in spec.get("Tags") or []}
            for spec in params.get("TagSpecifications") or params.get("TagSpecification") or []
        }
        region = {"ec2:region": self.operation.region}
        made = {**region, **request_tags(specified.get(kind) or {})}
        if kind == "security-group" and params.get("VpcId"):
            made["ec2:vpc"] = self.arn("vpc", params["VpcId"])
        needs = [Need(action, self.arn(kind, "*"), made)]
        needs += [self.need(action, i) for i in self.named(params, named) + self._sources()]
        if self.operation.name == "CopySnapshot":
            needs.append(self._source_of_copy(action))
        for tagged, tags in specified.items():
            if tags:
                context = {**region, **request_tags(tags), "ec2:createaction": self.operation.name}
                needs.append(Need("ec2:CreateTags", self.arn(tagged, "*"), context))
        return needs

    def _sources(self):
        if self.operation.name != "CreateSnapshots":
            return []
        instance_id = (self.operation.params.get("InstanceSpecification") or {}).get("InstanceId")
        instance = self.backend.get_instance_by_id(instance_id)
        volumes = [block.volume_id for _, block in instance.get_block_device_mapping] if instance else []
        return ([instance_id] if instance_id else []) + volumes

    def _source_of_copy(self, action):
        params = self.operation.params
        region, source = params.get("SourceRegion") or self.operation.region, params.get("SourceSnapshotId") or "*"
        tags = tags_of(ec2_of(self.account, region), source)
        context = {"ec2:region": region, **tag_context(tags, ("aws:resourcetag", "ec2:resourcetag"))}
        return Need(action, self.arn("snapshot", source, region), context)


def _attribute(operation):
    names = _ATTRIBUTES.get(operation.name, ())
    params = operation.params
    if operation.name == "ModifySnapshotAttribute":
        permission = params.get("CreateVolumePermission") or {}
        adding = params.get("OperationType") == "add"
        users = params.get("UserIds") or []
        added = [p["UserId"] for p in permission.get("Add") or [] if p.get("UserId")] + (users if adding else [])
        removed = [p["UserId"] for p in permission.get("Remove") or [] if p.get("UserId")]
        removed += [] if adding else users
        context = {"ec2:add/userid": added, "ec2:remove/userid": removed}
        return {key: value for key, value in context.items() if value}
    given = next((name for name in names if params.get(name) not in (None, [])), None)
    return {"ec2:attribute": given} if given else {}


def _lock(params):
    duration = params.get("LockDuration")
    return {"ec2:snapshotlockduration": str(duration)} if duration else {}


# --- EBS direct ------------------------------------------------------------------------------------


def ebs_needs(operation, _, account):
    action, params = f"ebs:{operation.name}", operation.params
    judge = _Judge(operation, account)
    ids = judge.named(params, ("SnapshotId", "FirstSnapshotId", "SecondSnapshotId"))
    prefix = f"arn:{PARTITION}:ec2:{operation.region}::snapshot"
    return [Need(action, f"{prefix}/{i}", judge.context("snapshot", i)) for i in ids] or [Need(action, f"{prefix}/*")]


# --- Auto Scaling ----------------------------------------------------------------------------------


def autoscaling_needs(operation, _, account):
    from moto.autoscaling.models import autoscaling_backends

    action, name = f"autoscaling:{operation.name}", operation.params.get("AutoScalingGroupName")
    if not name or operation.name.startswith("Describe"):
        return [Need(action)]
    group = autoscaling_backends[account][operation.region].autoscaling_groups.get(name)
    prefix = f"arn:{PARTITION}:autoscaling:{operation.region}:{account}:autoScalingGroup"
    if group is None:
        return [Need(action, f"{prefix}:*:autoScalingGroupName/{name}")]
    tags = {tag["Key"]: tag.get("Value") or "" for tag in group.tags}
    return [Need(action, group.arn, tag_context(tags, ("aws:resourcetag", "autoscaling:resourcetag")))]


# --- load balancing --------------------------------------------------------------------------------


def load_balancing_needs(operation, _, account):
    action, params = f"elasticloadbalancing:{operation.name}", operation.params
    if operation.name.startswith("Describe"):
        return [Need(action)]
    arn = params.get("TargetGroupArn") or params.get("LoadBalancerArn") or params.get("ListenerArn")
    if arn:
        return [Need(action, arn, _tags_of_target_group(arn, operation.region, account))]
    name = params.get("LoadBalancerName")
    prefix = f"arn:{PARTITION}:elasticloadbalancing:{operation.region}:{account}:loadbalancer"
    return [Need(action, f"{prefix}/{name}" if name else "*")]


def _tags_of_target_group(arn, region, account):
    from moto.elbv2.models import elbv2_backends

    tags = elbv2_backends[account][region].tagging_service.get_tag_dict_for_resource(arn)
    return tag_context(tags, ("aws:resourcetag", "elasticloadbalancing:resourcetag"))
