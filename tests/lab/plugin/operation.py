"""Which API operation a request is, and what its parameters are.

AWS behaviour: the service models botocore ships, read through moto's own parsers and routers, so
that the lab authorises exactly what moto will carry out.
"""

import functools
import io
import re
from dataclasses import dataclass, field
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import PRESERVED_HEADER_NAMES_ENVIRON_KEY
from moto.core.request import Request as MotoRequest
from moto.core.routing import get_service_router
from moto.core.serialize import XFormedAttributePicker, get_serializer_class
from moto.core.utils import get_service_model

from ..wire import Response

# signing name -> botocore service models that share it, most common first
_MODELS = {
    "monitoring": ("cloudwatch",),
    "elasticloadbalancing": ("elbv2",),
    "states": ("stepfunctions",),
    "bedrock": ("bedrock-runtime", "bedrock"),
    "tagging": ("resourcegroupstaggingapi",),
    "sso": ("sso-admin",),
}


@dataclass
class Operation:
    service: str
    """The signing name, which is the action prefix in IAM policies."""
    name: str
    family: str
    """How errors are written: json, rest-json, query, ec2 or s3."""
    region: str
    params: dict = field(default_factory=dict)
    model: object = None
    protocol: str = ""


def identify(request, service, region):
    """The operation a request asks for; its name is empty when no model knows it."""
    if service == "s3":
        return _s3(request, region)
    for model_name in _models(request, service):
        operation = _modelled(request, service, model_name, region)
        if operation is not None:
            return operation
    return Operation(service, "", _family(request), region)


def _models(request, service):
    if service == "elasticloadbalancing" and b"Version=2012-06-01" in request.body:
        # Classic load balancers share name and address with the others; the version of the API tells them apart.
        return ("elb",)
    return _MODELS.get(service, (service,))


def _family(request):
    if request.header("x-amz-target"):
        return "json"
    if request.header("content-type").startswith("application/x-www-form-urlencoded"):
        return "query"
    return "rest-json"


def _modelled(request, service, model_name, region):
    try:
        model = get_service_model(model_name)
    except Exception:
        return None
    protocol = _protocol(model, request)
    if protocol in ("query", "ec2"):
        form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        form = form or dict(parse_qsl(request.query, keep_blank_values=True))
        name, labels = form.get("Action", ""), {}
    elif protocol == "json":
        form, labels = {}, {}
        name = request.header("x-amz-target").split(".")[-1]
    else:
        form = {}
        try:
            matched, labels = get_service_router(model_name).match(moto_request(request))
            name = matched.name
        except Exception:
            return None
    operation = Operation(service, name, protocol, region, protocol=protocol)
    if operation.family not in ("json", "query", "ec2"):
        operation.family = "rest-json" if "json" in protocol else "query"
    if name not in model.operation_names:
        return operation
    operation.model = _operation_model(model_name, name)
    operation.params = _parameters(operation, request, form, labels)
    return operation


@functools.cache
def _operation_model(model_name, name):
    return get_service_model(model_name).operation_model(name)


def _protocol(model, request):
    supported = model.metadata.get("protocols", [str(model.protocol)])
    if request.header("x-amz-target") and "json" in supported:
        return "json"
    if request.header("content-type").startswith("application/x-www-form-urlencoded"):
        for candidate in ("ec2", "query"):
            if candidate in supported:
                return candidate
    return str(model.protocol)


def _parameters(operation, request, form, labels):
    parser = PROTOCOL_PARSERS[operation.protocol](operation.model)
    parsed = moto_request(request)
    try:
        return parser.parse(
            {
                "method": request.method,
                "values": form if form else parsed.args,
                "headers": parsed.headers,
                "body": request.body,
                "url_path": parsed.path,
                "url_params": labels,
            }
        )
    except Exception:
        # An unparsable body is moto's to refuse; it is authorised without parameters.
        return {}


