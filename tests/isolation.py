"""What the tests of instances share: other settings of the guardrails, and a look at what isolates."""

import json

from lab import seed_instances


def guardrails_with(scene, allow="", evidence="", more="", **settings):
    """The shipped guardrails with other settings of `[isolation]`, the lock of `[evidence]`, and tables added."""
    text = scene.guardrails
    for name, value in settings.items():
        (line,) = [line for line in text.splitlines() if line.startswith(f"{name} = ")]
        value = json.dumps(value)
        assert line != f"{name} = {value}", "that is what is shipped"
        text = text.replace(line, f"{name} = {value}")
    if evidence:
        text = text.replace('lock = "governance"', f'lock = "{evidence}"')
        assert f'lock = "{evidence}"' in text
    return text + allow + more


def allow(direction, peer, port, vpc=None):
    """One exception, as the guardrails write it."""
    only = f'vpc = "{vpc}"\n' if vpc else ""
    return (
        f'\n[[isolation.allow]]\ndirection = "{direction}"\npeer = "{peer}"\nport = {port}\n{only}'
        f'because = "{direction} {port} for the test"\n'
    )


def isolation_group(scene, vpc, account=None):
    """The recorded isolation group of a VPC."""
    return recorded(scene, account)[vpc]


def recorded(scene, account=None):
    """Every isolation group recorded for an account, by VPC."""
    return json.loads(scene.read(f"isolation/{account or scene.lab.account}/{scene.lab.region}.json"))["groups"]


def groups_of(lab, of_instance):
    """The groups of each interface the instance has now, also of those it was given since."""
    return seed_instances.look_at(lab, of_instance.id).groups


def put_back(lab, of_instance):
    """What somebody does who wants the machine back: the old groups on every interface."""
    for interface, groups in of_instance.groups.items():
        lab.client("ec2").modify_network_interface_attribute(NetworkInterfaceId=interface, Groups=groups)
