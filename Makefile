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
HARDEN := -fstack-protector-strong -fPIE
ifeq ($(SANITIZE),)
HARDEN += -D_FORTIFY_SOURCE=2
else
HARDEN += -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -DWATTRIBUTE_SANITIZED
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
COMMON_PKGS = $(MONGO) sqlite3 jansson libmicrohttpd libseccomp
PKGS = $(COMMON_PKGS) libcgroup libcurl
packages = $(if $(lacking),$(error pkg-config does not find: $(lacking). Install the packages: scripts/install-deps.sh build),$(1))
# Asked once: the first use puts the answer in place of the question.
lacking = $(eval lacking := $(shell for package in $(PKGS); do $(PKG_CONFIG) --exists $$package || echo $$package; done))$(lacking)
PKG_CFLAGS = $(eval PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(call packages,$(PKGS)) | sed 's/-I/-isystem /g'))$(PKG_CFLAGS)
COMMON_LIBS = $(eval COMMON_LIBS := $(shell $(PKG_CONFIG) --libs $(call packages,$(COMMON_PKGS))) -lev -lcap-ng -lz -lm)$(COMMON_LIBS)
SENSOR_LIBS = $(eval SENSOR_LIBS := $(shell $(PKG_CONFIG) --libs $(call packages,libcgroup)) -lpfm -lbpf -lelf -lz)$(SENSOR_LIBS)
# For tests alone.
LAPACK_LIBS = $(eval LAPACK_LIBS := $(shell $(PKG_CONFIG) --libs lapacke))$(LAPACK_LIBS)
CLIENT_LIBS = $(eval CLIENT_LIBS := $(shell $(PKG_CONFIG) --libs $(call packages,libcurl)) -lncurses -ltinfo)$(CLIENT_LIBS)

ALL_CFLAGS = -std=c11 -D_GNU_SOURCE -DWATTRIBUTE_VERSION=\"$(VERSION)\" $(WARNINGS) $(WERROR) $(HARDEN) \
	-Iinclude $(INCLUDES) -I$(BUILD) $(PKG_CFLAGS) $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(LDHARDEN) $(LDFLAGS)

# main.c of each program stays out of the libraries that tests link.
sources = $(filter-out %/main.c %.bpf.c,$(shell find $(1) -name '*.c' | sort))
COMMON_SRC := $(call sources,common)
SENSOR_SRC := $(call sources,sensor)
SIM_SRC := $(call sources,sim)
SERVER_SRC := $(call sources,server)
CLIENT_SRC := $(call sources,client)
obj = $(patsubst %.c,$(BUILD)/%.o,$(1))
LIBS_OURS := $(BUILD)/libcommon.a
PROGRAMS := $(BUILD)/wattribute-sensor $(BUILD)/wattribute-sim $(BUILD)/wattribute-server $(BUILD)/wattribute

UNIT_SRC := $(sort $(shell find tests/unit -name 'test_*.c'))
UNIT := $(patsubst tests/unit/%.c,$(BUILD)/tests/unit/%,$(UNIT_SRC))
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ := $(patsubst tests/fuzz/%.c,$(BUILD)/tests/fuzz/%,$(FUZZ_SRC))

.PHONY: all help deps run check check-unit check-fuzz check-lint check-fast check-distributions check-counters unit fuzz bench accuracy soak clean install
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
## make soak       half an hour of churn; growth of memory and descriptors
## make install    programs, man pages and units under $(DESTDIR)$(PREFIX)

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

# Both names, as BUILD may be given with or without its whole path: else an object could stay as it is by mistake.
$(BUILD)/%.o: %.c
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
BPF_FLAGS = -O2 -g -Wall -target bpf -mcpu=v2 -Isensor -D__TARGET_ARCH_$(bpf_arch) \
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
$(BUILD)/libserver.a: $(call obj,$(SERVER_SRC))
$(BUILD)/libclient.a: $(call obj,$(CLIENT_SRC))
$(BUILD)/lib%.a:
	@mkdir -p $(@D)
	@rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/wattribute-sensor: $(BUILD)/sensor/main.o $(BUILD)/libsensor.a $(BUILD)/libcommon.a
	$(CC) $(ALL_LDFLAGS) -o $@ -Wl,--start-group $^ -Wl,--end-group $(SENSOR_LIBS) $(COMMON_LIBS)
