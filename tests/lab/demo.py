"""A stolen access key and a compromised instance being cut off, from the finding to the way back.

    python -m lab.demo

Ends with 0 only if every stolen credential was really refused, the instance was isolated and its snapshots are sealed,
and everybody else still works.
"""

import contextlib
import sys
import time

from . import demo_identity, demo_instance, stage
from .client import Lab
from .demo_looks import Failed, paint


def play():
    started = time.monotonic()
    print(paint("bold", "Tourniquet: a stolen access key, and a compromised instance, being cut off"))
    print("Everything runs on this machine, against a local AWS: no account needed, none touched.")
    with contextlib.ExitStack() as ending:
        lab = ending.enter_context(Lab())
        deployment, credentials = demo_identity.play(lab, ending, started)
        interfaces = demo_instance.play(lab, deployment, ending)
    return time.monotonic() - started, credentials + 1, interfaces


def main():
    missing = [binary for binary in stage.FUNCTIONS if not (stage.BINARIES / binary).exists()]
    if missing:
        print(f"There is no {stage.BINARIES / missing[0]}: run `make build` first.", file=sys.stderr)
        return 2
    try:
        seconds, credentials, interfaces = play()
    except (Failed, AssertionError) as failure:
        print(f"\n{paint('red', 'FAILED')}  {failure}", file=sys.stderr)
        return 1
    print(
        f"\n{paint('green', 'DONE')}  {credentials} of {credentials} stolen credentials refused, "
        f"{interfaces} of {interfaces} interfaces isolated, in a demo of {seconds:.0f} s."
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
