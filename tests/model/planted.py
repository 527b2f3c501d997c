# SPDX-License-Identifier: Apache-2.0
"""Bugs to plant, one at a time: check.py says which model finds each, after how many executions.

A bug is the program and the model that must find it, what is wrong, the file, and what to replace
by what (literal text, found once). `like` names a published bug of the same kind. When a source is
rewritten and the text is gone, the check says so: plant the bug anew."""
from collections import namedtuple

Bug = namedtuple('Bug', 'program model what file edits like')
BUGS = []


def bug(model, what, file, *edits, like=''):
    """Add one; model is 'program/model'; edits are old, new, old, new, ..."""
    program, name = model.split('/')
    pairs = list(zip(edits[::2], edits[1::2]))
    BUGS.append(Bug(program, name, what, 'src/' + file, pairs, like))


# ---- run queue and shared queue ----

bug('runq/push_pop_steal', 'the tail is published without release', 'sched/runq.c',
    'atomic_store_explicit(&q->tail, tail + 1, memory_order_release); /* R3 */',
    'atomic_store_explicit(&q->tail, tail + 1, memory_order_relaxed);')
bug('runq/overflow_steal', 'room is counted from what was taken, not from what was copied',
    'sched/runq.c', 'if (AE_LIKELY(tail - steal_of(head) < AE__RUNQ_SIZE)) break;',
    'if (AE_LIKELY(tail - real_of(head) < AE__RUNQ_SIZE)) break;', like='Tokio #2387')
bug('runq/overflow_wrap', 'room is compared without wrapping', 'sched/runq.c',
    'if (AE_LIKELY(tail - steal_of(head) < AE__RUNQ_SIZE)) break;',
    'if (AE_LIKELY(tail < steal_of(head) + AE__RUNQ_SIZE)) break;')
bug('runq/pop_push_steal', 'a pop while a thief copies frees the slots', 'sched/runq.c',
    ': pack(steal, real + 1);', ': pack(real + 1, real + 1);')
bug('runq/two_thieves_push', 'two thieves copy at once', 'sched/runq.c',
    'if (steal_of(head) != real_of(head)) return 0; /* another thief is at it */', '')
bug('runq/push_pop_steal_twice', 'a pop by load and store: a task is popped twice', 'sched/runq.c',
    'if (alone) {', 'if (1) {',
    like='crossbeam-deque, RUSTSEC-2021-0093')
bug('runq/overflow_steal', 'an overflow that a thief has outrun goes on', 'sched/runq.c',
    'memory_order_relaxed)) {\n        return false;\n    }',
    'memory_order_relaxed)) {\n    }')
bug('runq/overflow_fresh', 'the head moves on without release', 'sched/runq.c',
    'if (!atomic_compare_exchange_strong_explicit(&q->head, &head, next, memory_order_release,',
    'if (!atomic_compare_exchange_strong_explicit(&q->head, &head, next, memory_order_relaxed,')
bug('runq/steal_stolen', 'what a thief keeps is published without release', 'sched/runq.c',
    'atomic_store_explicit(&into->tail, tail + count - 1, memory_order_release); /* R3 */',
    'atomic_store_explicit(&into->tail, tail + count - 1, memory_order_relaxed);')
bug('runq/thieves_fresh', 'a thief gives the slots back without release', 'sched/runq.c',
    'memory_order_release, memory_order_relaxed));\n}\n\nstruct ae__task *ae__runq_steal',
    'memory_order_relaxed, memory_order_relaxed));\n}\n\nstruct ae__task *ae__runq_steal',
    like='crossbeam MsQueue, RUSTSEC-2022-0029: an order too weak')
bug('runq/announce_sleep', 'who goes to sleep reads an old tail', 'sched/runq.c',
    'atomic_load_explicit(&q->tail, memory_order_seq_cst); /* R5 */',
    'atomic_load_explicit(&q->tail, memory_order_acquire);',
    like='Tokio #1788: a load weaker than sequentially consistent')
bug('runq/inject_push_pop', 'the tail of an emptied queue dangles', 'sched/inject.c',
    'if (!q->head) q->tail = &q->head;', '')
