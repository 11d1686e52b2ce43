/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of energy sources: a machine with a fake sysfs, a clock that the test advances, and the log.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake/fake_tree.h"
#include "base/clock.h"
#include "base/log.h"
#include "machine/topology.h"
#include "priv/priv_client.h"
#include "source/source.h"

static struct {
	struct fake_tree tree;
	struct topology topology;
	struct source_context context;
	char log[4096];
} fixture;

static void keep_lines(void *data, enum log_level level, const char *token, const char *line)
{
	size_t length = strlen(fixture.log);

	(void)data;
	(void)level;
	(void)snprintf(fixture.log + length, sizeof(fixture.log) - length, "%s: %s\n", token, line);
}

/* The clock of these tests. */
static uint64_t clock_ns;

static uint64_t read_clock(void *data)
{
	(void)data;
	return clock_ns;
}

static int64_t read_time(void *data)
{
	(void)data;
	return (int64_t)(clock_ns / 1000000);
}

static const struct clock_source fake_clock = {read_clock, read_time, NULL};

/*
 * A machine of two sockets with two cores each and the given threads per core. 0, or nonzero if something is
 * missing.
 */
static int energy_fixture_begin(unsigned threads)
{
	struct priv_config config;

	clock_ns = 1000 * CLOCK_NS_PER_S;
	clock_replace(&fake_clock);
	fixture.tree = fake_new();
	fixture.log[0] = '\0';
	fake_topology(&fixture.tree, 2, 2, threads);
	config = (struct priv_config){.sysfs_root = fixture.tree.root};
	fixture.context = (struct source_context){.sysfs_root = fixture.tree.root,
						  .procfs_root = fixture.tree.root,
						  .topology = &fixture.topology,
						  .fd_budget = 100};
	log_set_sink(keep_lines, NULL);
	return topology_read(fixture.tree.root, fixture.tree.root, &fixture.topology) < 0 ||
	       priv_client_direct(&config, &fixture.context.priv) < 0;
}

static int tear_down(void **state)
{
	(void)state;
	log_set_sink(NULL, NULL);
	clock_replace(NULL);
	priv_client_free(fixture.context.priv);
	topology_done(&fixture.topology);
	fake_free(&fixture.tree);
	return 0;
}
