"""Running hubs for the tests; `make integration-tests` builds what they run."""

from __future__ import annotations

import signal
from typing import Any, Iterator

import pytest

from device import Client, declare
from hub import BUILD, SENSORHUB, Hub
from samples import deploy_sleeper, probe, register
from services import MissingPostgres, ServiceHub, Services

# The files that take longest, longest first. Where several processes (pytest-xdist) take one file after the other, the
# last ones are short then, and none of the processes is at work alone for long.
LONGEST = [f"test_{name}.py" for name in (
    "statistics", "device_apps", "virtual_sensors", "run", "journals", "incidents", "limits", "survival", "new_driver",
    "supervision", "cli", "device_packages", "restart", "steering", "main_job", "socket", "run_terminal", "wrong_input",
    "rollups", "commands", "gaps", "disk", "popen", "outages",
)]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path.name, len(LONGEST)))


def pytest_sessionstart(session: pytest.Session) -> None:
    for program in (SENSORHUB, BUILD / "sensorhub-watch", BUILD / "sensor-driver"):
        if not program.exists():
            pytest.exit(f"{program} is not built: make integration-tests, or set SENSORHUB_TEST_BUILD", returncode=2)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[Any]) -> Iterator[None]:
    """Shows with a failed test what its hubs had to say."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.failed:
        for name, value in getattr(item, "funcargs", {}).items():
            if isinstance(value, Hub) and value.data.exists():
                report.sections.append((f"logs of '{name}'", value.logs))


def destroy(hub: Hub) -> None:
    left = hub.destroy()
    assert not left, f"these processes have outlived sensorhub up: {left}"


@pytest.fixture(scope="session", autouse=True)
def signals_are_not_ignored() -> None:
    """Whoever runs us in the background may have us ignore some (nohup, a shell's &), and all programs that tests start
    would inherit that. They do not inherit a handler, and we ourselves go on ignoring them."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def running_hub() -> Iterator[Hub]:
    hub = Hub()
    try:
        yield hub.start()
    finally:
        destroy(hub)


@pytest.fixture(scope="session")
def hub() -> Iterator[Hub]:
    """One hub for all tests that leave it as they would like to find it; each process that runs tests has one."""
    yield from running_hub()


@pytest.fixture(scope="module")
def own_hub() -> Iterator[Hub]:
    """A running hub for the tests of one file."""
    yield from running_hub()


@pytest.fixture(scope="module")
def device_hub(own_hub: Hub) -> Hub:
    """The same, whose person has added runtimes and announcements for apps on a device."""
    declare(own_hub)
    return own_hub


@pytest.fixture(scope="module")
def client(device_hub: Hub) -> Iterator[Client]:
    """Of apps on a device."""
    client = Client(device_hub)
    yield client
    client.close()


@pytest.fixture
def fresh_hub() -> Iterator[Hub]:
    """A hub for one test, not started yet."""
    hub = Hub()
    try:
        yield hub
    finally:
        destroy(hub)


@pytest.fixture(scope="module")
def services(request: pytest.FixtureRequest) -> Iterator[Services]:
    """A broker and a database for the tests of one file, which may have `OVER_SOCKET = True`."""
    services = Services(over_socket=getattr(request.module, "OVER_SOCKET", False))
    try:
        services.start_postgres()
        services.start_mosquitto()
        yield services
    except MissingPostgres as error:
        pytest.skip(str(error))
    finally:
        services.destroy()


@pytest.fixture(scope="module")
def person(services: Services) -> Iterator[ServiceHub]:
    """A person at a hub with one agent, which run as services."""
    services.start_hub()
    hub = services.person_at("workshop")
    yield hub
    hub.close()


@pytest.fixture(scope="module")
def nothing_dies(hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The same processes run at the end of a file as at its beginning, the hub knows it, and the readings go on."""
    register(hub, probe("taken-1", site="taken"), probe("taken-2", driver=False, site="taken"))
    instance = deploy_sleeper(hub, tmp_path_factory.mktemp("taken"), "taken", {"site": "taken"})
    hub.wait_until_running("taken-1")

    def processes() -> dict[str, int]:
        parts = {name: hub.part(name) for name in ("hub", "agent", "mosquitto", "postgres")}
        return parts | {id: hub.program(id)["pid"] for id in ("taken-1", instance)}

    before = processes()
    yield
    assert hub.rpc("hub", "status")["nodes"] == [{"node": hub.node, "status": "online"}]
    hub.wait_for_more_readings("taken-1")
    assert processes() == before
