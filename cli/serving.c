/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a server in this command: a runtime that ends by SIGINT or SIGTERM, the server in its
 * first task, and a drain. */
#include "cli.h"

#include <aether/run.h>
#include <aether/scope.h>
#include <aether/task.h>
#include <errno.h>
#include <stdlib.h>

struct life {
    const struct serving *serving;
    struct access_log *log;
};

static int serve_in_task(void *arg)
{
    struct life *life = arg;
    const struct serving *s = life->serving;
    ae_scope beside;
    int rc = life->log ? access_log_start(life->log) : 0;

    if (rc < 0) return rc;
    ae_scope_begin(&beside);
    if (s->also) rc = ae_go(s->also, s->also_arg);
    if (rc == 0) rc = ae_http_serve(s->server);
    ae_scope_cancel(&beside, 0);
    rc = ae_scope_end(&beside, rc);
    if (life->log) access_log_finish(life->log);
    return rc;
}

static int run(struct life *life)
{
    ae_config config = { AE_CONFIG, .workers = life->serving->workers, .debug_socket = "on" };
    int rc = ae_run(&config, serve_in_task, life);

    if (rc == -ETIMEDOUT) {
        return cli_fail(EXIT_FAILURE, "some requests did not end in time and were cut off");
    }
    if (rc < 0 && rc != -ECANCELED) return cli_fail(EXIT_FAILURE, "%s", ae_strerror(rc));
    return 0;
}

int cli_run_server(const struct serving *serving)
{
    struct life life = { .serving = serving };

    if (serving->log) {
        int rc = access_log_create(&life.log);
        if (rc == 0) rc = ae_http_use(serving->server, access_log_middleware, life.log);
        if (rc < 0) return cli_fail(EXIT_FAILURE, "%s", ae_strerror(rc));
    }
    int status = run(&life);
    access_log_destroy(life.log);
    return status;
}
