"""The fixtures of the hardware lab, a plugin of pytest: `run` has it loaded, so that tests beside their drivers
(Drivers/*/Lab) have them too. docs/hardware.md tells how a driver is tested with them."""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any, Callable, Iterator, Optional, Union

import pytest

from broker import Broker
from devices import Emulated, GPIOChip, I2CBus
from guest import Guest, Process
from sensor import Sensor, configuration

# In the guest: sensor-driver as it was built, and the same with Debian 13's libgpiod where the machine has the older one.
DRIVER = "/run/tmp/sensor-driver"
NEWER_DRIVER = "/run/tmp/sensor-driver-libgpiod2"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--keep", action="store_true", help="leave the guest running, for the next time")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "gpio: uses GPIO lines; runs with both versions of libgpiod")


def newer_driver() -> Path:
    return path_of("SENSORHUB_TEST_BUILD") / "sensor-driver-libgpiod2"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "program" in metafunc.fixturenames and metafunc.definition.get_closest_marker("gpio") and newer_driver().exists():
        metafunc.parametrize("program", [DRIVER, NEWER_DRIVER], ids=["libgpiod1", "libgpiod2"], indirect=True)


def path_of(variable: str) -> Path:
    value = os.environ.get(variable)
    if not value:
        pytest.exit(f"{variable} is not set: use `make hardware-test` or Tests/HardwareLab/run", returncode=2)
    return Path(value).resolve()


@pytest.fixture(scope="session")
def guest(request: pytest.FixtureRequest) -> Iterator[Guest]:
    """The guest, which all tests share; where several processes run them (pytest-xdist), each of these has its own."""
    guest = Guest(
        path_of("SENSORHUB_LAB"), path_of("SENSORHUB_LAB_STATE") / os.environ.get("PYTEST_XDIST_WORKER", ""))
    driver = path_of("SENSORHUB_TEST_BUILD") / "sensor-driver"
    if not driver.exists():
        pytest.exit(f"{driver} is not built: make hardware-test, or set SENSORHUB_TEST_BUILD", returncode=2)
    try:
        guest.start()
        guest.put(driver, DRIVER)
        if newer_driver().exists():
            guest.put(newer_driver(), NEWER_DRIVER)
        yield guest
    finally:
        if request.config.getoption("--keep"):
            guest.close()
        else:
            guest.kill()


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("broker"))
    yield broker
    broker.stop()


@pytest.fixture
def program(request: pytest.FixtureRequest) -> str:
    """The sensor-driver that a test's sensors run."""
    return str(getattr(request, "param", DRIVER))


class Lab:
    """What a test builds from. All of it is taken down after the test."""

    def __init__(self, guest: Guest, broker: Broker, program: str, folder: Path) -> None:
        self.guest = guest
        self.broker = broker
        self.program = program
        # The driver's: where its type file is.
        self._folder = folder
        # So that tests do not meet each other's; buses and chips are found by it.
        self.id = uuid.uuid4().hex[:6]
        self._undo: list[Callable[[], Any]] = []
        self.sensors: list[Sensor] = []

    def i2c(
        self, chips: dict[int, Emulated], timeout_ms: int = 1_000, smbus_only: bool = False, name: str = "",
    ) -> I2CBus:
        """An I2C bus with emulated chips, by address. A transfer that hangs ends after `timeout_ms`."""
        bus = I2CBus(self.guest, name or f"lab-i2c-{self.id}-{len(self._undo)}", chips, timeout_ms, smbus_only)
        self._undo.append(bus.remove)
        return bus

    def gpio(self, lines: Union[int, dict[int, str]], label: str = "") -> GPIOChip:
        """A GPIO chip with so many lines, or with lines of these names."""
        chip = GPIOChip(self.guest, label or f"lab-gpio-{self.id}-{len(self._undo)}", lines)
        self._undo.append(chip.remove)
        return chip

    def sensor(
        self, driver: str, interval: Optional[float] = None, type: Optional[Path] = None, **attributes: Any,
    ) -> Sensor:
        """A sensor with the type of the driver's folder (or of the file `type`), not started yet."""
        file = type or next(self._folder.glob("*.type.json"))
        name = f"{driver}-{self.id}-{len(self._undo)}".replace("_", "-")
        sensor = Sensor(self.guest, self.broker, self.program, configuration(driver, file, name, interval, **attributes))
        self.sensors.append(sensor)
        self._undo.append(lambda: sensor.stop() if sensor.process else None)
        return sensor

    def spawn(self, *argv: str, **options: Any) -> Process:
        """Starts a program of this machine in the guest, and ends it after the test. What it holds is then free before
        chips are taken down: Linux 6.1 may crash when a GPIO chip is made while one that is gone is held."""
        process = self.guest.spawn(*argv, **options)
        self._undo.append(process.stop)
        return process

    def undo(self, action: Callable[[], Any]) -> None:
        """Has something done when the test is over; what was made last is taken down first."""
        self._undo.append(action)

    def close(self) -> None:
        errors = []
        # Drivers first, then what they use.
        for undo in reversed(self._undo):
            try:
                undo()
            except Exception as error:  # The rest is to be taken down all the same.
                errors.append(error)
        if errors:
            raise errors[0]


@pytest.fixture
def lab(guest: Guest, broker: Broker, program: str, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """Makes buses, chips and sensors for one test."""
    lab = Lab(guest, broker, program, request.path.parents[1])
    yield lab
    lab.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Iterator[None]:
    """Shows with a failed test what its drivers had to say."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    lab = getattr(item, "funcargs", {}).get("lab")
    if report.failed and isinstance(lab, Lab):
        for sensor in lab.sensors:
            report.sections.append((f"log of {sensor.name}", sensor.log[-4_000:]))
