/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verdicts are in the order of the kernel's checks: first the right to call bpf(), then lockdown, and
 * last the verifier's judgement of the program itself.
 */
#include "priv/bpf_cause.h"
#include "base/cleanup.h"

#include "base/text.h"
#include "process/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Newer than some distributions' headers. */
#define CAUSE_CAP_PERFMON 38
#define CAUSE_CAP_BPF     39

static bool has(const struct bpf_facts *facts, unsigned capability)
{
	return facts->capabilities & (UINT64_C(1) << capability);
}

/* "none [integrity] confidentiality" */
static void read_lockdown(const char *sysfs_root, struct bpf_facts *facts)
{
	char value[80] = "";
	const char *open, *close;

	(void)text_read_file(value, sizeof(value), "%s/kernel/security/lockdown", sysfs_root);
	open = strchr(value, '[');
	close = open ? strchr(open, ']') : NULL;
	if (close)
		(void)snprintf(facts->lockdown, sizeof(facts->lockdown), "%.*s", (int)(close - open - 1),
			       open + 1);
}

static void read_status(const char *procfs_root, struct bpf_facts *facts)
{
	char text[8192] = "";
	const char *line;

	(void)text_read_file(text, sizeof(text), "%s/self/status", procfs_root);
	line = strstr(text, "\nCapEff:");
	if (line)
		facts->capabilities = strtoull(line + strlen("\nCapEff:"), NULL, 16);
	line = strstr(text, "\nSeccomp_filters:"); /* since 5.9 */
	if (line)
		facts->seccomp =
			(int)strtol(line + strlen("\nSeccomp_filters:"), NULL, 10) - (int)sandbox_filters();
}

