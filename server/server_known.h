/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looks now and then for what sensors say of their targets.
 */
#pragma once

#include "server.h"

/* Asks the store for what is new of this machine's targets. */
void server_look_known(struct server *server, struct machine *machine);
/* The same for all machines; for a timer. */
void server_known_due(struct ev_loop *loop, ev_timer *timer, int events);
