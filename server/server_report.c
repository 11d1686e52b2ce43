/* SPDX-License-Identifier: Apache-2.0 */
/*
 * State lines: what came in, what was made of it, what was lost, and what the server waits for.
 */
#include "server_report.h"

#include "base/clock.h"
#include "base/log.h"
#include "server.h"

#include <math.h>
#include <stdio.h>

static void server_report_machine(const struct machine *machine, int64_t now_ms)
{
	struct formula_state state = {.error_w = NAN};
	char error[48] = "unknown", lag[48] = "no tick yet";

	if (machine->config->ops->describe)
		machine->config->ops->describe(machine->formula, REPORT_SCOPE_CPU, 0, &state);
	if (isfinite(state.error_w))
		(void)snprintf(error, sizeof(error), "%.2f W", state.error_w);
	if (machine->time_ms != INT64_MIN)
		(void)snprintf(lag, sizeof(lag), "last tick %.1f s ago",
			       (double)(now_ms - machine->time_ms) / 1000);
	(void)log_info("state", 0,
		       "%s: %llu reports, %llu ticks, %s; %s%s%s, %llu samples, error %s; lost: %llu "
		       "missing, %llu late, "
		       "%llu bad; %u ticks wait for reports",
		       machine->name, (unsigned long long)machine->n.documents,
		       (unsigned long long)machine->n.ticks, lag, machine->config->ops->name,
		       state.text[0] ? ": " : "", state.text, (unsigned long long)state.samples, error,
		       (unsigned long long)machine->n.missing, (unsigned long long)machine->n.late,
		       (unsigned long long)machine->n.bad, join_pending(machine->join));
}

void server_report_state(struct server *server)
{
	int64_t now_ms = clock_realtime_ms();
	unsigned n = HASH_COUNT(server->machines);

	for (struct machine *machine = server->machines; machine; machine = machine->hh.next)
		server_report_machine(machine, now_ms);
	if (server->away)
		(void)log_info("state", 0, "waiting for the store: %s", server->away_why);
	else if (n == 0)
		(void)log_info("state", 0, "waiting for a sensor: no collection named sensor* yet");
	(void)notify_status(&server->notify, "%u sensors%s", n, server->away ? ", store away" : "");
}

void server_report_end(const struct server *server)
{
	struct machine_counters sum = {0};
	const struct store_statistics *written = db_client_statistics(server->output);

	for (const struct machine *machine = server->machines; machine; machine = machine->hh.next) {
		sum.documents += machine->n.documents;
		sum.ticks += machine->n.ticks;
		sum.rows += machine->n.rows;
		sum.incomplete += machine->n.incomplete;
		sum.missing += machine->n.missing;
		sum.late += machine->n.late;
		sum.bad += machine->n.bad;
		sum.duplicates += machine->n.duplicates;
	}
	if (server->config->once && !server->machines)
		(void)log_warning("server", 0,
				  "no reports: the input has no collection named sensor*, or none that "
				  "--sensor names");
	(void)log_notice(
		"server", 0,
		"%u sensors, %llu ticks of %llu reports, %llu power reports (%llu written, %llu there "
		"already, "
		"%llu refused); lost: %llu missing, %llu late, %llu bad, %llu twice; %llu ticks incomplete",
		HASH_COUNT(server->machines), (unsigned long long)sum.ticks,
		(unsigned long long)sum.documents, (unsigned long long)sum.rows,
		(unsigned long long)written->appended, (unsigned long long)written->duplicates,
		(unsigned long long)written->dropped, (unsigned long long)sum.missing,
		(unsigned long long)sum.late, (unsigned long long)sum.bad, (unsigned long long)sum.duplicates,
		(unsigned long long)sum.incomplete);
}
