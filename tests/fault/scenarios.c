/* SPDX-License-Identifier: Apache-2.0 */
/* The table of scenarios: each example and each page of the tour (their main functions are renamed
 * by the build), and the programs of workloads.c and site.c. */
#include "scenario.h"

#define LOOPBACK "127.0.0.1:0"

int example_background(void);
int example_chat_room(void);
int example_hedge(void);
int example_timeout(void);
int example_01_spawn(void);
int example_06_spawn_blocking(void);
int example_08_incremental_parser(void);
int example_socket_activation(void);
int example_hello(int argc, char **argv);
int example_echo(int argc, char **argv);
int example_graceful(int argc, char **argv);
int example_http_hello(int argc, char **argv);
int example_http_api(int argc, char **argv);
int example_02_accept_loop(int argc, char **argv);

const struct scenario scenarios[] = {
    { .name = "hello", .main = example_hello },
    { .name = "01_spawn", .plain_main = example_01_spawn },
    { .name = "background", .plain_main = example_background },
    { .name = "chat_room", .plain_main = example_chat_room },
    { .name = "hedge", .plain_main = example_hedge },
    { .name = "timeout", .plain_main = example_timeout },
#ifdef FAULT_ARGON2
    { .name = "06_spawn_blocking", .plain_main = example_06_spawn_blocking },
#endif
    { .name = "08_incremental_parser", .plain_main = example_08_incremental_parser },
    { .name = "echo", .main = example_echo, .argument = LOOPBACK, .client = client_lines },
    { .name = "graceful", .main = example_graceful, .argument = LOOPBACK, .client = client_line },
    { .name = "02_accept_loop",
      .main = example_02_accept_loop,
      .argument = LOOPBACK,
      .client = client_hello },
    { .name = "http_hello",
      .main = example_http_hello,
      .argument = LOOPBACK,
      .client = client_mirror,
      .is_silent = true },
    { .name = "http_api",
      .main = example_http_api,
      .argument = LOOPBACK,
      .second = FAULT_FOLDER,
      .client = client_api },
    { .name = "socket_activation",
      .plain_main = example_socket_activation,
      .client = client_mirror,
      .takes_listener = true },
    { .name = "channels", .main = channels_main },
    { .name = "waits", .main = waits_main },
    { .name = "streams", .main = streams_main },
    { .name = "files", .main = files_main, .argument = FAULT_FOLDER },
    { .name = "deferred", .main = deferred_main },
    { .name = "site",
      .main = site_main,
      .argument = LOOPBACK,
      .second = FAULT_FOLDER,
      .client = client_site },
    { .name = NULL },
};
