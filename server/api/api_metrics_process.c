/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of /metrics about the server's first process, under the names that Prometheus' own libraries use.
 * After the start, neither /proc nor further privileges are needed.
 */
#include "api/api_private.h"
#include "base/clock.h"
#include "base/unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define FDS_LOOKED_AT 4096

int api_metrics_open_process(void)
{
	return open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
}

static void write_memory(struct metrics_writer *writer, int statm)
{
	const double page = (double)sysconf(_SC_PAGESIZE);
	char text[128], *end;
	ssize_t length = pread(statm, text, sizeof(text) - 1, 0);
	double all, resident;

	if (length <= 0)
		return;
	text[length] = '\0';
	all = strtod(text, &end);
	resident = strtod(end, NULL);
	metrics_one(writer, METRICS_GAUGE, "process_virtual_memory_bytes",
		    "Virtual memory of the server's first process.", all * page);
	metrics_one(writer, METRICS_GAUGE, "process_resident_memory_bytes",
		    "Resident memory of the server's first process.", resident * page);
}

static unsigned count_fds(unsigned long most)
{
	unsigned n = 0;

	for (int fd = 0; fd < (int)most && fd < FDS_LOOKED_AT; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

void api_metrics_write_process(struct metrics_writer *writer, const struct server *server)
{
	struct rusage usage;
	struct rlimit limit;

	if (getrusage(RUSAGE_SELF, &usage) == 0)
		metrics_one(writer, METRICS_COUNTER, "process_cpu_seconds_total",
			    "CPU time of the server's first process.", clock_cpu_s(&usage));
	write_memory(writer, server->api->statm);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		metrics_one(writer, METRICS_GAUGE, "process_open_fds",
			    "Open file descriptors of the server's first process.",
			    count_fds(limit.rlim_cur));
		metrics_one(writer, METRICS_GAUGE, "process_max_fds",
			    "Maximum number of open file descriptors of the server's first process.",
			    (double)limit.rlim_cur);
	}
	metrics_one(writer, METRICS_GAUGE, "process_start_time_seconds",
		    "Start time of the server, in seconds since the epoch.",
		    UNIT_S_OF_MS(server->started_ms));
}
