/* SPDX-License-Identifier: Apache-2.0 */
/* Dropped privileges: children try what they must no longer be able to do, and what they still need. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "process/sandbox.h"
#include "base/reason.h"
#include "in_child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

static struct reason why;

/* ioctl and prctl are filtered by number, whatever the upper half of the word contains. */
static int numbered(enum sandbox_profile profile)
{
	static const unsigned long forbidden[] = {TIOCSTI, TIOCLINUX, TIOCSETD, TIOCCONS, TIOCSCTTY, TCSETS};
	int ends[2], n = -1;

	CHECK(pipe(ends) == 0);
	CHECK(sandbox_enter(profile, SANDBOX_ERRNO, &why) == 0);
	for (size_t i = 0; i < sizeof(forbidden) / sizeof(*forbidden); i++) {
		errno = 0;
		CHECK(syscall(SYS_ioctl, ends[0], forbidden[i], "x") < 0 && errno == EPERM);
		CHECK(syscall(SYS_ioctl, ends[0], forbidden[i] | 1ul << 32, "x") < 0 && errno == EPERM);
	}
	CHECK(ioctl(ends[0], FIONREAD, &n) == 0 && n == 0);
	CHECK(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 && errno == EPERM);
	CHECK(prctl(PR_SET_PTRACER, 1, 0, 0, 0) < 0 && errno == EPERM);
	CHECK(prctl(PR_SET_NAME, "x", 0, 0, 0) == 0);
	return 0;
}

static int collect_numbered(void *data)
{
	(void)data;
	return numbered(SANDBOX_COLLECT);
}

static int write_numbered(void *data)
{
	(void)data;
	return numbered(SANDBOX_WRITE);
}

static int server_numbered(void *data)
{
	(void)data;
	return numbered(SANDBOX_SERVER);
}

static int hidden(void *data)
{
	(void)data;
	sandbox_hide_memory();
	CHECK(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0);
	return 0;
}

static void memory_is_hidden(void **state)
{
	(void)state;
#ifdef WATTRIBUTE_SANITIZED
	skip(); /* the leak checker ptraces its own process */
#endif
	assert_well(in_child(hidden, NULL));
}

static int collect_errno(void *data)
{
	char *const argv[] = {(char *)(uintptr_t) "true", NULL};
	char text[64];
	int pair[2];

	(void)data;
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
	CHECK(sandbox_enter(SANDBOX_COLLECT, SANDBOX_ERRNO, &why) == 0);
	CHECK(socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM);
	CHECK(execv("/bin/true", argv) < 0 && errno == EPERM);
	CHECK(fork() < 0 && errno == EPERM);
	CHECK(open("/tmp/test_sandbox.forbidden", O_WRONLY | O_CREAT, 0600) < 0 && errno == EPERM);
	CHECK(open("/dev/null", O_RDWR) < 0 && errno == EPERM);
	CHECK(kill(getppid(), 0) < 0 && errno == EPERM);
	CHECK(mkdir("/tmp/test_sandbox.forbidden", 0700) < 0 && errno == EPERM);
	int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && read(fd, text, sizeof(text)) > 0);
	CHECK(pread(fd, text, sizeof(text), 0) > 0);
	CHECK(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC) >= 0);
	CHECK(inotify_init1(IN_CLOEXEC) >= 0);
	CHECK(send(pair[0], "x", 1, 0) == 1);
	CHECK(recv(pair[1], text, 1, 0) == 1);
	free(malloc(10 << 20));
	return 0;
}

static int write_errno(void *data)
{
	char *const argv[] = {(char *)(uintptr_t) "true", NULL};
	char path[] = "/tmp/test_sandbox.XXXXXX";

	(void)data;
	CHECK(sandbox_enter(SANDBOX_WRITE, SANDBOX_ERRNO, &why) == 0);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(fd >= 0);
	CHECK(listen(fd, 1) < 0 && errno == EPERM);
	CHECK(execv("/bin/true", argv) < 0 && errno == EPERM);
	fd = mkstemp(path);
	CHECK(fd >= 0 && write(fd, "x", 1) == 1 && fsync(fd) == 0 && ftruncate(fd, 0) == 0);
	CHECK(unlink(path) == 0);
	return 0;
}