void bpf_cause_read(const char *procfs_root, const char *sysfs_root, struct bpf_facts *ret_facts)
{
	char path[4096], value[32] = "";
	struct rlimit locked;
	struct stat status;
	int64_t number;

	*ret_facts = (struct bpf_facts){.unprivileged_bpf = -1, .seccomp = -1, .memlock = UINT64_MAX};
	if (getrlimit(RLIMIT_MEMLOCK, &locked) == 0 && locked.rlim_cur != RLIM_INFINITY)
		ret_facts->memlock = locked.rlim_cur;
	(void)text_read_file(ret_facts->release, sizeof(ret_facts->release), "%s/sys/kernel/osrelease",
			     procfs_root);
	ret_facts->release[strcspn(ret_facts->release, "\n")] = '\0';
	(void)text_read_file(value, sizeof(value), "%s/sys/kernel/unprivileged_bpf_disabled", procfs_root);
	if (text_parse_i64(value, &number) == 0)
		ret_facts->unprivileged_bpf = (int)number;
	(void)snprintf(path, sizeof(path), "%s/kernel/btf/vmlinux", sysfs_root);
	ret_facts->btf = stat(path, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0;
	read_lockdown(sysfs_root, ret_facts);
	read_status(procfs_root, ret_facts);
}

static bool is_older(const char *release, unsigned major, unsigned minor)
{
	unsigned a, b;

	return sscanf(release, "%u.%u", &a, &b) == 2 && (a < major || (a == major && b < minor));
}

void bpf_cause_last_line(const char *log, char *ret, size_t size)
{
	static const char *const noise[] = {"processed ", "verification time", "stack depth", "-- END",
					    "max_states", "libbpf:",           "arg#",        "BTF",
					    "from "};
	const char *best = "";
	size_t length = 0;

	for (const char *line = log; *line;) {
		const size_t n = strcspn(line, "\n");
		bool means = n > 0;

		for (size_t i = 0; i < ARRAY_SIZE(noise); i++)
			means = means && strncmp(line, noise[i], strlen(noise[i])) != 0;
		if (means) {
			best = line;
			length = n;
		}
		line += n + (line[n] == '\n');
	}
	(void)snprintf(ret, size, "%.*s", (int)(length < size ? length : size - 1), best);
	text_make_utf8(ret);
}

static int lacks_rights(const struct bpf_facts *facts, int error, struct reason *cause)
{
	const bool perfmon = has(facts, CAUSE_CAP_PERFMON), bpf = has(facts, CAUSE_CAP_BPF);
	const char *missing = bpf ? "CAP_PERFMON" : perfmon ? "CAP_BPF" : "CAP_BPF and CAP_PERFMON";

	if (!bpf && facts->unprivileged_bpf > 0)
		return reason_set(cause, error,
				  "kernel.unprivileged_bpf_disabled is %d, which denies bpf() to processes "
				  "without CAP_BPF, and this one lacks %s" REASON_FIX
				  "start as root, or with CAP_BPF and CAP_PERFMON",
				  facts->unprivileged_bpf, missing);
	return reason_set(cause, error,
			  "this process lacks %s" REASON_FIX "start as root, or with CAP_BPF and CAP_PERFMON",
			  missing);
}

static int was_refused(const struct bpf_facts *facts, int error, struct reason *cause)
{
	if (facts->seccomp > 0)
		return reason_set(
			cause, error,
			"bpf() is refused despite sufficient capabilities: a seccomp filter of the container "
			"or the service forbids it" REASON_FIX
			"allow bpf and perf_event_open in its profile (Docker: --privileged or "
			"--security-opt seccomp=PROFILE; systemd: SystemCallFilter=bpf perf_event_open)");
	if (is_older(facts->release, 5, 11) && facts->memlock != UINT64_MAX)
		return reason_set(cause, error,
				  "Linux before 5.11 charges the memory of the counts to the limit of locked "
				  "memory, which is %" PRIu64 " KiB" REASON_FIX
				  "raise it: `ulimit -l unlimited`, or LimitMEMLOCK=infinity in the unit",
				  facts->memlock / 1024);
	return reason_set(cause, error,
			  "bpf() is refused despite sufficient capabilities, by a security module (SELinux, "
			  "AppArmor)" REASON_FIX "look for the refusal in the kernel's log (dmesg)");
}

int bpf_cause_set(const struct bpf_facts *facts, int error, const char *verifier, const char *words,
		  struct reason *cause)
{
	const bool root = has(facts, CAP_SYS_ADMIN);
	char line[400];

	if (error == -ENOSYS)
		return reason_set(cause, error,
				  "the kernel has no bpf() (CONFIG_BPF_SYSCALL), or a seccomp filter hides "
				  "it" REASON_FIX "use a distribution's kernel, or allow bpf in the filter");
	if ((error == -EPERM || error == -EACCES) && !root &&
	    !(has(facts, CAUSE_CAP_BPF) && has(facts, CAUSE_CAP_PERFMON)))
		return lacks_rights(facts, error, cause);
	if (strcmp(facts->lockdown, "confidentiality") == 0)
		return reason_set(cause, error,
				  "the kernel is locked down for confidentiality, which prevents BPF "
				  "programs from reading its memory" REASON_FIX
				  "boot with lockdown=integrity, or use perf events");
	bpf_cause_last_line(verifier, line, sizeof(line));
	if (error == -EPERM && !line[0])
		return was_refused(facts, error, cause);
	if (is_older(facts->release, 5, 10))
		return reason_set(cause, error,
				  "Linux %s is older than " BPF_CAUSE_KERNEL_MIN
				  ", the oldest that is tested" REASON_FIX "use a newer kernel",
				  facts->release);
	if (!facts->btf)
		return reason_set(cause, error,
				  "the kernel has no description of its types (BTF: /sys/kernel/btf/vmlinux "
				  "is missing)" REASON_FIX
				  "use a kernel with CONFIG_DEBUG_INFO_BTF, such as a distribution's");
	if (line[0])
		return reason_set(cause, error,
				  "the verifier of Linux %s rejects the program: %s" REASON_FIX
				  "report this with the kernel's version",
				  facts->release, line);
	if (error == -ENOMEM)
		return reason_set(cause, error,
				  "there is not enough memory for its counts (64 MiB)" REASON_FIX
				  "free some");
	return reason_set(cause, error, "%s: %s" REASON_FIX "report this with the kernel's version (%s)",
			  words[0] ? words : "the kernel rejects the BPF program", strerror(-error),
			  facts->release);
}
