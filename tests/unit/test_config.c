/* SPDX-License-Identifier: Apache-2.0 */
/* From a config, the environment and the machine to what a runtime is started with. */
#include "sched/config.h"

#include <errno.h>
#include <stdlib.h>

#include "aether/time.h"
#include "test.h"

/* What is read with this value of AE_WORKERS. */
static unsigned workers_with(const char *value)
{
    ae_config out;

    unsetenv("AE_FLAVOR");
    if (value) {
        setenv("AE_WORKERS", value, 1);
    } else {
        unsetenv("AE_WORKERS");
    }
    EXPECT_EQ(ae__config_read(NULL, &out), 0);
    return out.workers;
}

TEST(the_number_of_workers_comes_from_the_environment_if_it_is_one)
{
    unsigned usual = workers_with(NULL);

    EXPECT_GE(usual, 1);
    EXPECT_EQ(workers_with("7"), 7);
    EXPECT_EQ(workers_with("1024"), AE__CONFIG_WORKERS_MAX);
    EXPECT_EQ(workers_with(""), usual);
    EXPECT_EQ(workers_with("0"), usual);
    EXPECT_EQ(workers_with("1025"), usual);
    EXPECT_EQ(workers_with("-1"), usual);
    EXPECT_EQ(workers_with("7x"), usual);
    EXPECT_EQ(workers_with("99999999999999999999"), usual);
}

TEST(the_current_thread_flavour_has_one_worker)
{
    ae_config out, in = { AE_CONFIG, .flavor = AE_CURRENT_THREAD, .workers = 5 };

    EXPECT_EQ(ae__config_read(&in, &out), 0);
    EXPECT_EQ(out.workers, 1);
    setenv("AE_FLAVOR", "current", 1);
    in.flavor = AE_MULTI_THREAD;
    EXPECT_EQ(ae__config_read(&in, &out), 0);
    EXPECT_EQ(out.flavor, AE_CURRENT_THREAD);
    EXPECT_EQ(out.workers, 1);
}

TEST(what_is_asked_for_is_kept_and_the_rest_is_the_default)
{
    ae_config out, in = { AE_CONFIG, .workers = 3, .tasks_max = 10, .stack_bytes = 65536,
                          .blocking_threads_max = 2, .blocking_queue_max = 3,
                          .blocking_keep_alive_ns = 4, .shutdown_ns = -1, .name = "it",
                          .files_threads_max = 5, .names_threads_max = 6 };

    unsetenv("AE_FLAVOR"); /* the suite may run with it */
    EXPECT_EQ(ae__config_read(&in, &out), 0);
    EXPECT_EQ(out.workers, 3);
    EXPECT_EQ(out.tasks_max, 10);
    EXPECT_EQ(out.stack_bytes, 65536);
    EXPECT_EQ(out.blocking_threads_max, 2);
    EXPECT_EQ(out.blocking_queue_max, 3);
    EXPECT_EQ(out.blocking_keep_alive_ns, 4);
    EXPECT_EQ(out.files_threads_max, 5);
    EXPECT_EQ(out.names_threads_max, 6);
    EXPECT_EQ(out.shutdown_ns, -1);
    EXPECT_STREQ(out.name, "it");
    in = (ae_config){ AE_CONFIG, .workers = 3 };
    EXPECT_EQ(ae__config_read(&in, &out), 0);
    EXPECT_EQ(out.tasks_max, UINT32_C(1) << 22);
    EXPECT_EQ(out.shutdown_ns, 30 * AE_SEC);
    EXPECT_STREQ(out.name, "aether");
    EXPECT_EQ(out.files_threads_max, 64);
    EXPECT_EQ(out.names_threads_max, 16);
}

TEST(a_config_of_an_older_version_is_read_as_far_as_it_goes)
{
    ae_config out, in = { .size = offsetof(ae_config, stack_bytes), .workers = 3,
                          .stack_bytes = 65536 };

    unsetenv("AE_FLAVOR");
    EXPECT_EQ(ae__config_read(&in, &out), 0);
    EXPECT_EQ(out.workers, 3);
    EXPECT_EQ(out.stack_bytes, 256 << 10);
    EXPECT_EQ(out.size, sizeof out);
}

