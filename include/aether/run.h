/* SPDX-License-Identifier: Apache-2.0 */
/* Starting and ending a runtime: worker threads, I/O drivers and the tasks they run. */
#ifndef AETHER_RUN_H
#define AETHER_RUN_H

#include <aether/defs.h>

AE_EXTERN_C_BEGIN

typedef struct ae_runtime ae_runtime;

enum ae_flavor {
    AE_MULTI_THREAD,   /* a worker thread per usable CPU; tasks move between them */
    AE_CURRENT_THREAD, /* no worker thread: tasks run only inside ae_run and ae_block_on (one that
                        * watches for stalls there is, unless .stall = AE_STALL_OFF) */
};

enum ae_driver {
    AE_DRIVER_AUTO,  /* AE_DRIVER=epoll|uring|auto, else what measures best: epoll */
    AE_DRIVER_EPOLL,
    AE_DRIVER_URING, /* io_uring, from Linux 6.1 on; elsewhere epoll, and the log says why */
};

/* A task that holds its worker: see ae_config.stall_log_ns. */
enum ae_stall {
    AE_STALL_AUTO,  /* AE_STALL=off|warn|abort, else: count, and log from 10 ms on */
    AE_STALL_OFF,   /* neither count nor log */
    AE_STALL_WARN,  /* log from 100 us on */
    AE_STALL_ABORT, /* log from 10 ms on, and end the process */
};

/* Everything 0 is a good default. Start with AE_CONFIG, so that the library knows which version
 * of this struct you were built with: `ae_config c = { AE_CONFIG, .workers = 4 };` */
typedef struct ae_config {
    size_t size;              /* sizeof(ae_config), set by AE_CONFIG */
    enum ae_flavor flavor;
    unsigned workers;         /* 0 = AE_WORKERS, else usable CPUs (affinity and cgroup quota) */
    uint32_t tasks_max;       /* live tasks at once; 0 = 4,194,304; spawn fails beyond */
    size_t stack_bytes;       /* of tasks that name none: 64 KiB, 256 KiB or 1 MiB; 0 = 256 KiB */
    unsigned blocking_threads_max; /* of the blocking pool, for users' jobs; 0 = 512 */
    uint32_t blocking_queue_max;   /* jobs waiting for a thread, of a lane; 0 = 1,048,576 */
    int64_t blocking_keep_alive_ns; /* an idle pool thread ends after this; 0 = 10 s */
    int64_t shutdown_ns;      /* how long ending tasks may take; 0 = 30 s, -1 = for ever */
    const char *name;         /* of worker threads; NULL = "aether" */

    /* Runs on the starting thread after the workers' resources exist and before drivers start:
     * the place to drop privileges. A negative result fails the start with that error. */
    int (*before_start)(void *context);
    /* A task ended with a negative status (not -ECANCELED) that nobody will join.
     * NULL = one log line. Runs on a worker, must not suspend. */
    void (*on_task_error)(void *context, uint64_t task_id, const char *name, int status);
    /* Called when a task leaves a worker and when it comes back (maybe on another one), on that
     * worker, outside the task. For tracing and per-thread state of foreign libraries. */
    void (*on_suspend)(void *context, uint64_t task_id);
    void (*on_resume)(void *context, uint64_t task_id);
    void *context; /* handed to the four above */
    enum ae_driver driver; /* how the workers wait for I/O */
    unsigned files_threads_max; /* of the pool's lane for files; 0 = 64 */
    unsigned names_threads_max; /* of its lane for host names; 0 = 16 */

    /* One slice of a task (from when it gets a worker until it waits, yields or returns) that runs,
     * or sleeps in the kernel, for long. Time in which it waits for a CPU does not count. 0 = the
     * environment's (in us), else the default, ten times as long with a sanitizer; -1 = never. */
    enum ae_stall stall;
    int64_t stall_count_ns; /* counted by spawn site (sampled); AE_STALL_COUNT_US, 100 us */
    int64_t rescue_ns;      /* others do what waits there; AE_RESCUE=off, AE_RESCUE_US, 1 ms */
    int64_t stall_log_ns;   /* logged, once a spawn site; AE_STALL_LOG_US, 10 ms; debug: 100 us */
    /* Where `aether top` finds this runtime: a Unix socket's path (mode 0600), or "on" for
     * $XDG_RUNTIME_DIR/aether/PID.sock, else /tmp/aether-UID/PID.sock. NULL or "off": none. The
     * variable AE_DEBUG_SOCKET, if set, decides instead. */
    const char *debug_socket;
} ae_config;

#define AE_CONFIG .size = sizeof(ae_config)

/* Start a runtime, run `main(arg)` as its first task, end the runtime, and return what main
 * returned. SIGINT and SIGTERM cancel the root scope, and with it main; a second one kills the
 * process, and SIGQUIT writes a dump of all tasks to stderr (aether/debug.h). Tasks that outlive
 * the shutdown time are named on stderr and the process aborts.
 * NULL config: the defaults. Errors: those of ae_runtime_create, and main's own.
 * Colour: a plain thread. */
AE_API int ae_run(const ae_config *config, ae_fn *main, void *arg) AE_MUST_CHECK;

/* The same in pieces, for libraries and for several runtimes in one process; takes no signals.
 * Errors: -EINVAL (config), -ENOMEM, -EAGAIN (threads), -EMFILE, what before_start returned. */
AE_API int ae_runtime_create(const ae_config *config, ae_runtime **out) AE_MUST_CHECK;

/* Cancel every task, wait for them, stop the workers, free everything. -ETIMEDOUT: tasks were
 * still there after config.shutdown_ns; they are named in the log and nothing was freed.
 * Accepts NULL. Colour: a plain thread. */
AE_API int ae_runtime_destroy(ae_runtime *rt);

/* Run `fn(arg)` as a task in a scope of its own under the root, wait for it, and return its
 * result. -ESHUTDOWN: the runtime is ending; -ENOMEM: not started. On a current-thread runtime
 * one caller at a time drives all tasks, the others wait.
 * Colour: a plain thread, blocks it (asserts inside a task). */
AE_API int ae_block_on(ae_runtime *rt, ae_fn *fn, void *arg) AE_MUST_CHECK;

/* The runtime of the calling task or pool job, else NULL. Colour: any thread. */
AE_API ae_runtime *ae_runtime_current(void);

/* How many workers it has. Colour: any thread. */
AE_API unsigned ae_runtime_workers(const ae_runtime *rt);

AE_EXTERN_C_END
#endif
