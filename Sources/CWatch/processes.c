#define _GNU_SOURCE
#include "CWatch.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

typedef struct {
    int stage;
    int error;
} failure;

/// Of `sh_open_many_files`.
static struct rlimit files_before;
static int has_many_files;

static void fail(int report, sh_stage stage) {
    failure what = {stage, errno};
    (void)!write(report, &what, sizeof what);
    _exit(127);
}

/// What a signal does, and which are blocked, is inherited over exec.
static void restore_signals(void) {
    for (int number = 1; number < NSIG; number++) signal(number, SIG_DFL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

static int join(const char *cgroup) {
    char path[4096];
    if (snprintf(path, sizeof path, "%s/cgroup.procs", cgroup) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int file = open(path, O_WRONLY | O_CLOEXEC);
    // 0 stands for whoever writes.
    return file < 0 || write(file, "0", 1) != 1 ? -1 : close(file);
}

static void become(const sh_process *process, int gate, int report) {
    char go;
    ssize_t count;
    // Before the gate: where the caller is dead by now, that says so.
    if (process->ends_with_caller) prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (setsid() < 0) fail(report, sh_stage_session);
    while ((count = read(gate, &go, 1)) < 0 && errno == EINTR) {
    }
    // Nothing else that we have open is for the program.
    syscall(SYS_close_range, 3, ~0U, 1U << 2 /* CLOSE_RANGE_CLOEXEC */);
    // Whoever made us is gone, or does not want us any more.
    if (count != 1) _exit(127);

    if (process->terminal >= 0 && ioctl(process->terminal, TIOCSCTTY, 0) < 0) fail(report, sh_stage_terminal);
    for (int i = 0; i < 3; i++) {
        // Above the three, so that none is overwritten before it was copied.
        int copy = fcntl(process->streams[i], F_DUPFD_CLOEXEC, 3);
        if (copy < 0) fail(report, sh_stage_streams);
        ((sh_process *)process)->streams[i] = copy;
    }
    for (int i = 0; i < 3; i++)
        if (dup2(process->streams[i], i) < 0) fail(report, sh_stage_streams);
    if (process->cgroup && join(process->cgroup) < 0) fail(report, sh_stage_cgroup);
    if (has_many_files) setrlimit(RLIMIT_NOFILE, &files_before);
    for (size_t i = 0; i < process->limit_count; i++) {
        struct rlimit limit = {process->limits[i], process->limits[i]};
        if (setrlimit(process->limit_kinds[i], &limit) < 0) fail(report, sh_stage_limits);
    }
    if (process->user >= 0 || process->group >= 0) {
        // Our own further groups are not for somebody else.
        if (setgroups(0, NULL) < 0) fail(report, sh_stage_user);
        if (process->group >= 0 && setgid((gid_t)process->group) < 0) fail(report, sh_stage_user);
        if (process->user >= 0 && setuid((uid_t)process->user) < 0) fail(report, sh_stage_user);
    }
    if (process->folder && chdir(process->folder) < 0) fail(report, sh_stage_folder);
    restore_signals();
    execve(process->path, process->arguments, process->environment);
    fail(report, sh_stage_exec);
}

int sh_prepare(const sh_process *process, sh_waiting_process *out) {
    int gate[2], report[2];
    if (pipe2(gate, O_CLOEXEC) < 0) return -1;
    if (pipe2(report, O_CLOEXEC) < 0) {
        close(gate[0]), close(gate[1]);
        return -1;
    }
    pid_t pid = fork();
    if (pid == 0) {
        close(gate[1]), close(report[0]);
        become(process, gate[0], report[1]);
    }
    int error = errno;
    close(gate[0]), close(report[1]);
    if (pid < 0) {
        close(gate[1]), close(report[0]);
        errno = error;
        return -1;
    }
    *out = (sh_waiting_process){pid, gate[1], report[0]};
    return 0;
}

int sh_let_go(sh_waiting_process *process) {
    failure what = {0, 0};
    ssize_t count = -1;
    if (write(process->gate, "", 1) == 1)
        while ((count = read(process->report, &what, sizeof what)) < 0 && errno == EINTR) {
        }
    close(process->gate), close(process->report);
    // At its execution the pipe was closed.
    if (count == 0) return 0;
    errno = count == sizeof what ? what.error : ESRCH;
    return count == sizeof what ? what.stage : sh_stage_fork;
}

void sh_drop(sh_waiting_process *process) {
    close(process->gate), close(process->report);
    while (waitpid(process->pid, NULL, 0) < 0 && errno == EINTR) {
    }
}

ssize_t sh_splice(int pipe, int file, int64_t *offset, size_t count) {
    off64_t position = *offset;
    ssize_t moved;
    while ((moved = splice(pipe, NULL, file, &position, count, SPLICE_F_NONBLOCK | SPLICE_F_MOVE)) < 0 &&
           errno == EINTR) {
    }
    if (moved > 0) *offset = position;
    return moved;
}

int sh_reserve(int file, int64_t offset, int64_t count) {
    return fallocate(file, FALLOC_FL_KEEP_SIZE, offset, count);
}

int sh_pidfd(pid_t pid) { return (int)syscall(SYS_pidfd_open, pid, 0); }

int sh_signal_descriptor(const int *numbers, size_t count) {
    sigset_t signals;
    sigemptyset(&signals);
    for (size_t i = 0; i < count; i++) sigaddset(&signals, numbers[i]);
    if (sigprocmask(SIG_BLOCK, &signals, NULL) < 0) return -1;
    signal(SIGPIPE, SIG_IGN);
    return signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
}

int sh_next_signal(int descriptor) {
    struct signalfd_siginfo info;
    return read(descriptor, &info, sizeof info) == sizeof info ? (int)info.ssi_signo : 0;
}

int sh_open_terminal(int *outer, int *inner) {
    int unlocked = 0;
    int terminal = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (terminal < 0) return -1;
    int end = ioctl(terminal, TIOCSPTLCK, &unlocked) < 0
                  ? -1
                  : ioctl(terminal, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (end < 0) {
        int error = errno;
        close(terminal);
        errno = error;
        return -1;
    }
    struct termios settings;
    // So that a whole character is erased.
    if (tcgetattr(end, &settings) == 0) {
        settings.c_iflag |= IUTF8;
        tcsetattr(end, TCSANOW, &settings);
    }
    *outer = terminal;
    *inner = end;
    return 0;
}

int sh_resize_terminal(int terminal, uint16_t rows, uint16_t columns) {
    struct winsize size = {.ws_row = rows, .ws_col = columns};
    return ioctl(terminal, TIOCSWINSZ, &size);
}

_Noreturn void sh_end_by_signal(int number) {
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    signal(number, SIG_DFL);
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, number);
    sigprocmask(SIG_UNBLOCK, &signals, NULL);
    raise(number);
    _exit(128 + number);
}

int sh_adopt_orphans(void) { return prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); }

void sh_open_many_files(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return;
    files_before = limit;
    limit.rlim_cur = limit.rlim_max;
    has_many_files = setrlimit(RLIMIT_NOFILE, &limit) == 0;
}
