/* SPDX-License-Identifier: Apache-2.0 */
/* Failures of sandbox_restrict(): which of them a process survives, and which must end it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "process/sandbox.h"
#include "base/cleanup.h"
#include "base/reason.h"
#include "in_child.h"

#include <errno.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define SCARCE_BLOCKS 4096

static struct reason why;
static char missing[sizeof(why.text)]; /* what sandbox_restrict() did without */

static bool keep_sentence(void *data, const char *sentence)
{
	(void)data;
	(void)snprintf(missing, sizeof(missing), "%s", sentence);
	return true;
}

static int restrict_self(enum sandbox_profile profile)
{
	const struct sandbox_limits limits = {
		.mode = SANDBOX_ERRNO, .profile = profile, .missing = keep_sentence};

	return sandbox_restrict(&limits, &why);
}

/* Uses up all memory, including small pieces that were freed before. */
static void use_up_memory(void)
{
	const struct rlimit none = {1, 1};
	void *volatile last; /* gcc 14 and newer leave out allocations that nobody uses */

	(void)setrlimit(RLIMIT_AS, &none);
	for (size_t size = 1 << 20; size > 0; size = size > 4096 ? size / 2 : size - 16)
		do
			last = malloc(size);
		while (last);
}

struct scarce {
	enum sandbox_profile profile;
	size_t n_blocks; /* of 1 KiB: the only memory left */
	int result;      /* of sandbox_enter(), set by the child */
};

/*
 * When memory runs out in the middle, a process does not continue as on a kernel without seccomp: it would
 * keep its privileges.
 */
static int with_little_memory(void *data)
{
	static void *volatile blocks[SCARCE_BLOCKS];
	struct scarce *scarce = data;

	(void)signal(SIGSEGV, SIG_DFL); /* libseccomp 2.5 crashes at some allocations: fine, too */
	(void)signal(SIGABRT, SIG_DFL);
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	scarce->result = -EINTR;
	for (size_t i = 0; i < scarce->n_blocks; i++)
		blocks[i] = malloc(1024);
	use_up_memory();
	for (size_t i = 0; i < scarce->n_blocks; i++)
		free(blocks[i]);
	scarce->result = restrict_self(scarce->profile);
	CHECK(scarce->result == 0 ? prctl(PR_GET_SECCOMP) != 0 : strstr(why.text, "memory") != NULL);
	return 0;
}

static void little_memory_for_a_filter(void **state)
{
	struct scarce *scarce =
		mmap(NULL, sizeof(*scarce), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status;

	(void)state;
#ifdef WATTRIBUTE_SANITIZED
	skip(); /* no seccomp filter there */
#endif
	assert_ptr_not_equal(scarce, MAP_FAILED);
	for (unsigned profile = SANDBOX_COLLECT; profile <= SANDBOX_PRIV; profile++) {
		scarce->profile = (enum sandbox_profile)profile;
		scarce->n_blocks = 0;
		do {
			status = in_child(with_little_memory, scarce);
			if (!WIFSIGNALED(status))
				assert_well(status);
			if (scarce->n_blocks == 0)
				assert_true(scarce->result < 0);
			scarce->n_blocks += 1 + scarce->n_blocks / 8;
		} while (scarce->result < 0 && scarce->n_blocks < SCARCE_BLOCKS);
		assert_int_equal(scarce->result, 0);
	}
	(void)munmap(scarce, sizeof(*scarce));
}

/* A filter around the process, as of a container, in which one call fails. */
struct around {
	int call;
	long first; /* argument; negative: any */
	int error;
	enum sandbox_profile profile;
};

static int fail_call(const struct around *around)
{
	const struct scmp_arg_cmp first = SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)around->first, 0);
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);

	CHECK(filter);
	CHECK(seccomp_rule_add_array(filter, SCMP_ACT_ERRNO((unsigned)around->error), around->call,
				     around->first >= 0, &first) == 0);
	CHECK(seccomp_load(filter) == 0);
	seccomp_release(filter);
	return 0;
}

static int continues_unfiltered(void *data)
{
	const struct around *around = data;

	CHECK(fail_call(around) == 0);
	CHECK(restrict_self(around->profile) == 0);
	CHECK(sandbox_filters() == 0);
	CHECK(strstr(missing, "without a seccomp filter"));
	CHECK(strstr(missing, around->error == EINVAL ? "this kernel has no" : "another seccomp filter"));
	return 0;
}

static int must_end(void *data)
{
	const struct around *around = data;

	CHECK(fail_call(around) == 0);
	CHECK(restrict_self(around->profile) < 0);
	CHECK(strstr(why.text, "cannot install the seccomp filter") && strstr(why.text, "process ends"));
	return 0;
}

static void only_a_kernel_without_filters_is_tolerated(void **state)
{
	static const int lacking[] = {EINVAL, EPERM, EACCES};
	static const int failing[] = {ENOMEM, EFAULT, EINVAL, EPERM, EBUSY};

	(void)state;
#ifdef WATTRIBUTE_SANITIZED
	skip(); /* no seccomp filter there */
#endif
	for (unsigned profile = SANDBOX_COLLECT; profile <= SANDBOX_PRIV; profile++) {
		for (size_t i = 0; i < ARRAY_SIZE(lacking); i++)
			assert_well(in_child(continues_unfiltered,
					     &(struct around){SCMP_SYS(prctl), PR_SET_SECCOMP, lacking[i],
							      (enum sandbox_profile)profile}));
		for (size_t i = 0; i < ARRAY_SIZE(failing); i++)
			assert_well(in_child(must_end, &(struct around){SCMP_SYS(seccomp), -1, failing[i],
									(enum sandbox_profile)profile}));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_a_kernel_without_filters_is_tolerated),
		cmocka_unit_test(little_memory_for_a_filter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
