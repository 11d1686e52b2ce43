/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Why BPF is refused: each cause from synthetic /proc and /sys trees and the kernel's error; the verifier's
 * last line from real kernels' logs; and every combination has a cause and a remedy.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "priv/bpf_cause.h"
#include "process/sandbox.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALL_RIGHTS "000001ffffffffff"
#define BPF_RIGHTS "000000c000000000" /* CAP_BPF and CAP_PERFMON */
#define LOCKED     "none integrity [confidentiality]"

static const char log_of_6_1[] = "libbpf: prog 'on_switch': -- BEGIN PROG LOAD LOG --\n"
				 "reg type unsupported for arg#0 function on_switch#88\n"
				 "0: R1=ctx(off=0,imm=0) R10=fp0\n"
				 "; unsigned place = place_of_cpu[cpu];\n"
				 "271: (61) r1 = *(u32 *)(r1 +0)\n"
				 "R1 unbounded memory access, make sure to bounds check any such access\n"
				 "processed 296 insns (limit 1000000) max_states_per_insn 1 total_states 17\n"
				 "-- END PROG LOAD LOG --\n";
static const char log_of_5_10[] = "libbpf: prog 'on_switch': -- BEGIN PROG LOAD LOG --\n"
				  "BPF_STX uses reserved fields\n"
				  "processed 0 insns (limit 1000000) max_states_per_insn 0\n\n"
				  "-- END PROG LOAD LOG --\n";
static const char log_of_lockdown[] = "-- BEGIN PROG LOAD LOG --\nunknown func bpf_probe_read_kernel#113\n"
				      "processed 12 insns (limit 1000000)\n";

struct machine {
	const char *release, *lockdown, *capabilities, *unprivileged, *seccomp;
	bool no_btf;
	unsigned memlock_kib; /* 0: no limit */
};

struct cause_case {
	struct machine machine; /* NULL: as on a typical machine with root */
	int error;
	const char *log, *words;
	const char *expected[2]; /* both are in the text */
	const char *refused;     /* this is not */
};

