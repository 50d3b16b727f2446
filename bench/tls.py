"""HTTPS in front of the lab, as in front of AWS: a process that ends TLS and passes the bytes on.

`python -m bench.tls LAB_PORT FOLDER` writes `root.pem`, `ca.pem` and `certs/` into the folder and prints its port.
"""

import asyncio
import datetime
import ipaddress
import re
import ssl
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", re.DOTALL)


def public_roots():
    """This machine's root certificates, of which Amazon Linux has as many: reading them is part of a cold start."""
    return next((Path(bundle).read_text(encoding="ascii") for bundle in _BUNDLES if Path(bundle).exists()), "")


def _certificate(name, key, issuer, issuer_key, extension):
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder().subject_name(named).issuer_name(issuer or named).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - datetime.timedelta(hours=1))
    builder = builder.not_valid_after(now + datetime.timedelta(days=7))
    return builder.add_extension(extension, critical=False).sign(issuer_key, hashes.SHA256())


def make_certificates(folder):
    """A root of our own and a certificate for 127.0.0.1 under it; RSA, as most of AWS's endpoints have."""
    root_key, key = (rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2))
    root = _certificate("bench root", root_key, None, root_key, x509.BasicConstraints(ca=True, path_length=0))
    address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    leaf = _certificate("127.0.0.1", key, root.subject, root_key, address)
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.pem").write_bytes(leaf.public_bytes(pem) + private)
    (folder / "root.pem").write_bytes(root.public_bytes(pem))
    roots = [root.public_bytes(pem).decode(), *_PEM.findall(public_roots())]
    (folder / "ca.pem").write_text("\n".join(roots), encoding="ascii")
    (folder / "certs").mkdir()
    for number, certificate in enumerate(roots):
        (folder / "certs" / f"{number:08x}.0").write_text(certificate, encoding="ascii")


async def serve(lab_port, folder):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")

    async def pump(reader, writer):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except (ConnectionError, ssl.SSLError):
            pass  # a function that was killed
        finally:
            writer.close()

    async def connected(reader, writer):
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", lab_port)
        await asyncio.gather(pump(reader, upstream_writer), pump(upstream_reader, writer))

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context, backlog=256)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    make_certificates(Path(sys.argv[2]))
    asyncio.run(serve(int(sys.argv[1]), Path(sys.argv[2])))
