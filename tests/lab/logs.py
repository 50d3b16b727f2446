"""Shipping a function's output to CloudWatch Logs.

AWS behaviour: Lambda Developer Guide, "Sending Lambda function logs to CloudWatch Logs": Lambda
writes with the function role's permissions; a role without logs:CreateLogStream and
logs:PutLogEvents loses the logs and nothing else. The log group is not created here: the
template declares it.
"""

import queue
import threading
import time

from botocore.exceptions import BotoCoreError, ClientError

_BATCH_SECONDS = 0.05


class LogShipper:
    def __init__(self, lab, function, stream):
        self.lab, self.function, self.stream = lab, function, stream
        self._lines = queue.Queue()
        threading.Thread(target=self._run, daemon=True).start()

    def line(self, text):
        self._lines.put((int(time.time() * 1000), text))

    def close(self):
        self._lines.put(None)

    def _run(self):
        client = None
        while True:
            batch, more = self._collect()
            if batch:
                client = client or self._open()
                self._write(client, batch)
            if not more:
                return

    def _collect(self):
        first = self._lines.get()
        if first is None:
            return [], False
        batch, until = [first], time.monotonic() + _BATCH_SECONDS
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                return batch, True
            if line is None:
                return batch, False
            batch.append(line)

    def _open(self):
        client = self.lab.functions.client(self.function, "logs", self.function.region)
        self._attempt(client.create_log_stream, logGroupName=self.function.log_group, logStreamName=self.stream)
        return client

    def _write(self, client, batch):
        self._attempt(
            client.put_log_events,
            logGroupName=self.function.log_group,
            logStreamName=self.stream,
            logEvents=[{"timestamp": at, "message": text or " "} for at, text in batch],
        )

    @staticmethod
    def _attempt(operation, **arguments):
        """As on Lambda: no permission or no group means no logs, and the call record says why."""
        try:
            operation(**arguments)
        except (ClientError, BotoCoreError):
            pass
