"""The few packets of MQTT 3.1.1 that are needed to publish and to listen over a plain socket."""

from __future__ import annotations

import socket
import struct


def length(number: int) -> bytes:
    """The length of a packet's rest, as it stands after the first byte."""
    out = bytearray()
    while True:
        number, digit = divmod(number, 128)
        out.append(digit | (128 if number else 0))
        if not number:
            return bytes(out)


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack(">H", len(data)) + data


def connect(port: int, user: str, password: str, client_id: str) -> socket.socket:
    """A connection that the broker has accepted; without keep-alive, so that nobody need ping."""
    body = text("MQTT") + b"\4\xc2\0\0" + text(client_id) + text(user) + text(password)
    connection = socket.create_connection(("127.0.0.1", port), 2)
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(b"\x10" + length(len(body)) + body)
        answer = connection.recv(4)
        if answer != b"\x20\2\0\0":
            raise ConnectionError(f"the broker refused '{user}': {answer!r}")
    except BaseException:
        connection.close()
        raise
    return connection


def subscribe(filter: str) -> bytes:
    """At QoS 0."""
    body = struct.pack(">H", 1) + text(filter) + b"\0"
    return b"\x82" + length(len(body)) + body


def publish(topic: str, payload: bytes, number: int) -> bytes:
    """At QoS 1.

    Args:
        number: from 1 to 65,535, and of no other packet that waits for its acknowledgement.
    """
    body = text(topic) + struct.pack(">H", number) + payload
    return b"\x32" + length(len(body)) + body
