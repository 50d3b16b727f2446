"""Lambda's Invoke for signed callers; the function host runs it."""

from ..call import handles


@handles("lambda", "Invoke")
def invoke(call):
    from ...admin import invoke_response

    return invoke_response(call.lab, call.params["FunctionName"], call.request)
