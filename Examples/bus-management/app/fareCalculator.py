"""Works out what each passenger of a bus has to pay, by the distance between getting on and getting off."""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt
from typing import Optional

from sensorhub import Platform

GPS, BIOMETRIC = 0, 1
BASE_FARE = 10.0
FARE_PER_KM = 5.0
# Mean radius of the earth, IUGG.
EARTH_RADIUS_KM = 6371.0088

Point = tuple[float, float]


def distance_km(start: Point, end: Point) -> float:
    """The great-circle distance between two points (latitude, longitude in degrees) by the haversine formula."""
    latitude_1, longitude_1, latitude_2, longitude_2 = map(radians, (*start, *end))
    h = (
        sin((latitude_2 - latitude_1) / 2) ** 2
        + cos(latitude_1) * cos(latitude_2) * sin((longitude_2 - longitude_1) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_KM * asin(min(1.0, sqrt(h)))


class Bus:
    """Where the bus is, and where each passenger got on."""

    def __init__(self) -> None:
        self.position: Optional[Point] = None
        self._boarded_at: dict[str, Optional[Point]] = {}

    def moved(self, position: Point) -> None:
        self.position = position
        # Whoever got on before the first position was known got on there, as far as can be told.
        for passenger, start in self._boarded_at.items():
            if start is None:
                self._boarded_at[passenger] = position

    def boarded(self, passenger: str) -> bool:
        """True if the passenger was not on the bus before."""
        if passenger in self._boarded_at:
            return False
        self._boarded_at[passenger] = self.position
        return True

    def alighted(self, passenger: str) -> Optional[float]:
        """The distance in km, or None if the passenger was not on the bus."""
        if passenger not in self._boarded_at:
            return None
        start = self._boarded_at.pop(passenger)
        return distance_km(start, self.position) if start is not None and self.position is not None else 0.0


def main() -> None:
    bus = Bus()
    with Platform() as platform:
        for reading in platform.readings(GPS, BIOMETRIC):
            if reading.index == GPS:
                if reading["latitude"] is not None and reading["longitude"] is not None:
                    bus.moved((reading["latitude"], reading["longitude"]))
                continue
            # The sensor repeats the last passenger until the next one comes, so the same event is seen many times.
            passenger = reading["passenger_id"]
            if not passenger or reading["boarded"] is None:
                continue
            if reading["boarded"]:
                if bus.boarded(passenger):
                    print(f"{passenger} got on", flush=True)
                continue
            distance = bus.alighted(passenger)
            if distance is None:
                continue
            fare = round(BASE_FARE + FARE_PER_KM * distance, 2)
            print(f"{passenger} got off after {distance:.2f} km: fare {fare:.2f}", flush=True)
            platform.publish_page(
                {
                    "instance": platform.instance,
                    "passenger": passenger,
                    "distance_km": round(distance, 3),
                    "fare": fare,
                    "time": reading.time.isoformat(),
                }
            )


if __name__ == "__main__":
    main()
