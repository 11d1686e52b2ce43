/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passes processed ticks to the store: power reports first, then the position that covers them, written in
 * this order. Called by server.c and, through it, by input.c.
 */
#include "server_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "document/collections.h"
#include "recap/recaps.h"
#include "machine/state.h"
#include "base/reason.h"

#include <errno.h>
#include <string.h>

#define MACHINES_MAX 4096 /* some 130 kB each */
#define SERVER_TOKEN "server"
#define SERVER_BATCH ((size_t)512 * 1024)      /* bytes gathered before writing */
#define SERVER_KEPT  ((size_t)4 * 1024 * 1024) /* memory of an empty batch */
#define SERVER_SAVE  ((size_t)256 * 1024)      /* bytes of states that are written at once */

static void written(void *data, const struct db_answer *answer)
{
	struct server *server = data;
	const uint64_t dropped = db_client_statistics(server->output)->dropped,
		       more = dropped - server->n.dropped;
	/* Of a batch, some documents may be refused; a batch that was given up is not stored at all. */
	const uint64_t refused = answer->result == STORE_OK               ? 0
				 : more > 0 && more < answer->n_documents ? more
									  : answer->n_documents;

	server->n.written += answer->n_documents - refused;
	server->n.lost += refused;
	server->n.dropped = dropped;
	if (answer->result == STORE_OK)
		return;
	if (!server->n.refused++)
		log_error(SERVER_TOKEN, 0,
			  "the store refuses documents: %s (logged once; see wattribute_store_dropped_total)",
			  answer->error);
	if (server->config->once)
		server->exit_status = 1;
}

static void ensured(void *data, const struct db_answer *answer)
{
	(void)data;
	if (answer->result == STORE_DROP)
		log_debug(SERVER_TOKEN, 0, "no index: %s", answer->error);
	else if (answer->result == STORE_OK && answer->error[0])
		log_info("store", 0, "%s", answer->error);
}

static void state_put(void *data, const struct db_answer *answer)
{
	struct server *server = data;

	if (answer->result != STORE_OK && !server->n.state_refused++)
		log_warning(SERVER_TOKEN, 0,
			    "cannot store the position; a restart will reprocess some ticks: %s",
			    answer->error);
}

void server_write(struct server *server, struct machine *machine)
{
	if (!machine->out.n_documents)
		return;
	if (db_client_append(server->output, machine->power, &machine->out, written, server) < 0)
		log_error(SERVER_TOKEN, -ENOMEM, "power reports of %s were lost", machine->name);
	/* The next machine reuses the memory: machines do not keep their own. */
	batch_clear(&machine->out);
	if (machine->out.capacity < server->spare.capacity || machine->out.capacity > SERVER_KEPT) {
		batch_done(&machine->out);
	} else {
		batch_done(&server->spare);
		server->spare = machine->out;
		machine->out = (struct batch){0};
	}
}

void server_ensure(struct server *server, const struct machine *machine)
{
	uint64_t retention_s = server->config->retention_ms / 1000;
	char recaps[COLLECTION_SIZE];

	(void)db_client_ensure(server->output, machine->power, retention_s, ensured, server);
	(void)db_client_ensure(server->output, collection_compose(COLLECTION_RECAPS, machine->name, recaps),
			       0, ensured, server);
	if (server->reports == server->output)
		(void)db_client_ensure(server->output, machine->reports, retention_s, ensured, server);
}

bool server_keeps_state(const struct server *server)
{
	return !server->config->once || server->config->resume;
}

struct machine *server_get_machine(void *data, const char *name, const char *reports)
{
	struct server *server = data;
	struct machine *machine = server_find_machine(server, name);
	struct reason why = {""};
	int r = 0;

	if (machine)
		return machine;
	if (HASH_COUNT(server->machines) >= MACHINES_MAX) {
		if (!server->said_full)
			log_error(SERVER_TOKEN, 0,
				  "more than %d machines: '%.64s' and others are left out; give them a "
				  "database and a server of their own",
				  MACHINES_MAX, name);
		server->said_full = true;
		return NULL;
	}
	machine = machine_new(server->config, name, reports);
	if (!machine)
		return NULL;
	machine->counts_from_ms = server->started_ms;
	HASH_ADD_KEYPTR(hh, server->machines, machine->name, strlen(machine->name), machine);
	if (server_keeps_state(server))
		r = state_load(machine, &server->states, server->config->once ? 0 : clock_realtime_ms(),
			       &why);
	if (r != 0 && server->n_states && --server->n_states == 0)
		batch_done(&server->states);
	if (r < 0)
		log_warning(SERVER_TOKEN, 0, "%s: starting with an empty model: %s", name, why.text);
	else if (r > 0)
		log_info(SERVER_TOKEN, 0, "%s: continuing from the stored position%s", name,
			 r == 1 ? " and model" : "");
	machine->saved_ms = machine->time_ms;
	machine->spare = &server->spare;
	server_ensure(server, machine);
	server_look_known(server, machine);
	return machine;
}

void server_worked(void *data, struct machine *machine, bool more)
{
	struct server *server = data;

	if (!machine) {
		for (machine = server->machines; machine; machine = machine->hh.next)
			server_worked(server, machine, more);
		return;
	}
	/* A few large writes instead of many small ones when there is much to write. */
	if ((more || server->config->once) && machine->out.length < SERVER_BATCH)
		return;
	server_write(server, machine);
	recaps_tick(server->recaps, machine);
}

/* Adds a machine's state, if it has changed, and first passes on the reports that it covers. */
static void save_machine(struct server *server, struct machine *machine)
{
	if (machine->time_ms == machine->saved_ms)
		return;
	if (state_add(&server->buffer, machine, clock_realtime_ms()) < 0)
		return;
	server_write(server, machine);
	machine->saved_ms = machine->time_ms;
}

/* Saves machines from `machine` on, as many as are written at once. Returns the next one, or NULL. */
static struct machine *save_from(struct server *server, struct machine *machine)
{
	batch_clear(&server->buffer);
	for (; machine && server->buffer.length < SERVER_SAVE; machine = machine->hh.next)
		save_machine(server, machine);
	if (server->buffer.length && db_client_put(server->output, collection_prefix(COLLECTION_STATE),
						   &server->buffer, state_put, server) < 0)
		log_error(SERVER_TOKEN, -ENOMEM,
			  "positions were not saved: a restart will reprocess some ticks");
	return machine;
}

void server_save(struct server *server)
{
	struct machine *machine = server->machines;

	while (machine)
		machine = save_from(server, machine);
}

bool server_save_some(struct server *server)
{
	if (!db_client_is_full(server->output))
		server->save_next =
			save_from(server, server->save_next ? server->save_next : server->machines);
	return server->save_next == NULL;
}
