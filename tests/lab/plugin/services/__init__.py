"""Service operations moto lacks or answers unlike AWS; importing this registers them all."""

from . import (  # noqa: F401
    autoscaling,
    bedrock,
    cloudtrail,
    ec2_addresses,
    ec2_groups,
    ec2_instances,
    ec2_interfaces,
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
