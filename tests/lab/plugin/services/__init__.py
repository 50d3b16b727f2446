"""Service operations moto lacks or answers unlike AWS; importing this registers them all."""

from . import (  # noqa: F401
    autoscaling,
    bedrock,
    cloudtrail,
    ebs,
    ec2_addresses,
    ec2_groups,
    ec2_instances,
    ec2_interfaces,
    ec2_snapshot_copies,
    ec2_snapshots,
    ec2_tags,
    events,
    functions,
    guardduty,
    iam,
    iam_boundaries,
    iam_lists,
    iam_quotas,
    load_balancers,
    s3,
    securityhub,
    sns,
    sts,
    trust_policies,
)
from . import ec2_dry_run  # noqa: E402, F401, I001
