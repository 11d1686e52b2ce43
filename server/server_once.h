/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a run with --once went: its exit status, and the line that says why it is not 0.
 */
#pragma once

struct server;

/* The status once everything has been read: 0, 1 or SERVER_EXIT_PARTLY. */
int server_once_status(const struct server *server);
/* The last line of a run whose status is not 0: every reason, with counts. */
void server_once_explain(const struct server *server);