bug('runq/inject_two_takers', 'who comes second takes from an empty queue', 'sched/inject.c',
    'while (count < max && q->head) {', 'while (count < max && (q->head || !count)) {')

# ---- workers: parking, waking, stealing ----

bug('sched/outside', 'the last searcher does not look again', 'sched/park.c',
    'if (anything_queued(w->rt)) ae__wake_one(w->rt);', '')
bug('sched/outside', 'the shared queue is published without a full barrier', 'sched/inject.c',
    'batch->count, memory_order_seq_cst); /* J1 */', 'batch->count, memory_order_relaxed);')
bug('sched/outside', 'who is chosen does not count as searching', 'sched/idle.c',
    'atomic_fetch_sub_explicit(&idle->state, PARKED_ONE - SEARCHING_ONE,',
    'atomic_fetch_sub_explicit(&idle->state, PARKED_ONE,')
bug('sched/outside_two_tasks', 'a wake that comes before the sleep is overwritten', 'sched/park.c',
    'if (atomic_compare_exchange_strong_explicit(&w->park, &awake, AE__ASLEEP,\n'
    '                                                memory_order_relaxed,'
    ' memory_order_relaxed)) {', '(void)awake; atomic_store(&w->park, AE__ASLEEP); {',
    like='zio #610, the unpark before the park')
bug('sched/hog', 'the ring is published by a plain store before the look for sleepers',
    'sched/runq.c',
    'atomic_exchange_explicit(&q->tail, tail + 1, memory_order_seq_cst); /* R3, R5 */',
    'atomic_store_explicit(&q->tail, tail + 1, memory_order_release);', like='Tokio #1788')
bug('sched/hog', 'what falls out of the LIFO slot wakes nobody', 'sched/queue.c',
    'if (old) ae__queue_push(w, old, true);', 'if (old) ae__queue_push(w, old, false);')
bug('sched/spawn_two_tasks', 'what falls out of the LIFO slot is forgotten', 'sched/queue.c',
    'if (old) ae__queue_push(w, old, true);', 'if (old && 0) ae__queue_push(w, old, true);')
bug('sched/spawn_new_tasks', 'a new task that finds the LIFO slot taken is forgotten',
    'sched/queue.c', '} else {\n        ae__queue_push(w, task, true);', '} else if (0) {\n'
    '        ae__queue_push(w, task, true);')
bug('sched/pinned', 'the worker is woken before the task is queued', 'sched/ready.c',
    'ae__inject_push(&rt->workers[index]->pinned, &task->actor);',
    'ae__worker_unpark(rt->workers[index]); '
    'ae__inject_push(&rt->workers[index]->pinned, &task->actor); '
    'atomic_fetch_sub_explicit(&rt->outside, 1, memory_order_release); return;')
bug('sched/pinned', 'a pinned task goes to another worker', 'sched/ready.c',
    'if (task->actor.pins == 0) index =', 'if (task->actor.pins == 1) index =',
    like='Tokio LocalSet, RUSTSEC-2021-0072')
bug('sched/two_outside', 'a sleeper is chosen twice', 'sched/idle.c',
    'chosen = idle->sleepers[--idle->sleeping];', 'chosen = idle->sleepers[idle->sleeping - 1];')
bug('sched/outside', 'ASLEEP is mistaken for AWAKE by who wakes', 'sched/queue.c',
    'memory_order_release) == AE__ASLEEP)', 'memory_order_release) == AE__AWAKE)')

# ---- rescue ----

bug('rescue/open', 'a queue is opened without a barrier', 'sched/rescue.c',
    'bool done = ae__os_barrier_all();', 'bool done = true;')
bug('rescue/open', 'a queue is opened while its owner takes from it', 'sched/rescue.c',
    'return atomic_load_explicit(&w->at_queue, memory_order_acquire) == 0;', 'return true;')
bug('rescue/open', 'the owner does not say that it takes', 'sched/queue.c',
    'atomic_store_explicit(&w->at_queue, 1, memory_order_relaxed);', '')
