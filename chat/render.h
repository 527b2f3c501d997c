/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept, as JSON for the page. docs/chat-api.md says what each member means. */
#ifndef AETHER_CHAT_RENDER_H
#define AETHER_CHAT_RENDER_H

#include "json.h"
#include "store.h"

void render_conversation(struct json_writer *w, const struct chat_conversation *c);
void render_message(struct json_writer *w, const struct chat_message *m);
void render_totals(struct json_writer *w, const struct chat_totals *t);
void render_thread(struct json_writer *w, const struct chat_thread *t);

#endif
