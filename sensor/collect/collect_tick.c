/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One tick: energy and activity are read as close together as possible, then encoded and passed on. Nothing
 * here allocates once warm.
 */
#include "collect/collect.h"

#include "base/clock.h"
#include "base/log.h"
#include "document/report_bson.h"
#include "base/unit.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>

#define WRITER_SILENT_NS (15 * CLOCK_NS_PER_S) /* longer than any call to the store */

void collect_read_system(struct collect *collect, struct system_source *source, uint64_t interval_ns)
{
	const uint64_t failures = source->read_failures;
	int r = source->ops->read(source, interval_ns);

	if (r < 0)
		log_debug("source", r, "cannot read group '%s'", source->group.name);
	collect->lost[REPORT_LOST_READ] += source->read_failures - failures;
}

static void read_activity(struct collect *collect, struct activity_source *source)
{
	const uint64_t failures = source->frame.read_failures;
	int r = source->ops->read(source);

	if (r < 0)
		log_debug("source", r, "cannot read the activity");
	collect->lost[REPORT_LOST_READ] += source->frame.read_failures - failures;
}

static void read_measured(struct collect *collect, uint64_t interval_ns)
{
	const uint64_t failures = collect->measured->read_failures;

	collect->measured->ops->read(collect->measured, interval_ns);
	collect->lost[REPORT_LOST_READ] += collect->measured->read_failures - failures;
}

/* Time of the energy reading on two clocks: for lengths, and for the report's timestamp. */
struct instant {
	uint64_t monotonic_ns;
	int64_t time_ms;
};

static struct instant now(void)
{
	return (struct instant){.monotonic_ns = clock_monotonic_ns(), .time_ms = clock_realtime_ms()};
}

static struct instant read_systems(struct collect *collect)
{
	struct instant energy = now();
	const uint64_t start_ns = energy.monotonic_ns;

	for (unsigned i = 0; i < collect->n_systems; i++)
		if (!collect->systems[i]->ops->energy)
			collect_read_system(collect, collect->systems[i], start_ns - collect->last_energy_ns);
	for (unsigned i = 0; i < collect->n_systems; i++) {
		if (!collect->systems[i]->ops->energy)
			continue;
		energy = now();
		collect_read_system(collect, collect->systems[i],
				    energy.monotonic_ns - collect->last_energy_ns);
	}
	return energy;
}

/* GPUs are read by another process at times of its own. */
static struct instant read_systems_again(struct collect *collect, struct instant first)
{
	struct instant energy = first;

	for (unsigned i = 0; i < collect->n_systems; i++) {
		const struct instant read = now();

		if (collect->gpu && collect->systems[i] == collect_gpu_source(collect->gpu))
			continue;
		if (collect_read_again(collect, i, read.monotonic_ns - first.monotonic_ns) == 0 &&
		    collect->systems[i]->ops->energy)
			energy = read;
	}
	return energy;
}

/* Returns the time between the energy reading and the end of the activity reading. */
static uint64_t read_sources(struct collect *collect, struct instant *ret_energy)
{
	struct instant energy = read_systems(collect);
	const uint64_t read_ns = clock_monotonic_ns(); /* some meters take long, and would again */
	uint64_t end_ns;

	if (collect->activity)
		read_activity(collect, collect->activity);
	if (collect_overflow_frame(&collect->overflow))
		read_activity(collect, collect->overflow.source);
	if (collect->measured)
		read_measured(collect, energy.monotonic_ns - collect->last_energy_ns);
	end_ns = clock_monotonic_ns();
	if (!collect->simulated &&
	    collect_is_skewed(energy.monotonic_ns - collect->last_energy_ns, end_ns - read_ns))
		energy = read_systems_again(collect, energy);
	*ret_energy = energy;
	return end_ns > energy.monotonic_ns ? end_ns - energy.monotonic_ns : energy.monotonic_ns - end_ns;
}

void collect_read_baseline(struct collect *collect)
{
	struct instant energy;

	(void)read_sources(collect, &energy);
	collect->last_energy_ns = energy.monotonic_ns;
}

static void send_targets(struct collect *collect)
{
	struct report_target target;
	unsigned slot;

	batch_clear(&collect->documents);
	while ((slot = target_table_next_dirty(collect->table)) != 0) {
		target_table_fill(collect->table, slot, &target);
		target.sensor = collect->config->name;
		if (report_bson_add_target(&collect->documents, &target) < 0)
			log_warning("tick", -ENOMEM, "cannot write the description of target '%s'",
				    target.target);
	}
	if (collect->documents.n_documents > 0)
		(void)link_send(&collect->link, LINK_PUT, collect->config->targets, &collect->documents,
				false);
}

static void fill_lost(struct collect *collect, struct report_tick_metadata *metadata)
{
	collect->lost[REPORT_LOST_SPOOL] += collect->link.lost;
	collect->link.lost = 0;
	/* Totals since the start, so that a lost report loses no counts. */
	for (unsigned i = 0; i < REPORT_LOST_CAUSES; i++)
		metadata->lost[i] = collect->lost[i];
	for (unsigned i = 0; i < collect->n_systems; i++)
		metadata->energy_reset |= collect->systems[i]->was_reset;
}

/* Shorter intervals are not clock steps but ticks right after a late one. */
#define COLLECT_CLOCK_STEP_MS 10

