# SPDX-License-Identifier: Apache-2.0
# A sysfs tree with an energy PMU whose joules can be counted: `power` is made of page faults, so that what each
# container really used is known from its own number of faults. All else in the tree is the machine's own.
#
#   make_fake_sysfs DIR JOULES     each page fault on this machine is so many joules of RAPL_ENERGY_PKG; faults per
#                                  cgroup are the event 'faults/ref-cycles/' (a name that formulas understand)
#   make_fault_load FILE           compiles a static program: FILE RATE SECONDS touches RATE pages a second and
#                                  prints its own number of faults at the end
#   make_fault_image IMAGE FILE    an image of that program

make_fake_sysfs() {
	fake_devices=$1/bus/event_source/devices
	mkdir -p "$fake_devices"
	for fake_entry in /sys/*; do
		[ "$fake_entry" = /sys/bus ] || ln -s "$fake_entry" "$1/"
	done
	for fake_entry in /sys/bus/*; do
		[ "$fake_entry" = /sys/bus/event_source ] || ln -s "$fake_entry" "$1/bus/"
	done
	for fake_entry in /sys/bus/event_source/devices/*; do
		[ "$fake_entry" = /sys/bus/event_source/devices/power ] || ln -s "$fake_entry" "$fake_devices/"
	done
	mkdir -p "$fake_devices/power/events" "$fake_devices/power/format" "$fake_devices/faults/events" "$fake_devices/faults/format"
	for fake_pmu in power faults; do
		echo 1 >"$fake_devices/$fake_pmu/type"
		echo config:0-7 >"$fake_devices/$fake_pmu/format/event"
	done
	# Every CPU stands for itself: faults happen on all of them.
	cat /sys/devices/system/cpu/online >"$fake_devices/power/cpumask"
	echo event=0x02 >"$fake_devices/power/events/energy-pkg"
	echo "$2" >"$fake_devices/power/events/energy-pkg.scale"
	echo Joules >"$fake_devices/power/events/energy-pkg.unit"
	echo event=0x02 >"$fake_devices/faults/events/ref-cycles"
}

make_fault_load() {
	cat >"$1.c" <<-'EOF'
		#include <stdio.h>
		#include <stdlib.h>
		#include <sys/mman.h>
		#include <sys/resource.h>
		#include <time.h>
		#define PAGES 256
		static double now(void)
		{
			struct timespec t;
			clock_gettime(CLOCK_MONOTONIC, &t);
			return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
		}
		int main(int argc, char **argv)
		{
			double rate = atof(argv[1]), seconds = atof(argv[2]), begin = now(), done = 0;
			struct rusage usage;
			char *area = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			(void)argc;
			madvise(area, PAGES * 4096, MADV_NOHUGEPAGE);
			while (now() - begin < seconds) {
				if (done > rate * (now() - begin)) {
					struct timespec wait = { 0, 1000000 };
					nanosleep(&wait, NULL);
					continue;
				}
				for (int i = 0; i < PAGES; i++)
					((volatile char *)area)[i * 4096] = 1;
				madvise(area, PAGES * 4096, MADV_DONTNEED);
				done += PAGES;
			}
			getrusage(RUSAGE_SELF, &usage);
			printf("faults %ld\n", usage.ru_minflt + usage.ru_majflt);
			return 0;
		}
	EOF
	"${CC:-gcc}" -O1 -static -o "$1" "$1.c"
}

make_fault_image() {
	mkdir -p "$TAP_DIR/fault-image"
	cp "$2" "$TAP_DIR/fault-image/load"
	tar -C "$TAP_DIR/fault-image" -c . | docker import -c 'ENTRYPOINT ["/load"]' - "$1" >/dev/null
}
