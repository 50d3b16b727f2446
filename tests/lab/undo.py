"""Running the lines a case gives for undoing it, as a responder would paste them.

The shell reads them, so that its quoting and its dates are what they are in life; the `aws` it calls only notes its
arguments, and the calls are then made against the lab.
"""

import os
import secrets
import subprocess

from botocore import xform_name

_SHELL = r"""aws() { printf '%s\0' "$@"; printf '\1\0'; }
"""


def run(lab, lines):
    """Carry the lines out, one after the other."""
    for line in lines:
        for service, operation, *options in typed(line):
            _call(lab.client(service), operation, _options(options))


def typed(line, folder=None):
    """The words of every `aws` that a shell makes of the line, typed in some folder."""
    # A new password is the responder's to choose.
    environment = {**os.environ, "NEW_PASSWORD": secrets.token_hex(24)}
    shell = subprocess.run(
        ["bash", "-c", _SHELL + line], capture_output=True, check=True, text=True, env=environment, cwd=folder
    )
    return [command.rstrip("\0").split("\0") for command in shell.stdout.split("\1\0") if command]


def _call(client, operation, options):
    names = client.meta.service_model.operation_model(client.meta.method_to_api_mapping[operation.replace("-", "_")])
    members = {f"--{xform_name(name, '-')}": name for name in names.input_shape.members}
    getattr(client, operation.replace("-", "_"))(**{members[option]: value for option, value in options.items()})


def _options(words):
    """Options and their values, read as `aws` does: what begins with a dash is an option unless `=` joins it to one.

    One without a value is a flag.
    """
    options = {}
    while words:
        option, joined, value = words.pop(0).partition("=")
        assert option.startswith("--"), option
        options[option] = value if joined else words.pop(0) if words and not words[0].startswith("-") else True
    return options
