#include "CHardware.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    /// All that the kernel keeps of a line.
    at_a_time = 16,
    stack_bytes = 64 * 1024,
};

struct sh_edge_reader {
    pthread_t thread;
    sh_edge_source source;
    size_t lines;
    /// Those of the lines, and `stop`.
    struct pollfd waiting[SH_GPIO_MAX_LINES + 1];
    /// Readable when the thread is to end.
    int stop;
    /// Readable while `is_ready`.
    int ready;

    /// For all that follows.
    pthread_mutex_t lock;
    int is_ready;
    /// Of the read that failed, which was the last one.
    int error;
    /// Of each line, since its last edge that was kept.
    uint64_t dropped[SH_GPIO_MAX_LINES];
    /// `count` edges from `first` on. It begins anew when it is empty, so that little of it is ever touched.
    size_t first, count;
    sh_gpio_event kept[SH_KEPT_EDGES];
};

static void set_ready(sh_edge_reader *reader, int is_ready) {
    if (reader->is_ready == is_ready) return;
    reader->is_ready = is_ready;
    uint64_t number = 1;
    // Neither can fail: it counts to 1 at most, and is read only when it has.
    ssize_t done = is_ready ? write(reader->ready, &number, sizeof number) : read(reader->ready, &number, sizeof number);
    (void)done;
}

static void keep(sh_edge_reader *reader, unsigned line, sh_gpio_event event) {
    if (reader->count == SH_KEPT_EDGES) {
        reader->dropped[line]++;
        return;
    }
    event.index = line;
    event.dropped = reader->dropped[line];
    reader->dropped[line] = 0;
    reader->kept[(reader->first + reader->count++) % SH_KEPT_EDGES] = event;
}

/// Takes over what the kernel has. With the lock.
static void drain(sh_edge_reader *reader) {
    sh_gpio_event events[at_a_time];
    for (unsigned line = 0; line < reader->lines && !reader->error; line++) {
        ptrdiff_t count = reader->source(reader->waiting[line].fd, events, at_a_time);
        if (count < 0 && errno != EAGAIN && errno != EINTR) reader->error = errno;
        for (ptrdiff_t i = 0; i < count; i++) keep(reader, line, events[i]);
    }
    set_ready(reader, reader->count > 0 || reader->error);
}

static void *run(void *given) {
    sh_edge_reader *reader = given;
    struct pollfd *stop = &reader->waiting[reader->lines];
    int goes_on = 1;
    while (goes_on) {
        int ready = poll(reader->waiting, reader->lines + 1, -1);
        if (stop->revents) break;
        pthread_mutex_lock(&reader->lock);
        if (ready < 0 && errno != EINTR) reader->error = errno;
        drain(reader);
        // A chip that is gone is readable for ever.
        for (size_t line = 0; line < reader->lines; line++)
            if (ready > 0 && reader->waiting[line].revents & ~POLLIN && !reader->error) reader->error = ENODEV;
        set_ready(reader, reader->count > 0 || reader->error);
        goes_on = !reader->error;
        pthread_mutex_unlock(&reader->lock);
    }
    return NULL;
}

static int start_thread(sh_edge_reader *reader) {
    pthread_attr_t attributes;
    int code = pthread_attr_init(&attributes);
    if (code) return code;
    pthread_attr_setstacksize(&attributes, stack_bytes);
    // Signals are for the process's own threads.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    code = pthread_create(&reader->thread, &attributes, run, reader);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return code;
}

static void release(sh_edge_reader *reader) {
    if (reader->stop >= 0) close(reader->stop);
    if (reader->ready >= 0) close(reader->ready);
    pthread_mutex_destroy(&reader->lock);
    free(reader);
}

sh_edge_reader *sh_edge_reader_start(const int *descriptors, size_t count, sh_edge_source source) {
    sh_edge_reader *reader = calloc(1, sizeof *reader);
    if (!reader) return NULL;
    reader->source = source;
    reader->lines = count;
    pthread_mutex_init(&reader->lock, NULL);
    reader->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    reader->ready = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    for (size_t line = 0; line < count; line++)
        reader->waiting[line] = (struct pollfd){.fd = descriptors[line], .events = POLLIN};
    reader->waiting[count] = (struct pollfd){.fd = reader->stop, .events = POLLIN};
    int code = reader->stop < 0 || reader->ready < 0 ? errno : start_thread(reader);
    if (!code) return reader;
    release(reader);
    errno = code;
    return NULL;
}

void sh_edge_reader_stop(sh_edge_reader *reader) {
    uint64_t number = 1;
    while (write(reader->stop, &number, sizeof number) < 0 && errno == EINTR) {}
    pthread_join(reader->thread, NULL);
    release(reader);
}

int sh_edge_reader_descriptor(const sh_edge_reader *reader) { return reader->ready; }

ptrdiff_t sh_edge_reader_take(sh_edge_reader *reader, sh_gpio_event *out, size_t room) {
    pthread_mutex_lock(&reader->lock);
    drain(reader);
    size_t count = 0;
    while (count < room && reader->count > 0) {
        out[count++] = reader->kept[reader->first];
        reader->first = (reader->first + 1) % SH_KEPT_EDGES;
        reader->count--;
    }
    if (reader->count == 0) reader->first = 0;
    int error = count == 0 ? reader->error : 0;
    set_ready(reader, reader->count > 0 || reader->error);
    pthread_mutex_unlock(&reader->lock);
    if (!error) return (ptrdiff_t)count;
    errno = error;
    return -1;
}
