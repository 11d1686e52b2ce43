/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From event names to attributes: RAPL and MSR names and "pmu/event/" from synthetic trees, CPU events by
 * libpfm with forced processor models, hybrid CPUs, uncore boxes; and the messages for missing events.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "fake/fake_tree.h"
#include "event/event.h"
#include "event/pmu.h"
#include "base/reason.h"

#include <math.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>

/*
 * libpfm reads LIBPFM_FORCE_PMU only when it is initialised, and cannot be terminated and initialised again:
 * everything that needs it runs in a child, and this process never initialises it. Assertions there simply
 * abort.
 */
static void in_child(const char *pmu, void (*check)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		if (pmu)
			(void)setenv("LIBPFM_FORCE_PMU", pmu, 1);
		else
			(void)unsetenv("LIBPFM_FORCE_PMU");
		(void)setenv("CMOCKA_TEST_ABORT", "1", 1);
		check();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static struct event_encoding encode(const struct fake_tree *tree, const char *name)
{
	struct event_encoding encoding = {0};
	struct reason why;
	int r = event_encode(tree->root, name, &encoding, &why);

	if (r < 0)
		fprintf(stderr, "# %s: %s\n", name, why.text);
	assert_int_equal(r, 0);
	assert_true(encoding.n_boxes > 0);
	return encoding;
}

static void refuse(const struct fake_tree *tree, const char *name, int error, const char *part)
{
	struct event_encoding encoding;
	struct reason why;
	int r = event_encode(tree->root, name, &encoding, &why);

	if (r != error || !strstr(why.text, part))
		fprintf(stderr, "# %s: %d, %s\n", name, r, why.text);
	assert_int_equal(r, error);
	assert_non_null(strstr(why.text, part));
}

static void test_rapl(void **state)
{
	struct fake_tree tree = fake_new();
	struct event_encoding encoding;

	(void)state;
	refuse(&tree, "RAPL_ENERGY_PKG", -ENOENT, "modprobe rapl");
	fake_pmu(&tree, "power", 23, "0,8");
	fake_format(&tree, "power", "event", "config:0-7");
	fake_event(&tree, "power", "energy-pkg", "event=0x02", "2.3283064365386962890625e-10");
	fake_event(&tree, "power", "energy-ram", "event=0x03", NULL);
	encoding = encode(&tree, "RAPL_ENERGY_PKG");
	assert_int_equal(encoding.n_boxes, 1);
	assert_int_equal(encoding.boxes[0].attr.type, 23);
	assert_int_equal(encoding.boxes[0].attr.config, 2);
	assert_true(encoding.joules_per_count == ldexp(1, -32));
	assert_true(encoding.boxes[0].shared);
	assert_int_equal(encoding.boxes[0].n_cpus, 2);
	assert_int_equal(encoding.boxes[0].cpus[1], 8);
	event_encoding_done(&encoding);
	encoding = encode(&tree, "rapl::RAPL_ENERGY_PKG");
	event_encoding_done(&encoding);
	refuse(&tree, "RAPL_ENERGY_DRAM", -EBADMSG, "energy-ram.scale");
	refuse(&tree, "RAPL_ENERGY_GPU", -ENOENT, "energy-gpu");
	refuse(&tree, "RAPL_ENERGY_CORES", -ENOENT, "energy-cores");
	fake_pmu(&tree, "power_core", 24, "0-7");
	fake_format(&tree, "power_core", "event", "config:0-7");
	fake_event(&tree, "power_core", "energy-core", "event=0x01", "2.3283064365386962890625e-10");
	encoding = encode(&tree, "RAPL_ENERGY_CORES");
	assert_int_equal(encoding.boxes[0].attr.type, 24);
	event_encoding_done(&encoding);
	assert_true(event_is_energy("RAPL_ENERGY_DRAM"));
	assert_false(event_is_energy("TSC"));
	fake_free(&tree);
}

static void test_msr(void **state)
{
	struct fake_tree tree = fake_new();
	struct event_encoding encoding;

	(void)state;
	refuse(&tree, "TSC", -ENOENT, "'msr' PMU");
	fake_pmu(&tree, "msr", 10, NULL);
	fake_format(&tree, "msr", "event", "config:0-63");
	fake_event(&tree, "msr", "tsc", "event=0x00", NULL);
	fake_event(&tree, "msr", "aperf", "event=0x01", NULL);
	encoding = encode(&tree, "APERF");
	assert_int_equal(encoding.boxes[0].attr.type, 10);
	assert_int_equal(encoding.boxes[0].attr.config, 1);
	assert_false(encoding.boxes[0].shared);
	assert_null(encoding.boxes[0].cpus);
	event_encoding_done(&encoding);
	refuse(&tree, "MPERF", -ENOENT, "no event 'mperf'. Fix: choose another event");
	fake_free(&tree);
}

/*
 * Twelve boxes of one kind, not all with each event, in the order of their types; files that are invalid in
 * one of them.
 */
static void check_boxes(const struct fake_tree *tree)
{
	struct event_encoding encoding;
	char pmu[32];

	for (unsigned i = 0; i < 12; i++) {
		(void)snprintf(pmu, sizeof(pmu), "uncore_cha_%u", i);
		fake_pmu(tree, pmu, 60 - i, "0,4");
		if (i != 3)
			fake_event(tree, pmu, "clockticks", "config=1", NULL);
		fake_event(tree, pmu, "broken", "nonsense=1", NULL);
	}
	encoding = encode(tree, "uncore_cha/clockticks/");
	assert_int_equal(encoding.n_boxes, 11);
	for (unsigned i = 0; i < 11; i++) {
		assert_int_equal(encoding.boxes[i].attr.type, i < 8 ? 49 + i : 50 + i);
		assert_int_equal(encoding.boxes[i].n_cpus, 2);
		assert_true(encoding.boxes[i].shared);
	}
	event_encoding_done(&encoding);
	refuse(tree, "uncore_cha/clockticsk/", -ENOENT, "use 'clockticks'");
	refuse(tree, "uncore_cha/broken/", -EINVAL, "terms");
}

static void test_sysfs_names(void **state)
{
	struct fake_tree tree = fake_new();
	struct event_encoding encoding;

	(void)state;
	fake_pmu(&tree, "cpu", 4, NULL);
	fake_format(&tree, "cpu", "event", "config:0-7,32-35");
	fake_format(&tree, "cpu", "umask", "config:8-15");
	fake_format(&tree, "cpu", "inv", "config:23");
	fake_format(&tree, "cpu", "ldlat", "config1:0-15");
	fake_format(&tree, "cpu", "broken", "config:64-99");
	encoding = encode(&tree, "cpu/event=0xfff,umask=0x12,inv,ldlat=3/");
	assert_true(encoding.boxes[0].attr.config == UINT64_C(0xf008012ff));
	assert_int_equal(encoding.boxes[0].attr.config1, 3);
	event_encoding_done(&encoding);
	encoding = encode(&tree, "cpu/config=0x1234/");
	assert_int_equal(encoding.boxes[0].attr.config, 0x1234);
	event_encoding_done(&encoding);
	refuse(&tree, "cpu/umask=0x100/", -ERANGE, "terms");
	refuse(&tree, "cpu/nothing=1/", -EINVAL, "terms");
	refuse(&tree, "cpu/broken=1/", -EBADMSG, "cannot parse");
	refuse(&tree, "cpu/../../type/", -EINVAL, "two slashes");
	refuse(&tree, "../type/", -ENOENT, "no '..' PMU");
	refuse(&tree, "cpu/event=1", -EINVAL, "two slashes");
	refuse(&tree, "nopmu/x/", -ENOENT, "no 'nopmu' PMU");
	fake_pmu(&tree, "uncore_imc_0", 30, "0,4");
	fake_pmu(&tree, "uncore_imc_1", 31, "0,4");
	fake_pmu(&tree, "uncore_imc_free", 32, "0,4");
	fake_event(&tree, "uncore_imc_0", "cas", "config=4", NULL);
	fake_event(&tree, "uncore_imc_1", "cas", "config=4", NULL);
	encoding = encode(&tree, "uncore_imc/cas/");
	assert_int_equal(encoding.n_boxes, 2);
	assert_true(encoding.boxes[1].shared);
	event_encoding_done(&encoding);
	check_boxes(&tree);
	fake_free(&tree);
}

static void check_pfm(const char *name, uint32_t type, uint64_t config)
{
	struct fake_tree tree = fake_new();
	struct event_encoding encoding = encode(&tree, name);

	assert_int_equal(encoding.n_boxes, 1);
	assert_int_equal(encoding.boxes[0].attr.type, type);
	assert_int_equal(encoding.boxes[0].attr.config, config);
	event_encoding_done(&encoding);
	fake_free(&tree);
}

static void check_hsw(void)
{
	check_pfm("CPU_CLK_THREAD_UNHALTED:REF_P", 4, 0x13c);
}

static void check_skx(void)
{
	struct fake_tree tree = fake_new();

	check_pfm("CPU_CLK_THREAD_UNHALTED:REF_P", 4, 0x13c);
	check_pfm("INSTRUCTION_RETIRED", 4, 0xc0);
	refuse(&tree, "INSTRUCTION_RETIERD", -ENOENT, "INSTRUCTION_RETIRED");
	refuse(&tree, "CPU_CLK_THREAD_UNHALTED:NONSENSE", -EINVAL, "attributes");
	refuse(&tree, "zzzzzzzzzz", -ENOENT, "no such event on this CPU");
	refuse(&tree, "", -ENOENT, "no such event");
	fake_free(&tree);
}

static void check_arch(void)
{
	check_pfm("LLC_MISSES", 4, 0x412e);
}

static void check_zen2(void)
{
	check_pfm("CYCLES_NOT_IN_HALT", 4, 0x76);
	check_pfm("RETIRED_INSTRUCTIONS", 4, 0xc0);
}

static void check_software(void)
{
	check_pfm("perf::PAGE-FAULTS", 1, 2);
	check_pfm("PERF_COUNT_SW_CONTEXT_SWITCHES", 1, 3);
}

static void test_pfm(void **state)
{
	(void)state;
	in_child("hsw_ep", check_hsw);
	in_child("skx", check_skx);
	in_child("ix86arch", check_arch);
	in_child("amd64_fam17h_zen2", check_zen2);
	in_child(NULL, check_software);
}

/*
 * libpfm looks for uncore boxes in the machine's own /sys: a private one is mounted over it if that is
 * permitted.
 */
static void check_uncore(void)
{
	struct fake_tree tree = fake_new();
	struct event_encoding encoding;
	char devices[128];

	fake_pmu(&tree, "uncore_pcu", 20, "0,4");
	(void)snprintf(devices, sizeof(devices), "%s/bus/event_source/devices", tree.root);
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(devices, "/sys/bus/event_source/devices", NULL, MS_BIND, NULL) < 0 ||
	    mount(devices, "/sys/devices", NULL, MS_BIND, NULL) < 0) {
		print_message("# uncore boxes not tried: %s\n", strerror(errno));
		fake_free(&tree);
		return;
	}
	encoding = encode(&tree, "UNC_P_POWER_STATE_OCCUPANCY:CORES_C0");
	assert_int_equal(encoding.n_boxes, 1);
	assert_int_equal(encoding.boxes[0].attr.type, 20);
	assert_int_equal(encoding.boxes[0].attr.config, 0x4080);
	assert_int_equal(encoding.boxes[0].attr.flags, 0);
	assert_string_equal(encoding.boxes[0].pmu, "uncore_pcu");
	assert_true(encoding.boxes[0].shared);
	assert_int_equal(encoding.boxes[0].cpus[1], 4);
	event_encoding_done(&encoding);
	fake_free(&tree);
}

