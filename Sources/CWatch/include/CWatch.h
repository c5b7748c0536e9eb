/// What a watch needs of Linux that Swift cannot say: fork and exec with a hand-over, splice, pidfd, signalfd.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/// What a process is to be. Strings are NUL-terminated, lists end with NULL.
typedef struct {
    /// A path; nothing is looked up.
    const char *path;
    char *const *arguments;
    char *const *environment;
    /// NULL for the caller's.
    const char *folder;
    /// For the process's stdin, stdout, stderr.
    int streams[3];
    /// A terminal that becomes the session's own, or -1.
    int terminal;
    /// Whom to run as, without further groups; -1 for the caller.
    int64_t user, group;
    /// Of setrlimit(2).
    const int *limit_kinds;
    const uint64_t *limits;
    size_t limit_count;
    /// A control group's folder to join, or NULL.
    const char *cgroup;
    /// Whether it is killed where its caller, which has one thread, dies before it.
    int ends_with_caller;
} sh_process;

/// Where a process that was to be executed has failed.
typedef enum {
    sh_stage_fork = 1,
    sh_stage_session,
    sh_stage_terminal,
    sh_stage_streams,
    sh_stage_cgroup,
    sh_stage_limits,
    sh_stage_user,
    sh_stage_folder,
    sh_stage_exec,
} sh_stage;

/// A process that waits to be let go, in a session of its own.
typedef struct {
    pid_t pid;
    int gate;
    int report;
} sh_waiting_process;

/// Makes the process; it does nothing before `sh_let_go`. Where the caller dies before that, it ends at once.
/// Returns 0, or -1 and errno.
int sh_prepare(const sh_process *process, sh_waiting_process *out);

/// Has it execute its program, and waits for that. 0, or the stage that failed, with errno; the process then has ended
/// and is to be reaped.
int sh_let_go(sh_waiting_process *process);

/// Ends it unexecuted, and reaps it.
void sh_drop(sh_waiting_process *process);

/// Moves up to `count` bytes from a pipe to a file at `*offset`, which grows by that: within the kernel, so that a killed
/// caller has moved a byte or has not. Returns the count, 0 where nobody can write to the pipe any more, or -1 and errno
/// (EAGAIN: the pipe is empty).
ssize_t sh_splice(int pipe, int file, int64_t *offset, size_t count);

/// Has the disk keep room for so many bytes of a file, without changing its size. 0, or -1 and errno: ENOSPC; EOPNOTSUPP
/// where the file system cannot.
int sh_reserve(int file, int64_t offset, int64_t count);

/// A descriptor that becomes readable when the process ends; also of a process that is no child. -1 and errno.
int sh_pidfd(pid_t pid);

/// A descriptor from which `sh_next_signal` reads these signals, which are blocked from now on; SIGPIPE is ignored. -1 and
/// errno.
int sh_signal_descriptor(const int *numbers, size_t count);
/// The next signal, or 0.
int sh_next_signal(int descriptor);

/// Opens a pseudo terminal: the end of whoever looks and types, which does not block, and that of the programs. Neither
/// becomes the caller's. 0, or -1 and errno.
int sh_open_terminal(int *outer, int *inner);

/// Tells the programs of a terminal, by either of its ends, how large it is. 0, or -1 and errno.
int sh_resize_terminal(int terminal, uint16_t rows, uint16_t columns);

/// Ends this process by a signal, without a core file.
_Noreturn void sh_end_by_signal(int number);

/// Orphans among the descendants become children of this process. 0, or -1 and errno.
int sh_adopt_orphans(void);

/// Lets this process open as many files as it may; what it executes has its limit of before.
void sh_open_many_files(void);