$(BUILD)/wattribute-sim: $(BUILD)/sim/main.o $(BUILD)/libsim.a $(BUILD)/libsensor.a $(BUILD)/libcommon.a
	$(CC) $(ALL_LDFLAGS) -o $@ -Wl,--start-group $^ -Wl,--end-group $(SENSOR_LIBS) $(COMMON_LIBS)
$(BUILD)/wattribute-server: $(BUILD)/server/main.o $(BUILD)/libserver.a $(BUILD)/libcommon.a
	$(CC) $(ALL_LDFLAGS) -o $@ -Wl,--start-group $^ -Wl,--end-group $(COMMON_LIBS)
$(BUILD)/wattribute: $(BUILD)/client/main.o $(BUILD)/libclient.a $(BUILD)/libcommon.a
	$(CC) $(ALL_LDFLAGS) -o $@ -Wl,--start-group $^ -Wl,--end-group $(CLIENT_LIBS) $(COMMON_LIBS)

# A unit test links whatever it needs of all our libraries. LAPACKE is the reference for our own small solvers.
$(BUILD)/tests/unit/%.o: PKGS += lapacke
TEST_LIBS = $(BUILD)/libsensor.a $(BUILD)/libsim.a $(BUILD)/libserver.a $(BUILD)/libclient.a $(BUILD)/libcommon.a
unit: $(UNIT)
$(BUILD)/tests/unit/%: $(BUILD)/tests/unit/%.o $(TEST_LIBS)
	$(CC) $(ALL_LDFLAGS) -o $@ $< -Wl,--start-group $(TEST_LIBS) -Wl,--end-group -lcmocka $(LAPACK_LIBS) $(SENSOR_LIBS) $(CLIENT_LIBS) $(COMMON_LIBS)

# Fuzz targets replay their corpus with a stand-alone driver. To look for new inputs, link libFuzzer in its place:
#   make fuzz EXPLORE=1 CC=clang SANITIZE=address,undefined BUILD=build-fuzz
#   build-fuzz/tests/fuzz/fuzz_report new-inputs tests/fuzz/corpus/report
fuzz: $(FUZZ)
ifeq ($(EXPLORE),)
FUZZ_DRIVER := $(BUILD)/tests/fuzz/replay.o
else
FUZZ_LDFLAGS := -fsanitize=fuzzer
HARDEN += -fsanitize=fuzzer-no-link
endif
$(BUILD)/tests/fuzz/%: $(BUILD)/tests/fuzz/%.o $(FUZZ_DRIVER) $(TEST_LIBS)
	$(CC) $(ALL_LDFLAGS) $(FUZZ_LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(TEST_LIBS) -Wl,--end-group $(SENSOR_LIBS) $(CLIENT_LIBS) $(COMMON_LIBS)

# Streams of the simulated machine without a sensor, for accuracy work.
$(BUILD)/tests/sim/simgen: $(BUILD)/tests/sim/simgen.o $(BUILD)/libsensor.a $(BUILD)/libsim.a $(BUILD)/libcommon.a
	$(CC) $(ALL_LDFLAGS) -o $@ -Wl,--start-group $^ -Wl,--end-group $(SENSOR_LIBS) $(COMMON_LIBS)
# Power reports beside the simulated machine's truth.
$(BUILD)/wattribute-score: $(BUILD)/sim/score/main.o $(BUILD)/libsim.a $(BUILD)/libcommon.a
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
KERNEL_PROGRAMS = $(BUILD)/tests/kernel/lives $(BUILD)/tests/kernel/verify \
	$(addprefix $(BUILD)/tests/unit/sensor/source/,test_source_bpf test_source_perf test_source_cpustat test_bpf_accuracy)
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
bench: all bench-programs
	@tests/bench/run.sh
accuracy:
	@tests/sim/accuracy.sh
soak: all bench-programs
	@tests/bench/soak.sh $(MINUTES)

PREFIX ?= /usr/local
install: all
	install -D -t $(DESTDIR)$(PREFIX)/sbin $(BUILD)/wattribute-sensor $(BUILD)/wattribute-sim $(BUILD)/wattribute-server
	install -D -t $(DESTDIR)$(PREFIX)/bin $(BUILD)/wattribute
	for page in man/*.[1-8]; do install -D -m 644 $$page $(DESTDIR)$(PREFIX)/share/man/man$${page##*.}/$${page##*/}; done
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	for unit in dist/*.service; do sed 's|/usr/sbin/|$(PREFIX)/sbin/|' $$unit >$(DESTDIR)$(PREFIX)/lib/systemd/system/$${unit##*/}; done

clean:
	rm -rf $(BUILD)

.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
