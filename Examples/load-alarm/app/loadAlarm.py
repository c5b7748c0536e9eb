"""Says when a machine has much to do, and when it has less again."""

from __future__ import annotations

from dataclasses import dataclass, field

from sensorhub import Platform, Reading

STATUS_EVERY_SECONDS = 10


@dataclass
class Alarm:
    """Is raised above one bound and cleared below a lower one, so that it does not flutter in between."""

    name: str
    field: str
    raise_above: float
    clear_below: float
    raised: bool = False

    def take(self, reading: Reading) -> bool:
        """True if the reading raises or clears the alarm."""
        value = reading[self.field]
        # Not every machine has every value.
        if value is None:
            return False
        was_raised = self.raised
        if value > self.raise_above:
            self.raised = True
        elif value < self.clear_below:
            self.raised = False
        return self.raised != was_raised


@dataclass
class Machine:
    """What is known of one machine."""

    alarms: list[Alarm] = field(
        default_factory=lambda: [
            Alarm("cpu", "cpu_percent", raise_above=80, clear_below=60),
            Alarm("memory", "memory_used_percent", raise_above=90, clear_below=80),
        ]
    )
    next_status_at: int = 0


def percent(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.0f} %"


def describe(reading: Reading) -> str:
    cpu, memory = percent(reading["cpu_percent"]), percent(reading["memory_used_percent"])
    return f"{reading.sensor_id}: cpu {cpu}, memory {memory}"


def main() -> None:
    # By sensor, so that the same script serves one machine or, with "count": "all" in the deployment, many.
    machines: dict[str, Machine] = {}
    with Platform() as platform:
        for reading in platform.readings(0):
            machine = machines.setdefault(reading.sensor_id, Machine())
            changed = [alarm for alarm in machine.alarms if alarm.take(reading)]
            for alarm in changed:
                word = "high" if alarm.raised else "normal again"
                print(f"{reading.sensor_id}: {alarm.name} {word}, {percent(reading[alarm.field])}", flush=True)
            due = reading.t >= machine.next_status_at
            if due:
                machine.next_status_at = reading.t + STATUS_EVERY_SECONDS * 1_000_000
                print(describe(reading), flush=True)
            if changed or due:
                platform.publish_page(
                    {
                        "instance": platform.instance,
                        "sensor": reading.sensor_id,
                        "time": reading.time.isoformat(),
                        "cpu_percent": reading["cpu_percent"],
                        "memory_used_percent": reading["memory_used_percent"],
                        "alarms": [alarm.name for alarm in machine.alarms if alarm.raised],
                    }
                )


if __name__ == "__main__":
    main()
