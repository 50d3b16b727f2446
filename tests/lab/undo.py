"""Running the lines a case gives for undoing it, as a responder would paste them.

The shell reads them, so that its quoting and its dates are what they are in life; the `aws` it calls only notes its
arguments, and the calls are then made against the lab.
"""

import json
import os
import secrets
import subprocess

from botocore import xform_name

_SHELL = r"""aws() { printf '%s\0' "$@"; printf '\1\0'; }
"""


def run(lab, lines):
    """Carry the lines out, one after the other."""
    for line in lines:
        for service, operation, *words in typed(line):
            call(lab, service, operation, words)


def typed(line, folder=None):
    """The words of every `aws` that a shell makes of the line, typed in some folder."""
    # A new password is the responder's to choose.
    environment = {**os.environ, "NEW_PASSWORD": secrets.token_hex(24)}
    shell = subprocess.run(
        ["bash", "-c", _SHELL + line], capture_output=True, check=True, text=True, env=environment, cwd=folder
    )
    return [command.rstrip("\0").split("\0") for command in shell.stdout.split("\1\0") if command]


def call(lab, service, operation, words):
    """Makes the call that an `aws` with these words makes."""
    options = _options(words)
    region = options.pop("--region", [lab.region])
    client = lab.client(service, region=region[0])
    model = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation.replace("-", "_")])
    members = {f"--{xform_name(name, '-')}": (name, shape) for name, shape in model.input_shape.members.items()}
    arguments = {}
    for option, values in options.items():
        is_off = option not in members and option.startswith("--no-")
        name, shape = members[f"--{option.removeprefix('--no-')}" if is_off else option]
        arguments[name] = _value(shape, values, is_off)
    return getattr(client, operation.replace("-", "_"))(**arguments)


def _options(words):
    """Options and their values, read as `aws` does: what begins with a dash is an option unless `=` joins it to one.

    One without a value is a flag; a list has several.
    """
    options, option = {}, None
    for word in words:
        if word.startswith("--"):
            option, joined, value = word.partition("=")
            options[option] = [value] if joined else []
        else:
            assert option, word
            options[option].append(word)
    return options


def _value(shape, values, is_off):
    """The words of one option as the parameter they stand for."""
    if shape.type_name == "boolean":
        return not is_off
    if shape.type_name == "structure" and len(shape.members) == 1 and "=" not in "".join(values):
        # A structure of one value, such as an attribute of EC2, `aws` takes bare.
        ((name, member),) = shape.members.items()
        return {name: _value(member, values, is_off)}
    if values and values[0][:1] in "[{" and shape.type_name in ("list", "structure"):
        return json.loads(values[0])
    if shape.type_name == "list":
        return [_value(shape.member, [value], is_off) for value in values]
    (value,) = values
    if shape.type_name == "structure":
        parts = dict(part.split("=", 1) for part in value.split(","))
        return {name: _value(shape.members[name], [text], is_off) for name, text in parts.items()}
    return int(value) if shape.type_name in ("integer", "long") else value
