/* A bare subscriber on libmosquitto that prints, for each reading, how many microseconds lie between the reading's time "t"
 * and its arrival: latency_sink PORT USER PASSWORD TOPIC
 */
#include <inttypes.h>
#include <mosquitto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void on_connect(struct mosquitto *client, void *topic, int code) {
    if (code != 0) {
        fprintf(stderr, "refused: %s\n", mosquitto_connack_string(code));
        exit(1);
    }
    mosquitto_subscribe(client, NULL, topic, 1);
}

static void on_subscribe(struct mosquitto *client, void *topic, int id, int count, const int *qos) {
    (void)client, (void)topic, (void)id, (void)count, (void)qos;
    printf("ready\n");
}

static void on_message(struct mosquitto *client, void *topic, const struct mosquitto_message *message) {
    (void)client, (void)topic;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    const char *time = memchr(message->payload, ':', (size_t)message->payloadlen);
    if (time != NULL) {
        printf("%" PRId64 "\n", (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 - strtoll(time + 1, NULL, 10));
    }
}

int main(int argc, char **argv) {
    if (argc != 5) {
        return 64;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    mosquitto_lib_init();
    struct mosquitto *client = mosquitto_new(NULL, true, argv[4]);
    mosquitto_int_option(client, MOSQ_OPT_TCP_NODELAY, 1);
    mosquitto_username_pw_set(client, argv[2], argv[3]);
    mosquitto_connect_callback_set(client, on_connect);
    mosquitto_subscribe_callback_set(client, on_subscribe);
    mosquitto_message_callback_set(client, on_message);
    if (mosquitto_connect(client, "127.0.0.1", atoi(argv[1]), 60) != MOSQ_ERR_SUCCESS) {
        return 1;
    }
    return mosquitto_loop_forever(client, 1000, 1);
}
