/* SPDX-License-Identifier: GPL-2.0 */
/*
 * For tests only: a `power` PMU and powercap zones as registered by the RAPL drivers, whose energy is
 * defined by the load: STATIC_W for each package, and BUSY_W for each of its CPUs while it is busy. Every
 * reading by any process is logged in /proc/power_journal, so that a sensor's reports can be compared with
 * the counters. Built against the headers of a guest's kernel by build.sh.
 */
#include <linux/cpumask.h>
#include <linux/kernel_stat.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/perf_event.h>
#include <linux/powercap.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/spinlock.h>
#include <linux/topology.h>

#define PACKAGES_MAX 2
#define STATIC_W     100
#define BUSY_W       50
#define JOURNAL_MAX  16384

static bool perf = true;
module_param(perf, bool, 0444);
MODULE_PARM_DESC(perf, "register the PMU");
static bool zones = true;
module_param(zones, bool, 0444);
MODULE_PARM_DESC(zones, "register the zones");
static bool loose;
module_param(loose, bool, 0444);
MODULE_PARM_DESC(loose, "the PMU can be unloaded while it is used (Linux 6.15)");
static bool filler;
module_param(filler, bool, 0444);
MODULE_PARM_DESC(filler, "register another PMU first, so that the type of `power` is another one");
static bool fail;
module_param(fail, bool, 0644);
MODULE_PARM_DESC(fail, "readings of zones fail");
static unsigned long long range_uj = 262143328850ULL;
module_param(range_uj, ullong, 0444);
MODULE_PARM_DESC(range_uj, "where zones wrap");

struct reading {
	char path; /* p: perf, z: zone */
	unsigned int package;
	u64 energy_nj;
};

static struct reading journal[JOURNAL_MAX];
static unsigned int n_readings;
static DEFINE_RAW_SPINLOCK(journal_lock);
static u64 begin_ns, begin_busy_ns[PACKAGES_MAX], offset_nj[PACKAGES_MAX];
static unsigned int n_packages;
static cpumask_t readers; /* one CPU for each package */
static struct powercap_control_type *control;
static struct powercap_zone package_zones[PACKAGES_MAX];

static u64 busy_ns(unsigned int package)
{
	static const enum cpu_usage_stat kinds[] = {CPUTIME_USER, CPUTIME_NICE, CPUTIME_SYSTEM,
						    CPUTIME_SOFTIRQ, CPUTIME_IRQ};
	u64 sum = 0;
	unsigned int cpu, i;

	for_each_online_cpu(cpu)
	{
		if (topology_physical_package_id(cpu) != package)
			continue;
		for (i = 0; i < ARRAY_SIZE(kinds); i++)
			sum += kcpustat_cpu(cpu).cpustat[kinds[i]];
	}
	return sum;
}

static u64 energy_nj(unsigned int package)
{
	return STATIC_W * (ktime_get_ns() - begin_ns) + BUSY_W * (busy_ns(package) - begin_busy_ns[package]);
}

static u64 take_reading(char path, unsigned int package)
{
	unsigned long flags;
	u64 now;

	raw_spin_lock_irqsave(&journal_lock, flags);
	now = energy_nj(package);
	if (n_readings < JOURNAL_MAX)
		journal[n_readings++] = (struct reading){path, package, now};
	raw_spin_unlock_irqrestore(&journal_lock, flags);
	return now;
}

static int show_journal(struct seq_file *file, void *data)
{
	unsigned int i, n = READ_ONCE(n_readings);

	for (i = 0; i < n; i++) {
		seq_printf(file, "%c %u", journal[i].path, journal[i].package);
		seq_put_decimal_ull(file, " ", journal[i].energy_nj);
		seq_putc(file, '\n');
	}
	return 0;
}

/* The PMU: joules in units of 2^-32, as in RAPL's driver. */
static u64 to_counts(u64 nj)
{
	return div_u64(nj, 1000000000) * (1ULL << 32) +
	       div_u64((nj - div_u64(nj, 1000000000) * 1000000000) << 32, 1000000000);
}

static void power_update(struct perf_event *event)
{
	const u64 now = to_counts(take_reading('p', topology_physical_package_id(event->cpu)));

	local64_add(now - local64_read(&event->hw.prev_count), &event->count);
	local64_set(&event->hw.prev_count, now);
}

