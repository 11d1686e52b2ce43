/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The privileged process and its client over a real socket: what is served, what is refused, and that a
 * malformed message ends it. Requests for perf events are skipped if this user is not permitted to make them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake/fake_tree.h"
#include "document/batch.h"
#include "process/ipc.h"
#include "base/log.h"
#include "priv/priv_bpf.h"
#include "priv/priv_client.h"
#include "base/reason.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>

static struct fake_tree tree;
static struct priv_config config;

static void swallow(void *data, enum log_level level, const char *token, const char *line)
{
	(void)data;
	(void)level;
	(void)token;
	(void)line;
}

static int set_up(void **state)
{
	(void)state;
	tree = fake_new();
	fake_zone(&tree, "intel-rapl:0", "package-0", 1000);
	fake_energy(&tree, "intel-rapl:0", 123);
	fake_pmu(&tree, "power", 77, "0");
	fake_pmu(&tree, "kprobe", 78, NULL);
	fake_pmu(&tree, "intel_pt", 79, NULL);
	config = (struct priv_config){.sysfs_root = tree.root, .perf_root = tree.root};
	log_set_sink(swallow, NULL);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	log_set_sink(NULL, NULL);
	fake_free(&tree);
	return 0;
}

/* Starts a privileged process on the other end; its exit status is the last result of priv_serve (0 or 1). */
static pid_t start_server(struct priv_client **ret_client)
{
	int sockets[2];
	pid_t pid;

	assert_int_equal(ipc_pair(sockets), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		int r;

		(void)close(sockets[1]);
		do
			r = priv_serve(sockets[0], &config);
		while (r > 0);
		_exit(r < 0);
	}
	(void)close(sockets[0]);
	assert_int_equal(priv_client_connect(sockets[1], ret_client), 0);
	return pid;
}

