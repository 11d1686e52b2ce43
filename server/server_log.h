/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's status in the log.
 */
#pragma once

struct server;

/* One line for each sensor, and one for systemd. */
void server_log_state(struct server *server);
/* The figures of the whole run. */
void server_log_end(const struct server *server);