static void power_start(struct perf_event *event, int flags)
{
	event->hw.state = 0;
	local64_set(&event->hw.prev_count,
		    to_counts(take_reading('p', topology_physical_package_id(event->cpu))));
}

static void power_stop(struct perf_event *event, int flags)
{
	if (event->hw.state & PERF_HES_STOPPED)
		return;
	power_update(event);
	event->hw.state = PERF_HES_STOPPED | PERF_HES_UPTODATE;
}

static int power_add(struct perf_event *event, int flags)
{
	event->hw.state = PERF_HES_STOPPED | PERF_HES_UPTODATE;
	if (flags & PERF_EF_START)
		power_start(event, flags);
	return 0;
}

static void power_del(struct perf_event *event, int flags)
{
	power_stop(event, flags);
}

static int power_init_event(struct perf_event *event)
{
	unsigned int cpu;

	if (event->attr.type != event->pmu->type)
		return -ENOENT;
	if (event->cpu < 0 || event->attr.config != 2 || event->attr.sample_period)
		return -EINVAL;
	for_each_cpu(cpu, &readers)
	{
		if (topology_physical_package_id(cpu) == topology_physical_package_id(event->cpu))
			return 0;
	}
	return -ENODEV;
}

static int filler_init_event(struct perf_event *event)
{
	return -ENOENT;
}

static ssize_t cpumask_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return cpumap_print_to_pagebuf(true, buf, &readers);
}
static DEVICE_ATTR_RO(cpumask);
PMU_FORMAT_ATTR(event, "config:0-7");
/* Like PMU_EVENT_ATTR_STRING, which stringifies the name: a formatter would put spaces into it. */
#define POWER_ATTR(variable, name_, value)                                                                   \
	static struct perf_pmu_events_attr variable = {                                                      \
		.attr = {.attr = {.name = (name_), .mode = 0444}, .show = perf_event_sysfs_show},            \
		.event_str = (value),                                                                        \
	}
POWER_ATTR(power_pkg, "energy-pkg", "event=0x02");
POWER_ATTR(power_pkg_unit, "energy-pkg.unit", "Joules");
POWER_ATTR(power_pkg_scale, "energy-pkg.scale", "2.3283064365386962890625e-10");

static struct attribute *mask_attrs[] = {&dev_attr_cpumask.attr, NULL};
static struct attribute *format_attrs[] = {&format_attr_event.attr, NULL};
static struct attribute *event_attrs[] = {&power_pkg.attr.attr, &power_pkg_unit.attr.attr,
					  &power_pkg_scale.attr.attr, NULL};
static const struct attribute_group mask_group = {.attrs = mask_attrs};
static const struct attribute_group format_group = {.name = "format", .attrs = format_attrs};
static const struct attribute_group event_group = {.name = "events", .attrs = event_attrs};
static const struct attribute_group *groups[] = {&mask_group, &format_group, &event_group, NULL};
static struct pmu power_pmu = {
	.attr_groups = groups,
	.task_ctx_nr = perf_invalid_context,
	.event_init = power_init_event,
	.add = power_add,
	.del = power_del,
	.start = power_start,
	.stop = power_stop,
	.read = power_update,
	.capabilities = PERF_PMU_CAP_NO_EXCLUDE,
	.module = THIS_MODULE,
};
static struct pmu filler_pmu = {
	.task_ctx_nr = perf_invalid_context,
	.event_init = filler_init_event,
	.add = power_add,
	.del = power_del,
	.start = power_start,
	.stop = power_stop,
	.read = power_update,
	.module = THIS_MODULE,
};

/* The zones. */
static int zone_energy(struct powercap_zone *zone, u64 *ret_uj)
{
	const unsigned int package = zone - package_zones;

	if (fail)
		return -EIO;
	*ret_uj = div_u64(take_reading('z', package) - offset_nj[package], 1000);
	div64_u64_rem(*ret_uj, range_uj + 1, ret_uj);
	return 0;
}

static int zone_range(struct powercap_zone *zone, u64 *ret_uj)
{
	*ret_uj = range_uj;
	return 0;
}

static int zone_release(struct powercap_zone *zone)
{
	return 0;
}

static int set_u64(struct powercap_zone *zone, int id, u64 value)
{
	return -EACCES;
}

static int get_limit(struct powercap_zone *zone, int id, u64 *ret_uw)
{
	*ret_uw = 400000000;
	return 0;
}

static int get_window(struct powercap_zone *zone, int id, u64 *ret_us)
{
	*ret_us = 976;
	return 0;
}

