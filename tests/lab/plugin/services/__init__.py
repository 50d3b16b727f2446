"""Service operations moto lacks or answers unlike AWS; importing this registers them all."""

from . import (  # noqa: F401
    bedrock,
    cloudtrail,
    events,
    functions,
    guardduty,
    iam,
    iam_boundaries,
    iam_lists,
    iam_quotas,
    s3,
    securityhub,
    sns,
    sts,
    trust_policies,
)
