"""Pages of a listing, for those that moto answers whole.

AWS behaviour: each service's API reference, "Pagination": MaxResults (PageSize) at most, and a token for the rest.
The token is good for the same listing alone and says nothing to the caller.
"""

import base64

from .errors import AwsError


def page(call, member, items, size="MaxResults", token="NextToken", next_token=None, most=1000):
    """One page of the items, as the answer of the operation."""
    params = call.params
    limit = min(int(params.get(size) or most), most)
    start = _offset(params.get(token), call.operation.name)
    answer = {member: items[start : start + limit]}
    if start + limit < len(items):
        answer[next_token or token] = _token(start + limit, call.operation.name)
    return answer


def _token(offset, operation):
    return base64.urlsafe_b64encode(f"{operation}:{offset}".encode()).decode()


def _offset(token, operation):
    if not token:
        return 0
    try:
        name, _, offset = base64.urlsafe_b64decode(token).decode().partition(":")
        if name == operation:
            return int(offset)
    except ValueError:
        pass
    raise AwsError("InvalidNextToken", "The specified token is not valid.")