bug('rescue/close_again', 'what was seen before the queue was closed is taken by a plain store',
    'sched/runq.c', 'static bool claim_one(struct ae__runq *q, uint64_t *head, bool alone)\n{',
    'static bool claim_one(struct ae__runq *q, uint64_t *head, bool alone)\n{\n'
    '    alone = is_alone(q);')
bug('rescue/call', 'nobody is told of what waits at a stuck worker', 'sched/rescue.c',
    'ae__wake_one(rt);\n    }\n}', '}\n}')
bug('rescue/again', 'a spare that rests looks at what the monitor is changing', 'sched/rescue.c',
    'AE_ASSERT(!w->searching);\n    hand_over(w);', 'w->covers = w->called_for; hand_over(w);')
bug('rescue/leave', 'a spare that leaves goes on searching', 'sched/rescue.c',
    'if (w->searching) { /* X2', 'if (0) { /* X2')

# ---- the wait word and wait queues ----

bug('wait/cancel_alone', 'a sleeper does not look for a cancel once it is parked', 'sched/wait.c',
    'return !(word & AE__WAIT_CANCELLABLE) || !cancelled_meanwhile(actor, word, seen);',
    'return true;')
bug('wait/cancel_alone', 'the two looks of a cancel and a sleeper can both miss', 'sched/wait.c',
    'uint64_t word = atomic_load_explicit(&actor->wait, memory_order_seq_cst); /* W4 */',
    'uint64_t word = atomic_load_explicit(&actor->wait, memory_order_relaxed);',
    like='Photon asymmetric_spinLock: a Dekker pair without a barrier')
bug('wait/late_claim', 'a claim does not look at the sequence', 'sched/wait.c',
    '(word & AE__WAIT_CANCELLABLE) : sequence_of(word) != sequence',
    '(word & AE__WAIT_CANCELLABLE) : sequence == 0',
    like='Tokio #8112: a late completion wakes another')
bug('wait/wake_cancel', 'a frame is let go while its waker is at it', 'sched/waitq.c',
    'case AE__CLAIM_ARMED:', 'case AE__CLAIM_ARMED: waiter->handed = true;')
bug('wait/pass_on', 'a claim that was lost counts as given', 'sched/waitq.c',
    'case AE__CLAIM_LOST:\n        break;', 'case AE__CLAIM_LOST:\n        return true;')
bug('wait/wake_cancel_time', 'a claim by store: two win', 'sched/wait.c',
    'if (atomic_compare_exchange_weak_explicit(&actor->wait, &word, claimed(word, reason),\n'
    '                                                  memory_order_acq_rel,'
    ' memory_order_relaxed)) {',
    'atomic_store(&actor->wait, claimed(word, reason)); {')
bug('wait/wake_tells', 'who is woken does not see what the waker wrote', 'sched/wait.c',
    'memory_order_acq_rel, memory_order_relaxed)) {',
    'memory_order_acquire, memory_order_relaxed)) {')
bug('wait/wake_cancel', 'a waker does not see what was saved for the sleep', 'sched/wait.c',
    'memory_order_acq_rel, memory_order_relaxed)) {',
    'memory_order_release, memory_order_relaxed)) {')
bug('wait/pass_on', 'a waiter leaves from the middle of a queue and takes its tail along',
    'sched/waitq.c', 'waiter->next->prev = waiter->prev;', '')

# ---- events, semaphores, channels, select ----

bug('waitq/event_free', 'the waiter is let go before the setter has let go of the event',
    'sync/event.c', 'ae__waitq_claim_all(&e->waiters, &wakes);\n    ae__lock_release(&e->lock);\n'
    '    if (wakes.head) ae__ready_all(&wakes);',
    'ae__waitq_claim_all(&e->waiters, &wakes);\n'
    '    if (wakes.head) ae__ready_all(&wakes);\n    ae__lock_release(&e->lock);',
    like='brpc butex: freed between the store and the wake')
bug('waitq/sem_cancel', 'a cancelled waiter stays in the queue', 'sync/sem.c',
    'ae__waitq_remove(&s->waiters, waiter);', 'if (0) ae__waitq_remove(&s->waiters, waiter);',
    like='Photon #1270: an early return leaves a stack frame behind')
