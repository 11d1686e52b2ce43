# SPDX-License-Identifier: Apache-2.0
# A sysfs tree with an energy PMU whose joules can be counted: `power` counts page faults, so that the true use of
# each container is known from its own number of faults. Everything else in the tree is the machine's own.
#
#   make_fake_sysfs DIR JOULES     each page fault on this machine is JOULES of RAPL_ENERGY_PKG; faults per
#                                  cgroup are the event 'faults/ref-cycles/' (a name that formulas know)
#   make_fault_load FILE           compiles a static program: FILE RATE SECONDS touches RATE pages a second and
#                                  prints its own number of faults at the end, and that of its cgroup (including those of
#                                  the runtime, which prepares the container in it) if memory.stat shows it
#   make_fault_image IMAGE FILE    an image of that program

make_fake_sysfs() {
	"$TOP/tests/fake/sysfs.sh" "$1" --scale "$2" || return 1
	fake_faults=$1/bus/event_source/devices/faults
	mkdir -p "$fake_faults/events" "$fake_faults/format"
	echo 1 >"$fake_faults/type"
	echo config:0-7 >"$fake_faults/format/event"
	echo event=0x02 >"$fake_faults/events/ref-cycles"
}

make_fault_load() {
	cat >"$1.c" <<-'EOF'
		#include <stdio.h>
		#include <stdlib.h>
		#include <sys/mman.h>
		#include <sys/resource.h>
		#include <time.h>
		#define PAGES 256
		static void print_cgroup(void)
		{
			const char *const paths[] = { "/sys/fs/cgroup/memory.stat", "/sys/fs/cgroup/memory/memory.stat" };
			char line[256];
			long n;
			for (int i = 0; i < 2; i++) {
				FILE *file = fopen(paths[i], "r");
				while (file && fgets(line, sizeof(line), file))
					if (sscanf(line, "pgfault %ld", &n) == 1) {
						printf("cgroup %ld\n", n);
						i = 2;
					}
				if (file)
					fclose(file);
			}
		}
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
			print_cgroup();
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