static const char *get_name(struct powercap_zone *zone, int id)
{
	return "long_term";
}

static const struct powercap_zone_ops zone_ops = {
	.get_energy_uj = zone_energy,
	.get_max_energy_range_uj = zone_range,
	.release = zone_release,
};
static const struct powercap_zone_constraint_ops constraint_ops = {
	.set_power_limit_uw = set_u64,
	.get_power_limit_uw = get_limit,
	.set_time_window_us = set_u64,
	.get_time_window_us = get_window,
	.get_name = get_name,
};

/* Adds a package: its reader in the PMU's cpumask, and its zone. */
static int add_package(void)
{
	const unsigned int package = n_packages;
	struct powercap_zone *zone;
	char name[16];
	unsigned int cpu;

	if (package == PACKAGES_MAX)
		return -EINVAL;
	for_each_online_cpu(cpu)
	{
		if (topology_physical_package_id(cpu) == package) {
			cpumask_set_cpu(cpu, &readers);
			break;
		}
	}
	snprintf(name, sizeof(name), "package-%u", package);
	n_packages++;
	if (!zones)
		return 0;
	zone = powercap_register_zone(&package_zones[package], control, name, NULL, &zone_ops, 1,
				      &constraint_ops);
	return PTR_ERR_OR_ZERO(zone);
}

static int set_packages(const char *value, const struct kernel_param *param)
{
	unsigned int wanted;
	int r = kstrtouint(value, 0, &wanted);

	if (r == 0 && !begin_ns) { /* when it is loaded */
		*(unsigned int *)param->arg = wanted;
		return 0;
	}
	while (r == 0 && n_packages < wanted)
		r = add_package();
	return r;
}
static unsigned int packages = PACKAGES_MAX;
static const struct kernel_param_ops packages_ops = {.set = set_packages, .get = param_get_uint};
module_param_cb(packages, &packages_ops, &packages, 0644);
MODULE_PARM_DESC(packages, "that have counters; more may be written later");

/* The zones' counters restart at 0. */
static int set_restart(const char *value, const struct kernel_param *param)
{
	unsigned int i;

	for (i = 0; i < PACKAGES_MAX; i++)
		offset_nj[i] = energy_nj(i);
	return 0;
}
static const struct kernel_param_ops restart_ops = {.set = set_restart};
module_param_cb(restart, &restart_ops, NULL, 0200);
MODULE_PARM_DESC(restart, "written: the zones' counters begin at 0");

static bool registered;

static void unregister_all(void)
{
	unsigned int i;

	if (!registered)
		return;
	registered = false;
	if (perf)
		perf_pmu_unregister(&power_pmu);
	if (perf && filler)
		perf_pmu_unregister(&filler_pmu);
	for (i = 0; zones && i < n_packages; i++)
		powercap_unregister_zone(control, &package_zones[i]);
	if (zones)
		powercap_unregister_control_type(control);
}

/* Like unloading, but keeps the journal, so that it also has the last readings. */
static int set_gone(const char *value, const struct kernel_param *param)
{
	unregister_all();
	return 0;
}
static const struct kernel_param_ops gone_ops = {.set = set_gone};
module_param_cb(gone, &gone_ops, NULL, 0200);
MODULE_PARM_DESC(gone, "written: PMU and zones are unregistered, as before unloading");

static int __init power_module_init(void)
{
	unsigned int i;
	int r = 0;

	for (i = 0; i < PACKAGES_MAX; i++)
		begin_busy_ns[i] = busy_ns(i);
	if (zones) {
		control = powercap_register_control_type(NULL, "intel-rapl", NULL);
		if (IS_ERR(control))
			return PTR_ERR(control);
	}
	begin_ns = ktime_get_ns();
	for (i = 0; r == 0 && i < packages; i++)
		r = add_package();
	proc_create_single("power_journal", 0400, NULL, show_journal);
	if (loose)
		power_pmu.module = filler_pmu.module = NULL;
	if (perf && filler)
		r = r ? r : perf_pmu_register(&filler_pmu, "filler", -1);
	if (perf)
		r = r ? r : perf_pmu_register(&power_pmu, "power", -1);
	registered = r == 0;
	return r;
}

static void __exit power_module_exit(void)
{
	unregister_all();
	remove_proc_entry("power_journal", NULL);
}

module_init(power_module_init);
module_exit(power_module_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("wattribute's tests: energy counters whose truth is known");