static void test_uncore(void **state)
{
	(void)state;
	in_child("skx_unc_pcu", check_uncore);
}

static void make_hybrid(const struct fake_tree *tree)
{
	fake_pmu(tree, "cpu_core", 4, NULL);
	fake_pmu(tree, "cpu_atom", 10, NULL);
	fake_write(tree, "bus/event_source/devices/cpu_core/cpus", "0-7");
	fake_write(tree, "bus/event_source/devices/cpu_atom/cpus", "8-11");
}

/* A generic event on a hybrid CPU: each kind of core has its own counter. */
static void check_hybrid_generic(void)
{
	struct fake_tree tree = fake_new();
	struct event_encoding encoding;

	make_hybrid(&tree);
	encoding = encode(&tree, "PERF_COUNT_HW_INSTRUCTIONS");
	assert_int_equal(encoding.n_boxes, 2);
	assert_true(encoding.boxes[0].attr.config == (UINT64_C(4) << 32 | 1));
	assert_true(encoding.boxes[1].attr.config == (UINT64_C(10) << 32 | 1));
	assert_int_equal(encoding.boxes[0].n_cpus, 8);
	assert_int_equal(encoding.boxes[1].n_cpus, 4);
	assert_false(encoding.boxes[1].shared);
	event_encoding_done(&encoding);
	/* A third kind, as in Arrow Lake-H. */
	fake_pmu(&tree, "cpu_lowpower", 11, NULL);
	fake_write(&tree, "bus/event_source/devices/cpu_lowpower/cpus", "12-13");
	encoding = encode(&tree, "PERF_COUNT_HW_INSTRUCTIONS");
	assert_int_equal(encoding.n_boxes, 3);
	assert_true(encoding.boxes[2].attr.config == (UINT64_C(11) << 32 | 1));
	assert_int_equal(encoding.boxes[2].n_cpus, 2);
	event_encoding_done(&encoding);
	fake_free(&tree);
}

