"""Policy documents the seeds and the tests share."""


def document(*statements):
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action, resource="*", **condition):
    return _statement("Allow", action, resource, condition)


def deny(action="*", resource="*", **condition):
    return _statement("Deny", action, resource, condition)


def _statement(effect, action, resource, condition):
    statement = {"Effect": effect, "Action": action, "Resource": resource}
    if condition:
        statement["Condition"] = condition
    return statement


ADMINISTRATOR = document(allow("*"))
DENY_ALL = document(deny())


def trust(service=None, account=None, principals=(), effect="Allow", **condition):
    """A trust policy for a service, the account's root, and further principals."""
    principal = {}
    if service:
        principal["Service"] = service
    named = ([f"arn:aws:iam::{account}:root"] if account else []) + list(principals)
    if named:
        principal["AWS"] = named
    statement = {"Effect": effect, "Principal": principal, "Action": "sts:AssumeRole"}
    if condition:
        statement["Condition"] = condition
    return document(statement)


def older_sessions_denied(cut_off):
    """The body of the console's AWSRevokeOlderSessions."""
    return document(
        {
            "Effect": "Deny",
            "Action": ["*"],
            "Resource": ["*"],
            "Condition": {"DateLessThan": {"aws:TokenIssueTime": cut_off}},
        }
    )
