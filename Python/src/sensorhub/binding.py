"""The binding document: which sensors an algorithm instance works with."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Mapping, Optional

FIELD_TYPES = ("string", "int", "float", "bool")


@dataclass(frozen=True)
class Parameter:
    """A parameter of a control function; `type` is string, int, float or bool."""

    name: str
    type: str

    def __str__(self) -> str:
        return f"{self.name}: {self.type}"


@dataclass(frozen=True)
class ControlFunction:
    """A function through which a sensor is controlled."""

    name: str
    parameters: tuple[Parameter, ...]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.parameters))})"


@dataclass(frozen=True)
class Sensor:
    """A sensor instance that is bound at a position."""

    id: str
    sensor_type: str
    #: The position, counted from 0.
    index: int
    data_topic: str
    #: None, as is `reply_topic`, for a type without control functions.
    control_topic: Optional[str]
    reply_topic: Optional[str]
    #: Field name to type (string, int, float or bool), in the order of the registration.
    fields: Mapping[str, str] = field(hash=False)
    functions: tuple[ControlFunction, ...]
    #: What the sensor was registered with: placement, address and so on.
    attributes: Mapping[str, Any] = field(hash=False)


@dataclass(frozen=True)
class Position:
    """One entry of the deployment's `sensor_info` with the sensors that were found for it."""

    index: int
    sensor_type: str
    sensors: tuple[Sensor, ...]


@dataclass(frozen=True)
class Output:
    """One entry of the deployment's `output_info`: a sensor whose readings the algorithm publishes."""

    index: int
    sensor_type: str
    #: None, as is `committed_topic`, while the sensor is not registered.
    sensor: Optional[Sensor]
    #: Where the hub says how far the readings are in the database.
    committed_topic: Optional[str]


@dataclass(frozen=True)
class Binding:
    """The sensors of an algorithm instance, by position. A change comes as a new object with a higher version."""

    instance: str
    app: str
    algorithm: str
    version: int
    #: Why the hub made this version, for people.
    reason: str
    positions: tuple[Position, ...]
    outputs: tuple[Output, ...] = ()

    @property
    def sensors(self) -> tuple[Sensor, ...]:
        """The sensors of all positions, in order."""
        return tuple(sensor for position in self.positions for sensor in position.sensors)

    def position(self, index: int) -> Position:
        """The position with this index; raises `LookupError` if there is none."""
        for position in self.positions:
            if position.index == index:
                return position
        raise LookupError(
            f"there is no position {index}: '{self.instance}' has {len(self.positions)}, counted from 0"
        )

    def sensor(self, index_or_sensor_id: int | str) -> Sensor:
        """The first sensor of a position, or the sensor with an id; raises `LookupError` if there is none."""
        if isinstance(index_or_sensor_id, int):
            position = self.position(index_or_sensor_id)
            if not position.sensors:
                raise LookupError(f"no sensor of type '{position.sensor_type}' is bound at position {position.index}")
            return position.sensors[0]
        for sensor in self.sensors:
            if sensor.id == index_or_sensor_id:
                return sensor
        raise LookupError(f"sensor '{index_or_sensor_id}' is not bound to '{self.instance}'")

    def output(self, index_or_sensor_id: int | str) -> Output:
        """The output with this index, or of the sensor with an id; raises `LookupError` if there is none."""
        for output in self.outputs:
            id = output.sensor.id if output.sensor is not None else None
            if index_or_sensor_id in (output.index, id):
                return output
        if isinstance(index_or_sensor_id, int):
            raise LookupError(
                f"there is no output {index_or_sensor_id}: '{self.instance}' has {len(self.outputs)}, counted from 0"
            )
        raise LookupError(f"sensor '{index_or_sensor_id}' is no output of '{self.instance}'")

    @classmethod
    def parse(cls, payload: bytes) -> Binding:
        """Reads a binding document; raises `ValueError` if it is not one."""
        try:
            document = json.loads(payload)
            return cls(
                instance=_text(document["instance"]),
                app=_text(document["app"]),
                algorithm=_text(document["algorithm"]),
                version=_whole(document["version"]),
                reason=_text(document.get("reason") or ""),
                positions=tuple(_position(item) for item in document["positions"]),
                outputs=tuple(_output(item) for item in document.get("outputs") or ()),
            )
        # What a document of another shape raises depends on the shape.
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError(f"not a binding document: {type(error).__name__}: {error}") from None


def _position(item: Any) -> Position:
    index, sensor_type = _whole(item["index"]), _text(item["sensor_type"])
    return Position(index, sensor_type, tuple(_sensor(one, sensor_type, index) for one in item["sensors"]))


def _output(item: Any) -> Output:
    index, sensor_type = _whole(item["index"]), _text(item["sensor_type"])
    sensor = item.get("sensor")
    if sensor is None:
        return Output(index, sensor_type, None, None)
    return Output(index, sensor_type, _sensor(sensor, sensor_type, index), _topic(sensor["committed"]))


def _sensor(item: Any, sensor_type: str, index: int) -> Sensor:
    fields = dict(item["fields"])
    for name, field_type in fields.items():
        if field_type not in FIELD_TYPES:
            raise ValueError(f"field '{name}' has the unknown type '{field_type}'")
    return Sensor(
        id=_text(item["id"]),
        sensor_type=sensor_type,
        index=index,
        data_topic=_topic(item["data"]),
        control_topic=_topic(item["control"]) if item.get("control") else None,
        reply_topic=_topic(item["reply"]) if item.get("reply") else None,
        fields=fields,
        functions=tuple(_function(function) for function in item.get("functions") or ()),
        attributes=dict(item.get("attributes") or {}),
    )


def _function(item: Any) -> ControlFunction:
    parameters = (Parameter(_text(one["name"]), _text(one["type"])) for one in item.get("params") or ())
    return ControlFunction(_text(item["name"]), tuple(parameters))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected text, found {value!r}"[:200])
    return value


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"expected a whole number, found {value!r}"[:200])
    return value


def _topic(value: Any) -> str:
    topic = _text(value)
    if not topic or "+" in topic or "#" in topic or "\0" in topic:
        raise ValueError(f"'{topic[:80]}' is no topic")
    return topic
