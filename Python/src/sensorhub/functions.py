"""The functions of the IAS IoT platform's library, for those who know them."""

from __future__ import annotations

import atexit
import threading
from typing import Any, Mapping, Optional

from .binding import Sensor
from .control import ControlReply
from .platform import Platform

_lock = threading.Lock()
_platform: Optional[Platform] = None


def getSensorData(instance_id: str, index: int) -> str:
    """The data topic of the first sensor at a position.

    `instance_id` is the program's first argument. Waits up to 30 s for the binding, and raises `BindingTimeout` if
    there is none. The topic can change with the binding; `Platform.readings` follows such changes by itself.
    """
    return _connected(instance_id).wait_for_binding().sensor(index).data_topic


def setSensorData(
    instance_id: str, index: int, val: Any, *, wait: bool = True, timeout: float = 10
) -> Optional[ControlReply]:
    """Calls a control function of the first sensor at a position.

    `val` is a dictionary with the function's name and parameters, `{"function": "set_light", "on": True}`. A plain
    value will do where the sensor's type has exactly one function with exactly one parameter; else a `ValueError`
    lists the functions.

    Waits for the driver's reply and returns it, or raises a `ControlError`. With `wait=False` it returns None at once.
    """
    platform = _connected(instance_id)
    function, params = _call(platform.wait_for_binding().sensor(index), val)
    if wait:
        return platform.call(index, function, params, timeout=timeout)
    platform.send(index, function, params, timeout=timeout)
    return None


def _connected(instance_id: str) -> Platform:
    global _platform
    with _lock:
        if _platform is None:
            _platform = Platform()
            atexit.register(_platform.close)
    if instance_id != _platform.instance:
        raise ValueError(
            f"this program is instance '{_platform.instance}' and has no access to the sensors of '{instance_id}'"
        )
    return _platform


def _call(sensor: Sensor, val: Any) -> tuple[str, Mapping[str, Any]]:
    if isinstance(val, Mapping):
        name = val.get("function")
        if isinstance(name, str):
            return name, {key: value for key, value in val.items() if key != "function"}
        problem = "the dictionary has no 'function'"
    elif len(sensor.functions) == 1 and len(sensor.functions[0].parameters) == 1:
        only = sensor.functions[0]
        return only.name, {only.parameters[0].name: val}
    else:
        problem = "a plain value needs a type with exactly one function with exactly one parameter"
    functions = ", ".join(map(str, sensor.functions)) or "none"
    raise ValueError(
        f"cannot tell which control function of sensor '{sensor.id}' is meant: {problem}. "
        f"Functions of type '{sensor.sensor_type}': {functions}. "
        'Give {"function": name, parameter: value, …}'
    )