bug('waitq/sem_head', 'nobody is served when a cancelled head goes', 'sync/sem.c',
    'ae__waitq_remove(&s->waiters, waiter);\n    grant(s, &wakes);',
    'ae__waitq_remove(&s->waiters, waiter);')
bug('waitq/sem_cancel', 'permits are taken before the claim is won', 'sync/sem.c',
    'if (ae__waitq_claim_head(&s->waiters, wakes)) s->permits -= amount;',
    '(void)ae__waitq_claim_head(&s->waiters, wakes); s->permits -= amount;')
bug('waitq/chan_free', 'a sender looks at the channel after it has handed over', 'sync/chan.c',
    'int ae_send(ae_chan *chan, const void *item)\n{',
    'int ae_send(ae_chan *chan, const void *item);\n'
    'static void after(ae_chan *chan) { ae__lock_acquire(&chan->lock); '
    'ae__lock_release(&chan->lock); }\n'
    'static int send_then_look(ae_chan *chan, const void *item);\n'
    'int ae_send(ae_chan *chan, const void *item)\n'
    '{ int rc = send_then_look(chan, item); after(chan); return rc; }\n'
    'static int send_then_look(ae_chan *chan, const void *item)\n{')
bug('waitq/chan_close', 'a closed channel still takes items', 'sync/chan.c',
    'if (AE_UNLIKELY(chan->closed)) return -EPIPE;', '',
    like='Tokio oneshot, RUSTSEC-2021-0124: a send after the close')
bug('waitq/chan_close', 'close forgets who waits to receive', 'sync/chan.c',
    'while ((waiter = ae__waitq_claim(&chan->receivers, NULL, &wakes)) != NULL) {',
    'while (0) {')
bug('waitq/chan_cancel', 'an item goes to a receiver that was cancelled', 'sync/chan.c',
    'if (reason != AE__REASON_DONE) return -ECANCELED;\n    return waiter.amount',
    'if (reason != AE__REASON_DONE && !chan->length) return -ECANCELED;\n    return waiter.amount')
bug('waitq/select_one', 'a select leaves its other cases in their queues', 'sync/select.c',
    'ae__waitq_settle(&c->chan->lock, queue, &place_of(c)->waiter);', '(void)queue;')
bug('waitq/select_cross', 'channels are locked in the order of the cases', 'sync/select.c',
    'while (*at && (uintptr_t)(*at)->chan < (uintptr_t)c->chan) {', 'while (0) {')
bug('select/select_timer', 'the timer of a lost case stays armed', 'sync/select.c',
    'ae__timer_disarm(&place->timer);', '')
bug('select/select_task', 'a task that is watched is not unwatched', 'sync/select.c',
    'ae__task_unwatch(ae__task_from_handle(c->task), &place->waiter);', '')
bug('select/select_close', 'a close looks like an item', 'sync/select.c',
    'place_of(c)->waiter.amount == AE__CHAN_CLOSED;',
    'place_of(c)->waiter.amount == AE__CHAN_CLOSED && 0;')
bug('select/select_fd', 'a descriptor stays watched', 'sync/select.c',
    '} else if (c->op == AE_CASE_FD && c->rc == 0) {',
    '} else if (c->op == AE_CASE_FD && c->rc == 77) {')

# ---- mutex, wait group ----

bug('sync/mutex_exclusion', 'the mutex is free while its next owner is on the way', 'sync/mutex.c',
    'm->owner = next ? next->actor : NULL;', 'm->owner = NULL;')
bug('sync/mutex_cancel', 'a cancelled waiter believes it has the mutex', 'sync/mutex.c',
    'if (reason != AE__REASON_DONE) {', 'if (reason == AE__REASON_NONE) {')
bug('sync/mutex_cancel', 'unlock gives the mutex to one that is cancelled', 'sync/mutex.c',
    'if (m->waiters.head) next = ae__waitq_claim(&m->waiters, NULL, &wakes);',
    'next = m->waiters.head; if (next) (void)ae__waitq_claim_head(&m->waiters, &wakes);')
bug('sync/mutex_try', 'a try does not look who has it', 'sync/mutex.c',
    'bool taken = !m->owner;', 'bool taken = true;')
