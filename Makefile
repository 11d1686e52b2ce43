# SPDX-License-Identifier: Apache-2.0
# One Makefile, out-of-tree objects in build/ (or BUILD=dir). `make help` lists the targets.

# ARCH=arm64 (a Debian name): by a cross-compiler, against the libraries of that architecture, into build-arm64/.
ARCH ?=
BUILD ?= build$(if $(ARCH),-$(ARCH))
VERSION := 0.1.0
CC ?= gcc
CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2
WERROR ?=
SANITIZE ?=
# What the compiler refuses for this machine's instruction set is left out: -fcf-protection is x86's, -mbranch-protection arm64's.
HARDEN_OPTIONS := -fstack-protector-strong -fstack-clash-protection -fcf-protection=full -mbranch-protection=standard
HARDEN = $(eval HARDEN := $(foreach option,$(HARDEN_OPTIONS),$(shell $(CC) -Werror $(option) -E -x c /dev/null >/dev/null 2>&1 && echo $(option))) \
	-fPIE $(CHECKED))$(HARDEN)
ifeq ($(SANITIZE),)
CHECKED := -D_FORTIFY_SOURCE=2
else
CHECKED := -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -DWATTRIBUTE_SANITIZED
LDHARDEN := -fsanitize=$(SANITIZE)
endif
# The MongoDB driver's 2.x or 1.x, whichever is here. What pkg-config does not find is an error when it is first needed,
# not an empty list of flags.
PKG_CONFIG ?= pkg-config
ifneq ($(ARCH),)
CROSS_ROOT := $(shell scripts/cross-root.sh $(ARCH))
ifeq ($(CROSS_ROOT),)
$(error no libraries for $(ARCH): see what scripts/cross-root.sh says above)
endif
CROSS := $(patsubst $(CROSS_ROOT)/usr/lib/%/libc.so,%,$(wildcard $(CROSS_ROOT)/usr/lib/*/libc.so))
CC := $(CROSS)-gcc --sysroot=$(CROSS_ROOT)
AR := $(CROSS)-ar
PKG_CONFIG := PKG_CONFIG_SYSROOT_DIR=$(CROSS_ROOT) \
	PKG_CONFIG_LIBDIR=$(CROSS_ROOT)/usr/lib/$(CROSS)/pkgconfig:$(CROSS_ROOT)/usr/share/pkgconfig pkg-config
endif
MONGO = $(if $(shell $(PKG_CONFIG) --exists mongoc2 bson2 && echo 2),mongoc2 bson2,libmongoc-1.0 libbson-1.0)
COMMON_PKGS = $(MONGO) sqlite3 jansson libmicrohttpd libseccomp gnutls yaml-0.1
PKGS = $(COMMON_PKGS) libcgroup libcurl
HEADERS = ev.h perfmon/pfmlib.h cap-ng.h uthash.h bpf/libbpf.h libelf.h zlib.h curses.h
packages = $(if $(lacking),$(error pkg-config or the compiler does not find: $(lacking). Install the packages: scripts/install-deps.sh build (names elsewhere than on Debian: docs/install.md)),$(1))
# Asked once: the first use puts the answer in place of the question.
lacking = $(eval lacking := $(shell for package in $(PKGS); do $(PKG_CONFIG) --exists $$package || echo $$package; done; for header in $(HEADERS); do printf '\043include <%s>\n' "$$header" | $(CC) $(CPPFLAGS) -x c -E - >/dev/null 2>&1 || echo "$$header"; done))$(lacking)
PKG_CFLAGS = $(eval PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(call packages,$(PKGS)) | sed 's/-I/-isystem /g'))$(PKG_CFLAGS)
COMMON_LIBS = $(eval COMMON_LIBS := $(shell $(PKG_CONFIG) --libs $(call packages,$(COMMON_PKGS))) -lev -lcap-ng -lcrypt -lz -lm)$(COMMON_LIBS)
SENSOR_LIBS = $(eval SENSOR_LIBS := $(shell $(PKG_CONFIG) --libs $(call packages,libcgroup)) -lpfm -lbpf -lelf -lz)$(SENSOR_LIBS)
CLIENT_LIBS = $(eval CLIENT_LIBS := $(shell $(PKG_CONFIG) --libs $(call packages,libcurl)) -lncursesw -ltinfo)$(CLIENT_LIBS)

# The same binaries from the same sources in any folder; of two that fit, the compilers take the last (tests/system/whole/063-supply-chain).
ANY_FOLDER = -ffile-prefix-map=$(CURDIR)=. -ffile-prefix-map=$(BUILD)=build -ffile-prefix-map=$(abspath $(BUILD))=build
ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -DWATTRIBUTE_VERSION=\"$(VERSION)\" $(WARNINGS) $(WERROR) $(HARDEN) \
	-Iinclude $(INCLUDES) -I$(BUILD) $(PKG_CFLAGS) $(ANY_FOLDER) $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed $(LDHARDEN) $(LDFLAGS)

# main.c of each program stays out of the libraries that tests link.
sources = $(filter-out %/main.c %.bpf.c,$(shell find $(1) -name '*.c' | LC_ALL=C sort))
COMMON_SRC := $(call sources,common)
SENSOR_SRC := $(call sources,sensor)
SIM_SRC := $(call sources,sim)
SERVER_SRC := $(call sources,server)
CLIENT_SRC := $(call sources,client)
SIM_TOOLS_SRC := $(call sources,tests/sim/score) $(wildcard tests/sim/sim_*.c)
obj = $(patsubst %.c,$(BUILD)/%.o,$(1))
LIBS_OURS := $(BUILD)/libcommon.a
PROGRAMS := $(BUILD)/wattribute-sensor $(BUILD)/wattribute-sim $(BUILD)/wattribute-server $(BUILD)/wattribute

UNIT_SRC := $(sort $(shell find tests/unit -name 'test_*.c'))
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(UNIT_SRC))
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/fuzz/%,$(FUZZ_SRC))

.PHONY: all help deps run check seeds check-unit check-fuzz check-lint check-fast check-distributions check-counters unit fuzz explore bench accuracy soak clean install
all: $(PROGRAMS)

help:
	@sed -n 's/^## //p' Makefile

## make            build the programs into build/
## make run        install what is missing, build, and show this machine's containers with their watts
## make check      install what is missing, build, and run every test
## make ARCH=arm64 builds for another architecture, by a cross-compiler, into build-arm64/
## make check-distributions builds and runs the fast tests on Debian 12, 13 and unstable (root; DISTRIBUTIONS=suites)
## make check-counters events and formulas on an arm64 guest's exact hardware counters (tests/kernel/counters)
## make check-kernels [KERNELS="6.1-amd64 ..."]   the kernels that people run, booted in QEMU (tests/kernel/ring.sh names)
## make check-fast lint, unit tests and fuzz corpora only (no root, no Docker)
## make bench      cost by number of containers, beside the peers
## make accuracy   error of every formula on every simulated scenario
## make seeds      each unit test with random input again and again, with new seeds (SECONDS=30 for each)
## make explore    new inputs for the readers of foreign bytes, by libFuzzer; SECONDS=60 for each, TURNS=1, TARGETS="report store"
## make soak       half an hour of churn; 12 hours of ticks by a fast clock; then faults, kills and power cuts (root; MINUTES=30 ROUNDS=20; SHORT=1)
## make sbom       a bill of materials of the programs, SPDX (scripts/sbom.sh --image IMAGE: of an image)
## make install    programs, man pages, units and examples of settings under $(DESTDIR)$(PREFIX) and $(DESTDIR)$(SYSCONFDIR)
## make uninstall  removes them, but no settings and no data
## make deb        Debian packages in the folder above (debhelper)

# Each component sees its own folders and the contracts in include/; the simulator the sensor's too; tests see everything.
$(BUILD)/common/%.o: INCLUDES = -Icommon
$(BUILD)/sensor/%.o: INCLUDES = -Isensor
$(BUILD)/sim/%.o: INCLUDES = -Isensor -I.
$(BUILD)/server/%.o: INCLUDES = -Iserver
$(BUILD)/client/%.o: INCLUDES = -Iclient
$(BUILD)/tests/%.o: INCLUDES = -Icommon -Isensor -Iserver -Iclient -Itests -I. -DCMOCKA_DISABLE_DEPRECATION_WARNINGS

# The value of a variable, for scripts.
print-%:
	@echo '$($*)'

# Both names, as BUILD may be given with or without its whole path: else an object could stay as it is by mistake. Nor may
# one stay that was compiled with other options.
$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -MMD -MP -MT $(abspath $@) -MT $(patsubst $(CURDIR)/%,%,$@) -c -o $@ $<

# The live page is embedded in the server.
$(BUILD)/server/page/page.o: $(wildcard server/page/*.html server/page/*.css server/page/*.js server/page/*.svg server/page/vendor/*)

# The program that counts in the kernel, and its loader's header. Architecture and headers are those of the compiler that
# builds the rest, so that a cross compiler's program is for its own machine. -mcpu=v2: nothing that an older kernel lacks.
BPF_CLANG ?= clang
bpf_machine = $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
bpf_arch = $(shell echo $(bpf_machine) | sed 's/x86_64/x86/; s/i.86/x86/; s/aarch64/arm64/; s/riscv64/riscv/; s/powerpc.*/powerpc/; s/s390x/s390/; s/^arm.*v.*/arm/')
bpf_folder = $(patsubst %/$(1),%,$(filter %/$(1),$(shell echo '#include <$(1)>' | $(CC) -M -x c - 2>/dev/null)))
BPF_FLAGS = -O2 -g -Wall -target bpf -mcpu=v2 -Isensor $(ANY_FOLDER) -D__TARGET_ARCH_$(bpf_arch) \
	$(addprefix -idirafter ,$(sort $(foreach header,asm/types.h linux/bpf.h bpf/bpf_helpers.h,$(call bpf_folder,$(header)))))
$(BUILD)/sensor/source/bpf/count.bpf.o: sensor/source/bpf/count.bpf.c sensor/priv/count.h
	@mkdir -p $(@D)
	$(BPF_CLANG) $(BPF_FLAGS) -c -o $@ $<
$(BUILD)/sensor/priv/count.skel.h: $(BUILD)/sensor/source/bpf/count.bpf.o
	@mkdir -p $(@D)
	PATH="$$PATH:/usr/sbin:/sbin" bpftool gen skeleton $< name count_bpf > $@.new && mv $@.new $@
$(BUILD)/sensor/priv/priv_bpf.o: $(BUILD)/sensor/priv/count.skel.h
$(BUILD)/sensor/priv/priv_bpf.o: ALL_CFLAGS += -Wno-sign-conversion -Wno-conversion

$(BUILD)/libcommon.a: $(call obj,$(COMMON_SRC))
$(BUILD)/libsensor.a: $(call obj,$(SENSOR_SRC))
$(BUILD)/libsim.a: $(call obj,$(SIM_SRC))
$(BUILD)/libsimtools.a: $(call obj,$(SIM_TOOLS_SRC))
$(BUILD)/libserver.a: $(call obj,$(SERVER_SRC))
$(BUILD)/libclient.a: $(call obj,$(CLIENT_SRC))
$(BUILD)/lib%.a:
	@mkdir -p $(@D)
	@rm -f $@
	$(AR) rcsD $@ $^

$(BUILD)/wattribute-sensor: $(BUILD)/sensor/main.o $(BUILD)/libsensor.a $(BUILD)/libcommon.a
	$(CC) $(ALL_LDFLAGS) -o $@ -Wl,--start-group $^ -Wl,--end-group $(SENSOR_LIBS) $(COMMON_LIBS)
$(BUILD)/wattribute-sim: $(BUILD)/sim/main.o $(BUILD)/libsim.a $(BUILD)/libsensor.a $(BUILD)/libcommon.a
	$(CC) $(ALL_LDFLAGS) -o $@ -Wl,--start-group $^ -Wl,--end-group $(SENSOR_LIBS) $(COMMON_LIBS)
$(BUILD)/wattribute-server: $(BUILD)/server/main.o $(BUILD)/libserver.a $(BUILD)/libcommon.a
	$(CC) $(ALL_LDFLAGS) -o $@ -Wl,--start-group $^ -Wl,--end-group $(COMMON_LIBS)
$(BUILD)/wattribute: $(BUILD)/client/main.o $(BUILD)/libclient.a $(BUILD)/libcommon.a
	$(CC) $(ALL_LDFLAGS) -o $@ -Wl,--start-group $^ -Wl,--end-group $(CLIENT_LIBS) $(COMMON_LIBS)

# A unit test links whatever it needs of all our libraries.
TEST_LIBS = $(BUILD)/libsimtools.a $(BUILD)/libsensor.a $(BUILD)/libsim.a $(BUILD)/libserver.a $(BUILD)/libclient.a $(BUILD)/libcommon.a
unit: $(UNIT)
$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(TEST_LIBS)
	$(CC) $(ALL_LDFLAGS) -o $@ $< -Wl,--start-group $(TEST_LIBS) -Wl,--end-group -lcmocka $(SENSOR_LIBS) $(CLIENT_LIBS) $(COMMON_LIBS)

# Fuzz targets replay their corpus with a stand-alone driver. To look for new inputs, libFuzzer is linked in its place; one target alone:
#   make explore TARGETS=report SECONDS=600
fuzz: $(FUZZ)
TURNS ?= 1
explore: SECONDS ?= 60
explore:
	@$(MAKE) -s fuzz EXPLORE=compare CC=clang SANITIZE=address,undefined BUILD=build-fuzz
	@$(MAKE) -s fuzz EXPLORE=fast CC=clang SANITIZE=address,undefined BUILD=build-fuzz/fast
	@nice -n 19 tests/fuzz/driver/explore.py --build build-fuzz --seconds $(SECONDS) --turns $(TURNS) $(TARGETS)
	@tests/fuzz/driver/explore.py --docs
ifeq ($(EXPLORE),)
FUZZ_DRIVER := $(BUILD)/tests/fuzz/driver/replay.o
else
FUZZ_LDFLAGS := -fsanitize=fuzzer
CHECKED += -fsanitize=fuzzer-no-link -fno-sanitize-recover=all -DIPC_MESSAGE_MAX=8192
ifeq ($(EXPLORE),fast)
CHECKED += -fno-sanitize-coverage=trace-cmp,stack-depth,indirect-calls
endif
endif
$(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(FUZZ_DRIVER) $(TEST_LIBS)
	$(CC) $(ALL_LDFLAGS) $(FUZZ_LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(TEST_LIBS) -Wl,--end-group $(SENSOR_LIBS) $(CLIENT_LIBS) $(COMMON_LIBS)

# Streams of the simulated machine without a sensor, for accuracy work.
$(BUILD)/tests/sim/simgen: $(BUILD)/tests/sim/simgen.o $(BUILD)/libsimtools.a $(BUILD)/libsensor.a $(BUILD)/libsim.a $(BUILD)/libcommon.a
	$(CC) $(ALL_LDFLAGS) -o $@ -Wl,--start-group $^ -Wl,--end-group $(SENSOR_LIBS) $(COMMON_LIBS)
# Power reports beside the simulated machine's truth.
$(BUILD)/wattribute-score: $(BUILD)/tests/sim/score/main.o $(BUILD)/libsimtools.a $(BUILD)/libsim.a $(BUILD)/libcommon.a
	$(CC) $(ALL_LDFLAGS) -o $@ -Wl,--start-group $^ -Wl,--end-group $(COMMON_LIBS)
# Recorded reports through one formula, alone.
$(BUILD)/tests/sim/replay: $(BUILD)/tests/sim/replay.o $(BUILD)/libserver.a $(BUILD)/libcommon.a
	$(CC) $(ALL_LDFLAGS) -o $@ -Wl,--start-group $^ -Wl,--end-group $(COMMON_LIBS)
# Is the server's memory flat, whatever the number of containers seen?
$(BUILD)/tests/sim/churn: $(BUILD)/tests/sim/churn.o $(BUILD)/libserver.a $(BUILD)/libcommon.a
	$(CC) $(ALL_LDFLAGS) -o $@ -Wl,--start-group $^ -Wl,--end-group $(COMMON_LIBS)
# Recorded reports into a store, at once or as if they happened now.
$(BUILD)/tests/sim/feed: $(BUILD)/tests/sim/feed.o $(BUILD)/libcommon.a
	$(CC) $(ALL_LDFLAGS) -o $@ -Wl,--start-group $^ -Wl,--end-group $(COMMON_LIBS)

# What runs in the guests of tests/kernel, and the program as each clang here compiles it.
CLANGS = $(notdir $(wildcard $(addprefix /usr/bin/clang-,14 15 16 17 18 19 20 21 22 23)))
KERNEL_PROGRAMS = $(addprefix $(BUILD)/tests/kernel/,lives verify tsc_khz) $(BUILD)/tests/bench/pingpong \
	$(addprefix $(BUILD)/tests/unit/sensor/source/,test_source_bpf test_source_perf test_source_cpustat test_bpf_accuracy test_bpf_moves)
.PHONY: kernel-programs bpf-objects check-kernels
bpf-objects: $(patsubst %,$(BUILD)/kernel/objects/%.o,$(CLANGS))
kernel-programs: all bpf-objects $(KERNEL_PROGRAMS)
$(BUILD)/kernel/objects/%.o: sensor/source/bpf/count.bpf.c sensor/priv/count.h
	@mkdir -p $(@D)
	$* $(BPF_FLAGS) -c -o $@ $<
$(BUILD)/tests/kernel/%: $(BUILD)/tests/kernel/%.o
	$(CC) $(ALL_LDFLAGS) -o $@ $< -lbpf -lelf -lz -pthread
check-kernels:
	@tests/run.sh kernels

deps:
	@scripts/install-deps.sh build

run:
	@scripts/run.sh

check:
	@tests/run.sh

check-lint:
	@tests/run.sh lint
check-unit:
	@tests/run.sh unit
check-fuzz:
	@tests/run.sh fuzz
seeds:
	@tests/seeds.sh $(SECONDS)
check-distributions:
	@tests/distributions.sh $(DISTRIBUTIONS)
check-counters: all
	@tests/kernel/counters $(KERNEL)
check-fast:
	@tests/run.sh lint unit fuzz

# Programs that measure, or that make what is measured.
BENCH := $(patsubst tests/bench/%.c,$(BUILD)/tests/bench/%,$(wildcard tests/bench/*.c))
.PHONY: bench-programs
bench-programs: $(BENCH)
$(BUILD)/tests/bench/%: $(BUILD)/tests/bench/%.o $(BUILD)/libcommon.a
	$(CC) $(ALL_LDFLAGS) -o $@ -Wl,--start-group $^ -Wl,--end-group $(COMMON_LIBS)
# Preloaded by a soak: hours of ticks in minutes, allocations that fail.
$(BUILD)/tests/soak/%.so: tests/soak/%.c Makefile
	@mkdir -p $(@D)
	$(CC) -std=c11 -D_GNU_SOURCE $(WARNINGS) $(WERROR) -O2 -fPIC -shared -o $@ $<
bench: all bench-programs
	@tests/bench/run.sh
accuracy:
	@tests/sim/accuracy.sh
# Each part runs, whatever became of those before. SHORT=1: all of them in half an hour.
ifeq ($(SHORT),)
# The server's tables of containers that are gone are full after 10 minutes: 10,000 at 1,000 a minute.
MINUTES ?= 30
CHURN_OPTIONS = --warm-minutes 12
ROUNDS ?= 20
HOURS_FORMS = "--skip 3.5 --churn 60 --markdown $(BUILD)/hours.md" "--hours 6 --skip 1 --churn 120 --rate 60 --markdown $(BUILD)/hours-from-1.md"
else
# The server's tables of containers that are gone are not full yet: 10,000 of them take 10 MB.
MINUTES ?= 2
CHURN_OPTIONS = --allow-kb 10240
ROUNDS ?= 1
HOURS_FORMS = "--hours 0.5 --skip 0.12 --rate 90 --churn 4 --retention 240"
endif
soak: all bench-programs $(BUILD)/tests/soak/fast_clock.so $(BUILD)/tests/soak/fail_alloc.so
	@failed=0; \
	tests/bench/soak.sh $(MINUTES) $(CHURN_OPTIONS) || failed=1; \
	for form in $(HOURS_FORMS); do tests/soak/twelve_hours.py --build $(BUILD) $$form || failed=1; done; \
	tests/soak/faults.sh $(ROUNDS) || failed=1; \
	exit $$failed

# With PREFIX=/usr the programs read /etc/wattribute; elsewhere they do, too: SYSCONFDIR is where the examples go.
PREFIX ?= /usr/local
SYSCONFDIR ?= /etc
INSTALLED = $(addprefix $(PREFIX)/sbin/,wattribute-sensor wattribute-sim wattribute-server) $(PREFIX)/bin/wattribute \
	$(foreach page,$(notdir $(wildcard man/*.[1-8])),$(PREFIX)/share/man/man$(subst .,,$(suffix $(page)))/$(page)) \
	$(addprefix $(PREFIX)/lib/systemd/system/,$(notdir $(wildcard dist/*.service))) $(PREFIX)/lib/sysusers.d/wattribute.conf \
	$(addprefix $(PREFIX)/share/wattribute/,gpu-nvidia.conf gpu-drm.conf) $(addprefix $(PREFIX)/share/,$(addprefix bash-completion/completions/,wattribute wattribute-sensor wattribute-server) \
		zsh/site-functions/_wattribute fish/vendor_completions.d/wattribute.fish)
EXAMPLES = $(patsubst dist/etc/%,$(SYSCONFDIR)/wattribute/%,$(wildcard dist/etc/*.json)) \
	$(patsubst dist/default/%,$(SYSCONFDIR)/default/%,$(wildcard dist/default/*))
$(BUILD)/completion/%: scripts/completion.sh $(PROGRAMS)
	@mkdir -p $(@D)
	@scripts/completion.sh $* $(BUILD) >$@.new && mv $@.new $@

.PHONY: completion
completion: $(addprefix $(BUILD)/completion/,bash zsh fish)

install: all completion
	install -D -t $(DESTDIR)$(PREFIX)/sbin $(BUILD)/wattribute-sensor $(BUILD)/wattribute-sim $(BUILD)/wattribute-server
	install -D -t $(DESTDIR)$(PREFIX)/bin $(BUILD)/wattribute
	for page in man/*.[1-8]; do install -D -m 644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/}; done
	for name in wattribute wattribute-sensor wattribute-server; do \
		install -D -m 644 $(BUILD)/completion/bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/$$name; done
	install -D -m 644 $(BUILD)/completion/zsh $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_wattribute
	install -D -m 644 $(BUILD)/completion/fish $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/wattribute.fish
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	for unit in dist/*.service; do sed 's|/usr/sbin/|$(PREFIX)/sbin/|' $$unit >$(DESTDIR)$(PREFIX)/lib/systemd/system/$${unit##*/}; done
	install -D -m 644 dist/sysusers.conf $(DESTDIR)$(PREFIX)/lib/sysusers.d/wattribute.conf
	install -D -m 644 -t $(DESTDIR)$(PREFIX)/share/wattribute dist/gpu-nvidia.conf dist/gpu-drm.conf
	for file in $(EXAMPLES); do \
		[ -e "$(DESTDIR)$$file" ] || install -D -m 644 "dist/$$(echo "$$file" | sed 's|^$(SYSCONFDIR)/wattribute/|etc/|; s|^$(SYSCONFDIR)/||')" "$(DESTDIR)$$file"; \
	done

# Settings and data stay: /etc/wattribute, /etc/default/wattribute-*, /var/lib/wattribute.
.PHONY: uninstall deb
uninstall:
	rm -f $(addprefix $(DESTDIR),$(INSTALLED))

deb:
	dpkg-buildpackage -b -us -uc

.PHONY: sbom
sbom: all
	scripts/sbom.sh $(PROGRAMS) >$(BUILD)/wattribute.spdx.json
	@echo "$(BUILD)/wattribute.spdx.json: the programs and the packages of their libraries, SPDX 2.3"

clean:
	rm -rf $(BUILD)

.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