static const struct cause_case cases[] = {
	/* the verifier */
	{{.release = "6.1.0"},
	 -EACCES,
	 log_of_6_1,
	 "",
	 {"verifier of Linux 6.1.0", "R1 unbounded memory"},
	 "BTF"},
	{{.release = "5.10.0"},
	 -EINVAL,
	 log_of_5_10,
	 "",
	 {"verifier of Linux 5.10.0", "reserved fields"},
	 "BTF"},
	{{.capabilities = BPF_RIGHTS}, -EACCES, log_of_6_1, "", {"R1 unbounded"}, "lacks"},
	{{.lockdown = "none [integrity] confidentiality"},
	 -EACCES,
	 log_of_6_1,
	 "",
	 {"R1 unbounded"},
	 "locked"},
	/* privileges */
	{{.capabilities = "0", .unprivileged = "0"},
	 -EPERM,
	 "",
	 "",
	 {"lacks CAP_BPF and CAP_PERFMON. Fix: start"},
	 "_disabled"},
	{{.capabilities = "0", .unprivileged = "1"},
	 -EPERM,
	 "",
	 "",
	 {"unprivileged_bpf_disabled is 1", "start"},
	 "seccomp"},
	{{.capabilities = "0", .unprivileged = "2"},
	 -EPERM,
	 "",
	 "",
	 {"unprivileged_bpf_disabled is 2", "start"},
	 "BTF"},
	{{.capabilities = "0000008000000000"}, -EPERM, "", "", {"lacks CAP_PERFMON"}, "lacks CAP_BPF"},
	{{.capabilities = "0000004000000000", .unprivileged = "0"},
	 -EPERM,
	 "",
	 "",
	 {"lacks CAP_BPF."},
	 "_disabled"},
	/* lockdown, through the verifier and directly */
	{{.lockdown = LOCKED},
	 -EINVAL,
	 log_of_lockdown,
	 "",
	 {"locked down for confidentiality", "integrity"},
	 "BTF"},
	{{.lockdown = LOCKED}, -EPERM, "", "", {"locked down"}, "seccomp"},
	/* seccomp filters and security modules */
	{{.seccomp = "1"}, -EPERM, "", "", {"seccomp filter", "--privileged"}, "SELinux"},
	{{.seccomp = "0"}, -EPERM, "", "", {"security module"}, "seccomp filter"},
	/* locked memory */
	{{.release = "5.10.0-32-amd64", .capabilities = BPF_RIGHTS, .memlock_kib = 64},
	 -EPERM,
	 "",
	 "",
	 {"locked memory, which is 64 KiB", "LimitMEMLOCK=infinity"},
	 "security module"},
	{{.release = "5.10.0", .capabilities = BPF_RIGHTS},
	 -EPERM,
	 "",
	 "",
	 {"security module"},
	 "locked memory"},
	{{.release = "5.11.0", .memlock_kib = 64}, -EPERM, "", "", {"security module"}, "locked memory"},
	{{.release = "5.10.0", .seccomp = "1", .memlock_kib = 64},
	 -EPERM,
	 "",
	 "",
	 {"seccomp filter"},
	 "locked"},
	{{0}, -ENOSYS, "", "", {"no bpf()", "CONFIG_BPF_SYSCALL"}, NULL},
	/* the kernel */
	{{.no_btf = true},
	 -ESRCH,
	 "",
	 "libbpf: failed to find valid kernel BTF",
	 {"kernel/btf/vmlinux", "CONFIG_DEBUG_INFO_BTF"},
	 "verifier"},
	{{.release = "5.4.0-26", .no_btf = true},
	 -EINVAL,
	 "",
	 "",
	 {"Linux 5.4.0-26 is older than 5.10"},
	 "BTF"},
	{{.release = "4.19.0"}, -EINVAL, log_of_5_10, "", {"older than 5.10"}, NULL},
	{{.release = "5.15.0"}, -EINVAL, log_of_5_10, "", {"verifier of Linux 5.15.0"}, "older"},
	{{0}, -ENOMEM, "", "", {"not enough memory"}, NULL},
	{{0}, -EIO, "", "libbpf: something", {"libbpf: something", "Input/output error"}, NULL},
};

static void write_file(const char *root, const char *path, const char *text)
{
	char whole[300];
	FILE *file;

	if (!text)
		return;
	(void)snprintf(whole, sizeof(whole), "%s/%s", root, path);
	for (char *slash = strchr(whole + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(whole, 0700);
		*slash = '/';
	}
	file = fopen(whole, "w");
	assert_non_null(file);
	(void)fprintf(file, "%s\n", text);
	assert_int_equal(fclose(file), 0);
}

static const char *or_else(const char *text, const char *usual)
{
	return text ? text : usual;
}

static void facts_of(const struct machine *machine, struct bpf_facts *ret)
{
	char root[] = "/tmp/test-bpf-cause.XXXXXX", status[200], procfs[64], sysfs[64], command[80];

	assert_non_null(mkdtemp(root));
	(void)snprintf(procfs, sizeof(procfs), "%s/proc", root);
	(void)snprintf(sysfs, sizeof(sysfs), "%s/sys", root);
	(void)snprintf(status, sizeof(status),
		       "Name:\ttest\nCapPrm:\t0\nCapEff:\t%s\nSeccomp:\t2\nSeccomp_filters:\t%s",
		       or_else(machine->capabilities, ALL_RIGHTS), or_else(machine->seccomp, "0"));
	write_file(procfs, "self/status", status);
	write_file(procfs, "sys/kernel/osrelease", or_else(machine->release, "6.12.0"));
	write_file(procfs, "sys/kernel/unprivileged_bpf_disabled", or_else(machine->unprivileged, "2"));
	write_file(sysfs, "kernel/security/lockdown", machine->lockdown);
	write_file(sysfs, "kernel/btf/vmlinux", machine->no_btf ? NULL : "types");
	bpf_cause_read(procfs, sysfs, ret);
	ret->memlock = machine->memlock_kib ? machine->memlock_kib * UINT64_C(1024) : UINT64_MAX;
	(void)snprintf(command, sizeof(command), "rm -rf %s", root);
	assert_int_equal(system(command), 0);
}

static void each_cause_is_reported(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct cause_case *one = &cases[i];
		struct bpf_facts facts;
		struct reason cause = {""};

		facts_of(&one->machine, &facts);
		assert_int_equal(bpf_cause_set(&facts, one->error, one->log, one->words, &cause), one->error);
		print_message("# case %zu: %s\n", i, cause.text);
		for (size_t k = 0; k < 2 && one->expected[k]; k++)
			assert_non_null(strstr(cause.text, one->expected[k]));
		if (one->refused)
			assert_null(strstr(cause.text, one->refused));
	}
}

