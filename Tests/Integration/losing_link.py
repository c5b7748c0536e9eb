"""A link to the broker that breaks at the worst moment: a message has arrived, and its confirmation has not."""

from __future__ import annotations

import json
import shutil
import socket
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from hub import Hub
from samples import write


class LosingLink:
    """Breaks each time that a client publishes on one of `topics`, once for each of them."""

    def __init__(self, hub: Hub, *topics: str) -> None:
        self._broker = hub.broker
        self._marks = [topic.encode() for topic in topics]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def remaining(self) -> list[str]:
        """Where it has not broken yet."""
        return [mark.decode() for mark in self._marks]

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                broker = socket.create_connection(self._broker)
            except OSError:
                return
            silent = threading.Event()
            threading.Thread(target=self._up, args=(client, broker, silent), daemon=True).start()
            threading.Thread(target=self._down, args=(broker, client, silent), daemon=True).start()

    def _up(self, client: socket.socket, broker: socket.socket, silent: threading.Event) -> None:
        try:
            while data := client.recv(1 << 20):
                mark = next((mark for mark in self._marks if mark in data), None)
                if mark is not None:
                    self._marks.remove(mark)
                    silent.set()
                broker.sendall(data)
                if mark is not None:
                    break
        except OSError:
            pass
        # What is on its way to the broker arrives; the client hears nothing any more.
        end(broker, client)

    def _down(self, broker: socket.socket, client: socket.socket, silent: threading.Event) -> None:
        try:
            while data := broker.recv(1 << 20):
                if not silent.is_set():
                    client.sendall(data)
        except OSError:
            pass
        end(client, broker)


def end(*sockets: socket.socket) -> None:
    """Whoever reads from them is told, too."""
    for each in sockets:
        try:
            each.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


@contextmanager
def losing_link(hub: Hub, folder: Path, *topics: str) -> Iterator[tuple[Path, LosingLink]]:
    """A person's folder for a link that breaks when one of these requests is sent."""
    link = LosingLink(hub, *(hub.topic(f"rpc/{topic}") for topic in topics))
    path = folder / "losing"
    path.mkdir(mode=0o700)
    file = write(path / "connection.json", json.dumps(hub.connection | {"broker": f"mqtt://127.0.0.1:{link.port}"}))
    file.chmod(0o600)
    try:
        yield path, link
    finally:
        link.close()
        shutil.rmtree(path)
