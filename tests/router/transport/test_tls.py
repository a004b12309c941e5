"""https to subgraphs: trusted or not, and with a certificate of our own."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from router.config import SubgraphSettings, Tls
from router.planner.plan import OperationKind
from router.transport import HttpSubgraph, SubgraphOperation, SubgraphRequest
from router.transport.errors import SubgraphConnectionError, SubgraphUrlError
from tests.support.raw_server import RawServer, raw_server, reply

QUERY = SubgraphOperation("{a}", None, OperationKind.QUERY)


def certificate(folder: Path, name: str) -> tuple[str, str]:
    """A self-signed certificate for 127.0.0.1 and its key: their files."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    certificate_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return str(certificate_file), str(key_file)


async def handle(server: RawServer, reader: Any, writer: Any, number: int) -> None:
    await server.read_request(reader)
    writer.write(reply(b'{"data":{"a":1}}'))


async def ask(url: str, tls: Tls) -> Any:
    subgraph = HttpSubgraph("s", url, SubgraphSettings(tls=tls))
    deadline = asyncio.get_running_loop().time() + 5
    try:
        return (await subgraph(SubgraphRequest(QUERY, None, {}, deadline))).data
    finally:
        await subgraph.close()


async def test_trust_and_client_certificates(tmp_path: Path) -> None:
    server_certificate, server_key = certificate(tmp_path, "server")
    client_certificate, client_key = certificate(tmp_path, "client")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server_certificate, server_key)
    async with raw_server(handle, tls=context) as server:
        with pytest.raises(SubgraphConnectionError, match="not trusted"):
            await ask(server.url, Tls())
        assert await ask(server.url, Tls(ca_file=server_certificate)) == {"a": 1}
        assert await ask(server.url, Tls(verify=False)) == {"a": 1}
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(client_certificate)
    async with raw_server(handle, tls=context) as server:
        trusting = Tls(ca_file=server_certificate)
        with pytest.raises(SubgraphConnectionError):
            await ask(server.url, trusting)
        known = Tls(
            ca_file=server_certificate, certificate_file=client_certificate, key_file=client_key
        )
        assert await ask(server.url, known) == {"a": 1}


def test_certificates_that_are_not_there(tmp_path: Path) -> None:
    settings = SubgraphSettings(tls=Tls(ca_file=str(tmp_path / "gone.pem")))
    with pytest.raises(SubgraphUrlError, match="certificates"):
        HttpSubgraph("s", "https://127.0.0.1/", settings)
