/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A compromised `collect` sends one message after another to the privileged process: well-formed ones with
 * arbitrary values, damaged ones, and random bytes. Each is answered, refused or ends the connection; no
 * descriptor is leaked, and only counters and files below the roots are handed over.
 * WATTRIBUTE_MESSAGES=10000000 for the long form.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "document/batch.h"
#include "priv/priv_message.h"
#include "process/ipc.h"
#include "unit/random_seed.h"

#include <fcntl.h>
#include <stdio.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define MESSAGES   50000
#define CONNECTION 500 /* messages before a new connection */

static const struct container_roots roots = {.docker = {"/var/lib/docker"},
					     .storage = {"/var/lib/containers/storage"}};
static const struct priv_config config = {.sysfs_root = "/sys",
					  .perf_root = "/sys/fs/cgroup",
					  .containers = &roots,
					  .cgroup_root = "/sys/fs/cgroup"};
static int sockets[2] = {-1, -1};
static uint8_t room[IPC_MESSAGE_MAX + 64];
static uint64_t served, refused, ended;

static void ignore(void *data, enum log_level level, const char *token, const char *line)
{
	(void)data, (void)level, (void)token, (void)line;
}

static uint64_t below(uint64_t n)
{
	return (uint64_t)(random_unit() * (double)n);
}

/* Mostly small, sometimes a boundary value. */
static uint64_t wild(void)
{
	static const uint64_t borders[] = {0,         1,          INT32_MAX,  UINT32_MAX,
					   INT64_MAX, UINT64_MAX, 1ULL << 32, 65536};

	return below(3) ? below(40) : borders[below(sizeof(borders) / sizeof(borders[0]))];
}

static const char *pick(void)
{
	static const char *const words[] = {
		"",
		"/",
		"/system.slice",
		"/../../etc",
		"/a//b",
		"intel-rapl:0",
		"intel-rapl:0:1/../../x",
		"hwmon0/power1_average",
		"hwmon0/../../../etc/shadow",
		"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
		"../../../../etc/passwd",
		"%s%n",
		"READY\nMAINPID=1",
		"\033]0;x\007",
		"measuring",
		"k8s.io",
	};
	return words[below(sizeof(words) / sizeof(words[0]))];
}

/* A message that `collect` itself could send, with other values. */
static int write_message(struct batch *payload, uint32_t *ret_type)
{
	struct event_attr events[PRIV_GROUP_EVENTS_MAX];
	unsigned columns[PRIV_GROUP_EVENTS_MAX];
	struct priv_message message = {.type = (enum priv_request)(1 + below(PRIV_REQUESTS - 1))};
	const unsigned n = (unsigned)below(below(4) ? 3 : PRIV_GROUP_EVENTS_MAX + 1);

	for (unsigned i = 0; i < n; i++) {
		events[i] = (struct event_attr){.type = (uint32_t)(below(2) ? below(3) : wild()),
						.config = wild(),
						.flags = below(8) ? 0 : (uint32_t)wild()};
		columns[i] = (unsigned)wild();
	}
	message.group = (struct priv_group){.cgroup = below(2) ? "" : pick(),
					    .cpu = (unsigned)(below(2) ? 0 : wild()),
					    .n_events = n,
					    .events = events};
	message.columns = columns;
	message.kind = (unsigned)wild();
	message.id = pick();
	message.extra = pick();
	*ret_type = message.type;
	return priv_message_write(&message, payload);
}

static void damage(struct batch *payload)
{
	const size_t n = 1 + below(4);

	if (below(4) == 0)
		payload->length = below(payload->length + 1);
	for (size_t i = 0; i < n && payload->length; i++)
		payload->data[below(payload->length)] = (uint8_t)below(256);
}

static void take_answer(void)
{
	struct ipc_message answer;

	assert_int_equal(ipc_receive(sockets[0], room, sizeof(room), &answer), 1);
	assert_true(answer.type & PRIV_ANSWER);
	for (unsigned i = 0; i < answer.n_fds; i++) {
		char path[64], target[256];
		ssize_t n;

		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", answer.fds[i]);
		n = readlink(path, target, sizeof(target) - 1);
		target[n < 0 ? 0 : n] = '\0';
		if (strncmp(target, "anon_inode:", 11) != 0 && strncmp(target, "/sys/", 5) != 0 &&
		    strncmp(target, "/var/lib/", 9) != 0)
			fail_msg("handed over: %s", target);
	}
	served += answer.n_fds > 0;
	refused += answer.n_fds == 0;
	ipc_close_fds(&answer);
}

static void reconnect(void)
{
	if (sockets[0] >= 0) {
		(void)close(sockets[0]);
		(void)close(sockets[1]);
	}
	assert_int_equal(ipc_pair(sockets), 0);
	assert_int_equal(fcntl(sockets[0], F_SETFL, O_NONBLOCK), 0);
}

/* False: the connection has ended, and the privileged process would exit. */
static bool send_one(struct batch *payload, uint32_t tag)
{
	uint32_t type = (uint32_t)wild();
	int r;

	batch_clear(payload);
	r = below(8) ? write_message(payload, &type) : -EINVAL;
	if (r < 0) { /* too large for a message: send bytes instead */
		batch_clear(payload);
		for (uint64_t i = below(30); i > 0; i--)
			assert_int_equal(ipc_put_u64(payload, wild()), 0);
	}
	if (below(3) == 0)
		damage(payload);
	r = ipc_send(sockets[0], type, tag, payload->data, payload->length, NULL, 0);
	assert_int_equal(r, 0);
	r = priv_serve(sockets[1], &config);
	if (r == 1 && type != PRIV_REQUEST_NOTICE)
		take_answer();
	return r == 1;
}

static int lowest_free(void)
{
	int fd = fcntl(STDERR_FILENO, F_DUPFD, 0);

	(void)close(fd);
	return fd;
}

static void test_hostile(void **state)
{
	const char *wanted = getenv("WATTRIBUTE_MESSAGES");
	const uint64_t n = wanted ? strtoull(wanted, NULL, 10) : MESSAGES;
	struct batch payload = {0};
	struct rusage before, after;
	int free_fd;

	(void)state;
	(void)random_begin();
	log_set_sink(ignore, NULL);
	reconnect();
	free_fd = lowest_free();
	(void)getrusage(RUSAGE_SELF, &before);
	for (uint64_t i = 0; i < n; i++) {
		const bool open = send_one(&payload, (uint32_t)i);

		ended += !open;
		if (!open || i % CONNECTION == CONNECTION - 1)
			reconnect();
		assert_int_equal(lowest_free(), free_fd);
	}
	(void)getrusage(RUSAGE_SELF, &after);
	print_message("# %" PRIu64 " messages: %" PRIu64 " served, %" PRIu64 " refused, %" PRIu64
		      " ended the connection; %ld kB more\n",
		      n, served, refused, ended, after.ru_maxrss - before.ru_maxrss);
	assert_true(refused > n / 10 && ended > n / 10);
#ifndef __SANITIZE_ADDRESS__ /* it keeps freed memory */
	assert_true(after.ru_maxrss - before.ru_maxrss < 8192);
#endif
	batch_done(&payload);
	log_set_sink(NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_hostile)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
