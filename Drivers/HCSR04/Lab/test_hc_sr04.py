import json
from pathlib import Path

import pytest

pytestmark = pytest.mark.gpio

EMULATOR = Path(__file__).parent / "emulator.py"
METRES_PER_MILLISECOND = 0.3432 / 2


class Rangefinder:
    """The emulator, at the other ends of two lines of a GPIO chip."""

    def __init__(self, lab, guest):
        self.chip = lab.gpio({0: "TRIG", 1: "ECHO"})
        program = f"/run/tmp/hc-sr04-{lab.id}.py"
        guest.put(EMULATOR, program)
        lines = guest.glob(f"/sys/devices/platform/gpio-sim.*/{self.chip.name}/sim_gpio*")
        folder = {name[-1]: name for name in lines}
        self.process = lab.spawn(
            "python3", "-u", program, f"{folder['0']}/value", f"{folder['1']}/pull", pipes=True)

    def answer(self, milliseconds):
        """How long echoes are from now on. Returns how long those so far were, at least and at most."""
        return json.loads(self.process.talk(str(milliseconds)))

    def sensor(self, lab, **attributes):
        # The emulator looks at the line as often as it can, which on an emulated machine is not every 10 µs.
        return lab.sensor("hc_sr04", **{
            "interval": 0.5, "trigger": {"chip": self.chip.label, "offset": 0},
            "echo": {"chip": self.chip.label, "offset": 1}, "trigger_us": 10_000, "samples": 1, **attributes})


@pytest.fixture
def rangefinder(lab, guest):
    return Rangefinder(lab, guest)


def test_measures_what_the_echo_says(lab, rangefinder):
    rangefinder.answer(8)
    sensor = rangefinder.sensor(lab).start()
    sensor.wait_for_values(5)
    sensor.stop()
    echoes = rangefinder.answer("off")
    distances = [value["distance_m"] for value in sensor.values if value["in_range"]]
    assert distances
    # By the kernel's times of the edges, each is as long as an echo was; a millisecond is 17 cm.
    lengths = [distance / METRES_PER_MILLISECOND for distance in distances]
    assert all(any(least - 1 <= length <= most + 1 for least, most in echoes) for length in lengths), (lengths, echoes)


def test_nothing_in_range(lab, rangefinder):
    rangefinder.answer(38)
    sensor = rangefinder.sensor(lab).start()
    assert sensor.wait_for_values(1)[0] == {"in_range": False}


def test_no_answer_then_one(lab, rangefinder):
    rangefinder.answer("off")
    sensor = rangefinder.sensor(lab).start()
    reason = sensor.wait_for_fault("no echo pulse")
    assert reason.endswith("is the sensor connected, and has it 5 V?")
    assert sensor.values == []
    rangefinder.answer(5)
    sensor.wait_for_status("online")
    assert sensor.call("set_temperature", temperature_celsius=150)["status"] == "refused"
    assert sensor.call("set_temperature", temperature_celsius=35)["status"] == "done"


def test_a_line_that_is_high(lab, rangefinder):
    rangefinder.chip.pull("ECHO", True)
    sensor = rangefinder.sensor(lab).start()
    sensor.wait_for_fault("the echo, is high before anything was sent")
    assert sensor.values == []


def test_a_line_in_use(lab, rangefinder):
    lab.spawn("gpiomon", rangefinder.chip.name, "1")
    sensor = rangefinder.sensor(lab).start()
    sensor.wait_for_fault("line 1 'ECHO'", "is in use by 'gpiomon'")
    assert sensor.values == []


@pytest.mark.parametrize("attribute", [{"echo": "A"}, {"samples": 0}, {"trigger_us": 5}, {"temperature_celsius": "x"}])
def test_wrong_configuration_ends_the_driver(lab, attribute):
    done = lab.sensor("hc_sr04", **{"trigger": "A", "echo": "B", **attribute}).once()
    assert done.returncode == 78
    assert next(iter(attribute)) in done.stderr
