"""All templates in every partition: nothing in them is of the commercial one alone."""

import json
import re

import pytest
from lab import stage
from lab.template import load, pseudo_parameters, resolver_of, translate
from lab.template.resources import Resource
from lab.template.source import parameter_values

PARTITIONS = {"aws": "eu-west-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
ACCOUNT, MEMBER, FORENSICS = "111122223333", "333344445555", "555566667777"
TEMPLATES = [stage.TEMPLATE, stage.MEMBER_TEMPLATE, stage.MEMBER_EVENTS_TEMPLATE, stage.FORENSICS_TEMPLATE]
# Names of services, written alike in every partition.
SERVICE_PRINCIPALS = {"lambda.amazonaws.com", "events.amazonaws.com", "cloudwatch.amazonaws.com", "scheduler.amazonaws.com"}


def given(path, partition):
    if path == stage.MEMBER_TEMPLATE:
        role = f"arn:{partition}:iam::{ACCOUNT}:role/tourniquet/tourniquet-ContainIdentityRole-1"
        instance_role = f"arn:{partition}:iam::{ACCOUNT}:role/tourniquet/tourniquet-ContainInstanceRole-1"
        seal_role = f"arn:{partition}:iam::{ACCOUNT}:role/tourniquet/tourniquet-SealSnapshotRole-1"
        roles = {"ResponderRoleArns": role, "InstanceResponderRoleArns": instance_role}
        roles["EvidenceResponderRoleArns"] = seal_role
        roles["RecheckerRoleArns"] = f"arn:{partition}:iam::{ACCOUNT}:role/tourniquet/tourniquet-RecheckRole-1"
        roles["ReleaseResponderRoleArns"] = f"arn:{partition}:iam::{ACCOUNT}:role/tourniquet/tourniquet-ReleaseRole-1"
        said = {"ExternalId": "tourniquet", "OrganizationId": "o-0123456789"}
        return {**roles, **said, "ForensicsAccountId": FORENSICS}
    region = PARTITIONS[partition]
    if path == stage.MEMBER_EVENTS_TEMPLATE:
        return {"ResponderBusArn": f"arn:{partition}:events:{region}:{ACCOUNT}:event-bus/default"}
    if path == stage.FORENSICS_TEMPLATE:
        return {
            "SealRoleArn": f"arn:{partition}:iam::{ACCOUNT}:role/tourniquet/tourniquet-SealSnapshotRole-1",
            "MemberEvidenceRoleArns": f"arn:{partition}:iam::{MEMBER}:role/tourniquet/TourniquetEvidence",
            "ResponderBusArn": f"arn:{partition}:events:{region}:{ACCOUNT}:event-bus/default",
            "ExternalId": "tourniquet",
            "OrganizationId": "o-0123456789",
        }
    return {
        "MemberRoleArns": f"arn:{partition}:iam::{MEMBER}:role/tourniquet/TourniquetResponder",
        "MemberInstanceRoleArns": f"arn:{partition}:iam::{MEMBER}:role/tourniquet/TourniquetInstanceResponder",
        "MemberEvidenceRoleArns": f"arn:{partition}:iam::{MEMBER}:role/tourniquet/TourniquetEvidence",
        "MemberRecheckRoleArns": f"arn:{partition}:iam::{MEMBER}:role/tourniquet/TourniquetRechecker",
        "MemberReleaseRoleArns": f"arn:{partition}:iam::{MEMBER}:role/tourniquet/TourniquetReleaser",
        "ForensicsRoleArn": f"arn:{partition}:iam::{FORENSICS}:role/tourniquet/TourniquetForensics-{region}",
        "ForensicsKeyArn": f"arn:{partition}:kms:{region}:{FORENSICS}:key/01234567-89ab-cdef-0123-456789abcdef",
        "ForensicsCaseBucket": "tourniquet-forensics-casebucket-1a2b3c4d5e6f",
        "ForensicsExternalId": "tourniquet",
        "MemberExternalId": "tourniquet",
        "GuardrailsWriterArn": f"arn:{partition}:iam::{ACCOUNT}:role/deployer",
        "NotificationEmail": "responders@example.com",
    }


class Attributes(dict):
    """Of a resource that AWS would have made: every one is an ARN of the partition."""

    def __init__(self, logical_id, partition):
        self.arn = f"arn:{partition}:made:::{logical_id}"

    def __contains__(self, _):
        return True

    def __getitem__(self, attribute):
        return f"{self.arn}/{attribute}"


def resolved(path, partition, parameters=None):
    """Everything the template makes in a partition: properties by logical id, and outputs."""
    region, parameters = PARTITIONS[partition], parameters or given(path, partition)
    template = translate(path, parameters, region)
    resolver = resolver_of(template, parameters, pseudo_parameters(ACCOUNT, region, "tourniquet", partition))
    for logical_id, resource in template["Resources"].items():
        made = Attributes(logical_id, partition)
        resolver.resources[logical_id] = Resource(resource["Type"], made.arn, made)
    properties = {name: r.get("Properties", {}) for name, r in template["Resources"].items()}
    outputs = {name: output["Value"] for name, output in template["Outputs"].items()}
    return resolver.resolve([properties, outputs])


@pytest.mark.parametrize("partition", PARTITIONS)
@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_every_arn_and_endpoint_is_of_the_partition(path, partition):
    text = json.dumps(resolved(path, partition))
    arns = re.findall(r"arn:([^:*]*)[:*]", text)
    assert len(arns) > 5 and set(arns) == {partition}
    hosts = set(re.findall(r"[\w.-]*amazonaws\.com[\w.]*", text)) - SERVICE_PRINCIPALS
    suffix = ".amazonaws.com.cn" if partition == "aws-cn" else ".amazonaws.com"
    # The roles of member.yaml are for every Region: what stands before its hosts there is a star, which is no part of them.
    of_region = suffix if path == stage.MEMBER_TEMPLATE else f".{PARTITIONS[partition]}{suffix}"
    assert {host for host in hosts if not host.endswith(of_region)} == set()
    assert bool(hosts) == (path != stage.MEMBER_EVENTS_TEMPLATE)


@pytest.mark.parametrize("partition", PARTITIONS)
@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.name)
def test_parameters_take_arns_of_the_partition(path, partition):
    assert parameter_values(load(path), given(path, partition))


