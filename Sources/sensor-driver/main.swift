import DriverProgram
import Drivers

DriverProgram.run(drivers)
