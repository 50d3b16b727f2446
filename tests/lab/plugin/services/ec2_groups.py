"""Security groups: the refusals moto forgets.

AWS behaviour: EC2 API reference, CreateSecurityGroup (names are unique in a VPC whatever their case; which
characters a description may have), RevokeSecurityGroupIngress/Egress, DeleteSecurityGroup ("fails with
DependencyViolation" while in use), AuthorizeSecurityGroupIngress/Egress; "Error codes for the Amazon EC2 API".
"""

import re

from moto.ec2.models.security_groups import SecurityGroupRule

from ..call import guards, handles
from ..ec2_model import backend_of, group_or_refuse, groups_in_vpc
from ..errors import AwsError
from ..paging import page

_TEXT = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}")
_RULE_CALLS = ("AuthorizeSecurityGroupIngress", "AuthorizeSecurityGroupEgress",
               "RevokeSecurityGroupIngress", "RevokeSecurityGroupEgress")  # fmt: skip

# moto leaves the owner of a rule's group out.
SecurityGroupRule.group_owner_id = property(lambda rule: rule.owner_id)


@handles("ec2", "DescribeSecurityGroups")
def describe_security_groups(call):
    backend, params = backend_of(call), call.params
    ids, filters = params.get("GroupIds") or [], _filters(call)
    for group_id in ids:
        group_or_refuse(backend, group_id)
    return page(call, "SecurityGroups", backend.describe_security_groups(ids, params.get("GroupNames") or [], filters))


@handles("ec2", "DescribeSecurityGroupRules")
def describe_security_group_rules(call):
    ids = call.params.get("SecurityGroupRuleIds") or []
    return page(call, "SecurityGroupRules", backend_of(call).describe_security_group_rules(ids, _filters(call)))


def _filters(call):
    return {f["Name"]: f.get("Values") or [] for f in call.params.get("Filters") or []}


@guards("ec2", "CreateSecurityGroup")
def refuse_taken_name(call):
    backend, name = backend_of(call), call.params.get("GroupName") or ""
    vpc_id = call.params.get("VpcId") or backend.default_vpc.id
    if vpc_id not in backend.vpcs:
        raise AwsError("InvalidVpcID.NotFound", f"The vpc ID '{vpc_id}' does not exist")
    for parameter in ("GroupName", "Description"):
        text = call.params.get(parameter) or ""
        if not _TEXT.fullmatch(text) or name.startswith("sg-"):
            raise AwsError("InvalidParameterValue", f"Value ({text}) for parameter {parameter} is invalid.")
    if any(group.name.lower() == name.lower() for group in backend.groups[vpc_id].values()):
        raise AwsError(
            "InvalidGroup.Duplicate", f"The security group '{name}' already exists for VPC '{vpc_id}'"
        )


@guards("ec2", *_RULE_CALLS)
def refuse_rules_about_unknown_things(call):
    backend, params = backend_of(call), call.params
    if not params.get("GroupId"):
        return
    group = group_or_refuse(backend, params["GroupId"])
    known = {rule.id for rule in group.egress_rules + group.ingress_rules}
    for rule_id in params.get("SecurityGroupRuleIds") or []:
        if rule_id not in known:
            raise AwsError(
                "InvalidSecurityGroupRuleId.NotFound", f"The security group rule ID '{rule_id}' does not exist"
            )
    for permission in params.get("IpPermissions") or []:
        peers = [pair["GroupId"] for pair in permission.get("UserIdGroupPairs") or [] if pair.get("GroupId")]
        groups_in_vpc(backend, peers, group.vpc_id)
        for prefix_list in permission.get("PrefixListIds") or []:
            if prefix_list["PrefixListId"] not in backend.managed_prefix_lists:
                raise AwsError(
                    "InvalidPrefixListID.NotFound",
                    f"The prefix list ID '{prefix_list['PrefixListId']}' does not exist",
                )
        ranges = (permission.get("IpRanges") or []) + (permission.get("Ipv6Ranges") or [])
        for text in [peer.get("Description") or "" for peer in ranges]:
            if not _TEXT.fullmatch(text):
                raise AwsError("InvalidParameterValue", "Invalid rule description.")


@guards("ec2", "DeleteSecurityGroup")
def refuse_group_in_use(call):
    backend, group_id = backend_of(call), call.params.get("GroupId")
    if not group_id:
        return
    group = group_or_refuse(backend, group_id)
    if group.is_default:
        raise AwsError(
            "CannotDelete", f'the specified group: "{group_id}" name: "default" cannot be deleted by a user'
        )
    used = any(group in eni.group_set for eni in list(backend.enis.values()))
    others = [other for groups in backend.groups.values() for other in groups.values() if other is not group]
    rules = [rule for other in others for rule in other.ingress_rules + other.egress_rules]
    named = any(rule.source_group.get("GroupId") == group_id for rule in rules)
    if used or named:
        raise AwsError("DependencyViolation", f"resource {group_id} has a dependent object")
