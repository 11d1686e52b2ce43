/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The privileged side: a closed table of typed requests, each validated, each answered with descriptors or an
 * errno and a short cause. Called by the first process of the sensor; priv_client.h is the other end. It
 * parses no files except the kernel's lists of threads, keeps nothing between requests except the last loaded
 * BPF program, and ends at the first malformed message.
 */
#pragma once

#include "priv/container_file.h"
#include "priv/priv_resctrl.h"
#include "event/event.h"
#include "base/reason.h"

#include <stdbool.h>
#include <stddef.h>

#define PRIV_GROUP_EVENTS_MAX 32
#define PRIV_CGROUP_PATH_MAX  4096
#define PRIV_ID_MAX           128
#define PRIV_STATUS_MAX       400

/* Notices of `collect` to the service manager, which listens only to the first process. */
enum priv_notice {
	PRIV_NOTICE_READY,  /* with a status */
	PRIV_NOTICE_STATUS, /* the same */
	PRIV_NOTICE_ALIVE,
	PRIV_NOTICES
};

/* The limits of requests. All strings outlive the process's loop. */
struct priv_bpf;
struct priv_config {
	const char *sysfs_root; /* "/sys" */
	const char *perf_root;  /* mount of the hierarchy that perf_event uses; NULL: no events of cgroups */
	const struct container_roots *containers; /* the runtimes' folders; NULL: no such file is opened */
	struct priv_bpf **bpf;                    /* holds the one program (NULL at first); NULL: no BPF */
	/* NULL: not available. Returns a descriptor, or a negative errno. */
	int (*start_gpus)(void *data);
	void *gpus_data;
	/* NULL: notices are ignored. The status is printable ASCII. */
	void (*notice)(void *data, enum priv_notice notice, const char *status);
	void *notice_data;
	const char *resctrl_root; /* "/sys/fs/resctrl"; NULL: no monitoring groups */
	const char *cgroup_root;  /* mount of the hierarchy that is watched; NULL: no threads are moved */
};

enum priv_request {
	PRIV_REQUEST_OPEN_GROUP = 1,
	PRIV_REQUEST_OPEN_FILE = 2,
	PRIV_REQUEST_OPEN_CONTAINER_FILE = 3,
	PRIV_REQUEST_BPF_LOAD = 4,
	PRIV_REQUEST_BPF_GROUP = 5, /* opens a machine-wide group and keeps it for the program */
	PRIV_REQUEST_BPF_ATTACH = 6,
	PRIV_REQUEST_BPF_UPDATE =
		7, /* maps cgroups to slots; then, if requested, runs the program once on every CPU */
	PRIV_REQUEST_GPUS = 8,    /* starts the process that reads GPUs; a socket to it */
	PRIV_REQUEST_RESCTRL = 9, /* monitoring groups: priv_resctrl.h */
	PRIV_REQUEST_NOTICE = 10, /* enum priv_notice, status; the only one that is not answered */
	PRIV_REQUESTS,
	PRIV_ANSWER = 0x80, /* the answer to request x is x | PRIV_ANSWER */
};

/* Files of the machine that may be requested by an ID; nothing else can be named. Opened for reading. */
enum priv_file {
	PRIV_FILE_POWERCAP_ENERGY, /* id: zone, "intel-rapl:0" or "intel-rapl:0:1" */
	PRIV_FILE_HWMON,           /* id: device and file, "hwmon3/power1_average" */
	PRIV_FILES
};

/* One perf group: the first event leads. Counts one cgroup on one CPU, or the whole CPU. */
struct priv_group {
	const char *cgroup; /* below perf_root, with a leading slash; "": machine-wide */
	unsigned cpu;
	unsigned n_events;
	const struct event_attr *events;
};

/*
 * Serves one message of `socket`. 1: done (also if the request failed: the client has the errno); 0: the
 * client is gone; negative: a malformed message was logged, and the process must end.
 */
int priv_serve(int socket, const struct priv_config *config);

/* Absolute, without components ".", ".." or empty ones, and not too long. */
bool priv_path_is_clean(const char *path);
/* The hierarchy that perf_event uses is cgroup v2. */
bool priv_perf_is_unified(const struct priv_config *config);
/* May these events be opened? Same result as priv_open_group(), without opening them. */
int priv_check_group(const struct priv_config *config, const struct priv_group *group, struct reason *cause);
/*
 * These execute the requests, also without a privileged process, and validate everything. This one opens the
 * group disabled, then enables it as a whole. ret_fds has n_events entries, the leader first; reading the
 * leader returns PERF_FORMAT_GROUP | TOTAL_TIME_ENABLED | TOTAL_TIME_RUNNING, reading another event returns
 * its own count with the same times. -EINVAL also means that these events do not fit into one group.
 */
int priv_open_group(const struct priv_config *config, const struct priv_group *group, int *ret_fds,
		    struct reason *cause);
/* The same in two steps, for a group with another reader, which cannot know earlier counts. */
int priv_open_group_disabled(const struct priv_config *config, const struct priv_group *group, int *ret_fds,
			     struct reason *cause);
int priv_enable_group(int leader, struct reason *cause);
/* Returns the descriptor or a negative errno. Container files: container_file.h has the table. */
int priv_open_file(const struct priv_config *config, enum priv_file kind, const char *id,
		   struct reason *cause);
