#include <mosquitto.h>
#include <mqtt_protocol.h>
// For the wake-up of a client's own loop; Swift's Glibc module leaves it out.
#include <sys/eventfd.h>