static void check_hybrid_raw(void)
{
	struct fake_tree tree = fake_new();
	struct event_encoding encoding;

	make_hybrid(&tree);
	encoding = encode(&tree, "INSTRUCTION_RETIRED");
	assert_int_equal(encoding.n_boxes, 1);
	assert_int_equal(encoding.boxes[0].n_cpus, 8);
	event_encoding_done(&encoding);
	fake_free(&tree);
}

static void test_hybrid(void **state)
{
	(void)state;
	in_child(NULL, check_hybrid_generic);
	in_child("skx", check_hybrid_raw);
}

static void test_bad_pmu_files(void **state)
{
	struct fake_tree tree = fake_new();
	struct pmu pmu = {0};
	char name[EVENT_PMU_NAME_SIZE];

	(void)state;
	assert_int_equal(pmu_read(tree.root, "power", &pmu), -ENOENT);
	assert_int_equal(pmu_read(tree.root, "../power", &pmu), -ENOENT);
	fake_write(&tree, "bus/event_source/devices/power/type", "twelve");
	assert_int_equal(pmu_read(tree.root, "power", &pmu), -EBADMSG);
	fake_pmu(&tree, "power", 12, "0-99999999999");
	assert_int_equal(pmu_read(tree.root, "power", &pmu), -EBADMSG);
	fake_pmu(&tree, "power", 12, "0");
	fake_event(&tree, "power", "energy-pkg", "config=2", "nan");
	refuse(&tree, "RAPL_ENERGY_PKG", -EBADMSG, "cannot parse");
	fake_event(&tree, "power", "energy-pkg", "config=2", "-1");
	refuse(&tree, "RAPL_ENERGY_PKG", -EBADMSG, "cannot parse");
	assert_int_equal(pmu_find_type(tree.root, 12, name), 0);
	assert_string_equal(name, "power");
	assert_int_equal(pmu_find_type(tree.root, 13, name), -ENOENT);
	fake_free(&tree);
}

