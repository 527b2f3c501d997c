/* SPDX-License-Identifier: Apache-2.0 */
/* What the loops run again and again: the examples' own main functions, and programs written here
 * to pass through what the examples do not use. */
#ifndef AE_TESTS_FAULT_SCENARIO_H
#define AE_TESTS_FAULT_SCENARIO_H

#include <stdbool.h>
#include <stddef.h>

struct scenario {
    const char *name;
    int (*main)(int argc, char **argv); /* one of these two */
    int (*plain_main)(void);
    const char *argument; /* argv[1] */
    const char *second;   /* argv[2] */
    void (*client)(void); /* talks to it over TCP; NULL: it ends by itself */
    bool is_silent;       /* its exit status is all that it says of an error */
    bool takes_listener;  /* it expects a listening socket as descriptor 3 */
};

/* Ends with an entry without a name. */
extern const struct scenario scenarios[];

/* workloads.c */
int channels_main(int argc, char **argv);
int waits_main(int argc, char **argv);
int streams_main(int argc, char **argv);
int files_main(int argc, char **argv);
int deferred_main(int argc, char **argv);

/* site.c */
int site_main(int argc, char **argv);

/* clients.c: each is a script. */
void client_lines(void); /* an echo of each line */
void client_line(void);  /* the same, once: each answer takes half a second */
void client_hello(void); /* one answer for each request */
void client_mirror(void);
void client_api(void);
void client_site(void);

/* Prepares descriptor 3 in a process that is about to run such a scenario. */
void listener_prepare(void);

/* The client's thread: waits until the program listens, follows the script, makes sure that the
 * program still serves (nothing fails any more by then), and ends it. */
void *client_thread(void *scenario);

#endif
