/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's HTTP API: recaps, metrics, health, present state.
 */
#pragma once

struct server;

/* 0 or a negative errno (logged). */
int api_start(struct server *server);
void api_stop(struct server *server);
