/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server's first process: one loop that reads, processes ticks, answers HTTP, and passes all writes to
 * the store's process. server.c has the order of start and stop; api*.h the answers.
 */
#pragma once

#include "db/db_client.h"
#include "process/duty.h"
#include "input/input.h"
#include "process/loop.h"
#include "machine/machine.h"
#include "process/notify.h"

/*
 * With --once: some or all of the input gave no power reports. Otherwise: power reports were not written,
 * because the output did not accept them.
 */
#define SERVER_EXIT_PARTLY 3

struct recaps;
struct api;
struct server;

/* Interface to the API; set by main.c, because the API depends on the server and not vice versa. */
struct server_face {
	int (*start)(struct server *server); /* 0 or a negative errno, which was logged */
	void (*stop)(struct server *server);
};

struct server_counters {
	uint64_t refused;       /* writes that the store refused */
	uint64_t dropped;       /* documents in the last of them, and before */
	uint64_t written;       /* power reports that are in the store */
	uint64_t lost;          /* power reports that it refused for good */
	uint64_t state_refused; /* states that the store refused */
	uint64_t troubles;      /* times that a store became unavailable */
};

struct server {
	struct loop loop;
	const struct server_config *config;
	struct notify notify;
	struct duty store_duty;
	struct duty input_duty; /* pid 0 where input and output are one store */
	struct db_client *output;
	struct db_client *reports; /* the same as output, or the input's */
	struct input *input;
	struct machine *machines;  /* by name */
	struct machine *save_next; /* whose state is saved next; NULL: the first one's */
	struct recaps *recaps;
	const struct server_face *face;
	struct api *api;
	struct batch states; /* as read at the start; freed when all have been loaded */
	unsigned n_states;
	struct batch buffer;
	struct batch spare; /* memory for the power reports of whichever machine has some next */
	struct server_counters n;
	ev_timer save;
	ev_timer line;
	ev_timer settle; /* while ending */
	ev_timer housekeeping;
	ev_timer known;
	ev_timer expire;
	ev_timer watchdog;
	bool started;     /* stored states are here, reading has begun */
	bool leading;     /* this server may write */
	bool standby;     /* another server writes to the store */
	bool said_full;   /* logged that there are more machines than one server can serve */
	char writer[300]; /* name of that server; "" */
	bool away;        /* a store is being retried */
	char away_why[256];
	bool ending;
	uint64_t ending_since_ns;
	int64_t started_ms; /* wall clock */
	int exit_status;
};

/* Runs the server to its end. `argv`: for the duties. Exit status of the process. */
int server_run(const struct server_config *config, const struct server_face *face, char *const argv[]);

/* NULL: unknown. */
struct machine *server_find_machine(const struct server *server, const char *name);
/* The same, or the only machine whose name differs only by a domain suffix. */
struct machine *server_find_host(const struct server *server, const char *name);
/* The machine whose name is nearest; NULL. */
const char *server_nearest_machine(const struct server *server, const char *name);
