"""Makes one sensor out of two: from a room's temperature and humidity the dew point, and whether one feels well."""

from __future__ import annotations

from math import log
from typing import Optional

from sensorhub import Platform, Reading

THERMOMETER, HYGROMETER = 0, 1
COMFORT = 0

# The Magnus formula with the coefficients of Alduchov and Eskridge, "Improved Magnus Form Approximation of Saturation
# Vapor Pressure", Journal of Applied Meteorology 35 (1996), 601-609: from -40 to 50 °C, over water.
MAGNUS_FACTOR = 17.625
MAGNUS_CELSIUS = 243.04

# ANSI/ASHRAE Standard 55 has air that is more humid than this for uncomfortable, whatever its temperature.
DEW_POINT_LIMIT_CELSIUS = 16.8
COMFORTABLE_CELSIUS = (20.0, 26.0)
# Two readings that are further apart say nothing about one another.
APART_MICROSECONDS = 60 * 1_000_000


def dew_point(temperature: float, humidity: float) -> float:
    """The temperature in °C at which air of this temperature in °C and relative humidity in % would be saturated."""
    gamma = log(humidity / 100) + MAGNUS_FACTOR * temperature / (MAGNUS_CELSIUS + temperature)
    return MAGNUS_CELSIUS * gamma / (MAGNUS_FACTOR - gamma)


def comfort(temperature: Optional[float], humidity: Optional[float]) -> Optional[dict[str, object]]:
    """The fields of a reading of type `comfort`; None for what a room cannot be."""
    if temperature is None or humidity is None or not -40 <= temperature <= 50 or not 0 < humidity <= 100:
        return None
    dew = dew_point(temperature, humidity)
    low, high = COMFORTABLE_CELSIUS
    return {"dew_point": round(dew, 2), "comfortable": low <= temperature <= high and dew <= DEW_POINT_LIMIT_CELSIUS}


def main() -> None:
    humid: Optional[Reading] = None
    with Platform() as platform:
        for reading in platform.readings(THERMOMETER, HYGROMETER):
            if reading.index == HYGROMETER:
                humid = reading
                continue
            if humid is None or abs(reading.t - humid.t) > APART_MICROSECONDS:
                continue
            values = comfort(reading["temperature"], humid["humidity"])
            if values is not None:
                # It holds for the time at which the temperature was measured, not for now.
                platform.publish(COMFORT, values, time=reading.t)


if __name__ == "__main__":
    main()
