/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps a local store within its bounds, between two batches, and explains what the bounds mean. Called by
 * the sensor's writer and the server's store process.
 */
#include "store/store_bounds.h"

#include "base/clock.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define LOOK_EVERY_NS (5000 * CLOCK_NS_PER_MS)
#define PAUSE_NS      (200 * CLOCK_NS_PER_MS) /* between two slices */
#define RATE_FROM_MS  30000
#define DAY_MS        86400000.0

bool store_bounds_keep(struct store_bounds *bounds, struct store *store)
{
	bool failed_before = bounds->failing;
	uint64_t now_ns = clock_monotonic_ns();
	enum store_result result;

	if ((!bounds->max_bytes && !bounds->retention_s) || now_ns < bounds->next_ns)
		return true;
	result = store_trim(store, bounds->max_bytes, clock_realtime_ms(), &bounds->more);
	bounds->failing = result != STORE_OK;
	bounds->next_ns = clock_monotonic_ns() + (bounds->more ? PAUSE_NS : LOOK_EVERY_NS);
	return failed_before || !bounds->failing;
}

static const char *bytes_text(double bytes, char *ret, size_t size)
{
	static const char *const units[] = {"bytes", "kB", "MB", "GB", "TB"};
	unsigned unit = 0;

	while (bytes >= 999.5 && unit < 4) {
		bytes /= 1000;
		unit++;
	}
	(void)snprintf(ret, size, bytes < 9.95 && unit > 0 ? "%.1f %s" : "%.0f %s", bytes, units[unit]);
	return ret;
}

int store_bounds_check_size(uint64_t max_bytes, struct reason *why)
{
	if (!max_bytes || max_bytes >= STORE_SIZE_LEAST)
		return 0;
	return reason_set(why, -EINVAL,
			  "--store-size: %" PRIu64
			  " bytes would keep nothing; give 1M or more, as in 4G (0: no "
			  "limit)",
			  max_bytes);
}

double store_bounds_rate(const struct store_usage *usage)
{
	double span_ms = (double)(usage->newest_ms - usage->oldest_ms);

	return usage->oldest_ms > 0 && span_ms >= RATE_FROM_MS ? (double)usage->used_bytes * DAY_MS / span_ms
							       : 0;
}

static const char *limits_text(const struct store_bounds *bounds, char *ret, size_t size)
{
	char age[40] = "", bytes[40] = "";

	if (bounds->retention_s)
		(void)text_duration((double)bounds->retention_s, age, sizeof(age));
	if (bounds->max_bytes)
		(void)bytes_text((double)bounds->max_bytes, bytes, sizeof(bytes));
	if (!age[0] && !bytes[0])
		(void)snprintf(ret, size, "keeps everything");
	else
		(void)snprintf(ret, size, "keeps at most %s%s%s of ticks%s", age,
			       age[0] && bytes[0] ? " or " : "", bytes,
			       age[0] && bytes[0] ? ", whichever comes first" : "");
	return ret;
}

const char *store_bounds_text(const struct store_bounds *bounds, const char *name,
			      const struct store_usage *usage, double bytes_per_day, char *ret, size_t size)
{
	double rate = bytes_per_day > 0 ? bytes_per_day : store_bounds_rate(usage);
	char limits[140], used[40], per_day[40] = "", fits[40], outlook[140] = "";

	if (rate > 0 && bounds->max_bytes) {
		double fits_s = (double)bounds->max_bytes / rate * 86400;

		if (bounds->retention_s && fits_s > (double)bounds->retention_s)
			fits_s = (double)bounds->retention_s;
		(void)snprintf(outlook, sizeof(outlook), ", so about %s are kept",
			       text_duration(fits_s, fits, sizeof(fits)));
	} else if (rate > 0 && bounds->retention_s) {
		(void)snprintf(outlook, sizeof(outlook), ", up to about %s",
			       bytes_text(rate * (double)bounds->retention_s / 86400, fits, sizeof(fits)));
	}
	if (rate > 0)
		(void)bytes_text(rate, per_day, sizeof(per_day));
	(void)snprintf(ret, size, "'%s' %s; it holds %s now%s%s%s%s", name,
		       limits_text(bounds, limits, sizeof(limits)),
		       bytes_text((double)usage->used_bytes, used, sizeof(used)),
		       rate > 0 ? " and grows by about " : "", per_day, rate > 0 ? " a day" : "", outlook);
	return ret;
}
