/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1 on a connection that has a task. The exchange lies on that task's stack, buffers and all:
 * an idle connection has neither, and a busy one needs no allocation. */
#ifndef AETHER_HTTP_EXCHANGE_H
#define AETHER_HTTP_EXCHANGE_H

#include "request.h"

#define IN_BYTES 8192
#define OUT_BYTES 8192
#define ARENA_BYTES 2048
#define BODY_ROOM 1024 /* a chunked body needs so much room behind its head */

struct exchange {
    struct ae_http h; /* first: the ops get it */
    struct conn *c;

    /* received: in[begin..end) is not consumed yet. `in` is `in_local`, or on the heap */
    char *in;
    size_t room, begin, end;
    bool more;      /* the last read filled its room: there may be more in the socket */
    size_t body_at; /* where the body's bytes may be received, behind the head's strings */

    /* of the request under way */
    bool close;       /* this connection ends behind the response */
    bool linger;      /* and the client may not know that yet */
    bool want_100;    /* the client waits for "100 Continue" */
    bool bodyless;    /* the response has no body on the wire */
    bool chunk_out;   /* it goes out chunked */
    bool body_ended;  /* the request's body has been read to its end */
    uint64_t body_left; /* of a body with a length */
    int64_t body_waited_ns;

    size_t out_size; /* not sent yet */
    struct h1_chunked chunked;
    struct h1_head head;
    char in_local[IN_BYTES];
    char out[OUT_BYTES];
    _Alignas(16) char arena_room[ARENA_BYTES];
};

/* What becomes of the connection now. */
enum next {
    NEXT_MORE,   /* look at what has been received */
    NEXT_PARK,   /* wait for more, without a stack */
    NEXT_LINGER, /* the last response is out: wait for the client to close */
    NEXT_CLOSE,
};

/* exchange.c: answer what is complete in x->in, then send it all. */
enum next ae__h1_requests(struct exchange *x);
/* Answer a request that cannot be read, with `status`. */
enum next ae__h1_refuse(struct exchange *x, int status, const char *reason);
/* Make room for at least `size` bytes behind x->end. 0 or -ENOMEM. */
int ae__h1_grow(struct exchange *x, size_t size);

/* h1_body.c */
ssize_t ae__h1_body_read(ae_http *h, void *buf, size_t size);
void ae__h1_body_begin(struct exchange *x);
/* Read and drop what the handler left. False: too much, or too slow. */
bool ae__h1_body_discard(struct exchange *x);

/* h1_write.c */
extern const struct http_ops ae__h1_ops;
int ae__h1_flush(struct exchange *x);
int ae__h1_put(struct exchange *x, const char *data, size_t size);
int ae__h1_end(struct exchange *x); /* the end of a body in pieces */

#endif
