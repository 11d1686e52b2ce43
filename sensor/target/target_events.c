/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Plugs the target table into the cgroup watch: its events, with the time at which they are told. The table
 * itself reads no clock.
 */
#include "target/target.h"
#include "target/cgroup_watch.h"
#include "base/clock.h"

static void on_created(void *data, const char *path, uint64_t id)
{
	(void)target_table_cgroup_created(data, path, id, clock_realtime_ms());
}

static void on_removed(void *data, const char *path, uint64_t id)
{
	(void)target_table_cgroup_removed(data, path, id, clock_realtime_ms());
}

void target_table_watch_events(struct target_table *table, struct cgroup_watch_events *ret_events)
{
	*ret_events = (struct cgroup_watch_events){on_created, on_removed, table};
}
