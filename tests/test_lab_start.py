"""Starting and ending the lab, and refusing to start on the wrong moto."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from lab import moto_pin, wire
from lab.client import Lab

TESTS = str(Path(__file__).parent)


def test_another_version_of_moto_is_refused(monkeypatch):
    monkeypatch.setattr(moto_pin, "version", lambda _: "5.3.0")
    with pytest.raises(SystemExit, match="needs moto 5.2.5, found 5.3.0"):
        moto_pin.check_moto()


def test_a_missing_private_name_is_named(monkeypatch):
    names = {**moto_pin.PRIVATE_NAMES, "moto.iam.models": ("iam_backends", "User.no_such_method")}
    monkeypatch.setattr(moto_pin, "PRIVATE_NAMES", names)
    with pytest.raises(SystemExit, match="moto.iam.models.User.no_such_method"):
        moto_pin.check_moto()


def test_this_moto_has_every_private_name():
    moto_pin.check_moto()


def test_it_listens_on_the_loopback_address_alone(lab):
    port = int(lab.endpoint.rsplit(":", 1)[1])
    assert lab.endpoint.startswith("http://127.0.0.1:")
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.2", port), timeout=1)


def test_it_ends_with_whoever_started_it(tmp_path):
    ready = tmp_path / "ready.json"
    process = subprocess.Popen(
        [sys.executable, "-m", "lab", "serve", "--ready-file", str(ready), "--until-stdin-closes"],
        env={**os.environ, "PYTHONPATH": TESTS},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    try:
        Lab.wait_for(ready.exists, 30)
        assert set(json.loads(ready.read_text())) >= {"endpoint", "admin"}
        process.stdin.close()
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


def test_connections_are_kept_alive(lab):
    host, port = lab.endpoint.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        for _ in range(2):
            connection.sendall(b"GET /lab/calls/count HTTP/1.1\r\nHost: lab\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")


def test_a_bug_of_the_server_is_answered_and_not_hung_up_on(capsys):
    def broken(_):
        raise RuntimeError("a bug")

    server = wire.Server(broken)
    server.start()
    try:
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=5) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: lab\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 500")
    finally:
        server.stop()
    assert "a bug" in capsys.readouterr().err


def test_unknown_operations_are_refused_by_name(lab):
    status, _, body = lab.request("GET", "/lab/nothing")
    assert (status, body) == (404, {"message": "no such endpoint: GET /nothing"})
