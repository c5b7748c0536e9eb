"""Runs in the guest and does what the tests ask of it, over a virtio serial port: a line of JSON for each request and for
each reply. Requests are answered as they are done, not in order.

A request is {"id", "do": the name of a method of Agent below, …its arguments}, a reply {"id", "result"} or
{"id", "error"}. The answer to `hello` tells a new connection where the replies to the one before end.
"""

import base64
import glob
import json
import os
import signal
import subprocess
import sys
import threading
from typing import Any, Optional


class Agent:
    def __init__(self, modules: str) -> None:
        self.modules = modules
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        self.output: dict[int, str] = {}
        self.talking = threading.Lock()

    def hello(self, nonce: str) -> str:
        return nonce

    def run(
        self, argv: list[str], env: dict[str, str], timeout: float, uid: Optional[int] = None,
        groups: Optional[list[int]] = None,
    ) -> dict[str, Any]:
        """Runs a program to its end. The code is null where it took too long, and was killed."""
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/run/tmp",
            env={**os.environ, **env}, user=uid, group=uid, extra_groups=groups if uid is not None else None)
        try:
            out, err = process.communicate(timeout=timeout)
            code: Optional[int] = process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            code = None
        return {"code": code, "out": out.decode(errors="replace"), "err": err.decode(errors="replace")}

    def start(
        self, argv: list[str], env: dict[str, str], output: str, pipes: bool = False, uid: Optional[int] = None,
        groups: Optional[list[int]] = None,
    ) -> int:
        """Starts a program whose output goes to a file, or with `pipes` to `talk`. Returns its process id."""
        with open(output, "wb") as file:
            process = subprocess.Popen(
                argv, stdin=subprocess.PIPE if pipes else subprocess.DEVNULL,
                stdout=subprocess.PIPE if pipes else file, stderr=file, cwd="/run/tmp", env={**os.environ, **env},
                user=uid, group=uid, extra_groups=groups if uid is not None else None, start_new_session=True)
        self.processes[process.pid] = process
        self.output[process.pid] = output
        return process.pid

    def talk(self, pid: int, line: str) -> str:
        """Writes a line to a program started with pipes, and returns the line that it answers with."""
        process = self.processes[pid]
        assert process.stdin and process.stdout
        with self.talking:
            if line:
                process.stdin.write(line.encode() + b"\n")
                process.stdin.flush()
            answer = process.stdout.readline().decode()
        if not answer.endswith("\n"):
            raise RuntimeError(f"process {pid} has ended: {self.read(self.output[pid])}")
        return answer.rstrip("\n")

    def signal(self, pid: int, number: int) -> None:
        if self.processes[pid].poll() is None:
            os.kill(pid, number)

    def wait(self, pid: int, timeout: float) -> Optional[int]:
        """The exit code, negative for a signal; null where it has not ended within the time."""
        try:
            return self.processes[pid].wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def read(self, path: str) -> str:
        with open(path, "rb") as file:
            return file.read().decode(errors="replace")

    def write(self, path: str, text: Optional[str] = None, data: Optional[str] = None, mode: int = 0o644) -> None:
        """Writes text, or bytes in base64. A file of sysfs takes it in one call."""
        content = text.encode() if text is not None else base64.b64decode(data or "")
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        try:
            while content:
                content = content[os.write(descriptor, content):]
        finally:
            os.close(descriptor)

    def copy(self, source: str, target: str) -> None:
        """Copies a program from the state folder into the guest's memory; one that runs keeps its own."""
        with open(source, "rb") as file:
            content = file.read()
        with open(f"{target}.new", "wb") as file:
            file.write(content)
        os.chmod(f"{target}.new", 0o755)
        os.rename(f"{target}.new", target)

    def glob(self, pattern: str) -> list[str]:
        return sorted(glob.glob(pattern))

    def link(self, path: str) -> str:
        return os.path.realpath(path)

    def mkdir(self, path: str) -> None:
        os.makedirs(path, exist_ok=True)

    def rmdir(self, path: str) -> None:
        os.rmdir(path)

    def modprobe(self, module: str, arguments: list[str]) -> None:
        """Loads one of the kernel's modules; those that Debian builds, and gpio-sim and i2c_lab."""
        done = subprocess.run(
            ["modprobe", "-d", self.modules, module, *arguments], capture_output=True, check=False)
        if done.returncode:
            raise RuntimeError(f"modprobe {module}: {done.stderr.decode(errors='replace').strip()}")

    def end(self) -> None:
        """Kills everything that was started."""
        for process in self.processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        self.processes.clear()

    def power_off(self) -> None:
        os.sync()
        with open("/proc/sysrq-trigger", "w", encoding="ascii") as file:
            file.write("o")


def main() -> None:
    # The init's files of modules are its own; these are the host's, with all modules of the kernel.
    with open("/run/lab/guest.json", encoding="utf-8") as file:
        agent = Agent(json.load(file)["modules"])
    agent.modprobe("configfs", [])
    subprocess.run(["mount", "-t", "configfs", "configfs", "/sys/kernel/config"], check=True)
    for module in ("gpio-sim", "i2c-dev", "i2c_lab"):
        agent.modprobe(module, [])
    names = glob.glob("/sys/class/virtio-ports/*")
    device = next(name for name in names if agent.read(f"{name}/name").strip() == "agent")
    port = os.open(f"/dev/{os.path.basename(device)}", os.O_RDWR)
    sending = threading.Lock()

    def answer(request: dict[str, Any]) -> None:
        id, do = request.pop("id", None), request.pop("do", "")
        try:
            if do.startswith("_"):
                raise ValueError(f"there is no '{do}'")
            reply = {"id": id, "result": getattr(agent, do)(**request)}
        except Exception as error:  # The one who asked is to know, whatever it is.
            reply = {"id": id, "error": f"{type(error).__name__}: {error}"}
        data = json.dumps(reply).encode() + b"\n"
        with sending:
            while data:
                data = data[os.write(port, data):]

    waiting = b""
    while True:
        received = os.read(port, 65_536)
        if not received:
            # Nobody is connected.
            threading.Event().wait(0.05)
            waiting = b""
            continue
        *lines, waiting = (waiting + received).split(b"\n")
        for line in lines:
            try:
                request = json.loads(line)
            except ValueError:
                # What a connection that broke has left behind.
                continue
            threading.Thread(target=answer, args=(request,), daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