bug('sync/mutex_fair', 'unlock frees the mutex, and who was woken tries again', 'sync/mutex.c',
    'm->owner = next ? next->actor : NULL;', '(void)next; m->owner = NULL;',
    'AE_ASSERT(m->owner == self); /* pair: unlock() made it so */\n    return 0;',
    'ae__lock_acquire(&m->lock);\n    if (m->owner) return wait_turn(m, self, cancellable);\n'
    '    m->owner = self;\n    ae__lock_release(&m->lock);\n    return 0;')
bug('sync/group_free', 'the count is changed without the lock', 'sync/wait_group.c',
    'ae__lock_acquire(&g->lock);\n    AE_ASSERT(g->count > 0);',
    'AE_ASSERT(g->count > 0); g->count--; ae__lock_acquire(&g->lock); g->count++;')
bug('sync/group_again', 'zero lets one waiter go', 'sync/wait_group.c',
    'if (--g->count == 0) ae__waitq_claim_all(&g->waiters, &wakes);',
    'if (--g->count == 0 && g->waiters.head) (void)ae__waitq_claim_head(&g->waiters, &wakes);')
bug('sync/group_cancel', 'a cancelled waiter says that the count is zero', 'sync/wait_group.c',
    'return reason == AE__REASON_DONE ? 0 : -ECANCELED;',
    'if (reason != AE__REASON_DONE) AE_ASSERT(g->count == 0);\n'
    '    return reason == AE__REASON_DONE ? 0 : -ECANCELED;')
bug('sync/event_pulse', 'a reset forgets who waits', 'sync/event.c',
    'e->set = false;', 'e->set = false; e->waiters.head = e->waiters.tail = NULL;')
bug('sync/event_cancel', 'who looks at the flag takes no lock', 'sync/event.c',
    'ae__lock_acquire(&e->lock);\n    bool set = e->set;\n    ae__lock_release(&e->lock);',
    'bool set = e->set;')

# ---- timers, plain threads, the lock, control blocks ----

bug('wheel/fire_cancel', 'disarm does not wait for a timer that fires', 'sched/wheel.c',
    'ae__lock_acquire(&wheel->lock); /* T3: also when it has fired */',
    'if (!timer->link) return;\n ae__lock_acquire(&wheel->lock);')
bug('wheel/arm_while_parking', 'an earlier timer does not wake who sleeps', 'sched/wheel.c',
    'bool wake = look_ns < wheel->parked_ns; /* T6 */', 'bool wake = false;')
bug('wheel/fire_two', 'a slot is left after its first timer', 'sched/wheel.c',
    'while ((timer = list)) {', 'if ((timer = list)) {')
bug('wheel/fire_rivals', 'who advances takes no lock', 'sched/wheel.c',
    'ae__lock_acquire(&wheel->lock);\n    while ((more =', 'while ((more =')
bug('thread/thread_park', 'a wake-up for no reason is taken for a token', 'sched/thread.c',
    'while (atomic_exchange_explicit(&thread->token, 0, memory_order_acquire) == 0) {',
    'if (atomic_exchange_explicit(&thread->token, 0, memory_order_acquire) == 0) {')
bug('thread/thread_timer', 'a timer of one\'s own fires, and stays in the list', 'sched/thread.c',
    '*timer->link = timer->next;\n        if (timer->next) timer->next->link = timer->link;\n'
    '        timer->link = NULL;\n        timer->fire', 'timer->fire')
bug('thread/thread_cancel', 'a sleeper reads the flag of a cancel without acquire',
    'sched/thread.c', '(&self->node->cancelled, memory_order_acquire)',
    '(&self->node->cancelled, memory_order_relaxed)')
bug('thread/lock_spin', 'who saw the lock free believes it has it', 'task/lock.c',
    'if (atomic_exchange_explicit(&lock->word, 1, memory_order_acquire) == 0) return;', 'return;')
bug('slab/slab_shared', 'two get the same fresh block', 'task/slab.c',
    'while (count && !atomic_compare_exchange_weak_explicit(&slab->used, &used, used + count,\n'
    + ' ' * 61 + 'memory_order_relaxed,\n' + ' ' * 61 + 'memory_order_relaxed));',
    'while (count && (atomic_store(&slab->used, used + count), 0));')