static void stop_server(pid_t pid, struct priv_client *client)
{
	int status;

	priv_client_free(client);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static const struct event_attr page_faults = {.type = 1, .config = 2};
static const struct event_attr switches = {.type = 1, .config = 3};

static void check_counts(struct priv_client *client)
{
	struct event_attr events[] = {page_faults, switches};
	struct priv_group group = {.cgroup = "", .cpu = 0, .n_events = 2, .events = events};
	uint64_t reading[5];
	cpu_set_t all, first;
	int fds[2], r = priv_client_open_group(client, &group, fds);

	if (r == -EACCES || r == -EPERM) {
		print_message("# no right to count machine-wide: not tried\n");
		return;
	}
	assert_int_equal(r, 0);
	/* On CPU 0 itself, so that sleeping causes a switch there, however quiet the machine is. */
	CPU_ZERO(&first);
	CPU_SET(0, &first);
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	assert_int_equal(sched_setaffinity(0, sizeof(first), &first), 0);
	for (int i = 0; i < 20; i++)
		(void)usleep(1000);
	assert_int_equal(sched_setaffinity(0, sizeof(all), &all), 0);
	assert_int_equal(read(fds[0], reading, sizeof(reading)), sizeof(reading));
	assert_int_equal(reading[0], 2);
	assert_true(reading[1] > 0 && reading[1] == reading[2]);
	assert_true(reading[4] > 0); /* the second event runs too, although it was added to a leader */
	assert_true(fcntl(fds[1], F_GETFD) & FD_CLOEXEC);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static void check_files(struct priv_client *client)
{
	char text[8] = "";
	int fd = priv_client_open_file(client, PRIV_FILE_POWERCAP_ENERGY, "intel-rapl:0");

	assert_true(fd >= 0);
	assert_int_equal(read(fd, text, sizeof(text)), 4);
	assert_memory_equal(text, "123\n", 4);
	(void)close(fd);
	assert_int_equal(priv_client_open_file(client, PRIV_FILE_POWERCAP_ENERGY, "intel-rapl:1"), -ENOENT);
	assert_int_equal(priv_client_open_file(client, PRIV_FILE_POWERCAP_ENERGY, "intel-rapl:0/../../x"),
			 -EPERM);
	assert_string_equal(priv_client_cause(client), "the file is not on the list of allowed files");
	assert_int_equal(
		priv_client_open_container_file(client, CONTAINER_FILE_DOCKER, "../../etc/passwd", NULL),
		-EOPNOTSUPP);
}

static void test_served(void **state)
{
	struct priv_client *client;
	pid_t pid = start_server(&client);

	(void)state;
	check_counts(client);
	check_files(client);
	check_files(client);
	stop_server(pid, client);
}

static void test_direct(void **state)
{
	struct priv_client *client;

	(void)state;
	assert_int_equal(priv_client_direct(&config, &client), 0);
	check_counts(client);
	check_files(client);
	priv_client_free(client);
}

static int open_one(struct priv_client *client, uint32_t type, const char *cgroup)
{
	struct event_attr event = {.type = type, .config = 2};
	struct priv_group group = {.cgroup = cgroup, .cpu = 0, .n_events = 1, .events = &event};
	int fd = -1, r = priv_client_open_group(client, &group, &fd);

	if (fd >= 0)
		(void)close(fd);
	return r;
}

static void test_refused(void **state)
{
	struct event_attr flags = {.type = 1, .config = 2};
	struct priv_group flagged = {.cgroup = "", .cpu = 0, .n_events = 1, .events = &flags};
	struct reason cause;
	int fd;
	struct priv_client *client;

	(void)state;
	assert_int_equal(priv_client_direct(&config, &client), 0);
	assert_int_equal(open_one(client, 2, ""), -EPERM);  /* tracepoints */
	assert_int_equal(open_one(client, 5, ""), -EPERM);  /* breakpoints */
	assert_int_equal(open_one(client, 78, ""), -EPERM); /* kprobe */
	assert_int_equal(open_one(client, 79, ""), -EPERM); /* intel_pt */
	assert_int_equal(open_one(client, 80, ""), -EPERM); /* no PMU at all */
	assert_int_not_equal(open_one(client, 77, ""), -EPERM);
	flags.flags = UINT32_MAX;
	assert_int_equal(priv_open_group(&config, &flagged, &fd, &cause), -EPERM);
	assert_non_null(strstr(cause.text, "flags"));
	assert_int_equal(open_one(client, 1, "/../x"), -EPERM);
	assert_int_equal(open_one(client, 1, "/a/./b"), -EPERM);
	assert_int_equal(open_one(client, 1, "/a//b"), -EPERM);
	assert_int_equal(open_one(client, 1, "/a/"), -EPERM);
	assert_int_equal(open_one(client, 1, "a"), -EPERM);
	assert_int_equal(open_one(client, 1, "/missing"), -ENOENT);
	assert_int_equal(open_one(client, 1, "/class"), -EBADF);
	assert_non_null(strstr(priv_client_cause(client), "not a cgroup hierarchy"));
	priv_client_free(client);
}

static void test_zone_names(void **state)
{
	static const char *const bad[] = {
		"",       "intel-rapl",      "intel-rapl:",   "intel-rapl:0:",    "intel-rapl:0:1:2",
		"..",     "intel-rapl:0/..", "intel-rapl:-1", "intel-rapl:00000", "intel-rapl:0x1",
		"dtpm:0", "intel-rapl:0 "};
	struct reason cause;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(priv_open_file(&config, PRIV_FILE_POWERCAP_ENERGY, bad[i], &cause), -EPERM);
	assert_int_equal(priv_open_file(&config, PRIV_FILES, "intel-rapl:0", &cause), -EPERM);
	assert_int_equal(priv_open_file(&config, PRIV_FILE_POWERCAP_ENERGY, "intel-rapl-mmio:0:1", &cause),
			 -ENOENT);
}

/* Sends one raw message to priv_serve and returns its result. */
static int serve_raw(uint32_t type, const void *payload, size_t length, const int *fds, unsigned n_fds)
{
	int sockets[2], r;

	assert_int_equal(ipc_pair(sockets), 0);
	assert_int_equal(ipc_send(sockets[1], type, 1, payload, length, fds, n_fds), 0);
	r = priv_serve(sockets[0], &config);
	(void)close(sockets[0]);
	(void)close(sockets[1]);
	return r;
}

static void test_malformed(void **state)
{
	static const struct event_attr events[PRIV_GROUP_EVENTS_MAX + 1];
	struct batch payload = {0};
	int fd = dup(0);

	(void)state;
	assert_true(serve_raw(0, "", 0, NULL, 0) < 0);
	assert_true(serve_raw(4, "", 0, NULL, 0) < 0);
	assert_true(serve_raw(0xffffffff, "", 0, NULL, 0) < 0);
	assert_true(serve_raw(PRIV_REQUEST_OPEN_GROUP, "", 0, NULL, 0) < 0);
	assert_true(serve_raw(PRIV_REQUEST_OPEN_FILE, "garbage", 7, NULL, 0) < 0);
	assert_int_equal(ipc_put_u64(&payload, PRIV_FILE_POWERCAP_ENERGY), 0);
	assert_int_equal(ipc_put_string(&payload, "intel-rapl:9"), 0);
	assert_int_equal(serve_raw(PRIV_REQUEST_OPEN_FILE, payload.data, payload.length, NULL, 0), 1);
	assert_true(serve_raw(PRIV_REQUEST_OPEN_FILE, payload.data, payload.length, &fd, 1) < 0);
	assert_true(serve_raw(PRIV_REQUEST_OPEN_CONTAINER_FILE, payload.data, payload.length, NULL, 0) < 0);
	assert_int_equal(ipc_put_u64(&payload, 1), 0); /* trailing data */
	assert_true(serve_raw(PRIV_REQUEST_OPEN_FILE, payload.data, payload.length, NULL, 0) < 0);
	batch_clear(&payload);
	assert_int_equal(ipc_put_string(&payload, ""), 0);
	assert_int_equal(ipc_put_u64(&payload, 0), 0);
	assert_int_equal(ipc_put_bytes(&payload, events, sizeof(events)), 0);
	assert_true(serve_raw(PRIV_REQUEST_OPEN_GROUP, payload.data, payload.length, NULL, 0) < 0);
	batch_done(&payload);
	(void)close(fd);
}

struct noticed {
	unsigned n;
	enum priv_notice last;
	char status[PRIV_STATUS_MAX + 1];
};

static void note(void *data, enum priv_notice notice, const char *status)
{
	struct noticed *noticed = data;

	noticed->n++;
	noticed->last = notice;
	(void)snprintf(noticed->status, sizeof(noticed->status), "%s", status);
}

/* The result of a notice with this number and status: 1, or the error. */
static int tell(const struct priv_config *with, uint64_t notice, const char *status)
{
	struct batch payload = {0};
	int sockets[2], r;
	char byte;

	assert_int_equal(ipc_pair(sockets), 0);
	assert_int_equal(ipc_put_u64(&payload, notice) | ipc_put_string(&payload, status), 0);
	assert_int_equal(ipc_send(sockets[0], PRIV_REQUEST_NOTICE, 0, payload.data, payload.length, NULL, 0),
			 0);
	r = priv_serve(sockets[1], with);
	assert_true(recv(sockets[0], &byte, 1, MSG_DONTWAIT) < 0); /* never answered */
	batch_done(&payload);
	(void)close(sockets[0]);
	(void)close(sockets[1]);
	return r;
}

/* Text for the service manager, and thus an administrator's terminal, is plain and of bounded length. */
static void test_notices(void **state)
{
	struct noticed noticed = {0};
	struct priv_config with = config;
	char longest[PRIV_STATUS_MAX + 2];
	int sockets[2];

	(void)state;
	with.notice = note;
	with.notice_data = &noticed;
	assert_int_equal(ipc_pair(sockets), 0);
	priv_client_notice(sockets[0], PRIV_NOTICE_STATUS, "%u targets", 7);
	assert_int_equal(priv_serve(sockets[1], &with), 1);
	assert_int_equal(noticed.last, PRIV_NOTICE_STATUS);
	assert_string_equal(noticed.status, "7 targets");
	/* Unread notices do not block the sender. */
	for (unsigned i = 0; i < 100000; i++)
		priv_client_notice(sockets[0], PRIV_NOTICE_ALIVE, "%s", "");
	(void)close(sockets[0]);
	(void)close(sockets[1]);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	noticed.n = 0;
	assert_int_equal(tell(&with, PRIV_NOTICES, "ready"), -EBADMSG);
	assert_int_equal(tell(&with, UINT64_MAX, "ready"), -EBADMSG);
	assert_int_equal(tell(&with, PRIV_NOTICE_READY, "a\nMAINPID=1"), -EBADMSG);
	assert_int_equal(tell(&with, PRIV_NOTICE_STATUS, "\033]0;x\007"), -EBADMSG);
	assert_int_equal(tell(&with, PRIV_NOTICE_STATUS, "\xc2\x9b"), -EBADMSG);
	assert_int_equal(tell(&with, PRIV_NOTICE_STATUS, longest), -EBADMSG);
	assert_int_equal(noticed.n, 0);
	longest[PRIV_STATUS_MAX] = '\0';
	assert_int_equal(tell(&with, PRIV_NOTICE_READY, longest), 1);
	assert_int_equal(tell(&config, PRIV_NOTICE_READY, "measuring"), 1);
	assert_int_equal(noticed.n, 1);
}

/* A client that asks but never reads would block the process that supervises both. */
static void test_nobody_reads(void **state)
{
	struct batch payload = {0};
	int sockets[2], r = 1;

	(void)state;
	assert_int_equal(ipc_pair(sockets), 0);
	assert_int_equal(ipc_put_u64(&payload, PRIV_FILE_POWERCAP_ENERGY), 0);
	assert_int_equal(ipc_put_string(&payload, "intel-rapl:9"), 0);
	(void)alarm(120); /* instead of waiting forever if this fails */
	while (r == 1) {
		assert_int_equal(ipc_send(sockets[1], PRIV_REQUEST_OPEN_FILE, 1, payload.data, payload.length,
					  NULL, 0),
				 0);
		r = priv_serve(sockets[0], &config);
	}
	(void)alarm(0);
	assert_int_equal(r, -EAGAIN);
	batch_done(&payload);
	(void)close(sockets[0]);
	(void)close(sockets[1]);
}

/* Requests for gigabytes of kernel memory: a machine with more places than CPUs. */
static void test_bpf_shape(void **state)
{
	const uint32_t place = 0;
	struct priv_bpf_shape shape = {
		.n_events = 1, .n_cpus = 1, .n_places = 2, .n_slots = 16, .place_of_cpu = &place};
	struct priv_bpf *bpf = NULL;
	struct reason cause = {""};

	(void)state;
	assert_int_equal(priv_bpf_load(&shape, &bpf, &cause), -EINVAL);
	assert_null(bpf);
	/* More CPUs than this machine can have. */
	shape.n_cpus = 1024;
	shape.n_places = 1;
	assert_int_equal(priv_bpf_load(&shape, &bpf, &cause), -EINVAL);
	/* Each number is valid, but not their product. */
	shape.n_cpus = shape.n_places = (unsigned)sysconf(_SC_NPROCESSORS_CONF);
	shape.n_slots = PRIV_BPF_SLOTS_MAX;
	shape.n_births = PRIV_BPF_BIRTHS_MAX;
	shape.n_events = COUNT_EVENTS_MAX;
	if (shape.n_places * (uint64_t)(shape.n_slots + shape.n_births) * COUNT_CELL_SIZE(shape.n_events) >
	    PRIV_BPF_CELLS_MAX)
		assert_int_equal(priv_bpf_load(&shape, &bpf, &cause), -EINVAL);
	assert_null(bpf);
}

static void test_server_gone(void **state)
{
	struct priv_client *client;
	int sockets[2];

	(void)state;
	assert_int_equal(ipc_pair(sockets), 0);
	(void)close(sockets[0]);
	assert_int_equal(priv_client_connect(sockets[1], &client), 0);
	assert_int_equal(priv_client_open_file(client, PRIV_FILE_POWERCAP_ENERGY, "intel-rapl:0"), -EPIPE);
	priv_client_free(client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_served),    cmocka_unit_test(test_direct),
		cmocka_unit_test(test_refused),   cmocka_unit_test(test_zone_names),
		cmocka_unit_test(test_malformed), cmocka_unit_test(test_nobody_reads),
		cmocka_unit_test(test_bpf_shape), cmocka_unit_test(test_server_gone),
		cmocka_unit_test(test_notices),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
