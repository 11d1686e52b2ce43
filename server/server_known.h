/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the sensors' descriptions of targets from time to time.
 */
#pragma once

#include "server.h"

/* Reads the new descriptions of this machine's targets. */
void server_look_known(struct server *server, struct machine *machine);
/* The same for all machines; for a timer. */
void server_known_due(struct ev_loop *loop, ev_timer *timer, int events);
