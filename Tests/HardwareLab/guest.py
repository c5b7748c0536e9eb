"""The lab's guest: a machine under QEMU with Debian's own kernel, which has real GPIO and I2C devices and sees this
machine's files. Tests have it do things through the agent in it (guest/agent.py)."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import uuid
from pathlib import Path
from typing import Any, Optional

HERE = Path(__file__).resolve().parent
# What the guest's files of this machine are, seen from it.
SHARED = "/run/lab"
# Emulation takes its time, on a busy machine even more.
BOOT_SECONDS = 120
CALL_SECONDS = 60


class GuestError(Exception):
    """The guest could not do what it was asked for."""


class Guest:
    """A running guest. Its state folder has the console (`console.log`), QEMU's sockets, and what is shared with it."""

    def __init__(self, lab: Path, state: Path) -> None:
        self.lab = lab.resolve()
        self.state = state.resolve()
        self.state.mkdir(parents=True, exist_ok=True)
        self._port = self.state / "agent.sock"
        self._pid = self.state / "qemu.pid"
        self._replies: dict[str, dict[str, Any]] = {}
        self._changed = threading.Condition()
        self._socket: Optional[socket.socket] = None
        self._sending = threading.Lock()
        self._ended = ""

    # Start and end

    def start(self) -> bool:
        """Takes the guest that runs in the state folder, or boots one. True where it was running."""
        if self._is_running() and (self.state / "stamp").read_text() == self._stamp():
            self._connect(5)
            return True
        self.kill()
        self._boot()
        self._connect(BOOT_SECONDS)
        (self.state / "stamp").write_text(self._stamp())
        return False

    def _stamp(self) -> str:
        """Changes with everything that a running guest would have to be booted anew for."""
        files = [self.lab / "initrd.stamp", HERE / "guest.py", HERE / "guest" / "agent.py"]
        return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()

    def _boot(self) -> None:
        release = (self.lab / "release").read_text().strip()
        shutil.copy(HERE / "guest" / "agent.py", self.state / "agent.py")
        modules = self.lab / "packages" / f"linux-image-{release}"
        (self.state / "guest.json").write_text(json.dumps({"modules": str(modules)}))
        self._port.unlink(missing_ok=True)
        # KVM does not work everywhere that /dev/kvm is there, and the kernel boots in a few seconds without.
        subprocess.run(
            ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,tb-size=256", "-cpu", "max", "-smp", "1",
             "-m", "512", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
             "-serial", f"file:{self.state}/console.log", "-daemonize", "-pidfile", str(self._pid),
             "-kernel", str(self.lab / "vmlinux"), "-initrd", str(self.lab / "initrd"),
             "-append", "console=ttyS0 quiet oops=panic panic=-1 tsc=reliable no_timer_check mitigations=off nokaslr",
             "-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile=",
             "-device", "virtio-serial-pci",
             "-chardev", f"socket,id=agent,path={self._port},server=on,wait=off",
             "-device", "virtserialport,chardev=agent,name=agent",
             "-virtfs", "local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap",
             "-virtfs", f"local,path={self.state},mount_tag=state,security_model=none"],
            check=True, cwd="/", stdin=subprocess.DEVNULL)

    def _connect(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not self._try_to_connect():
            if not self._is_running() or time.monotonic() > deadline:
                raise GuestError(f"the guest did not start; its console says:\n{self.console}")
            time.sleep(0.1)

    def _try_to_connect(self) -> bool:
        try:
            # A path as long as a state folder's may be too long for the address of a socket.
            folder = os.open(self.state, os.O_RDONLY | os.O_DIRECTORY)
            try:
                connection = socket.socket(socket.AF_UNIX)
                connection.connect(f"/proc/self/fd/{folder}/{self._port.name}")
            finally:
                os.close(folder)
        except OSError:
            return False
        self._socket = connection
        threading.Thread(target=self._receive, args=(connection,), daemon=True).start()
        # The port is open long before the agent is; what was written then waits for it.
        deadline = time.monotonic() + BOOT_SECONDS
        nonce = uuid.uuid4().hex
        while time.monotonic() < deadline and self._is_running():
            try:
                if self.call("hello", nonce=nonce, call_timeout=0.5) == nonce:
                    return True
            except GuestError:
                pass
        connection.close()
        return False

    def _is_running(self) -> bool:
        try:
            pid = int(self._pid.read_text())
            return str(self.state).encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return False

    def close(self) -> None:
        """Ends what the tests have started; the guest runs on."""
        if self._socket:
            self.call("end")
            self._socket.close()
            self._socket = None

    def kill(self) -> None:
        """Ends the guest, which has nothing that would have to be saved."""
        if self._socket:
            self._socket.close()
            self._socket = None
        if not self._is_running():
            return
        pid = int(self._pid.read_text())
        os.kill(pid, signal.SIGKILL)
        while self._is_running():
            time.sleep(0.02)

    @property
    def console(self) -> str:
        """The end of what its kernel had to say."""
        try:
            return (self.state / "console.log").read_text(errors="replace")[-4_000:]
        except OSError:
            return ""

    # The channel

    def _receive(self, connection: socket.socket) -> None:
        waiting = b""
        reason = "the guest has ended"
        while True:
            try:
                received = connection.recv(65_536)
            except OSError:
                break
            if not received:
                break
            *lines, waiting = (waiting + received).split(b"\n")
            for line in lines:
                try:
                    reply = json.loads(line)
                except ValueError:
                    # The rest of a reply to a connection before this one.
                    continue
                with self._changed:
                    self._replies[str(reply.get("id"))] = reply
                    self._changed.notify_all()
        with self._changed:
            self._ended = reason
            self._changed.notify_all()

    def call(self, do: str, *, call_timeout: float = CALL_SECONDS, **arguments: Any) -> Any:
        """Has the agent do something; see class Agent in guest/agent.py."""
        id = uuid.uuid4().hex
        if not self._socket:
            raise GuestError("there is no connection to the guest")
        with self._sending:
            self._socket.sendall(json.dumps({"id": id, "do": do, **arguments}).encode() + b"\n")
        with self._changed:
            if not self._changed.wait_for(lambda: id in self._replies or self._ended, call_timeout):
                raise GuestError(f"no answer to '{do}' within {call_timeout} s; its console says:\n{self.console}")
            if id not in self._replies:
                raise GuestError(f"{self._ended}; its console says:\n{self.console}")
            reply = self._replies.pop(id)
        if "error" in reply:
            raise GuestError(f"{do}: {reply['error']}")
        return reply["result"]

    # What tests do

    def run(
        self, *argv: str, timeout: float = 30, env: Optional[dict[str, str]] = None, check: bool = True,
        uid: Optional[int] = None, groups: Optional[list[int]] = None,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a program of this machine in the guest, as root unless `uid` says otherwise."""
        done = self.call(
            "run", argv=list(argv), env={**self.tools, **(env or {})}, timeout=timeout, uid=uid, groups=groups,
            call_timeout=timeout + CALL_SECONDS)
        if done["code"] is None:
            raise GuestError(f"{argv}: not done after {timeout} s\n{done['out']}{done['err']}")
        if check and done["code"]:
            raise GuestError(f"{argv}: exit code {done['code']}\n{done['out']}{done['err']}")
        return subprocess.CompletedProcess(list(argv), done["code"], done["out"], done["err"])

    def spawn(
        self, *argv: str, env: Optional[dict[str, str]] = None, pipes: bool = False, uid: Optional[int] = None,
        groups: Optional[list[int]] = None,
    ) -> Process:
        """Starts a program of this machine in the guest."""
        output = f"/run/tmp/{uuid.uuid4().hex[:12]}.out"
        pid = self.call(
            "start", argv=list(argv), env={**self.tools, **(env or {})}, output=output, pipes=pipes, uid=uid,
            groups=groups)
        return Process(self, pid, output)

    @property
    def tools(self) -> dict[str, str]:
        """The environment in which gpiodetect, i2cdetect and the like are found, which are not installed."""
        packages = self.lab / "packages"
        folders = [packages / "gpiod/usr/bin", packages / "i2c-tools/usr/sbin"]
        path = ":".join([*map(str, folders), "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"])
        return {"PATH": path, "LD_LIBRARY_PATH": str(packages / "libi2c0/usr/lib/x86_64-linux-gnu")}

    def read(self, path: str) -> str:
        """A file's text without the white space around it."""
        return str(self.call("read", path=path)).strip()

    def write(self, path: str, text: str) -> None:
        self.call("write", path=path, text=text)

    def put(self, source: Path, target: str) -> None:
        """Copies a file of this machine into the guest's memory."""
        if source.stat().st_size < 1 << 18:
            self.call("write", path=target, data=base64.b64encode(source.read_bytes()).decode(), mode=0o755)
            return
        # Over the shared folder, under a name that the guest has not seen before.
        passing = self.state / uuid.uuid4().hex
        shutil.copy(source, passing)
        try:
            self.call("copy", source=f"{SHARED}/{passing.name}", target=target)
        finally:
            passing.unlink()

    def glob(self, pattern: str) -> list[str]:
        return list(self.call("glob", pattern=pattern))

    def modprobe(self, module: str, *arguments: str) -> None:
        self.call("modprobe", module=module, arguments=list(arguments))


def stop_all(lab: str, state: str) -> None:
    """Ends the guests that were left running in a state folder: that of one process, and those of several."""
    for file in [*Path(state).glob("qemu.pid"), *Path(state).glob("*/qemu.pid")]:
        Guest(Path(lab), file.parent).kill()


class Process:
    """A program that runs in the guest."""

    def __init__(self, guest: Guest, pid: int, output: str) -> None:
        self.guest = guest
        self.pid = pid
        self._output = output

    @property
    def output(self) -> str:
        """What it has written to standard output and standard error; only the latter with pipes."""
        return self.guest.read(self._output)

    def talk(self, line: str = "") -> str:
        """Writes a line to it and returns the line that it answers with; with pipes only."""
        return str(self.guest.call("talk", pid=self.pid, line=line))

    def send_signal(self, number: int) -> None:
        self.guest.call("signal", pid=self.pid, number=number)

    def wait(self, timeout: float = 30) -> int:
        """Its exit code, negative for a signal."""
        code = self.guest.call("wait", pid=self.pid, timeout=timeout, call_timeout=timeout + CALL_SECONDS)
        if code is None:
            raise GuestError(f"process {self.pid} has not ended within {timeout} s\n{self.output}")
        return int(code)

    def stop(self, number: int = signal.SIGTERM, timeout: float = 30) -> int:
        self.send_signal(number)
        return self.wait(timeout)

    @property
    def is_running(self) -> bool:
        return self.guest.call("wait", pid=self.pid, timeout=0) is None
