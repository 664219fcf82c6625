"""What stands in front of a server on loopback: TLS, with a certificate that is made for the test, or a Unix socket."""

from __future__ import annotations

import selectors
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

CHUNK = 65536
Connect = Callable[[], socket.socket]
Wrap = Callable[[socket.socket], AbstractContextManager[socket.socket]]


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate that signs itself, for the host `name`, and its key."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    subject = ["-subj", "/CN=test", "-addext", f"subjectAltName=DNS:{name}", "-days", "2"]
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([*made, *subject, "-keyout", key, "-out", certificate], check=True, capture_output=True, timeout=60)
    return certificate, key


@contextmanager
def tls_in_front_of(port: int, certificate: Path, key: Path) -> Iterator[int]:
    """The port of a TLS server that passes everything on to `port` of this machine."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        _passing_on(listener, _to_port(port), lambda client: context.wrap_socket(client, server_side=True)),
    ):
        yield listener.getsockname()[1]


@contextmanager
def unix_socket_in_front_of(port: int, path: Path) -> Iterator[None]:
    """A Unix socket that passes everything on to `port` of this machine."""
    with (
        socket.create_server(f"{path}", family=socket.AF_UNIX) as listener,
        _passing_on(listener, _to_port(port), lambda client: client),
    ):
        yield


@contextmanager
def port_in_front_of(path: Path) -> Iterator[int]:
    """A port of this machine that passes everything on to a Unix socket: for a client that may not open that."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        _passing_on(listener, lambda: _to_unix_socket(path), lambda client: client),
    ):
        yield listener.getsockname()[1]


def _to_port(port: int) -> Connect:
    return lambda: socket.create_connection(("127.0.0.1", port))


def _to_unix_socket(path: Path) -> socket.socket:
    connected = socket.socket(socket.AF_UNIX)
    connected.connect(f"{path}")
    return connected


@contextmanager
def _passing_on(listener: socket.socket, connect: Connect, wrap: Wrap) -> Iterator[None]:
    accepting = threading.Thread(target=_accept, args=(listener, connect, wrap), daemon=True)
    accepting.start()
    yield
    with suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)
    accepting.join()


def _accept(listener: socket.socket, connect: Connect, wrap: Wrap) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_serve, args=(client, connect, wrap), daemon=True).start()


def _serve(client: socket.socket, connect: Connect, wrap: Wrap) -> None:
    """Until either side ends; a client that refuses the certificate ends at once."""
    with (
        suppress(OSError),
        wrap(client) as near,
        connect() as far,
        selectors.DefaultSelector() as ready,
    ):
        ready.register(near, selectors.EVENT_READ, far)
        ready.register(far, selectors.EVENT_READ, near)
        while all(_passed_on(key.fileobj, key.data) for key, _ in ready.select()):
            pass


def _passed_on(source: object, target: socket.socket) -> bool:
    assert isinstance(source, socket.socket)
    read = source.recv(CHUNK)
    while isinstance(source, ssl.SSLSocket) and source.pending():
        read += source.recv(CHUNK)
    target.sendall(read)
    return bool(read)
