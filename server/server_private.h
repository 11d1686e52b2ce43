/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private to server*.c: the parts of server.h's loop.
 */
#pragma once

#include "server.h"

/* server_work.c */

/* The machine of this name; if it is new, it is created from its stored state. NULL if out of memory. */
struct machine *server_get_machine(void *data, const char *name, const char *reports);
/* A machine's ticks were processed; see input.h. */
void server_worked(void *data, struct machine *machine, bool more);
/* Passes a machine's power reports to the store. */
void server_write(struct server *server, struct machine *machine);
/* Indexes and retention of a machine's collections. */
void server_ensure(struct server *server, const struct machine *machine);
/* Passes on position and model of every machine whose position has changed. */
void server_save(struct server *server);
/*
 * The same for some of them, unless the queue is too long; the next call continues there. True: all are done.
 */
bool server_save_some(struct server *server);
bool server_keeps_state(const struct server *server);

/* server_known.c */

/* Reads the new descriptions of this machine's targets. */
void server_look_known(struct server *server, struct machine *machine);
/* The same for all machines; for a timer. */
void server_known_due(struct ev_loop *loop, ev_timer *timer, int events);

/* server_log.c */

/* One line for each sensor, and one for systemd. */
void server_log_state(struct server *server);
/* The figures of the whole run. */
void server_log_end(const struct server *server);
/* Power reports that were computed and are not known to be in the store. */
uint64_t server_unwritten(const struct server *server);
/* Without --once: counts them at the end, and sets the exit status if they are lost. */
void server_tell_losses(struct server *server);

/* server_once.c */

/* Exit status once everything has been read: 0, 1 or SERVER_EXIT_PARTLY. */
int server_once_status(const struct server *server);
/* The last line of a run whose status is not 0: every reason, with counts. */
void server_once_explain(const struct server *server);
