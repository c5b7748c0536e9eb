"""A mosquitto of our own on a free loopback port."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

INSTANCE, APP = "bus-lightControl-1", "bus"
PASSWORDS = {"hub.main": "hub-password", f"algorithm.{INSTANCE}": "algorithm-password"}
OUTPUTS = ("comfort-1", "comfort-2")
SENSORS = ("lux-1", "lux-2", "gps-1", "bio-1", "machine-1", "thermometer-1")

# What docs/topics.md lets an algorithm do with these sensors, and nothing else: a test that binds another one sees what
# a refusal looks like.
_RIGHTS = f"""\
user hub.main
topic readwrite sensorhub/main/#
user algorithm.{INSTANCE}
topic read sensorhub/main/algorithms/{INSTANCE}/binding
topic write sensorhub/main/apps/{APP}/page
topic read sensorhub/main/status
""" + "".join(
    f"topic write sensorhub/main/sensors/{sensor}/data\ntopic read sensorhub/main/sensors/{sensor}/committed\n"
    for sensor in OUTPUTS
) + "".join(
    f"topic read sensorhub/main/sensors/{sensor}/{leaf}\n"
    for sensor in SENSORS
    for leaf in ("data", "status", "control/reply")
) + "".join(f"topic write sensorhub/main/sensors/{sensor}/control\n" for sensor in SENSORS)


def _executable(name: str) -> str:
    # Debian has the broker in /usr/sbin, which is not on everyone's PATH.
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise FileNotFoundError(f"{name} is needed for these tests")
    return found


class Broker:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Bound and not listening: nobody else gets the port, but the broker can listen there, as often as it starts.
        self._port = socket.socket()
        self._port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._port.bind(("127.0.0.1", 0))
        self.port: int = self._port.getsockname()[1]
        self.socket = folder / "mqtt.sock"
        for user, password in PASSWORDS.items():
            passwords = folder / "passwords"
            create = [] if passwords.exists() else ["-c"]
            subprocess.run(
                [_executable("mosquitto_passwd"), "-b", *create, passwords, user, password], check=True
            )
        (folder / "rights").write_text(_RIGHTS)
        (folder / "mosquitto.conf").write_text(
            # The port comes last, so that both are there when it answers.
            f"listener 0 {self.socket}\n"
            f"listener {self.port} 127.0.0.1\n"
            "allow_anonymous false\n"
            f"password_file {folder}/passwords\n"
            f"acl_file {folder}/rights\n"
            "persistence true\n"
            f"persistence_location {folder}/\n"
            # Started by root it would otherwise become a user that cannot read the folder.
            "user root\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What the hub would put into the environment of the algorithm."""
        return {
            "SENSORHUB_HUB": "main",
            "SENSORHUB_BROKER": f"mqtt://127.0.0.1:{self.port}",
            "SENSORHUB_USER": f"algorithm.{INSTANCE}",
            "SENSORHUB_PASSWORD": PASSWORDS[f"algorithm.{INSTANCE}"],
            "SENSORHUB_INSTANCE": INSTANCE,
            "SENSORHUB_APP": APP,
        }

    def start(self) -> None:
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [_executable("mosquitto"), "-c", self._folder / "mosquitto.conf"], stdout=log, stderr=log
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise TimeoutError((self._folder / "log").read_text())

    def stop(self) -> None:
        """Ends it in order; it keeps what is retained."""
        assert self._process is not None
        self._process.terminate()
        self._process.wait(60)

    def freeze(self) -> None:
        """Has it answer nothing, while connections stay open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait(60)

    def __enter__(self) -> Broker:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
        self._port.close()
