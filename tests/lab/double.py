"""A Lambda function in Python that does what its event tells it: a stand-in for tests of the host.

Speaks the Runtime API itself. The event (or its `detail`) carries `script`, a list of steps:
{"call": [service, operation, arguments]}, {"print": text}, {"fail": message}, {"exit": code},
{"pause": seconds}, {"together": [steps]}, {"assume": AssumeRole's arguments}, after which calls are made
with the role's credentials. The answer is the outcome of each step and the process id.
"""

import json
import os
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from .client import client_for

_API = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime"
_clients = {}
_assumed = []


class Scripted(Exception):
    pass


def client(service):
    if service not in _clients:
        own = tuple(os.environ[f"AWS_{n}"] for n in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"))
        credentials = _assumed[-1] if _assumed else own
        _clients[service] = client_for(os.environ["AWS_ENDPOINT_URL"], service, os.environ["AWS_REGION"], credentials)
    return _clients[service]


def carry_out(step):
    ((kind, argument),) = step.items()
    if kind == "call":
        service, operation, arguments = argument
        try:
            getattr(client(service), operation)(**arguments)
            return "ok"
        except ClientError as error:
            return error.response["Error"]["Code"]
        except (BotoCoreError, ResponseParserError) as error:
            return type(error).__name__
    if kind == "assume":
        _assumed.append(client("sts").assume_role(**argument)["Credentials"])
        _clients.clear()
    elif kind == "print":
        print(argument, flush=True)
    elif kind == "fail":
        raise Scripted(argument)
    elif kind == "exit":
        os._exit(argument)
    elif kind == "together":
        with ThreadPoolExecutor(len(argument)) as pool:
            return list(pool.map(carry_out, argument))
    elif kind == "pause":
        time.sleep(argument)
    return kind


def post(path, value):
    request = urllib.request.Request(_API + path, json.dumps(value).encode(), {"Content-Type": "application/json"})
    urllib.request.urlopen(request).read()


def serve():
    if os.environ.get("FAIL_INIT"):
        post("/init/error", {"errorType": "Runtime.Unknown", "errorMessage": os.environ["FAIL_INIT"]})
        sys.exit(1)
    while True:
        with urllib.request.urlopen(f"{_API}/invocation/next") as answer:
            request_id = answer.headers["Lambda-Runtime-Aws-Request-Id"]
            event = json.loads(answer.read())
        script = event.get("script") or (event.get("detail") or {}).get("script") or []
        try:
            results = [carry_out(step) for step in script]
            post(
                f"/invocation/{request_id}/response", {"results": results, "pid": os.getpid(), "request_id": request_id}
            )
        except Scripted as error:
            post(f"/invocation/{request_id}/error", {"errorType": "Scripted", "errorMessage": str(error)})


if __name__ == "__main__":
    serve()
