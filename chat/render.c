/* SPDX-License-Identifier: Apache-2.0 */
/* Conversations and messages as JSON. */
#include "render.h"

static void conversation_members(struct json_writer *w, const struct chat_conversation *c)
{
    json_member_int(w, "id", c->id);
    json_member_string(w, "title", c->title[0] ? c->title : "New conversation");
    json_member_int(w, "created_ms", c->created_ms);
    json_member_int(w, "updated_ms", c->updated_ms);
}

void render_conversation(struct json_writer *w, const struct chat_conversation *c)
{
    json_open(w, '{');
    conversation_members(w, c);
    json_member_int(w, "messages", c->messages);
    json_member_int(w, "tokens", c->tokens);
    json_close(w, '}');
}

void render_message(struct json_writer *w, const struct chat_message *m)
{
    static const char *const roles[] = { [CHAT_SYSTEM] = "system", [CHAT_USER] = "user",
                                         [CHAT_ASSISTANT] = "assistant" };
    static const char *const states[] = { [MESSAGE_DONE] = "done",
                                          [MESSAGE_STREAMING] = "streaming",
                                          [MESSAGE_STOPPED] = "stopped",
                                          [MESSAGE_FAILED] = "failed" };
    bool finished = m->state != MESSAGE_STREAMING;

    json_open(w, '{');
    json_member_int(w, "id", m->id);
    json_member_known(w, "parent", m->parent ? m->parent : CHAT_UNKNOWN);
    json_member_string(w, "role", roles[m->role]);
    json_name(w, "text");
    json_put_text(w, m->text, m->length);
    json_member_int(w, "sent_ms", m->sent_ms);
    json_member_known(w, "finished_ms", finished ? m->finished_ms : CHAT_UNKNOWN);
    json_member_string(w, "model", m->model);
    json_member_known(w, "tokens", m->tokens);
    json_member_string(w, "state", states[m->state]);
    json_member_string(w, "error", m->error);
    json_member_known(w, "duration_ms", finished ? m->duration_ms : CHAT_UNKNOWN);
    json_close(w, '}');
}

void render_totals(struct json_writer *w, const struct chat_totals *t)
{
    json_open(w, '{');
    json_member_int(w, "messages", t->messages);
    json_member_int(w, "tokens", t->tokens);
    json_member_int(w, "questions", t->questions);
    json_member_int(w, "answers", t->answers);
    json_member_int(w, "system_template", t->system_template);
    json_close(w, '}');
}

void render_thread(struct json_writer *w, const struct chat_thread *t)
{
    json_open(w, '{');
    conversation_members(w, &t->conversation);
    json_name(w, "messages");
    json_open(w, '[');
    for (size_t i = 0; i < t->count; i++) render_message(w, &t->messages[i]);
    json_close(w, ']');
    json_name(w, "totals");
    render_totals(w, &t->totals);
    json_close(w, '}');
}
