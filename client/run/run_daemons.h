/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A sensor and a server for the duration of one measured command, on an SQLite store in a temporary folder.
 * client_run.c and client_calibrate.c call it; it knows only the daemons' command lines.
 */
#pragma once

#include "base/reason.h"
#include "run/run_folder.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RUN_SENSOR_NAME      "run"
#define RUN_SENSOR_WORDS_MAX 64
#define RUN_TROUBLE_SIZE     200
#define RUN_READY_TIMEOUT_MS 60000 /* for the first reading */

struct run_daemons_settings {
	const char *sensor_config; /* file, or NULL */
	char *const *sensor_words; /* further arguments for the sensor; NULL-ended */
	const char *formula;       /* for the server, or NULL */
	uint64_t interval_ms;
	bool verbose; /* the daemons log to stderr instead of a file */
};

struct run_daemons {
	struct run_folder folder;
	char server_url[64];
	pid_t sensor;
	pid_t server;
	bool verbose;
};

/* 0, or a negative errno and a sentence; run_daemons_stop() in either case. */
int run_daemons_start(const struct run_daemons_settings *settings, struct run_daemons *ret_daemons,
		      struct reason *why);
/* URI of the shared store; after run_daemons_start(). */
void run_daemons_store(const struct run_daemons *daemons, char *ret, size_t size);
/* 0, or -ECHILD and a sentence if one of them has exited. */
int run_daemons_alive(struct run_daemons *daemons, struct reason *why);
/*
 * Waits until the server has seen a tick. CLIENT_GO_ON, or the exit status: `failure` after a message, or the
 * signal's.
 */
int run_daemons_wait(struct run_daemons *daemons, uint64_t timeout_ms, int failure);
/*
 * Ends both and waits for them; the folder stays. The sensor is ended first, so that its last reading is
 * used. 0; 1 and a sentence if one had exited before, or has lost reports or failed (its exit status is not
 * 0); -ETIMEDOUT or -EINTR and a sentence if one had to be killed. Signals must be blocked
 * (run_signals_block()).
 */
int run_daemons_end(struct run_daemons *daemons, struct reason *why);
/* What may be wrong if they yield nothing: "; …", or "" if nothing is known. */
const char *run_daemons_trouble(const struct run_daemons *daemons, char ret[RUN_TROUBLE_SIZE]);
/* Ends both, waits for them, removes the folder. */
void run_daemons_stop(struct run_daemons *daemons);
