"""What is a reading and what is not; no broker is needed for this."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from sensorhub import Reading, Sensor
from sensorhub.binding import Binding
from sensorhub.reading import decode
from sensorhub.repeats import Repeats

SENSOR = Sensor(
    id="s-1",
    sensor_type="everything",
    index=2,
    data_topic="d",
    control_topic=None,
    reply_topic=None,
    fields={"text": "string", "whole": "int", "real": "float", "flag": "bool"},
    functions=(),
    attributes={},
)
RECEIVED = 1_700_000_000_000_000


def read(payload: Any) -> tuple[list[Reading], list[str]]:
    problems: list[str] = []
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return decode(raw, SENSOR, RECEIVED, problems.append), problems


def test_single_form() -> None:
    readings, problems = read({"t": 1763677055123456, "boot": 5, "seq": 7, "v": {"real": 21.5, "flag": False}})
    (reading,) = readings
    assert not problems
    assert reading.time == datetime(2025, 11, 20, 22, 17, 35, 123456, tzinfo=timezone.utc)
    assert reading.time.utcoffset() == timedelta(0)
    assert (reading.sensor_id, reading.index, reading.t, reading.boot, reading.seq) == (
        "s-1", 2, 1763677055123456, 5, 7,
    )  # fmt: skip
    assert reading.values == {"text": None, "whole": None, "real": 21.5, "flag": False}
    assert reading["flag"] is False
    assert reading["text"] is None
    assert reading.get("text", "none") == "none"
    with pytest.raises(KeyError, match="no field 'lux'"):
        reading["lux"]


def test_array_form_keeps_the_good_ones() -> None:
    good = {"t": 1, "boot": 1, "seq": 1, "v": {"whole": 1}}
    readings, problems = read([good, {"whole": 2}, {**good, "v": {"whole": "x"}}, 7, {**good, "seq": 2}])
    assert [reading.seq for reading in readings] == [1, None, 2]
    assert len(problems) == 2


def test_bare_form() -> None:
    readings, problems = read({"text": "hello", "real": 3})
    assert not problems
    assert readings[0].t == RECEIVED
    assert readings[0].boot is None and readings[0].seq is None
    assert readings[0]["real"] == 3.0 and isinstance(readings[0]["real"], float)


def test_null_is_no_value() -> None:
    readings, problems = read({"t": 1, "boot": 1, "seq": 1, "v": {"text": None, "whole": 0}})
    assert not problems and readings[0]["text"] is None and readings[0]["whole"] == 0


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff\xfe",
        b"21.5",
        b'"text"',
        b"null",
        b"{",
        b"[" * 100_000,
        b'{"real": NaN}',
        b'{"real": 1e999}',
        b'{"real": 1' + b"0" * 400 + b"}",
        b'{"whole": 1.5}',
        b'{"whole": 9223372036854775808}',
        b'{"whole": true}',
        b'{"flag": 1}',
        b'{"text": 1}',
        b'{"text": "\\ud800"}',
        b'{"\\ud800": 1}',
        b'{"text": {"v": {}}}',
        b'{"unknown": 1}',
        b'{"v": 1}',
        b'{"v": {"whole": 1}}',
        b'{"t": 1, "boot": 1, "seq": 1, "v": {}}',
        b'{"t": 1, "boot": 1, "seq": 1, "v": {"whole": null}}',
        b'{"t": 1, "boot": 1, "seq": 1, "v": {"whole": 1}, "unit": "m"}',
        b'{"t": true, "boot": 1, "seq": 1, "v": {"whole": 1}}',
        b'{"t": -1, "boot": 1, "seq": 1, "v": {"whole": 1}}',
        b'{"t": 1e15, "boot": 1, "seq": 1, "v": {"whole": 1}}',
        b'{"t": 4102444800000001, "boot": 1, "seq": 1, "v": {"whole": 1}}',
        b'{"t": 1, "boot": "1", "seq": 1, "v": {"whole": 1}}',
        b'{"t": 1, "boot": 1, "v": {"whole": 1}}',
        b'{"text": "\\u0000"}',
        b"{}",
        '{"text": "x"}'.encode("utf-16"),
    ],
)
def test_malformed(payload: bytes) -> None:
    readings, problems = read(payload)
    assert readings == []
    assert len(problems) == 1


def test_the_last_time_that_there_is() -> None:
    readings, _ = read({"t": 4102444800000000, "boot": 1, "seq": 1, "v": {"flag": True}})
    assert readings[0].time.year == 2100


def test_repeats_are_told_from_new_readings() -> None:
    def reading(boot: int, seq: int, t: int = 0) -> Reading:
        return Reading(SENSOR, t, boot, seq, {})

    repeats = Repeats()
    assert [repeats.is_repeat(reading(1, seq)) for seq in (1, 2, 1, 2, 3)] == [False, False, True, True, False]
    assert not repeats.is_repeat(reading(2, 1))
    assert not repeats.is_repeat(Reading(SENSOR, 0, None, None, {}))
    assert not repeats.is_repeat(Reading(SENSOR, 0, None, None, {}))
    repeats.keep_only([])
    assert not repeats.is_repeat(reading(1, 1))


@pytest.mark.parametrize(
    "payload",
    [
        b"no JSON",
        b"[]",
        b"{}",
        b'{"instance": "a", "app": "a", "algorithm": "a", "version": "1", "positions": []}',
        b'{"instance": "a", "app": "a", "algorithm": "a", "version": 1, "positions": [{"index": 0}]}',
        b'{"instance": "a", "app": "a", "algorithm": "a", "version": 1, "positions": [{"index": 0, "sensor_type": "t",'
        b' "sensors": [{"id": "s", "data": "#", "fields": {}}]}]}',
        b'{"instance": "a", "app": "a", "algorithm": "a", "version": 1, "positions": [{"index": 0, "sensor_type": "t",'
        b' "sensors": [{"id": "s", "data": "d", "fields": {"f": "complex"}}]}]}',
    ],
)
def test_what_is_no_binding(payload: bytes) -> None:
    with pytest.raises(ValueError, match="not a binding document"):
        Binding.parse(payload)
