/* A subscriber that throws messages away and acknowledges at once: the fastest that libmosquitto allows.
 *
 * sink HOST PORT USER PASSWORD CLIENT-ID FILTER COUNT: prints "ready" when it has subscribed, and after COUNT messages the
 * seconds between the first and the last of them.
 */
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static long expected, received;
static double first;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void on_connect(struct mosquitto *client, void *filter, int code, int flags, const mosquitto_property *properties) {
    (void)flags;
    (void)properties;
    if (code != 0) {
        fprintf(stderr, "refused: %s\n", mosquitto_reason_string(code));
        exit(1);
    }
    mosquitto_subscribe(client, NULL, filter, 1);
}

static void on_subscribe(struct mosquitto *client, void *filter, int id, int count, const int *qos,
                         const mosquitto_property *properties) {
    (void)client, (void)filter, (void)id, (void)count, (void)qos, (void)properties;
    printf("ready\n");
    fflush(stdout);
}

static void on_message(struct mosquitto *client, void *filter, const struct mosquitto_message *message,
                       const mosquitto_property *properties) {
    (void)client, (void)filter, (void)message, (void)properties;
    if (received++ == 0) {
        first = now();
    }
    if (received == expected) {
        printf("%.6f\n", now() - first);
        fflush(stdout);
        received = 0;
    }
}

int main(int argc, char **argv) {
    if (argc != 8) {
        fprintf(stderr, "usage: sink HOST PORT USER PASSWORD CLIENT-ID FILTER COUNT\n");
        return 64;
    }
    expected = atol(argv[7]);
    mosquitto_lib_init();
    struct mosquitto *client = mosquitto_new(argv[5], false, argv[6]);
    mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5);
    mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1);
    mosquitto_int_option(client, MOSQ_OPT_RECEIVE_MAXIMUM, 20000);
    mosquitto_username_pw_set(client, argv[3], argv[4]);
    mosquitto_connect_v5_callback_set(client, on_connect);
    mosquitto_subscribe_v5_callback_set(client, on_subscribe);
    mosquitto_message_v5_callback_set(client, on_message);
    mosquitto_property *properties = NULL;
    mosquitto_property_add_int32(&properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL, 600);
    int code = mosquitto_connect_bind_v5(client, argv[1], atoi(argv[2]), 600, NULL, properties);
    if (code == MOSQ_ERR_SUCCESS) {
        code = mosquitto_loop_forever(client, 1000, 1);
    }
    fprintf(stderr, "sink: %s\n", mosquitto_strerror(code));
    return 1;
}
