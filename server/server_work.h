/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the server passes to the store, and the machines it serves.
 */
#pragma once

#include "server.h"

/* The machine of this name, made (and its stored state taken up) where it is new; NULL if out of memory. */
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
