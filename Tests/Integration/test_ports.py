"""Which ports the brokers of several hubs have, when others want the same."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from typing import Iterator

import pytest

from hub import Hub, processes_of, wait_until
from ports import free_port
from samples import probe, register


def prefer(hub: Hub, port: int) -> None:
    """As if the hub had had this port before."""
    folder = hub.data / "broker"
    folder.mkdir(mode=0o700)
    (folder / "mosquitto.conf").write_text(f"listener {port} 127.0.0.1\n")
    (hub.data / "sensorhub.lock").touch(mode=0o600)


@pytest.fixture
def two_hubs() -> Iterator[tuple[Hub, Hub]]:
    hubs = Hub(), Hub()
    try:
        yield hubs
    finally:
        left = [hub.destroy() for hub in hubs]
        assert left == [{}, {}]


def test_two_hubs_that_start_at_the_same_moment(two_hubs: tuple[Hub, Hub]) -> None:
    port = free_port()
    for hub in two_hubs:
        prefer(hub, port)
    for hub in two_hubs:
        hub.launch()
    for hub in two_hubs:
        hub.wait_until_up()
    first, second = two_hubs
    assert sorted(hub.broker[1] == port for hub in two_hubs) == [False, True]
    for number, hub in enumerate(two_hubs, start=1):
        register(hub, probe(f"twin-{number}"))
        hub.wait_for_more_readings(f"twin-{number}")
    assert first.count("twin-1") and not second.sql("SELECT FROM hub.sensor WHERE name = 'twin-1'")
    # While the broker of one is away, a start of the other one does not take its port.
    holder, other = (first, second) if first.broker[1] == port else (second, first)
    other.stop()
    prefer_again = other.data / "broker" / "mosquitto.conf"
    prefer_again.write_text(f"listener {port} 127.0.0.1\n")
    broker = holder.part("mosquitto")
    os.kill(broker, signal.SIGSTOP)
    os.kill(broker, signal.SIGKILL)
    other.start()
    assert other.broker[1] != port
    wait_until(lambda: holder.part("mosquitto") != broker, what="a new broker", retry_on=(AssertionError,))
    holder.close()
    holder.wait_for_more_readings("twin-1" if holder is first else "twin-2")


def listen(port: int) -> socket.socket:
    """Another program that takes the port."""
    taken = socket.socket()
    # For `free_port` holds it.
    taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    taken.bind(("127.0.0.1", port))
    taken.listen()
    return taken


def launch_and_take(hub: Hub, port: int, *options: str) -> socket.socket:
    """Starts a hub, and takes a port when it has been chosen and the broker has yet to start."""
    for _ in range(5):
        hub.launch(*options)
        wait_until(lambda: "creating the database" in hub.output.read_text(), what="the database's beginning")
        try:
            return listen(port)
        except OSError:
            # We were not given a processor until the broker had the port: once more, with a folder that is new again.
            hub.stop()
            shutil.rmtree(hub.data)
            hub.data.mkdir(mode=0o755)
            if not options:
                prefer(hub, port)
    raise AssertionError("the broker has always been first")


def test_a_port_that_another_program_takes_meanwhile_is_left_to_it(fresh_hub: Hub) -> None:
    port = free_port()
    prefer(fresh_hub, port)
    with launch_and_take(fresh_hub, port):
        fresh_hub.wait_until_up()
        assert fresh_hub.broker[1] != port
        fresh_hub.rpc("hub", "status")


def test_an_address_that_was_asked_for_is_named_when_another_program_takes_it(fresh_hub: Hub) -> None:
    port = free_port()
    with launch_and_take(fresh_hub, port, "--listen", f"127.0.0.1:{port}"):
        assert fresh_hub.wait(60) == 1
    output = fresh_hub.output.read_text()
    assert f"cannot listen on 127.0.0.1:{port}: another program listens there" in output
    assert "choose another port with --listen" in output
    assert not processes_of(fresh_hub.data)
