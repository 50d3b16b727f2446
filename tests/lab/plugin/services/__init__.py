"""Service operations moto lacks or answers unlike AWS; importing this registers them all."""

from . import bedrock, events, functions, guardduty, iam, s3, securityhub, sns, sts, trust_policies  # noqa: F401
