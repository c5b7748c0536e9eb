import DriverProgram
import MyDriver

DriverProgram.run([MyDriver.self])
