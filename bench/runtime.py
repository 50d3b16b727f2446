"""The Lambda runtime of the Python subjects: `python runtime.py module.handler`.

The Runtime API loop and nothing else. AWS's own runtime client does more at start-up, so this flatters Python.
"""

import http.client
import importlib
import json
import os
import sys
import traceback

_PREFIX = "/2018-06-01/runtime/invocation/"


class Context:
    def __init__(self, headers):
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]
        self.deadline_ms = int(headers["Lambda-Runtime-Deadline-Ms"])
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = int(os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"])


def main(handler_name):
    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
    module, _, name = handler_name.rpartition(".")
    handler = getattr(importlib.import_module(module), name)
    connection = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    while True:
        connection.request("GET", f"{_PREFIX}next")
        answer = connection.getresponse()
        event = json.loads(answer.read())
        context = Context(answer.headers)
        try:
            kind, body = "response", handler(event, context)
        except Exception as error:
            traceback.print_exc()
            kind, body = "error", {"errorType": type(error).__name__, "errorMessage": str(error)}
        connection.request("POST", f"{_PREFIX}{context.aws_request_id}/{kind}", json.dumps(body, default=str))
        connection.getresponse().read()


if __name__ == "__main__":
    main(sys.argv[1])
