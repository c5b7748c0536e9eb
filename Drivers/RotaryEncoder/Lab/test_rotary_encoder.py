import pytest

pytestmark = pytest.mark.gpio


def knob(lab, **attributes):
    chip = lab.gpio({0: "A", 1: "B", 2: "SW"})

    def line(offset):
        return {"chip": chip.label, "offset": offset}

    for offset in range(3):
        chip.pull(offset, True)
    sensor = lab.sensor(
        "rotary_encoder", line_a=line(0), line_b=line(1), button=line(2), **{"debounce_ms": 0, **attributes})
    return chip, sensor


def step(chip, up):
    """One detent: the contacts connect to ground, the first of them first, and let go in the same order."""
    first, second = (0, 1) if up else (1, 0)
    for line, level in [(first, False), (second, False), (first, True), (second, True)]:
        chip.pull(line, level)


def test_is_turned(lab):
    chip, sensor = knob(lab)
    sensor.start()
    assert sensor.wait_for_values(1) == [{"position": 0, "pressed": False, "presses": 0, "lost_edges": 0}]
    for up, position in [(True, 1), (True, 2), (False, 1), (False, 0), (False, -1)]:
        step(chip, up)
        sensor.wait_for(position=position)
    assert sensor.values[-1]["lost_edges"] == 0
    # Half a step and back is none.
    for line, level in [(0, False), (1, False), (1, True), (0, True)]:
        chip.pull(line, level)
    step(chip, True)
    sensor.wait_for(position=0)
    assert [value["position"] for value in sensor.values] == [0, 1, 2, 1, 0, -1, 0]


def test_is_pressed(lab):
    chip, sensor = knob(lab)
    sensor.start()
    sensor.wait_for_values(1)
    for press in (1, 2):
        chip.pull(2, False)
        sensor.wait_for(pressed=True, presses=press)
        chip.pull(2, True)
        sensor.wait_for(pressed=False, presses=press)


def test_is_set(lab):
    chip, sensor = knob(lab, phases_per_step=1)
    sensor.start()
    sensor.wait_for_values(1)
    assert sensor.call("set_position", position=50)["status"] == "done"
    sensor.wait_for(position=50)
    step(chip, True)
    sensor.wait_for(position=54)


# Wrong input: one clear message, a status `fault`, and no reading.


def test_a_line_in_use(lab):
    chip, sensor = knob(lab)
    lab.spawn("gpiomon", chip.name, "1")
    sensor.start()
    sensor.wait_for_fault("line 1 'B'", "is in use by 'gpiomon'")
    assert sensor.values == []


@pytest.mark.parametrize("attribute", [{"phases_per_step": 3}, {"line_b": "A"}, {"button": 3}, {"bias": "up"}])
def test_wrong_configuration_ends_the_driver(lab, attribute):
    attributes = {"line_a": "A", "line_b": "B", "button": "SW", **attribute}
    done = lab.sensor("rotary_encoder", **attributes).once()
    assert done.returncode == 78
    assert next(iter(attribute)) in done.stderr
