"""Many deliveries about instances at once: one case each, one message each, one set of snapshots each, and one recorded
isolation group for all of a VPC (DESIGN §4, invariant 3).

REPEAT=20 runs everything twenty times, each time in a lab of its own.
"""

import pytest
from isolation import groups_of, isolation_group, recorded
from lab import seed, seed_instances
from lab.stage import INSTANCE_FUNCTION
from lab_assertions import refused
from test_concurrency import PATIENT, case_of, deliver, messages, result
from test_concurrency import crowd as crowd  # the fixture: a lab of its own, and nothing left behind in it
from test_contain_instance import rules_of, snapshots_of

AT_ONCE = 20


def key_of(scene, instance):
    return f"{scene.lab.account}/instance/{instance.id}"


def contain_instance(crowd, **settings):
    return crowd.copy(function=INSTANCE_FUNCTION, timeout=120.0, **settings)


def check(crowd, instance, case):
    """Isolated by the recorded group, told once, with one set of snapshots, all of the case."""
    group = isolation_group(crowd, instance.vpc)
    assert set(map(tuple, groups_of(crowd.lab, instance).values())) == {(group,)}
    assert rules_of(crowd.lab, group) == []
    snapshots = snapshots_of(crowd.lab, instance)
    assert sorted(s["VolumeId"] for s in snapshots) == sorted(instance.volumes.values()), "one set"
    assert {tag["Value"] for s in snapshots for tag in s["Tags"] if tag["Key"] == "ir:incident"} == {case}
    ids = [s["SnapshotId"] for s in snapshots]
    assert len(crowd.lab.client("ec2").describe_locked_snapshots(SnapshotIds=ids)["Snapshots"]) == len(ids)


def test_one_finding_delivered_many_times_at_once(crowd):
    instance, function = seed_instances.instance(crowd.lab, data_volumes=1), contain_instance(crowd)
    event = crowd.accuse_instance(instance)
    results = [result(record) for record in deliver(crowd, [event] * AT_ONCE, function)]
    case = case_of(crowd, key_of(crowd, instance))
    assert {r["case"] for r in results} == {case.id}
    assert [r["outcome"] for r in results if not r.get("repeat")] == ["contained"]
    assert case.kinds.count("opened") == case.kinds.count("acted") - case.kinds.count("resumed") - 1 == 1
    assert len(messages(crowd, case.id)) == 1
    check(crowd, instance, case.id)


def test_two_findings_about_one_instance_at_once(crowd):
    instance, function = seed_instances.instance(crowd.lab, data_volumes=1), contain_instance(crowd, **PATIENT)
    events = [crowd.accuse_instance(instance), crowd.accuse_instance(instance)]
    results = [result(record) for record in deliver(crowd, events, function)]
    assert [r["outcome"] for r in results] == ["contained"] * 2
    case = case_of(crowd, key_of(crowd, instance))
    assert {r["case"] for r in results} == {case.id}
    assert sorted(case.open["findings"]) == sorted(event["detail"]["arn"] for event in events)
    assert case.kinds.count("opened") == 1
    assert len(messages(crowd, case.id)) == 1
    check(crowd, instance, case.id)


@pytest.mark.parametrize("prepared", [False, True], ids=["first use", "group present"])
def test_many_instances_of_one_vpc_at_once(crowd, prepared):
    """On first use each of them would make the group: the one that is recorded is every one's."""
    lab, function = crowd.lab, contain_instance(crowd, **PATIENT)
    net, role = seed_instances.network(lab), seed.role(lab, profile_path="/")
    if prepared:
        first = seed_instances.instance(lab, in_network=net, of_role=role)
        assert result(*deliver(crowd, [crowd.accuse_instance(first)], function))["outcome"] == "contained"
    instances = [seed_instances.instance(lab, in_network=net, of_role=role) for _ in range(AT_ONCE)]
    bystander = seed_instances.instance(lab, in_network=net, of_role=role)
    records = deliver(crowd, [crowd.accuse_instance(instance) for instance in instances], function)
    results = [result(record) for record in records]
    assert [r["outcome"] for r in results] == ["contained"] * AT_ONCE, results
    assert len({r["case"] for r in results}) == AT_ONCE
    for instance, found in zip(instances, results, strict=True):
        check(crowd, instance, found["case"])
        assert len(messages(crowd, found["case"])) == 1
        stolen = seed_instances.instance_credentials(lab, instance)
        refused("AccessDenied", lab.client("s3", stolen).list_buckets)
    # A deny for each on the one role: none was lost, and who else holds it works on.
    lab.client("s3", seed_instances.instance_credentials(lab, bystander)).list_buckets()
    assert groups_of(lab, bystander) == bystander.groups
    assert net.vpc in recorded(crowd)
    open_ones = [g for g in isolation_groups(lab, net.vpc) if rules_of(lab, g)]
    assert open_ones == [], "a group that lost the race isolates nobody, and lets nothing through"


def isolation_groups(lab, vpc):
    filters = [{"Name": "tag:ir:isolation", "Values": [vpc]}]
    return [group["GroupId"] for group in lab.client("ec2").describe_security_groups(Filters=filters)["SecurityGroups"]]