/* A sentence followed by a remedy: `wattribute check` splits them. */
static void every_cause_has_a_fix(void **state)
{
	static const int errors[] = {-EPERM, -EACCES, -EINVAL, -ENOSYS, -ENOMEM, -ESRCH, -E2BIG, -EBUSY};
	static const char *const logs[] = {"", log_of_6_1, log_of_lockdown};

	(void)state;
	for (unsigned bits = 0; bits < 64; bits++) {
		for (size_t e = 0; e < sizeof(errors) / sizeof(errors[0]); e++) {
			const struct bpf_facts facts = {
				.release = "6.1.0",
				.btf = bits & 1,
				.capabilities = bits & 2 ? UINT64_MAX : 0,
				.unprivileged_bpf = (int)(bits >> 2 & 3) - 1,
				.seccomp = bits & 16 ? 1 : -1,
			};
			struct reason cause = {""};

			assert_int_equal(bpf_cause_set(&facts, errors[e], logs[(e + bits) % 3], "", &cause),
					 errors[e]);
			assert_non_null(strstr(cause.text, REASON_FIX));
		}
	}
}

static void the_last_line_counts(void **state)
{
	char line[80];

	(void)state;
	bpf_cause_last_line(log_of_6_1, line, sizeof(line));
	assert_string_equal(line, "R1 unbounded memory access, make sure to bounds check any such access");
	bpf_cause_last_line(log_of_5_10, line, sizeof(line));
	assert_string_equal(line, "BPF_STX uses reserved fields");
	bpf_cause_last_line("invalid mem access 'scalar'", line, sizeof(line)); /* no newline, no markers */
	assert_string_equal(line, "invalid mem access 'scalar'");
	bpf_cause_last_line(log_of_6_1, line, 10);
	assert_string_equal(line, "R1 unboun");
	bpf_cause_last_line("", line, sizeof(line));
	assert_string_equal(line, "");
	bpf_cause_last_line("\n\nprocessed 0 insns\n", line, sizeof(line));
	assert_string_equal(line, "");
}

/* The facts of the machine that runs the test. */
static void this_machine_can_be_asked(void **state)
{
	struct bpf_facts facts;

	(void)state;
	bpf_cause_read("/proc", "/sys", &facts);
	assert_true(facts.release[0] >= '1' && facts.release[0] <= '9');
	assert_int_equal(facts.btf, access("/sys/kernel/btf/vmlinux", F_OK) == 0);
	bpf_cause_read("/nowhere", "/nowhere", &facts);
	assert_int_equal(facts.unprivileged_bpf, -1);
	assert_int_equal(facts.seccomp, -1);
}

/* The sensor's own filters allow bpf(), and are not counted as a cause. */
static void own_filters_do_not_count(void **state)
{
	struct bpf_facts before, after;
	struct reason why = {""};
	pid_t pid;
	int status;

	(void)state;
	bpf_cause_read("/proc", "/sys", &before);
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		(void)sandbox_enter(SANDBOX_PRIV, SANDBOX_ERRNO, &why);
		(void)sandbox_enter(SANDBOX_PRIV, SANDBOX_ERRNO, &why);
		bpf_cause_read("/proc", "/sys", &after);
		_exit(after.seccomp == before.seccomp ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_cause_is_reported),   cmocka_unit_test(every_cause_has_a_fix),
		cmocka_unit_test(the_last_line_counts),     cmocka_unit_test(this_machine_can_be_asked),
		cmocka_unit_test(own_filters_do_not_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