bug('slab/slab_drain', 'what a cache held is forgotten', 'task/slab.c',
    'ae__slab_put(slab, NULL, task);', '(void)task;')
bug('slab/slab_caches', 'the shared list is taken from without the lock', 'task/slab.c',
    'ae__lock_acquire(&slab->lock);\n    uint32_t count = slab->free_count < want',
    'uint32_t count = slab->free_count < want')

# ---- tasks ----

bug('task/join_finish', 'who comes too late to watch waits all the same', 'sched/task.c',
    'if (!ae__task_watch(task, &waiter)) {', 'if (!ae__task_watch(task, &waiter) && 0) {')
bug('task/join_cancelled', 'a join that was cancelled is cancelled again', 'sched/task.c',
    'bool done = wait_done(task, self, false);', 'bool done = wait_done(task, self, true);')
bug('task/detach_finish', 'a task that is done is freed by detach and by its end', 'sched/spawn.c',
    'if (life & AE__LIFE_DONE) return false;\n        AE_ASSERT(life & AE__LIFE_HANDLE);',
    'AE_ASSERT(life & AE__LIFE_HANDLE);',
    like='crossbeam-channel, RUSTSEC-2025-0024: a double free')
bug('task/scope_end_unowned', 'a task without a handle stays in its scope\'s list',
    'sched/spawn.c', 'if (unowned) {\n        ae__list_remove(&task->node.sibling);',
    'if (unowned) {')
bug('task/scope_end_handles', 'the scope\'s end looks at a child once', 'sched/scope.c',
    'watch->child = scope->live == 0 ? find_uncounted(scope) : NULL;', 'watch->child = NULL;')
bug('task/cancel_reused', 'an old id finds the next task in the block', 'sched/cancel.c',
    'ae__task_generation(task) == generation', 'generation != 0',
    like='mio, RUSTSEC-2024-0019: a stale token')
bug('task/cancel_id', 'a task whose id is known changes its generation without the lock',
    'sched/spawn.c', 'if (AE_UNLIKELY(named)) ae__lock_acquire(&task->node.lock); /* L4 */', '',
    'if (AE_UNLIKELY(named)) ae__lock_release(&task->node.lock);', '')
bug('task/scope_cancel', 'the cause of a cancel is lost', 'sched/cancel.c',
    'scope->cause = cause;', '(void)scope;')
bug('task/outer_cancel', 'the end of a scope reads the outer cancel without acquire',
    'sched/scope.c', '(&scope->node.parent->cancelled, memory_order_acquire)',
    '(&scope->node.parent->cancelled, memory_order_relaxed)')
bug('task/scope_wait_tells', 'who waits in a scope does not see what its children wrote',
    'sched/scope.c', 'uint8_t life = atomic_load_explicit(&task->life, memory_order_acquire);',
    'uint8_t life = atomic_load_explicit(&task->life, memory_order_relaxed);')
bug('task/defer_cancel', 'a deferred start that was cancelled never starts', 'sched/spawn.c',
    'if (!ae__wait_commit(actor)) ae__ready(actor);', '(void)ae__wait_commit(actor);')

# ---- the pool ----

bug('pool/pool_submit', 'a thread that goes to sleep still counts as looking', 'blocking/pool.c',
    'AE_ASSERT(pool->looking > 0);\n        pool->looking--;', 'AE_ASSERT(pool->looking > 0);',
    like='Tokio #8056: a job is queued and nobody is woken')
bug('pool/pool_start_fails', 'a job is accepted though no thread could be started',
    'blocking/pool.c', 'if (rc < 0) return -EAGAIN;', 'if (rc < 0) return 0;',
    like='Tokio #8406: a task orphaned by EAGAIN')
bug('pool/pool_start_fails_later', 'a thread that was not started counts for ever',
    'blocking/pool.c', 'pool->threads--;\n        pool->looking--;\n        if (t) record_put',
    'pool->threads--;\n        if (t) record_put')
