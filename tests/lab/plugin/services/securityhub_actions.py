"""Security Hub's custom actions, and whether a hub is there at all.

AWS behaviour: Security Hub API reference, CreateActionTarget, UpdateActionTarget, DeleteActionTarget,
DescribeActionTargets, EnableSecurityHub, DisableSecurityHub; Security Hub User Guide, "Using custom actions" (an event
for each finding that was selected, 20 at most, in the account and Region whose console was used) and "EventBridge event
formats" (`resources` is the action's ARN). Nothing in such an event says who pressed. The permission to press,
`securityhub:SendFindingEvents`, is not asked here: a press comes from an endpoint of the lab.
"""

import copy
import re
import threading

from ..call import GUARDS, handles
from ..errors import AwsError
from ..world import PARTITION

DETAIL_TYPE = "Security Hub Findings - Custom Action"
MOST_FINDINGS = 20
_MOST_ACTIONS = 50
_LONGEST_NAME = 20
_LONGEST_DESCRIPTION = 500


class Actions:
    """The custom actions of every account and Region, and where Security Hub is off. It is on until disabled, so that
    nothing has to enable it first."""

    def __init__(self):
        self._targets = {}
        self._off = set()
        self._lock = threading.RLock()

    def of(self, account, region):
        """ARN -> action target."""
        with self._lock:
            return self._targets.setdefault((account, region), {})

    def enable(self, account, region, enabled):
        with self._lock:
            (self._off.discard if enabled else self._off.add)((account, region))

    def is_enabled(self, account, region):
        return (account, region) not in self._off


def arn_of(account, region, action_id):
    return f"arn:{PARTITION}:securityhub:{region}:{account}:action/custom/{action_id}"


def _refuse_where_it_is_off(call):
    if not call.lab.actions.is_enabled(call.account, call.region):
        raise AwsError("InvalidAccessException", f"Account {call.account} is not subscribed to AWS Security Hub", 401)


for _operation in ("CreateActionTarget", "UpdateActionTarget", "DeleteActionTarget", "DescribeActionTargets",
                   "BatchImportFindings", "BatchUpdateFindings", "GetFindings"):  # fmt: skip
    GUARDS.setdefault(("securityhub", _operation), []).append(_refuse_where_it_is_off)


@handles("securityhub", "EnableSecurityHub")
def enable_security_hub(call):
    if call.lab.actions.is_enabled(call.account, call.region):
        raise AwsError("ResourceConflictException", "Account is already subscribed to Security Hub", 409)
    call.lab.actions.enable(call.account, call.region, True)
    return {}


@handles("securityhub", "DisableSecurityHub")
def disable_security_hub(call):
    _refuse_where_it_is_off(call)
    call.lab.actions.enable(call.account, call.region, False)
    return {}


@handles("securityhub", "CreateActionTarget")
def create_action_target(call):
    params, targets = call.params, call.lab.actions.of(call.account, call.region)
    action_id = params.get("Id") or ""
    if not re.fullmatch(r"[A-Za-z0-9]{1,20}", action_id):
        raise AwsError("InvalidInputException", "Id can contain up to 20 alphanumeric characters")
    _check(params, ("Name", "Description"))
    arn = arn_of(call.account, call.region, action_id)
    if arn in targets:
        raise AwsError("ResourceConflictException", f"Action target {arn} already exists", 409)
    if len(targets) >= _MOST_ACTIONS:
        raise AwsError("LimitExceededException", f"Limit of {_MOST_ACTIONS} custom actions exceeded", 429)
    targets[arn] = {"ActionTargetArn": arn, "Name": params["Name"], "Description": params["Description"]}
    return {"ActionTargetArn": arn}


@handles("securityhub", "UpdateActionTarget")
def update_action_target(call):
    target = _existing(call)
    given = [name for name in ("Name", "Description") if call.params.get(name) is not None]
    _check(call.params, given)
    target.update({name: call.params[name] for name in given})
    return {}


@handles("securityhub", "DeleteActionTarget")
def delete_action_target(call):
    arn = _existing(call)["ActionTargetArn"]
    del call.lab.actions.of(call.account, call.region)[arn]
    return {"ActionTargetArn": arn}


@handles("securityhub", "DescribeActionTargets")
def describe_action_targets(call):
    targets, wanted = call.lab.actions.of(call.account, call.region), call.params.get("ActionTargetArns")
    limit, start = int(call.params.get("MaxResults") or 100), int(call.params.get("NextToken") or 0)
    found = [_named(targets, arn) for arn in wanted] if wanted else list(targets.values())
    answer = {"ActionTargets": copy.deepcopy(found[start : start + limit])}
    if start + limit < len(found):
        answer["NextToken"] = str(start + limit)
    return answer


def _existing(call):
    return _named(call.lab.actions.of(call.account, call.region), call.params.get("ActionTargetArn"))


def _named(targets, arn):
    if arn not in targets:
        raise AwsError("ResourceNotFoundException", f"Action target {arn} does not exist", 404)
    return targets[arn]


def _check(params, names):
    for name, limit in (("Name", _LONGEST_NAME), ("Description", _LONGEST_DESCRIPTION)):
        if name in names and not 1 <= len((params.get(name) or "").strip()) <= limit:
            raise AwsError("InvalidInputException", f"{name} must have 1 to {limit} characters")


def press(lab, account, region, action, findings):
    """A person selects findings in the console and chooses an action; the ids of the events.

    Findings that the hub has are sent as it has them. Others are put there first and in silence: they came by an
    integration that this lab does not play, such as GuardDuty's.
    """
    arn = action if action.startswith("arn:") else arn_of(account, region, action)
    if not lab.actions.is_enabled(account, region):
        raise AwsError("InvalidAccessException", f"Account {account} is not subscribed to AWS Security Hub", 401)
    target = _named(lab.actions.of(account, region), arn)
    if not 1 <= len(findings) <= MOST_FINDINGS:
        raise AwsError("InvalidInputException", f"1 to {MOST_FINDINGS} findings can be selected, not {len(findings)}")
    store = lab.hub.of(account, region)
    with lab.world.lock_of("securityhub"):
        chosen = [copy.deepcopy(store.setdefault((f["ProductArn"], f["Id"]), copy.deepcopy(f))) for f in findings]
    return [
        lab.bus.publish(
            account,
            region,
            source="aws.securityhub",
            detail_type=DETAIL_TYPE,
            detail={
                "actionName": target["Name"],
                "actionDescription": target["Description"],
                "findings": [finding],
            },
            resources=[arn],
        )
        for finding in chosen
    ]
