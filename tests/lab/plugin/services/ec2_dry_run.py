"""DryRun for the EC2 operations the lab answers itself; moto has its own for the others.

AWS behaviour: EC2 API reference, "Common query parameters": a request that would be allowed is answered
DryRunOperation (412), and nothing is done. Imported after the others: it looks at what they registered.
"""

from ..call import HANDLERS, guards
from ..ec2_model import flag
from ..errors import AwsError


@guards("ec2", *(name for service, name in HANDLERS if service == "ec2"))
def refuse_dry_run(call):
    if flag(call.params.get("DryRun")):
        raise AwsError("DryRunOperation", "Request would have succeeded, but DryRun flag is set.", 412)