bug('pool/pool_chain', 'who takes a job sends for nobody', 'blocking/pool.c',
    'struct help help = call_help(pool, true);\n        ae__lock_release(&pool->lock);\n'
    '        send_help', 'struct help help = { .wake = NULL };\n'
    '        ae__lock_release(&pool->lock);\n        send_help')
bug('pool/pool_keep_alive', 'a thread that ended still counts', 'blocking/pool.c',
    'pool->ended = t;\n    pool->threads--;', 'pool->ended = t;')
bug('pool/pool_full', 'the queue has no limit', 'blocking/pool.c',
    'pool->spawned >= pool->queue_max', 'pool->spawned > pool->queue_max')
bug('pool/pool_room', 'nobody is told of the place that became free', 'blocking/pool.c',
    'struct help help = { .told = give_room(pool) };',
    'struct help help = { .told = NULL };\n    (void)give_room;')
bug('pool/pool_own_room', 'a job waits for room that only it can make', 'blocking/pool.c',
    'if (pool->starting == 0) return true;', 'if (pool->starting == 0) return false;')
bug('pool/pool_own_rooms', 'a thread that may not start is trusted to make room',
    'blocking/pool.c', 'pool->looking > pool->starting ||', 'pool->looking > 0 ||')
bug('pool/pool_room_cancel', 'a cancelled waiter leaves its frame in the queue',
    'blocking/pool.c', 'ae__waitq_settle(&pool->lock, &pool->room, &waiter);', '')
bug('pool/pool_stop', 'stop does not wake who sleeps', 'blocking/pool.c',
    'while (!ae__list_is_empty(&pool->idle)) {\n        struct pool_thread *t = take_idle',
    'while (0) {\n        struct pool_thread *t = take_idle',
    like='Tokio #2119: a shutdown that hangs')
bug('pool/pool_stop_idle', 'a thread that ends joins nobody', 'blocking/pool.c',
    'if (before) join_thread(pool, before);', '')
bug('pool/pool_call_cancel', 'a call that was begun is left by its cancelled caller',
    'blocking/pool.c', 'if (call->state == AE__CALL_RUNNING) {', 'if (0) {')
bug('pool/pool_calls', 'a call is queued though there is no thread', 'blocking/pool.c',
    'rc = -EAGAIN;\n    if (rc < 0) {', 'rc = -EAGAIN;\n    if (0) {')
bug('pool/pool_call_cancel', 'a call\'s result is written without the lock', 'blocking/pool.c',
    'ae__lock_acquire(&pool->lock);\n    call->status = status;\n    call->state = AE__CALL_DONE;',
    'call->status = status;\n    call->state = AE__CALL_DONE;\n    ae__lock_acquire(&pool->lock);')

# ---- the end ----

bug('end/end_spawn', 'the root does not count what is spawned into it', 'sched/spawn.c',
    'if (!spawn->handle) scope->live++; /* L2 */',
    'if (!spawn->handle && !scope->node.cancelled) scope->live++;')
bug('end/end_wake', 'the end does not wait for threads in the middle of a wake',
    'sched/shutdown.c', 'while (atomic_load_explicit(&rt->outside, memory_order_acquire) > 0) {',
    'while (0) {', like='commonware #3287: a shutdown abandons what is under way')
bug('end/end_wake_pinned', 'a wake of a pinned task ends without release', 'sched/ready.c',
    'atomic_fetch_sub_explicit(&rt->outside, 1, memory_order_release);\n}\n\n/* True if it is',
    'atomic_fetch_sub_explicit(&rt->outside, 1, memory_order_relaxed);\n}\n\n/* True if it is')
bug('end/end_two_callers', 'a caller does not see what its call returned', 'sched/runtime.c',
    'atomic_store_explicit(&call->done, true, memory_order_release);',
    'atomic_store_explicit(&call->done, true, memory_order_relaxed);')
bug('end/end_block_on', 'a scope in the root is not waited for', 'sched/scope.c',
    'rt->root.live++;', '(void)rt;')
bug('end/end_idle', 'the workers are told to end without a wake', 'sched/shutdown.c',
    'if (has_thread(rt, i)) ae__worker_unpark(rt->workers[i]);', '')
