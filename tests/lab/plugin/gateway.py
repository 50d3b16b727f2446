"""The door every request passes: who is it, may it, do it, record it.

All of AWS stands behind one endpoint here. A request is identified from its signature's scope
and its target, authenticated, authorised, then answered by one of the lab's own services or by
moto. Every decision becomes one line of the call record: the source of all least-privilege proofs.
"""

import contextlib
import json
import traceback
import uuid

from moto.core.utils import utcnow
from moto.iam.models import AccessKeyLastUsed

from ..wire import Response
from . import access, faults, signature
from .call import GUARDS, HANDLERS, Call, Json
from .chunked import decoded
from .encryption import with_bucket_default
from .errors import AwsError, error_code_of, error_response, refusal
from .operation import environ_of, identify, result_response
from .resources import needs_of


class Gateway:
    def __init__(self, lab, moto_application):
        self.lab = lab
        self.world = lab.world
        self.moto = moto_application

    def __call__(self, request):
        """Answer one AWS API request."""
        try:
            signed = signature.read(request)
        except signature.BadSignature:
            signed = None
        service, region = (signed.service, signed.region) if signed else ("s3", self.world.region)
        operation = identify(request, service, region)
        request_id = str(uuid.uuid4())
        try:
            principal = access.authenticate(self.world, self.lab.directory, request, operation, signed)
        except AwsError as error:
            self.record(None, signed and signed.access_key, operation, "*", "refused", error.code, None)
            return error_response(error, operation, request_id)
        if operation.service == "s3":
            try:
                request = decoded(request)
            except AwsError as error:
                return error_response(error, operation, request_id)
        with self.lab.network.trip(principal, signed.access_key, operation):
            invocation = self.lab.functions.invocation_of(signed.access_key)
            if invocation is None:
                return self._carry_out(request, operation, principal, signed, request_id, None)
            return self._on_behalf_of_function(request, operation, principal, signed, request_id, invocation)

    def _on_behalf_of_function(self, request, operation, principal, signed, request_id, invocation):
        about = faults.subject(operation, needs_of(operation, principal, principal.account))
        action = f"{operation.service}:{operation.name}"
        fault = self.lab.faults.count(invocation, (action, about))
        if fault and fault.kind == "held":
            fault.cleared.wait()
            fault = None
        response, under_way = None, True
        try:
            if fault is None or fault.afterwards:
                response = self._carry_out(request, operation, principal, signed, request_id, invocation)
            else:
                self.record(principal, signed.access_key, operation, "*", "fault", fault.code or fault.kind, invocation)
            if fault is None:
                return response
            if fault.kind == "timeout":
                # Carried out as far as a crash is concerned; the answer is what never comes.
                invocation.calls.leave()
                under_way = False
            return faults.strike(fault, invocation, operation, request_id)
        finally:
            if under_way:
                invocation.calls.leave()

    def _carry_out(self, request, operation, principal, signed, request_id, invocation):
        account = principal.account
        if principal.kind == "admin":
            account = request.header("x-moto-account-id") or account
        if principal.kind == "user":
            self._touch(principal, signed)
        context = access.request_context(principal, operation, request, account)
        call = Call(self.world, self.lab, request, operation, principal, account, context, request_id)
        with self.world.lock_of(operation.service) or contextlib.nullcontext():
            needs, denied = access.authorise(principal, operation, request, account, context)
            if denied:
                self._record_needs(call, signed, needs, "deny", denied.code, invocation)
                self.lab.trail.add(call, signed.access_key, None, denied.code, denied.message)
                return error_response(denied, operation, request_id)
            response, code = self._perform(call)
            # Recorded under the lock: the record has the order in which state changed.
            self._record_needs(call, signed, needs + call.extra_needs, "allow", code, invocation)
            self.lab.trail.add(call, signed.access_key, response, code)
            return response

    @staticmethod
    def _touch(principal, signed):
        """A key counts as used by any authenticated call, allowed or not."""
        for key in principal.entity.access_keys:
            if key.access_key_id == signed.access_key:
                key.last_used = AccessKeyLastUsed(utcnow(), signed.service, signed.region)

    def _perform(self, call):
        operation = call.operation
        key = (operation.service, operation.name)
        try:
            for guard in GUARDS.get(key, ()):
                guard(call)
            handler = HANDLERS.get(key)
            result = handler(call) if handler else self.forward(call)
        except AwsError as error:
            return error_response(error, operation, call.request_id), error.code
        except Exception as error:
            traceback.print_exc()
            failure = refusal("internal", operation, f"{type(error).__name__}: {error}")
            return error_response(failure, operation, call.request_id), failure.code
        if isinstance(result, Response):
            return result, error_code_of(result)
        if isinstance(result, Json):
            headers = [("Content-Type", "application/json"), ("x-amzn-RequestId", call.request_id)]
            return Response(result.status, headers, json.dumps(result.body).encode()), None
        return result_response(operation, result, call.request_id), None

    def forward(self, call):
        """Let moto answer, in the account of the caller."""
        request = with_bucket_default(call.operation, call.request)
        environ = environ_of(request)
        environ["HTTP_X_MOTO_ACCOUNT_ID"] = call.account
        collected = {}

        def start_response(status, headers, exc_info=None):
            collected["status"], collected["headers"] = int(status.split()[0]), headers

        chunks = self.moto(environ, start_response)
        body = b"".join(chunks)
        response = Response(collected["status"], collected["headers"], body)
        if response.status == 404 and body.startswith(b"<!doctype html"):
            raise AwsError("UnknownOperationException", f"The lab does not have {call.operation.name}.", 404)
        return response

    def _record_needs(self, call, signed, needs, decision, error, invocation):
        key, operation = signed.access_key, call.operation
        for need in needs:
            self.record(
                call.principal, key, operation, need.resource, decision, error, invocation, need.action, call.account
            )

    def record(self, principal, access_key, operation, resource, decision, error, invocation, action=None,
               account=None):  # fmt: skip
        account = account or (principal.account if principal else None)
        service, _, name = (action or f"{operation.service}:{operation.name}").partition(":")
        self.world.calls.append(
            principal=principal.name if principal else None,
            role=principal.context.get("aws:principalarn") if principal and principal.kind == "role" else None,
            account=account,
            access_key=access_key,
            service=service,
            action=name,
            operation=operation.name,
            resource=resource,
            decision=decision,
            error=error,
            function=invocation.function.name if invocation else None,
            request_id=invocation.request_id if invocation else None,
        )
