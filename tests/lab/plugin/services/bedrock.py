"""Amazon Bedrock, as far as a stolen API key goes.

AWS behaviour: Bedrock User Guide, "Amazon Bedrock API keys": a long-term key is a
service-specific credential of an IAM user, sent as a bearer token; the call is judged by that
user's policies and needs bedrock:CallWithBearerToken besides the action itself.
"""

import json
import uuid
from urllib.parse import unquote

from ...wire import Response
from .. import access
from ..call import Json, handles
from ..errors import AwsError, error_response
from ..operation import identify
from ..principals import iam_of
from ..need import Need
from ..resources import needs_of
from .iam import credentials_of

_ANSWER = {"outputText": "The lab has no model.", "stop_reason": "end_turn"}


@handles("bedrock", "InvokeModel", "Converse")
def invoke_model(_call):
    return Json(_ANSWER)


def is_bearer(request):
    return request.header("authorization").startswith("Bearer ") and request.path.startswith("/model/")


def invoke_with_bearer(gateway, request):
    """Answer a model call that carries an API key instead of a signature."""
    lab, token = gateway.lab, request.header("authorization").removeprefix("Bearer ").strip()
    operation = identify(request, "bedrock", gateway.world.region)
    operation.params.setdefault("modelId", unquote(request.path.split("/")[2]))
    request_id = str(uuid.uuid4())
    user, credential = _holder(token)
    if credential is None or credential["Status"] != "Active":
        error = AwsError("AccessDeniedException", "Authentication failed: Please make sure your API Key is valid.", 403)
        gateway.record(None, None, operation, "*", "refused", error.code, None)
        return error_response(error, operation, request_id)
    principal = lab.directory.of_user(user)
    context = access.request_context(principal, operation, request, principal.account)
    context["bedrock:bearertokentype"] = "LONG_TERM"
    needs = [Need("bedrock:CallWithBearerToken"), *needs_of(operation, principal, principal.account)]
    key = credential["ServiceSpecificCredentialId"]
    for need in needs:
        decision = access.may(principal, need.action, need.resource, context)
        if not decision.allowed:
            message = f"User: {principal.arn} is not authorized to perform: {need.action} ({decision.reason})"
            error = AwsError("AccessDeniedException", message, 403)
            gateway.record(principal, key, operation, need.resource, "deny", error.code, None, need.action)
            return error_response(error, operation, request_id)
        gateway.record(principal, key, operation, need.resource, "allow", None, None, need.action)
    return Response(200, [("Content-Type", "application/json")], json.dumps(_ANSWER).encode())


def _holder(token):
    from moto.iam.models import iam_backends

    for account in list(iam_backends):
        for user in list(iam_of(account).users.values()):
            for credential in credentials_of(user):
                if (
                    credential["ServiceName"] == "bedrock.amazonaws.com"
                    and credential["ServiceCredentialSecret"] == token
                ):
                    return user, credential
    return None, None
