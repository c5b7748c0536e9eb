from __future__ import annotations

import pytest

from sensorhub import ConfigurationError, Settings

COMPLETE = {
    "SENSORHUB_HUB": "main",
    "SENSORHUB_BROKER": "mqtt://127.0.0.1:1884",
    "SENSORHUB_USER": "algorithm.a-1",
    "SENSORHUB_PASSWORD": "secret-word",
    "SENSORHUB_INSTANCE": "a-1",
    "SENSORHUB_APP": "a",
}


def test_reads_what_the_hub_sets() -> None:
    settings = Settings.from_environment(COMPLETE)
    assert (settings.broker.host, settings.broker.port) == ("127.0.0.1", 1884)
    assert settings.binding_topic == "sensorhub/main/algorithms/a-1/binding"
    assert settings.page_topic == "sensorhub/main/apps/a/page"
    assert str(settings.broker) == "mqtt://127.0.0.1:1884" and settings.broker.socket is None
    assert "secret-word" not in repr(settings)


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [("mqtt://broker.example", "broker.example", 1883), ("mqtt://[::1]:1885", "::1", 1885)],
)
def test_forms_of_the_address(address: str, host: str, port: int) -> None:
    settings = Settings.from_environment({**COMPLETE, "SENSORHUB_BROKER": address})
    assert (settings.broker.host, settings.broker.port, settings.broker.socket) == (host, port, None)


@pytest.mark.parametrize(
    "path",
    ["/run/sensorhub/mqtt.sock", "/mqtt.sock", "/run/a hub/ü%20?x=1#1:2.sock", "/" + "ü" * 53],
)
def test_a_socket_is_taken_as_it_stands(path: str) -> None:
    settings = Settings.from_environment({**COMPLETE, "SENSORHUB_BROKER": f"unix://{path}"})
    assert settings.broker.socket == path
    assert str(settings.broker) == f"unix://{path}"


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("unix://", "is no absolute path"),
        ("unix://run/mqtt.sock", "is no absolute path"),
        ("unix:///run/", "is no absolute path"),
        ("unix:/run/mqtt.sock", "or unix:///path"),
        ("/run/mqtt.sock", "or unix:///path"),
        ("unix:///run/a\nb", "has a control character"),
        ("unix:///" + "ü" * 53 + "x", "is too long: the socket's path has 108 bytes, and Linux allows 107"),
    ],
)
def test_a_socket_that_none_can_be_is_refused(address: str, reason: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environment({**COMPLETE, "SENSORHUB_BROKER": address})
    assert str(caught.value).startswith("SENSORHUB_BROKER ") and reason in str(caught.value)


def test_a_missing_variable_is_named_with_the_way_out() -> None:
    environment = {name: value for name, value in COMPLETE.items() if name != "SENSORHUB_BROKER"}
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environment(environment)
    message = str(caught.value)
    assert message.startswith("SENSORHUB_BROKER is not set")
    assert "started by the hub" in message and "sensorhub deploy" in message
    assert "export SENSORHUB_BROKER=" in message
    assert "SENSORHUB_USER" not in message


def test_all_missing_variables_are_named_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.from_environment({})
    assert all(name in str(caught.value) for name in COMPLETE)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SENSORHUB_BROKER", "127.0.0.1:1883"),
        ("SENSORHUB_BROKER", "http://127.0.0.1:1883"),
        ("SENSORHUB_BROKER", "mqtt://127.0.0.1:port"),
        ("SENSORHUB_BROKER", "mqtt://127.0.0.1:0"),
        ("SENSORHUB_BROKER", "mqtt://me:secret@127.0.0.1"),
        ("SENSORHUB_INSTANCE", "#"),
        ("SENSORHUB_APP", "a/b"),
        ("SENSORHUB_HUB", "+"),
    ],
)
def test_a_wrong_variable_is_named(name: str, value: str) -> None:
    with pytest.raises(ConfigurationError, match=name):
        Settings.from_environment({**COMPLETE, name: value})
