/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Status lines: what was read, computed and lost, and what the server waits for.
 */
#include "server_private.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "base/unit.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static void log_machine(const struct machine *machine, int64_t now_ms)
{
	const struct formula_state state = machine_describe(machine, REPORT_SCOPE_CPU, 0);
	char error[48] = "unknown", lag[48] = "no tick yet", age[32];

	if (isfinite(state.error_w))
		(void)snprintf(error, sizeof(error), "%.2f W", state.error_w);
	if (machine->time_ms != INT64_MIN)
		(void)snprintf(lag, sizeof(lag), "last tick %s ago",
			       text_duration(UNIT_S_OF_MS(now_ms - machine->time_ms), age, sizeof(age)));
	log_info("state", 0,
		 "%s: %" PRIu64 " reports, %" PRIu64 " ticks, %s; %s%s%s, %" PRIu64
		 " samples, error %s; lost: %" PRIu64 " "
		 "missing, %" PRIu64 " late, "
		 "%" PRIu64 " bad; %u ticks waiting for reports",
		 machine->name, machine->n.documents, machine->n.ticks, lag, machine->config->ops->name,
		 state.text[0] ? ": " : "", state.text, state.samples, error, machine->n.missing,
		 machine->n.late, machine->n.bad, join_pending(machine->join));
}

void server_log_state(struct server *server)
{
	int64_t now_ms = clock_realtime_ms();
	unsigned n = HASH_COUNT(server->machines);

	for (struct machine *machine = server->machines; machine; machine = machine->hh.next)
		log_machine(machine, now_ms);
	if (server->standby)
		log_info("state", 0, "standby: another server writes to the store: %s", server->writer);
	else if (server->away)
		log_info("state", 0, "waiting for the store: %s", server->away_why);
	else if (n == 0)
		log_info("state", 0, "waiting for a sensor: no collection named sensor* yet");
	(void)notify_status(&server->notify, "%s%u sensors%s", server->standby ? "standby, " : "", n,
			    server->away ? ", store not answering" : "");
}

void server_log_end(const struct server *server)
{
	struct machine_counters sum = {0};
	const struct store_statistics *output = db_client_statistics(server->output);
	/* The output's own number includes positions and models. */
	const uint64_t n_written =
		server->n.written > output->duplicates ? server->n.written - output->duplicates : 0;
	char unmeasured[60] = "";

	for (const struct machine *machine = server->machines; machine; machine = machine->hh.next) {
		sum.documents += machine->n.documents;
		sum.ticks += machine->n.ticks;
		sum.rows += machine->n.rows;
		sum.incomplete += machine->n.incomplete;
		sum.missing += machine->n.missing;
		sum.late += machine->n.late;
		sum.bad += machine->n.bad;
		sum.duplicates += machine->n.duplicates;
		sum.unmeasured += machine->n.unmeasured;
	}
	if (sum.unmeasured)
		(void)snprintf(unmeasured, sizeof(unmeasured), ", %" PRIu64 " without energy",
			       sum.unmeasured);
	log_notice("server", 0,
		   "%u sensor%s, %" PRIu64 " ticks of %" PRIu64 " reports, %" PRIu64
		   " power reports (%" PRIu64 " written, %" PRIu64 " already there, "
		   "%" PRIu64 " refused); lost: %" PRIu64 " missing, %" PRIu64 " late, %" PRIu64
		   " bad, %" PRIu64 " duplicate; %" PRIu64 " ticks incomplete%s",
		   HASH_COUNT(server->machines), HASH_COUNT(server->machines) == 1 ? "" : "s", sum.ticks,
		   sum.documents, sum.rows, n_written, output->duplicates, output->dropped, sum.missing,
		   sum.late, sum.bad, sum.duplicates, sum.incomplete, unmeasured);
}

uint64_t server_unwritten(const struct server *server)
{
	uint64_t n_rows = 0;

	for (const struct machine *machine = server->machines; machine; machine = machine->hh.next)
		n_rows += machine->n.rows;
	return n_rows > server->n.written ? n_rows - server->n.written : 0;
}

/* A stream may have no position to continue from: what it did not take counts as lost. */
void server_tell_losses(struct server *server)
{
	const bool stream = store_uri_traits(server->config->output_uri) & STORE_STREAM;
	const uint64_t n = server_unwritten(server), n_lost = stream ? n : server->n.lost;

	if (server->config->once)
		return;
	if (n > n_lost)
		log_warning("server", 0,
			    "%" PRIu64
			    " power reports are not written yet: the next start computes them again",
			    n - n_lost);
	if (n_lost == 0)
		return;
	log_warning("server", 0,
		    "%" PRIu64
		    " power reports were not written: the output did not accept them (exit status %d)",
		    n_lost, SERVER_EXIT_PARTLY);
	if (server->exit_status == 0)
		server->exit_status = SERVER_EXIT_PARTLY;
}