static int server_errno(void *data)
{
	char *const argv[] = {(char *)(uintptr_t) "true", NULL};

	(void)data;
	CHECK(sandbox_enter(SANDBOX_SERVER, SANDBOX_ERRNO, &why) == 0);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	CHECK(fd >= 0 && listen(fd, 1) == 0);
	CHECK(execv("/bin/true", argv) < 0 && errno == EPERM);
	return 0;
}

static int collect_kill(void *data)
{
	(void)data;
	CHECK(sandbox_enter(SANDBOX_COLLECT, SANDBOX_KILL, &why) == 0);
	(void)socket(AF_INET, SOCK_STREAM, 0);
	return 0;
}

static int collect_log(void *data)
{
	(void)data;
	CHECK(sandbox_enter(SANDBOX_COLLECT, SANDBOX_LOG, &why) == 0);
	CHECK(socket(AF_INET, SOCK_STREAM, 0) >= 0);
	return 0;
}

static int can_enter(void *data)
{
	(void)data;
	return sandbox_enter(SANDBOX_COLLECT, SANDBOX_LOG, &why) == 0 ? 0 : 1;
}

static void system_calls(void **state)
{
	(void)state;
	if (in_child(can_enter, NULL) != 0) {
		(void)sandbox_enter(SANDBOX_COLLECT, SANDBOX_LOG, &why);
		assert_true(strlen(why.text) > 0);
		print_message("# %s\n", why.text);
		skip();
	}
	assert_well(in_child(collect_errno, NULL));
	assert_well(in_child(write_errno, NULL));
	assert_well(in_child(server_errno, NULL));
	assert_well(in_child(collect_numbered, NULL));
	assert_well(in_child(write_numbered, NULL));
	assert_well(in_child(server_numbered, NULL));
	assert_well(in_child(collect_log, NULL));
	int status = in_child(collect_kill, NULL);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

static void off_does_nothing(void **state)
{
	(void)state;
	assert_int_equal(sandbox_enter(SANDBOX_COLLECT, SANDBOX_OFF, &why), 0);
	assert_int_equal(prctl(PR_GET_SECCOMP), 0);
}

static int drop_all(void *data)
{
	const char *secret = data;
	int signal_number = 0;

	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	CHECK(sandbox_drop(NOBODY, NOBODY, 0, &why) == 0);
	CHECK(getuid() == NOBODY && geteuid() == NOBODY && getgid() == NOBODY);
	CHECK(getgroups(0, NULL) == 0);
	CHECK(setuid(0) < 0);
	CHECK(open(secret, O_RDONLY) < 0 && errno == EACCES);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	CHECK(prctl(PR_GET_PDEATHSIG, &signal_number) == 0 && signal_number == SIGTERM);
	return 0;
}

static int drop_but_one(void *data)
{
	CHECK(sandbox_drop(NOBODY, NOBODY, SANDBOX_CAPABILITY(CAP_DAC_READ_SEARCH), &why) == 0);
	CHECK(getuid() == NOBODY);
	CHECK(open(data, O_RDONLY) >= 0);
	CHECK(open(data, O_WRONLY) < 0 && errno == EACCES);
	CHECK(setuid(0) < 0);
	return 0;
}

static int stay_root_without_rights(void *data)
{
	CHECK(sandbox_drop((uid_t)-1, (gid_t)-1, 0, &why) == 0);
	CHECK(getuid() == 0);
	CHECK(chown(data, 1, 1) < 0 && errno == EPERM);
	return 0;
}

static int drop_twice(void *data)
{
	(void)data;
	CHECK(sandbox_drop(NOBODY, NOBODY, 0, &why) == 0);
	CHECK(sandbox_drop(1, 1, 0, &why) == 0); /* not root: keeps its user */
	CHECK(getuid() == NOBODY);
	return 0;
}

static void users_and_capabilities(void **state)
{
	char path[] = "/tmp/test_sandbox.XXXXXX";

	(void)state;
	if (geteuid() != 0) {
		print_message("# not root\n");
		skip();
	}
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_well(in_child(drop_all, path));
	assert_well(in_child(drop_but_one, path));
	assert_well(in_child(stay_root_without_rights, path));
	assert_well(in_child(drop_twice, path));
	(void)close(fd);
	(void)unlink(path);
}

static void finding_users(void **state)
{
	uid_t uid;
	gid_t gid;

	(void)state;
	assert_int_equal(sandbox_find_user("root", &uid, &gid), 0);
	assert_int_equal(uid, 0);
	assert_int_equal(sandbox_find_user("54321", &uid, &gid), 0);
	assert_int_equal(uid, 54321);
	assert_int_equal(gid, 54321);
	assert_int_equal(sandbox_find_user("no-such-user", &uid, &gid), -ENOENT);
	assert_int_equal(sandbox_find_user("4294967295", &uid, &gid), -ENOENT);
}

/*
 * The process that opens hardware still reads, writes and starts children, but changes nothing on the
 * machine.
 */
static int first_process(void *data)
{
	static const long refused[] = {
		SYS_mount,       SYS_umount2,          SYS_unshare,       SYS_setns,      SYS_ptrace,
		SYS_init_module, SYS_reboot,           SYS_settimeofday,  SYS_pivot_root, SYS_delete_module,
		SYS_acct,        SYS_process_vm_readv, SYS_clock_settime, SYS_keyctl};
	static const unsigned long typing[] = {TIOCSTI, TIOCLINUX, TIOCSETD, TIOCCONS, TIOCSCTTY};
	char *const argv[] = {(char *)(uintptr_t) "true", NULL};
	int status, ends[2];
	pid_t pid;

	(void)data;
	CHECK(pipe(ends) == 0);
	CHECK(sandbox_enter(SANDBOX_PRIV, SANDBOX_ERRNO, &why) == 0);
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		errno = 0;
		CHECK(syscall(refused[i], 0, 0, 0, 0, 0) < 0 && errno == EPERM);
	}
	for (size_t i = 0; i < sizeof(typing) / sizeof(*typing); i++) {
		errno = 0;
		CHECK(syscall(SYS_ioctl, ends[0], typing[i] | 1ul << 32, "x") < 0 && errno == EPERM);
	}
	CHECK(open("/dev/null", O_RDWR) >= 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		(void)execv("/bin/true", argv);
		_exit(1);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	return 0;
}

static int keeps_two(void *data)
{
	char line[256], *at = NULL;
	FILE *file;

	(void)data;
	CHECK(sandbox_keep(SANDBOX_CAPABILITY(CAP_KILL) | SANDBOX_CAPABILITY(CAP_SETUID), &why) == 0);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	/* A child started by root has only these. */
	file = popen("grep CapEff /proc/self/status", "r");
	CHECK(file);
	at = fgets(line, sizeof(line), file);
	CHECK(at && strtoull(line + strlen("CapEff:"), NULL, 16) == 0xa0);
	CHECK(pclose(file) == 0);
	return 0;
}

static void first_process_of_a_sensor(void **state)
{
	(void)state;
#ifdef WATTRIBUTE_SANITIZED
	skip(); /* no seccomp filter there */
#endif
	assert_well(in_child(first_process, NULL));
	if (geteuid() == 0)
		assert_well(in_child(keeps_two, NULL));
}

/* The test's folders: what a process may access, and what it may not. */
struct places {
	char inside[64], outside[64];
	int result; /* of sandbox_confine(), set by the child */
};

static int can_write(const char *folder, const char *name)
{
	char path[128];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/%s", folder, name);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	if (fd < 0)
		return -errno;
	(void)close(fd);
	return 0;
}

static int writes_below(void *data)
{
	const struct places *places = data;
	char file[128], made[128], moved[128];
	const char *list[] = {file, NULL};

	/* A missing file in a missing folder: the nearest existing folder counts. */
	(void)snprintf(file, sizeof(file), "%s/new/a.db", places->inside);
	(void)snprintf(made, sizeof(made), "%s/new", places->inside);
	(void)snprintf(moved, sizeof(moved), "%s/kept", places->outside);
	if (sandbox_drop((uid_t)-1, (gid_t)-1, ~UINT64_C(0), &why) < 0)
		return 255;
	CHECK(sandbox_confine(SANDBOX_WRITES_BELOW, list, SANDBOX_ERRNO, &why) == 0);
	CHECK(mkdir(made, 0700) == 0);
	CHECK(can_write(made, "a.db") == 0);
	CHECK(can_write(made, "a.db-wal") == 0);
	CHECK(truncate(file, 100) == 0);
	CHECK(unlink(file) == 0);
	CHECK(can_write(places->outside, "x") == -EACCES);
	CHECK(can_write(places->outside, "kept") == -EACCES); /* exists */
	CHECK(unlink(moved) < 0 && errno == EACCES);
	CHECK(rename(moved, file) < 0 && (errno == EACCES || errno == EXDEV));
	CHECK(mkdir(places->outside, 0700) < 0 && (errno == EACCES || errno == EEXIST));
	CHECK(symlink("/", moved) < 0);
	CHECK(open(moved, O_RDONLY) >= 0); /* reading is not restricted */
	CHECK(open("/etc/passwd", O_RDONLY) >= 0);
	CHECK(open("/etc/passwd", O_WRONLY) < 0);
	return 0;
}

static int reads_below(void *data)
{
	const struct places *places = data;
	const char *list[] = {"/proc", places->inside, "/no/such/place", NULL};
	char kept[128];
	int before, connected;

	(void)snprintf(kept, sizeof(kept), "%s/kept", places->outside);
	before = open(kept, O_RDONLY);
	if (sandbox_drop((uid_t)-1, (gid_t)-1, ~UINT64_C(0), &why) < 0)
		return 255;
	CHECK(sandbox_confine(SANDBOX_READS_BELOW, list, SANDBOX_ERRNO, &why) == 0);
	CHECK(open("/proc/self/status", O_RDONLY) >= 0);
	CHECK(open(places->inside, O_RDONLY | O_DIRECTORY) >= 0);
	CHECK(read(before, kept, 1) == 1); /* open descriptors keep working */
	CHECK(open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES);
	CHECK(open("/etc", O_RDONLY | O_DIRECTORY) < 0 && errno == EACCES);
	CHECK(open(places->outside, O_RDONLY | O_DIRECTORY) < 0 && errno == EACCES);
	CHECK(can_write(places->inside, "x") == -EACCES);
	CHECK(can_write("/tmp", "wattribute-never") == -EACCES);
	CHECK(can_write("/proc/self", "comm") == -EACCES);
	connected = socket(AF_INET, SOCK_STREAM, 0);
	if (connected >= 0 && syscall(444, NULL, 0, 1) >= 4) {
		const struct sockaddr_in address = {
			.sin_family = AF_INET, .sin_port = htons(1), .sin_addr = {htonl(INADDR_LOOPBACK)}};

		CHECK(connect(connected, (const struct sockaddr *)&address, sizeof(address)) < 0 &&
		      errno == EACCES);
	}
	return 0;
}

static int off_confines_nothing(void *data)
{
	const struct places *places = data;
	const char *list[] = {places->inside, NULL};

	CHECK(sandbox_confine(SANDBOX_READS_BELOW, list, SANDBOX_OFF, &why) == 0);
	CHECK(can_write(places->outside, "x") == 0);
	return 0;
}

static void files_in_reach(void **state)
{
	struct places places = {"/var/lib/wattribute-inXXXXXX", "/var/lib/wattribute-outXXXXXX", 0};
	char command[256];

	(void)state;
	/* Not below /tmp, which writing processes may use. */
	if (!mkdtemp(places.inside) || !mkdtemp(places.outside))
		skip();
	assert_int_equal(can_write(places.outside, "kept"), 0);
	(void)snprintf(command, sizeof(command), "echo text >%s/kept", places.outside);
	assert_int_equal(system(command), 0);
	if (syscall(444, NULL, 0, 1) >= 1) {
		assert_well(in_child(writes_below, &places));
		assert_well(in_child(reads_below, &places));
	} else {
		const char *list[] = {places.inside, NULL};

		assert_int_equal(sandbox_confine(SANDBOX_READS_BELOW, list, SANDBOX_ERRNO, &why),
				 -EOPNOTSUPP);
		assert_non_null(strstr(why.text, "Landlock"));
	}
	assert_well(in_child(off_confines_nothing, &places));
	(void)snprintf(command, sizeof(command), "rm -rf %s %s", places.inside, places.outside);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_in_reach),
		cmocka_unit_test(system_calls),
		cmocka_unit_test(memory_is_hidden),
		cmocka_unit_test(off_does_nothing),
		cmocka_unit_test(users_and_capabilities),
		cmocka_unit_test(finding_users),
		cmocka_unit_test(first_process_of_a_sensor),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
