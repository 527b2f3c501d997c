/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated kernel: sockets by number, and the network between nodes. Each call does what the
 * system call of its name does, for a non-blocking socket: 0 or a result, or a negative errno. */
#ifndef AE_DRIVER_SIM_NET_H
#define AE_DRIVER_SIM_NET_H

#include "driver/sim.h"
#include "driver/socket.h"

struct iovec;

/* A piece of a stream on its way. */
struct ae__sim_segment {
    struct ae__sim_segment *next;
    int64_t when_ns;      /* it arrives then, or when those before it have */
    uint32_t size, read;  /* bytes; read: of them, at the receiver */
    bool fin;             /* the end of the stream comes behind it */
    char bytes[];
};

struct ae__sim_flow {
    struct ae__sim_segment *head, **tail;
};

enum ae__sim_socket_state {
    AE__SIM_FRESH,
    AE__SIM_LISTENING,
    AE__SIM_CONNECTING,
    AE__SIM_CONNECTED,
    AE__SIM_BROKEN, /* reset, refused or timed out: see error */
};

struct ae__sim_socket {
    int number;           /* -1: closed, or not accepted yet */
    bool gone;            /* closed; others may still hold it */
    uint32_t holds;       /* the owner, its peer, and events (M4) */
    uint8_t state;        /* enum ae__sim_socket_state */
    int family;
    ae_sim_node *node;
    ae_addr local, peer;
    uint16_t port;        /* bound to; 0: none */
    bool loopback, reuse; /* bound to 127.0.0.1; shares its address */
    struct ae__sim_path *path;
    int error;            /* SO_ERROR */

    /* who is told of edges */
    struct ae__driver *watcher;
    uint64_t name;
    bool queued;          /* in the port of the watcher */
    const void *sleeper;  /* a client of the outside waits on this; NULL: none */

    /* listening */
    struct ae__sim_socket *waiting, **waiting_end, *next_waiting;
    uint32_t waiting_count, waiting_max;

    /* a connection */
    struct ae__sim_socket *other; /* held */
    struct ae__sim_flow sent;     /* under way to `other` */
    struct ae__sim_flow received; /* not read yet */
    size_t received_bytes;
    size_t window;                /* bytes that may be under way or unread */
    size_t unacknowledged;
    bool delivering;              /* an event will take the head of `sent` */
    bool ended, ends;             /* fin received; fin sent */
    bool full;                    /* a send found no room: an edge is due when there is */
    int64_t stuck_ns;             /* since when the network is cut for it; 0: it is not */
    uint32_t tries;               /* SYNs, or sends of a segment that was lost */
};

/* sim_net.c */
/* IPv4 (host order) and port of an address; ::1 is 127.0.0.1, :: is 0. False: it has none. */
bool ae__sim_addr_read(const ae_addr *addr, uint32_t *host, uint16_t *port);
void ae__sim_addr_write(ae_addr *addr, uint32_t host, uint16_t port);
void ae__sim_net_begin(void);
void ae__sim_net_end(void);
int ae__sim_socket_open(int family);
void ae__sim_socket_close(int number);
int ae__sim_socket_bind(int number, const ae_addr *addr);
int ae__sim_socket_listen(int number, int backlog);
int ae__sim_socket_local(int number, ae_addr *out);
int ae__sim_socket_peer(int number, ae_addr *out);
int ae__sim_socket_set(int number, int level, int name, const void *value, size_t size);
int ae__sim_socket_get(int number, int level, int name, void *value, size_t *size);
int ae__sim_socket_shutdown(int number);
int ae__sim_poll_now(int number, unsigned events);
int ae__sim_watch(struct ae__driver *driver, struct ae__fd *fd);
void ae__sim_unwatch(struct ae__fd *fd);
/* What epoll would report of it now (its events, its name there); the edge is spent. */
uint32_t ae__sim_harvest(struct ae__sim_socket *socket, uint64_t *name);
bool ae__sim_anybody_listens(void);
void ae__sim_forget_watcher(const struct ae__driver *driver);
struct ae__sim_socket *ae__sim_socket_at(int number);
void ae__sim_edge(struct ae__sim_socket *socket);
void ae__sim_hold(struct ae__sim_socket *socket);
void ae__sim_release(struct ae__sim_socket *socket);
/* A socket with a number: the lowest that is free. NULL: none is. */
struct ae__sim_socket *ae__sim_socket_make(ae_sim_node *node, int family);
int ae__sim_socket_number(struct ae__sim_socket *socket); /* gives it one */
struct ae__sim_socket *ae__sim_listener_at(const ae_sim_node *node, uint16_t port, bool local);
uint16_t ae__sim_free_port(ae_sim_node *node);
/* All of a node's are gone: the kernel closes them, or the machine is no more. */
void ae__sim_drop_sockets(ae_sim_node *node, bool silently);

/* Unix sockets with a name, of a node: sim_unix.c */
struct ae__sim_path {
    struct ae__sim_path *next;
    uint64_t inode;
    struct ae__sim_socket *socket; /* NULL: the file is left over */
    char name[112];                /* the first byte is 0: abstract */
    size_t length;
};
int ae__sim_unix_bind(struct ae__sim_socket *socket, const ae_addr *addr);
void ae__sim_unix_unbind(struct ae__sim_socket *socket);
int ae__sim_unix_connect(struct ae__sim_socket *socket, const ae_addr *addr);
int ae__sim_file_of(const char *path, struct ae__socket_file *out);
void ae__sim_file_remove(const char *path);

/* sim_tcp.c: what moves */
int ae__sim_connect(struct ae__sim_socket *socket, const ae_addr *addr);
ssize_t ae__sim_receive(struct ae__sim_socket *socket, void *buf, size_t size);
ssize_t ae__sim_send(struct ae__sim_socket *socket, const struct iovec *iov, int count);
/* Two sockets of one kernel, connected at once; the new one stands in the listener's queue. */
int ae__sim_pair(struct ae__sim_socket *socket, struct ae__sim_socket *listener);
void ae__sim_finish(struct ae__sim_socket *socket); /* send the fin */
void ae__sim_reset(struct ae__sim_socket *socket);  /* tell the other side, and be broken */
void ae__sim_dissolve(struct ae__sim_socket *socket); /* C1 in sim_tcp.c */
void ae__sim_break(struct ae__sim_socket *socket, int error);
size_t ae__sim_room(const struct ae__sim_socket *socket);
void ae__sim_flow_clear(struct ae__sim_flow *flow);
/* One attempt of the driver's (try.c). */
ssize_t ae__sim_attempt(struct ae__op *op, int number, enum ae__fd_left *left);

/* sim_link.c: what the network is like */
int64_t ae__sim_travel_ns(const ae_sim_node *from, const ae_sim_node *to);
bool ae__sim_is_cut(const ae_sim_node *from, const ae_sim_node *to);
bool ae__sim_loses(const ae_sim_node *from, const ae_sim_node *to);
bool ae__sim_faulty(void); /* a fault is due */
bool ae__sim_is_cached(void); /* the part of a real file that is asked for */
void ae__sim_links_clear(void);
void ae__sim_nodes_end(void);
/* Names of nodes, and localhost; ports are numbers: 1, or -ENOENT. */
int ae__sim_resolve(const char *host, const char *port, ae_addr *out);
ae_sim_node *ae__sim_node_at(uint32_t address);
ae_sim_node *ae__sim_node_named(const char *name);
ae_sim_node *ae__sim_node_make(const char *name, uint32_t address);

#endif
