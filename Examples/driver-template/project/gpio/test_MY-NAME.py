import pytest

# It runs with both versions of libgpiod.
pytestmark = pytest.mark.gpio


def test_reads(lab):
    chip = lab.gpio({0: "DOOR"})
    sensor = lab.sensor("MY-NAME", interval=0.3, line={"chip": chip.label, "offset": 0}).start()
    assert sensor.wait_for_values(1)[0] == {"active": False}
    chip.pull("DOOR", True)
    sensor.wait_for(active=True)