/* Names that resemble energy events but are none: the suggested event. */
static void test_energy_slips(void **state)
{
	static const struct {
		const char *name, *meant;
	} cases[] = {
		{"RAPL_ENERGY_PKG", NULL},
		{"rapl::RAPL_ENERGY_DRAM", NULL},
		{"LLC_MISSES", NULL},
		{"power/x/", NULL},
		{"FP_ARITH", NULL},
		{"rapl_energy_pkg", "RAPL_ENERGY_PKG"},
		{"RAPL_ENERGY_PACKAGE", "RAPL_ENERGY_PKG"},
		{"RAPL_ENERGY_PGK", "RAPL_ENERGY_PKG"},
		{"energy-pkg", "RAPL_ENERGY_PKG"},
		{"power/energy-pkg/", "RAPL_ENERGY_PKG"},
		{"energy-ram", "RAPL_ENERGY_DRAM"},
		{"RAPL_ENERGY_MEMORY", "RAPL_ENERGY_DRAM"},
		{"rapl::rapl_energy_cores", "RAPL_ENERGY_CORES"},
		{"energy-gpu", "RAPL_ENERGY_GPU"},
		{"Rapl-Energy-Psys", "RAPL_ENERGY_PSYS"},
		{"PKG", "RAPL_ENERGY_PKG"},
		{"package-0", "RAPL_ENERGY_PKG"},
		{"package_energy", "RAPL_ENERGY_PKG"},
		{"dram", "RAPL_ENERGY_DRAM"},
		{"DRAM_ENERGY", "RAPL_ENERGY_DRAM"},
		{"intel-rapl:0", "RAPL_ENERGY_PKG"},
		/* Events of processors and other PMUs. */
		{"MEM_LOAD_L3_MISS_RETIRED:LOCAL_DRAM", NULL},
		{"UNC_M_CAS_COUNT", NULL},
		{"CORE_POWER:LVL0_TURBO_LICENSE", NULL},
		{"power_core/energy-core/", NULL},
		{"arm_energy_pmu/x/", NULL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *meant = event_energy_slip(cases[i].name);

		if (!meant != !cases[i].meant || (meant && strcmp(meant, cases[i].meant) != 0))
			fail_msg("'%s' means '%s'", cases[i].name, meant ? meant : "nothing");
	}
	assert_string_equal(event_plain_energy("rapl::RAPL_ENERGY_PKG"), "RAPL_ENERGY_PKG");
	assert_null(event_plain_energy("rapl::TSC"));
}

static void test_explanations(void **state)
{
	static const struct {
		int error;
		const char *reason, *advice;
	} cases[] = {
		{-EACCES, "no permission", "CAP_PERFMON"},
		{-ENOENT, "virtual machine", ""},
		{-EMFILE, "no file descriptor", "ulimit -n"},
		{-EINVAL, "refuses this event", "CONFIG_CGROUP_PERF"},
		{-EBUSY, "another user holds", "nmi_watchdog"},
		{-EIO, "opens, but cannot be read", ""},
		{-E2BIG, "Argument list too long", ""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct reason why = {""};
		const char *advice;
		size_t length;

		assert_int_equal(event_explain_open(cases[i].error, "cpu", true, "a cause", &why),
				 cases[i].error);
		advice = reason_split(why.text, &length);
		assert_ptr_equal(strstr(why.text, "PMU 'cpu': "), why.text);
		assert_non_null(strstr(why.text, cases[i].reason));
		assert_non_null(strstr(advice, cases[i].advice));
		assert_int_equal(strlen(cases[i].advice) == 0, strlen(advice) == 0);
		assert_memory_equal(why.text + length - strlen("(a cause)"), "(a cause)",
				    strlen("(a cause)"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_energy_slips),  cmocka_unit_test(test_rapl),
		cmocka_unit_test(test_msr),           cmocka_unit_test(test_sysfs_names),
		cmocka_unit_test(test_pfm),

		cmocka_unit_test(test_hybrid),        cmocka_unit_test(test_uncore),
		cmocka_unit_test(test_bad_pmu_files), cmocka_unit_test(test_explanations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
