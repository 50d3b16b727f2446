"""Both templates in every partition: nothing in them is of the commercial one alone."""

import json
import re

import pytest
from lab import stage
from lab.template import load, pseudo_parameters, resolver_of, translate
from lab.template.resources import Resource
from lab.template.source import parameter_values

PARTITIONS = {"aws": "eu-west-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
ACCOUNT, MEMBER = "111122223333", "333344445555"
# Names of services, written alike in every partition.
SERVICE_PRINCIPALS = {"lambda.amazonaws.com", "events.amazonaws.com", "cloudwatch.amazonaws.com"}


def given(path, partition):
    if path == stage.MEMBER_TEMPLATE:
        role = f"arn:{partition}:iam::{ACCOUNT}:role/tourniquet/tourniquet-ContainIdentityRole-1"
        return {"ResponderRoleArns": role, "ExternalId": "tourniquet", "OrganizationId": "o-0123456789"}
    return {
        "MemberRoleArns": f"arn:{partition}:iam::{MEMBER}:role/tourniquet/TourniquetResponder",
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
@pytest.mark.parametrize("path", [stage.TEMPLATE, stage.MEMBER_TEMPLATE], ids=lambda path: path.name)
def test_every_arn_and_endpoint_is_of_the_partition(path, partition):
    text = json.dumps(resolved(path, partition))
    arns = re.findall(r"arn:([^:*]*)[:*]", text)
    assert len(arns) > 10 and set(arns) == {partition}
    hosts = set(re.findall(r"[\w.-]*amazonaws\.com[\w.]*", text)) - SERVICE_PRINCIPALS
    suffix = ".amazonaws.com.cn" if partition == "aws-cn" else ".amazonaws.com"
    assert {host for host in hosts if not host.endswith(f".{PARTITIONS[partition]}{suffix}")} == set()
    assert bool(hosts) == (path == stage.TEMPLATE)


@pytest.mark.parametrize("partition", PARTITIONS)
@pytest.mark.parametrize("path", [stage.TEMPLATE, stage.MEMBER_TEMPLATE], ids=lambda path: path.name)
def test_parameters_take_arns_of_the_partition(path, partition):
    assert parameter_values(load(path), given(path, partition))


def test_no_arn_names_the_commercial_partition_in_the_source():
    """Descriptions and patterns may; a value that AWS reads may not."""
    for path in (stage.TEMPLATE, stage.MEMBER_TEMPLATE):
        assert "arn:aws:" not in json.dumps(load(path)["Resources"])


@pytest.mark.parametrize("partition", PARTITIONS)
def test_fifty_member_accounts_fit(partition):
    """Into a parameter (4,096 bytes), a function's environment (4 KB) and a role's inline policies (10,240)."""
    roles = [f"arn:{partition}:iam::{number:012}:role/tourniquet/TourniquetResponder" for number in range(50)]
    parameters = {**given(stage.TEMPLATE, partition), "MemberRoleArns": ",".join(roles)}
    made, _ = resolved(stage.TEMPLATE, partition, parameters)
    variables = made["ContainIdentity"]["Environment"]["Variables"]
    assert variables["MEMBER_ROLE_ARNS"] == parameters["MemberRoleArns"]
    # Real names are longer than the ones made up here: some 300 characters of room for both.
    assert len(parameters["MemberRoleArns"]) <= 4096
    assert sum(len(name) + len(value) for name, value in variables.items()) <= 4096 - 300
    (policy,) = made["ContainIdentityRole"]["Policies"]
    assert len(re.sub(r"\s", "", json.dumps(policy["PolicyDocument"]))) <= 10240 - 300