TEST(a_config_that_cannot_be_is_refused)
{
    const ae_config bad[] = {
        { .workers = 1 }, /* AE_CONFIG is missing */
        { AE_CONFIG, .flavor = (enum ae_flavor)7 },
        { AE_CONFIG, .workers = AE__CONFIG_WORKERS_MAX + 1 },
        { AE_CONFIG, .stack_bytes = (1 << 20) + 1 },
        { AE_CONFIG, .blocking_keep_alive_ns = -1 },
    };
    ae_config out;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        EXPECT_EQ(ae__config_read(&bad[i], &out), -EINVAL);
    }
}

/* What is read of NULL with this variable; the others are as the suite has them. */
static ae_config config_with(const char *variable, const char *value)
{
    ae_config out;

    setenv(variable, value, 1);
    EXPECT_EQ(ae__config_read(NULL, &out), 0);
    unsetenv(variable);
    return out;
}

TEST(the_driver_comes_from_the_environment_if_it_is_one)
{
    ae_config out, in = { AE_CONFIG, .driver = AE_DRIVER_EPOLL };

    EXPECT_EQ(config_with("AE_DRIVER", "uring").driver, AE_DRIVER_URING);
    EXPECT_EQ(config_with("AE_DRIVER", "epoll").driver, AE_DRIVER_EPOLL);
    EXPECT_EQ(config_with("AE_DRIVER", "auto").driver, AE_DRIVER_EPOLL);
    EXPECT_EQ(config_with("AE_DRIVER", "").driver, AE_DRIVER_EPOLL);
    EXPECT_EQ(config_with("AE_DRIVER", "kqueue").driver, AE_DRIVER_EPOLL);
    setenv("AE_DRIVER", "uring", 1);
    EXPECT_EQ(ae__config_read(&in, &out), 0);
    EXPECT_EQ(out.driver, AE_DRIVER_EPOLL); /* who asks in the code is heard */
    in.driver = (enum ae_driver)3;
    EXPECT_EQ(ae__config_read(&in, &out), -EINVAL);
}

TEST(the_thresholds_of_stalls_come_from_the_environment)
{
    ae_config out, in = { AE_CONFIG, .stall = AE_STALL_OFF, .stall_log_ns = 7 };

    unsetenv("AE_STALL");
    EXPECT_EQ(config_with("AE_STALL", "off").stall, AE_STALL_OFF);
    EXPECT_EQ(config_with("AE_STALL", "warn").stall, AE_STALL_WARN);
    EXPECT_EQ(config_with("AE_STALL", "abort").stall, AE_STALL_ABORT);
    EXPECT_EQ(config_with("AE_STALL", "loud").stall, AE_STALL_AUTO);
    EXPECT_EQ(config_with("AE_STALL", "").stall, AE_STALL_AUTO);
    EXPECT_EQ(config_with("AE_STALL", "off").stall_count_ns, -1);
    EXPECT_EQ(config_with("AE_STALL", "off").stall_log_ns, -1);
    EXPECT_EQ(config_with("AE_STALL_COUNT_US", "5").stall_count_ns, 5000);
    EXPECT_EQ(config_with("AE_STALL_LOG_US", "6").stall_log_ns, 6000);
    EXPECT_EQ(config_with("AE_RESCUE_US", "7").rescue_ns, 7000);
    EXPECT_LT(config_with("AE_RESCUE", "off").rescue_ns, 0);
    EXPECT_EQ(ae__config_read(&in, &out), 0);
    EXPECT_EQ(out.stall_count_ns, -1);
    EXPECT_EQ(out.stall_log_ns, 7);
    in.stall = (enum ae_stall)4;
    EXPECT_EQ(ae__config_read(&in, &out), -EINVAL);
}

TEST(the_socket_for_looking_inside_is_named_by_either)
{
    ae_config out, in = { AE_CONFIG, .debug_socket = "/run/mine" };

    unsetenv("AE_DEBUG_SOCKET");
    EXPECT_EQ(ae__config_read(&in, &out), 0);
    EXPECT_STREQ(out.debug_socket, "/run/mine");
    setenv("AE_DEBUG_SOCKET", "", 1);
    EXPECT_EQ(ae__config_read(&in, &out), 0);
    EXPECT_STREQ(out.debug_socket, "/run/mine");
    setenv("AE_DEBUG_SOCKET", "/run/yours", 1);
    EXPECT_EQ(ae__config_read(&in, &out), 0);
    EXPECT_STREQ(out.debug_socket, "/run/yours");
    setenv("AE_DEBUG_SOCKET", "off", 1);
    EXPECT_EQ(ae__config_read(&in, &out), 0);
    EXPECT_NULL(out.debug_socket);
}