def environ_of(request):
    """The WSGI environment of a request, as moto's server would have built it."""
    path = request.path
    environ = {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote(path, encoding="latin-1"),
        "QUERY_STRING": request.query,
        "RAW_URI": request.target,
        "REQUEST_URI": request.target,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": request.peer,
        "CONTENT_LENGTH": str(len(request.body)),
        "CONTENT_TYPE": request.header("content-type"),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(request.body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    preserved = {}
    for name, value in request.headers.items():
        if name in ("content-length", "content-type", "transfer-encoding"):
            continue
        key = "HTTP_" + name.upper().replace("-", "_")
        if "_" in name:
            preserved[key] = name
        environ[key] = value
    environ[PRESERVED_HEADER_NAMES_ENVIRON_KEY] = preserved
    return environ


def moto_request(request):
    return MotoRequest(environ_of(request))


def result_response(operation, result, request_id):
    """Write a result as the operation's protocol does."""
    serializer = get_serializer_class(operation.model.service_model.service_name, operation.protocol)
    # The picker that reads moto's own objects too, by the names their attributes have.
    written = serializer(operation_model=operation.model, value_picker=XFormedAttributePicker()).serialize(result)
    body = written["body"]
    if isinstance(body, str):
        body = body.encode()
    headers = [(name, str(value)) for name, value in written["headers"].items()]
    return Response(written["status_code"], headers + [("x-amzn-RequestId", request_id)], body or b"")


# S3 has no router: the sub-resource in the query string chooses the operation, and the IAM
# action often has another name (Service Authorization Reference, "Amazon S3").
_S3_SUBRESOURCES = {
    "acl": "Acl", "cors": "Cors", "encryption": "Encryption", "lifecycle": "Lifecycle",
    "logging": "Logging", "notification": "Notification", "object-lock": "ObjectLockConfiguration",
    "ownershipControls": "OwnershipControls", "policy": "Policy", "policyStatus": "PolicyStatus",
    "publicAccessBlock": "PublicAccessBlock", "replication": "Replication", "tagging": "Tagging",
    "versioning": "Versioning", "versions": "ListVersions", "uploads": "Uploads",
    "uploadId": "UploadId", "retention": "Retention", "legal-hold": "LegalHold",
    "location": "Location", "website": "Website", "delete": "Delete", "attributes": "Attributes",
    "restore": "Restore", "accelerate": "Accelerate", "requestPayment": "RequestPayment",
    "inventory": "Inventory", "analytics": "Analytics", "metrics": "Metrics",
}  # fmt: skip


def _s3(request, region):
    bucket, key = _bucket_and_key(request)
    query = parse_qs(request.query, keep_blank_values=True)
    sub = next((name for part, name in _S3_SUBRESOURCES.items() if part in query), "")
    verb = {"GET": "Get", "HEAD": "Head", "PUT": "Put", "POST": "Post", "DELETE": "Delete"}.get(request.method, "")
    if not bucket:
        name = "ListBuckets"
    elif sub:
        name = f"{verb}{'Object' if key else 'Bucket'}{sub}"
    elif key:
        copying = verb == "Put" and "x-amz-copy-source" in request.headers
        name = "CopyObject" if copying else f"{verb}Object"
    else:
        name = {"Get": "ListObjects", "Put": "CreateBucket"}.get(verb, f"{verb}Bucket")
    params = {"Bucket": bucket, "Key": key, "query": {k: v[0] for k, v in query.items()}}
    return Operation("s3", name, "s3", region, params, protocol="rest-xml")


def _bucket_and_key(request):
    host = request.header("host").split(":")[0]
    path = urlsplit(request.path).path.lstrip("/") if not request.path.startswith("//") else request.path.lstrip("/")
    virtual = re.match(r"^(.+?)\.(s3[.-]|localhost$|127\.0\.0\.1$)", host)
    if virtual and not re.fullmatch(r"[\d.]+", host):
        return virtual.group(1), unquote(path)
    bucket, _, key = path.partition("/")
    return unquote(bucket), unquote(key)
