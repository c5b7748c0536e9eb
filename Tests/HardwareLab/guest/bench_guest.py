"""What the benchmark (bench.py) does inside of the guest: makes edges, and waits for messages about them.

    bench_guest.py pulses PULL COUNT PAUSE      edges in quick succession; prints how many seconds that took
    bench_guest.py delay PORT TOPIC PULL COUNT  single edges; prints {"delays", "stamped"} in milliseconds
    bench_guest.py echo PORT TOPIC COUNT        its own messages to the broker and back; prints a list of milliseconds
"""

from __future__ import annotations

import json
import os
import queue
import sys
import time
from typing import Any

TIMEOUT_SECONDS = 30


def pulses(path: str, count: int, pause: float) -> None:
    file = os.open(path, os.O_WRONLY)
    begin = time.monotonic()
    for _ in range(count):
        os.pwrite(file, b"pull-up", 0)
        if pause:
            time.sleep(pause)
        os.pwrite(file, b"pull-down", 0)
        if pause:
            time.sleep(pause)
    print(time.monotonic() - begin)


class Listener:
    def __init__(self, port: int, topic: str) -> None:
        from paho.mqtt import client as paho

        self.messages: queue.Queue[tuple[float, float, bytes]] = queue.Queue()
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
        self.client.on_message = lambda _client, _data, message: self.messages.put(
            (time.monotonic(), time.time(), bytes(message.payload)))
        subscribed: queue.Queue[None] = queue.Queue()
        self.client.on_subscribe = lambda *_: subscribed.put(None)
        self.client.connect("10.0.2.2", port)
        self.client.loop_start()
        self.client.subscribe(topic, qos=0)
        subscribed.get(timeout=TIMEOUT_SECONDS)
        time.sleep(1)


def delay(port: int, topic: str, path: str, count: int) -> None:
    listener = Listener(port, topic)
    file = os.open(path, os.O_WRONLY)
    delays, stamped = [], []
    for number in range(count):
        while not listener.messages.empty():
            listener.messages.get()
        begin = time.monotonic()
        os.pwrite(file, b"pull-down" if number % 2 else b"pull-up", 0)
        at, clock, payload = listener.messages.get(timeout=TIMEOUT_SECONDS)
        delays.append(1_000 * (at - begin))
        document: Any = json.loads(payload) if payload[:1] in b"[{" else None
        if document:
            reading = document[-1] if isinstance(document, list) else document
            stamped.append(1_000 * clock - reading["t"] / 1_000)
        time.sleep(0.03)
    print(json.dumps({"delays": delays, "stamped": stamped}))


def echo(port: int, topic: str, count: int) -> None:
    listener = Listener(port, topic)
    times = []
    for _ in range(count):
        begin = time.monotonic()
        listener.client.publish(topic, b"x")
        times.append(1_000 * (listener.messages.get(timeout=TIMEOUT_SECONDS)[0] - begin))
        time.sleep(0.03)
    print(json.dumps(times))


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    if command == "pulses":
        pulses(arguments[0], int(arguments[1]), float(arguments[2]))
    elif command == "delay":
        delay(int(arguments[0]), arguments[1], arguments[2], int(arguments[3]))
    else:
        echo(int(arguments[0]), arguments[1], int(arguments[2]))