def test_no_arn_names_the_commercial_partition_in_the_source():
    """Descriptions and patterns may, and what a list of ARNs is split by; a value that AWS reads may not."""
    for path in TEMPLATES:
        text = re.sub(r'"Fn::Split": \["[^"]*"', "", json.dumps(load(path)["Resources"]))
        assert "arn:aws:" not in text


@pytest.mark.parametrize("partition", PARTITIONS)
def test_events_are_taken_of_exactly_the_listed_accounts(partition):
    accounts = [f"{number:012}" for number in (7, 42, 333344445555)]
    roles = [f"arn:{partition}:iam::{account}:role/tourniquet/TourniquetEvidence" for account in accounts]
    for some in (roles, roles[:1]):
        parameters = {**given(stage.TEMPLATE, partition), "MemberEvidenceRoleArns": ", ".join(some)}
        made, _ = resolved(stage.TEMPLATE, partition, parameters)
        assert made["MemberSnapshotReady"]["EventPattern"]["account"] == accounts[: len(some)]
        sends = made["MemberAccountsSend"]["Statement"]["Principal"]["AWS"]
        assert sends == [f"arn:{partition}:iam::{account}:root" for account in accounts[: len(some)]]


@pytest.mark.parametrize("partition", PARTITIONS)
@pytest.mark.parametrize(
    ("parameter", "role", "function"),
    [
        ("MemberRoleArns", "TourniquetResponder", "ContainIdentity"),
        ("MemberInstanceRoleArns", "TourniquetInstanceResponder", "ContainInstance"),
        ("MemberEvidenceRoleArns", "TourniquetEvidence", "SealSnapshot"),
        ("MemberRecheckRoleArns", "TourniquetRechecker", "Recheck"),
        ("MemberReleaseRoleArns", "TourniquetReleaser", "Release"),
    ],
)
def test_forty_member_accounts_fit(partition, parameter, role, function):
    """Into a parameter (4,096 bytes), a function's environment (4 KB) and a role's inline policies (10,240)."""
    roles = [f"arn:{partition}:iam::{number:012}:role/tourniquet/{role}" for number in range(40)]
    parameters = {**given(stage.TEMPLATE, partition), parameter: ",".join(roles)}
    made, _ = resolved(stage.TEMPLATE, partition, parameters)
    variables = made[function]["Environment"]["Variables"]
    assert variables["MEMBER_ROLE_ARNS"] == parameters[parameter]
    # Real names are longer than the ones made up here: some 300 characters of room for both.
    assert len(parameters[parameter]) <= 4096
    assert sum(len(name) + len(str(value)) for name, value in variables.items()) <= 4096 - 300
    assert policy_size(made[f"{function}Role"]) <= 10240 - 300
    # What a pattern of events holds, and the policy of a bus.
    assert len(json.dumps(made["MemberSnapshotReady"]["EventPattern"])) <= 2048
    assert len(json.dumps(made["MemberAccountsSend"]["Statement"])) <= 10240 - 1000


@pytest.mark.parametrize("partition", PARTITIONS)
def test_every_policy_fits_into_its_role(partition):
    for path in TEMPLATES:
        made, _ = resolved(path, partition)
        roles = [properties for properties in made.values() if "AssumeRolePolicyDocument" in properties]
        assert roles and all(policy_size(role) <= 10240 - 300 for role in roles)


def policy_size(role):
    (policy,) = role["Policies"]
    return len(re.sub(r"\s", "", json.dumps(policy["PolicyDocument"])))