/*
 * This time determines identity and order: after the clock is set back, two ticks must not become one, and
 * none may appear late. Ticks are then a millisecond apart until the clock has caught up; lengths are
 * measured independently.
 */
static int64_t next_time_ms(struct collect *collect, int64_t now_ms)
{
	if (now_ms <= collect->last_time_ms) {
		const bool set_back = now_ms + COLLECT_CLOCK_STEP_MS < collect->last_time_ms;

		if (!collect->clock_behind && set_back)
			log_warning("tick", 0,
				    "the clock was set back by %" PRId64
				    " ms; reports keep their order until it "
				    "has caught up",
				    collect->last_time_ms - now_ms);
		collect->clock_behind = collect->clock_behind || set_back;
		now_ms = collect->last_time_ms + 1;
	} else {
		collect->clock_behind = false;
	}
	collect->last_time_ms = now_ms;
	return now_ms;
}

static void encode(struct collect *collect, int64_t time_ms, uint64_t interval_ns, uint64_t skew_ns)
{
	const struct target_view *view = target_table_view(collect->table);
	struct encode_tick tick = {
		.time_ms = next_time_ms(collect, time_ms),
		.sensor = collect->config->name,
		.frame = collect->activity ? &collect->activity->frame : NULL,
		.overflow = collect_overflow_frame(&collect->overflow),
		.systems = collect->systems,
		.n_systems = collect->n_systems,
		.gpus = collect->gpu ? collect_gpu_targets(collect->gpu) : NULL,
		.measured = collect->measured ? &collect->measured->counts : NULL,
		.names = view->names,
		.short_ids = view->short_ids,
		.states = view->states,
		.last_state = TARGET_ENDED,
		.n_names = view->n_slots,
		.keep_idle = collect->config->keep_idle,
		.metadata =
			{
				.seq = collect->seq,
				.interval_s = UNIT_S_OF_NS(interval_ns),
				.energy_source = collect->energy_source ? collect->energy_source->name : NULL,
				.estimated = collect->energy_source && collect->energy_source->estimated,
				.activity_source = collect->activity ? collect->activity->ops->name : NULL,
				.cpu_model = collect->topology.model_name,
				.base_frequency_mhz = collect->topology.base_frequency_mhz,
				.n_cores = topology_cores_per_package(&collect->topology),
				.machine = &collect->facts.report,
				.skew_s = UNIT_S_OF_NS(skew_ns),
				.lost_cpu_s = collect->activity
						      ? UNIT_S_OF_NS(collect->activity->frame.lost_ns +
								     collect->overflow.lost_ns)
						      : 0,
				.boot_id = collect->boot_id,
				.version = WATTRIBUTE_VERSION,
			},
	};
	unsigned n_targets;
	int r;

	fill_lost(collect, &tick.metadata);
	r = encoder_run(collect->encoder, &tick, &collect->reports, &n_targets);
	if (r < 0) {
		log_error("tick", r, "the tick's reports are lost");
		collect->lost[REPORT_LOST_SPOOL]++;
		return;
	}
	r = link_send(&collect->link, LINK_APPEND, collect->config->reports, &collect->reports, true);
	if (r == -ENOBUFS)
		log_warning("tick", 0, "the writer lags by more than --backlog: %u reports are lost",
			    collect->reports.n_documents);
}

/* A writer process that is stopped or hangs in a call looks like an idle one: its silence is logged. */
static void check_writer(struct collect *collect)
{
	const uint64_t now_ns = clock_monotonic_ns();

	/* The tick that was just sent has no answer yet. */
	if (collect->writer_heard_ns == 0 || collect->link.ticks_sent <= collect->writer_done + 1)
		collect->writer_heard_ns = now_ns;
	if (collect->writer_silent || now_ns - collect->writer_heard_ns < WRITER_SILENT_NS)
		return;
	collect->writer_silent = true;
	log_warning("link", 0,
		    "the writer process does not answer: %" PRIu64
		    " ticks wait for it in memory (is it stopped, or does its store hang?)",
		    collect->link.ticks_sent - collect->writer_done);
}

void collect_read_tick(struct collect *collect, uint64_t missed)
{
	struct instant energy;
	uint64_t skew_ns, interval_ns;

	if (missed > 0) {
		collect->lost[REPORT_LOST_LATE] += missed;
		log_debug("tick", 0, "late: %" PRIu64 " missed ticks are merged into this one", missed);
	}
	collect_look_at_cpus(collect);
	skew_ns = read_sources(collect, &energy);
	collect_take_back_cpus(collect);
	interval_ns = energy.monotonic_ns - collect->last_energy_ns;
	collect->last_energy_ns = energy.monotonic_ns;
	collect->seq++;
	edges_note_reading(&collect->edges, false);
	(void)target_table_refresh_names(collect->table, clock_realtime_ms());
	if (collect->activity && target_table_view(collect->table)->n_ended > 0)
		collect_merge_successors(collect);
	send_targets(collect);
	encode(collect, energy.time_ms, interval_ns, skew_ns);
	collect_measured_balance(collect);
	collect_release_ended(collect);
	collect_overflow_balance(collect);
	collect_better_energy(collect);
	collect_take_new_cpus(collect);
	check_writer(collect);
	if (collect->link.backlog.length > 0)
		ev_io_start(collect->loop.ev, &collect->link_write);
}
