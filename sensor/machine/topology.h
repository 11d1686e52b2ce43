/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine's online CPUs, their package, die and core, and the processor's name. Read once at start from
 * the given sysfs and procfs roots; files that a virtual machine lacks are replaced by defaults.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct topology_cpu {
	unsigned id;
	unsigned package; /* id as the kernel gives it */
	unsigned die;     /* within the package */
	unsigned core;    /* within the package (or die) */
};

struct topology_package {
	unsigned id;
	unsigned first_cpu; /* lowest online CPU */
	unsigned n_cpus;    /* online, hardware threads counted */
	unsigned n_cores;   /* physical cores with a CPU online */
	unsigned n_dies;
};

struct topology {
	unsigned n_cpus;
	struct topology_cpu *cpus; /* online ones, by id */
	unsigned n_packages;
	struct topology_package *packages; /* by id */
	double base_frequency_mhz;         /* 0: unknown */
	char model_name[96];               /* "" when unknown */
	bool virtual_machine;              /* the processor reports a hypervisor */
};

/* 0, or a negative errno if no CPU was found. Free it with topology_done(). */
int topology_read(const char *sysfs_root, const char *procfs_root, struct topology *ret_topology);
void topology_done(struct topology *topology);
/* Checks whether the base frequency has changed (Intel Speed Select can do that at run time). */
bool topology_renew_frequency(struct topology *topology, const char *sysfs_root);

/* The CPU or package with this id, NULL when it is not online. */
const struct topology_cpu *topology_find_cpu(const struct topology *topology, unsigned cpu);
const struct topology_package *topology_find_package(const struct topology *topology, unsigned package);
/* Physical cores of the largest package, for report_tick_metadata.n_cores. */
unsigned topology_cores_per_package(const struct topology *topology);
