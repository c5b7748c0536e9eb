/// Keeps the edges of lines for which the kernel keeps few: those of libgpiod 1.6.
#pragma once
#include "CHardware.h"

/// How many edges are kept until somebody takes them, of all lines together.
enum { SH_KEPT_EDGES = 4096 };

/// Takes edges of one line from the kernel, without waiting; returns how many, or -1 with `errno`: EAGAIN where there
/// are none.
typedef ptrdiff_t (*sh_edge_source)(int descriptor, sh_gpio_event *out, size_t room);

/// A thread that empties the kernel's buffers as soon as there is something in them, whatever its process is doing.
typedef struct sh_edge_reader sh_edge_reader;

/// Starts to read from `descriptors`, which must not block, one for each line, and stay the caller's. NULL with `errno`.
sh_edge_reader *sh_edge_reader_start(const int *descriptors, size_t count, sh_edge_source source);
/// Ends the thread; the edges that nobody has taken are gone.
void sh_edge_reader_stop(sh_edge_reader *reader);
/// A descriptor that is readable while there are edges, or an error to tell of.
int sh_edge_reader_descriptor(const sh_edge_reader *reader);
/// Takes edges, those that the kernel has at this moment included; returns how many, or -1 with `errno`.
ptrdiff_t sh_edge_reader_take(sh_edge_reader *reader, sh_gpio_event *out, size_t room);
