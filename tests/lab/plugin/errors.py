"""AWS errors and how each protocol writes them.

AWS behaviour: Smithy's protocol specifications (awsJson, restJson1, awsQuery, ec2Query, restXml),
"Common errors" of each service's API reference, and the S3 and EC2 error code lists. The same
refusal has a different code in each service, and SDKs and detections look at the code.
"""

import json
import re
from xml.sax.saxutils import escape

from ..wire import Response


class AwsError(Exception):
    def __init__(self, code, message, status=400, **members):
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.members = members
        """Further members of the error's structure (JSON protocols only)."""


# refusal -> family -> (code, status)
_REFUSALS = {
    "unknown_key": {
        "ec2": ("AuthFailure", 401),
        "s3": ("InvalidAccessKeyId", 403),
        "query": ("InvalidClientTokenId", 403),
        "json": ("UnrecognizedClientException", 400),
        "rest-json": ("UnrecognizedClientException", 403),
    },
    "bad_token": {
        "ec2": ("AuthFailure", 401),
        "s3": ("InvalidToken", 400),
        "query": ("InvalidClientTokenId", 403),
        "json": ("UnrecognizedClientException", 400),
        "rest-json": ("UnrecognizedClientException", 403),
    },
    "expired": {
        "ec2": ("RequestExpired", 400),
        "s3": ("ExpiredToken", 400),
        "query": ("ExpiredToken", 403),
        "json": ("ExpiredTokenException", 400),
        "rest-json": ("ExpiredTokenException", 403),
    },
    "bad_signature": {
        "ec2": ("AuthFailure", 401),
        "s3": ("SignatureDoesNotMatch", 403),
        "query": ("SignatureDoesNotMatch", 403),
        "json": ("InvalidSignatureException", 400),
        "rest-json": ("InvalidSignatureException", 403),
    },
    "unsigned": {
        "ec2": ("MissingParameter", 400),
        "s3": ("AccessDenied", 403),
        "query": ("MissingAuthenticationToken", 403),
        "json": ("MissingAuthenticationTokenException", 400),
        "rest-json": ("MissingAuthenticationTokenException", 403),
    },
    "denied": {
        "ec2": ("UnauthorizedOperation", 403),
        "s3": ("AccessDenied", 403),
        "sns": ("AuthorizationError", 403),
        "query": ("AccessDenied", 403),
        "json": ("AccessDeniedException", 400),
        "rest-json": ("AccessDeniedException", 403),
    },
    "throttled": {
        "ec2": ("RequestLimitExceeded", 503),
        "s3": ("SlowDown", 503),
        "query": ("Throttling", 400),
        "json": ("ThrottlingException", 400),
        "rest-json": ("TooManyRequestsException", 429),
    },
    "internal": {
        "ec2": ("InternalError", 500),
        "s3": ("InternalError", 500),
        "query": ("ServiceFailure", 500),
        "json": ("InternalServerError", 500),
        "rest-json": ("InternalServerException", 500),
    },
}

_MESSAGES = {
    "unknown_key": "The security token included in the request is invalid.",
    "bad_token": "The security token included in the request is invalid.",
    "expired": "The security token included in the request is expired",
    "bad_signature": "The request signature we calculated does not match the signature you provided.",
    "unsigned": "Request is missing Authentication Token",
    "denied": "Access denied.",
    "throttled": "Rate exceeded",
    "internal": "An internal error occurred.",
}


def refusal(kind, operation, message=None):
    """The error a service answers for this kind of refusal."""
    codes = _REFUSALS[kind]
    code, status = codes.get(operation.service) or codes[operation.family]
    return AwsError(code, message or _MESSAGES[kind], status)


def error_response(error, operation, request_id):
    """Write an error as the operation's protocol does."""
    family = operation.family
    if family in ("json", "rest-json"):
        headers = [
            ("Content-Type", "application/x-amz-json-1.1" if family == "json" else "application/json"),
            ("x-amzn-RequestId", request_id),
            ("x-amzn-ErrorType", error.code),
        ]
        body = {"__type": error.code, "message": error.message, "Message": error.message}
        return Response(error.status, headers, json.dumps({**body, **error.members}).encode())
    headers = [("Content-Type", "text/xml"), ("x-amzn-RequestId", request_id), ("x-amz-request-id", request_id)]
    code, message = escape(error.code), escape(error.message)
    if family == "ec2":
        text = (
            f"<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors>"
            f"<RequestID>{request_id}</RequestID></Response>"
        )
    elif family == "s3":
        text = f"<Error><Code>{code}</Code><Message>{message}</Message><RequestId>{request_id}</RequestId></Error>"
    else:
        fault = "Sender" if error.status < 500 else "Receiver"
        text = (
            f"<ErrorResponse><Error><Type>{fault}</Type><Code>{code}</Code><Message>{message}</Message></Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
    return Response(error.status, headers, b'<?xml version="1.0" encoding="UTF-8"?>\n' + text.encode())


def error_code_of(response):
    """The error code inside an answer that moto wrote, for the call record."""
    if response.status < 400:
        return None
    text = response.body[:4096].decode("utf-8", "replace")
    found = re.search(r"<Code>([^<]+)</Code>", text)
    if found:
        return found.group(1)
    for name, value in response.headers:
        if name.lower() == "x-amzn-errortype":
            return value.split(":")[0].split("#")[-1]
    found = re.search(r'"__type"\s*:\s*"([^"]+)"', text)
    return found.group(1).split("#")[-1] if found else str(response.status)
