"""What the attribute `fields` of a sensor means, from the driver to the incident."""

from __future__ import annotations

from typing import Any

from hub import Hub, wait_until

TYPE = {"name": "boiler", "sensor_data_structure": {"celsius": "float"}}


def register(hub: Hub, name: str, pattern: dict[str, Any], **attributes: Any) -> None:
    hub.rpc("types", "register", document=TYPE)
    hub.rpc("sensors", "register", document={
        "name": name, "sensor_type": "boiler", "driver": "simulated", "interval": 0.05,
        "simulate": {"celsius": pattern}, **attributes})


def state(hub: Hub, name: str) -> tuple[str, str]:
    row = hub.sql("SELECT state, state_reason FROM hub.sensor WHERE name = %s", name)[0]
    return row["state"], row["state_reason"]


def open_incidents(hub: Hub, subject: str) -> list[str]:
    rows = hub.sql("SELECT kind FROM hub.incident WHERE subject = %s AND closed_at IS NULL", subject)
    return [row["kind"] for row in rows]


def test_small_changes_are_left_out(hub: Hub) -> None:
    register(
        hub, "boiler-still", {"pattern": "constant", "value": 20.126},
        fields={"celsius": {"delta": 0.5, "precision": 2}}, max_silence_seconds=2)
    wait_until(lambda: hub.count("boiler-still") >= 2, 60, "a reading after the silence")
    rows = hub.sql(
        "SELECT celsius, extract(epoch FROM event_time - lag(event_time) OVER (ORDER BY seq)) AS gap "
        "FROM report.boiler WHERE sensor = 'boiler-still' ORDER BY seq")
    # The driver reads twenty times a second.
    assert {row["celsius"] for row in rows} == {20.13}
    assert all(row["gap"] >= 1.9 for row in rows[1:]), rows


def test_bounds_are_an_alert_and_an_incident_until_they_are_kept_again(hub: Hub) -> None:
    register(
        hub, "boiler-hot", {"pattern": "sine", "min": 0, "max": 100, "period_seconds": 8},
        fields={"celsius": {"warning": [None, 60], "error": [None, 80]}})
    seen: set[str] = set()

    def has_seen_all() -> bool:
        seen.add(state(hub, "boiler-hot")[1].split(":")[0])
        return {"", "warning", "error"} <= seen

    wait_until(has_seen_all, 60, "normal, warning and error")
    wait_until(lambda: open_incidents(hub, "boiler-hot") == ["sensor-alert"], 60, "the incident")
    wait_until(lambda: open_incidents(hub, "boiler-hot") == [], 60, "its end")
    assert state(hub, "boiler-hot")[0] == "online"
    hub.rpc("sensors", "remove", name="boiler-hot")
    wait_until(lambda: open_incidents(hub, "boiler-hot") == [], 60, "nothing is left of it")


def test_what_cannot_be_is_a_fault_and_no_reading(hub: Hub) -> None:
    register(
        hub, "boiler-odd", {"pattern": "constant", "value": 4000}, fields={"celsius": {"range": [-40, 150]}})
    wait_until(lambda: state(hub, "boiler-odd")[0] == "fault", 60, "the fault")
    assert "celsius is 4000.0, and can only be -40.0 to 150.0" in state(hub, "boiler-odd")[1]
    wait_until(lambda: open_incidents(hub, "boiler-odd") == ["sensor-fault"], 60, "the incident")
    assert hub.count("boiler-odd") == 0


def test_a_contradiction_is_named(hub: Hub) -> None:
    register(
        hub, "boiler-wrong", {"pattern": "constant", "value": 20},
        fields={"celsius": {"warning": [0, 90], "error": [0, 80]}})
    wait_until(lambda: "reaches beyond 'error'" in hub.cli("logs", "boiler-wrong"), 60, "the reason in its log")
