/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls that each duty may make, by name: lists, and one function that loads them. Each process
 * calls it last before its loop. With SANDBOX_LOG, calls newly made by a libc appear in the audit log.
 */
#include "process/sandbox.h"

#include "base/cleanup.h"
#include "base/reason.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41 /* Linux 5.17; glibc names its memory with it */
#endif

const char *const sandbox_mode_names[] = {"off", "log", "errno", "kill", NULL};

/*
 * Memory, time, signals, the event loop, open descriptors, reading files. unlink: libmongoc, which every
 * process links, removes its counters in /dev/shm at exit; what else could be removed is limited by the user.
 */
static const char calls_of_all[] =
	"read readv pread64 preadv preadv2 write writev pwrite64 lseek close close_range "
	"fstat newfstatat fstatat64 stat lstat statx statfs fstatfs access faccessat faccessat2 "
	"readlink readlinkat getdents getdents64 getcwd fcntl fcntl64 dup dup2 dup3 fadvise64 "
	"pipe2 "
	"epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2 poll ppoll "
	"select pselect6 eventfd2 "
	"timerfd_create timerfd_settime timerfd_gettime signalfd4 inotify_init1 "
	"inotify_add_watch inotify_rm_watch "
	"sendmsg recvmsg sendto recvfrom shutdown getsockopt setsockopt getsockname getpeername "
	"rt_sigaction setitimer rt_sigprocmask rt_sigreturn rt_sigtimedwait sigaltstack tgkill "
	"nanosleep clock_nanosleep clock_gettime clock_getres gettimeofday time times "
	"getpid gettid getppid getuid geteuid getgid getegid getgroups getpgrp getrusage "
	"getrlimit prlimit64 capget sysinfo uname "
	"mmap mmap2 munmap mremap mprotect madvise brk "
	"futex getrandom getcpu sched_yield sched_getaffinity membarrier rseq set_robust_list "
	"restart_syscall "
	"unlink "
	"exit exit_group";

/*
 * The client side of a network, name resolution, threads of libraries, and files that are written (SQLite,
 * CSV, BSON).
 */
static const char calls_of_write[] =
	"open openat openat2 socket socketpair connect bind sendmmsg recvmmsg unlinkat "
	"rename renameat renameat2 ftruncate truncate fallocate "
	"fsync fdatasync sync_file_range flock mkdir mkdirat rmdir "
	"chmod fchmod fchmodat fchown chown umask utimensat "
	"msync mlock munlock "
	"clone clone3 set_tid_address pwritev sched_getparam sched_getscheduler "
	"sched_get_priority_max sched_get_priority_min sched_setscheduler arch_prctl";

/* Listening, and handling existing child processes. No exec. */
static const char calls_of_server[] = "listen accept accept4 wait4 waitid kill";

/*
 * Calls that neither the first process of a sensor nor its children ever make: an allow list would have to
 * include the calls of all of them.
 */
static const char calls_of_nobody[] =
	"mount umount2 pivot_root chroot open_tree move_mount fsopen fsconfig fsmount "
	"mount_setattr "
	"unshare setns ptrace process_vm_readv process_vm_writev kcmp "
	"init_module finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff "
	"acct quotactl "
	"settimeofday clock_settime clock_adjtime adjtimex iopl ioperm "
	"mknod mknodat sethostname setdomainname syslog "
	"add_key request_key keyctl "
	"userfaultfd io_uring_setup open_by_handle_at name_to_handle_at personality vhangup "
	"memfd_secret";

/* Allowed operations on a BPF map whose descriptor was passed: reading it, and deleting entries. */
static const int bpf_commands[] = {
	BPF_MAP_LOOKUP_ELEM,  BPF_MAP_UPDATE_ELEM,  BPF_MAP_DELETE_ELEM,
	BPF_MAP_GET_NEXT_KEY, BPF_MAP_LOOKUP_BATCH, BPF_MAP_LOOKUP_AND_DELETE_BATCH,
	BPF_MAP_DELETE_BATCH,
};

/*
 * ioctl(2) and prctl(2) have hundreds of operations: only these are allowed. No TIOCSTI, which types into the
 * terminal of the user who started the daemon, and no PR_SET_DUMPABLE, which lets others read this memory.
 */
static const unsigned ioctl_requests[] = {
	TCGETS,
	TIOCGWINSZ,
	FIONREAD,
	FIONBIO,
	FIOCLEX,
	FIONCLEX,
	PERF_EVENT_IOC_ENABLE,
	PERF_EVENT_IOC_DISABLE,
	PERF_EVENT_IOC_RESET,
	PERF_EVENT_IOC_ID,
};
static const int prctl_options[] = {
	PR_SET_NAME,     PR_GET_NAME,         PR_SET_PDEATHSIG,    PR_GET_PDEATHSIG,  PR_GET_DUMPABLE,
	PR_CAPBSET_READ, PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS, PR_SET_TIMERSLACK, PR_SET_VMA,
};

/*
 * Adds a rule for each call in the blank-separated list. Names unknown to this libseccomp or machine are
 * skipped: they cannot be called either.
 */
static int add_calls(scmp_filter_ctx filter, uint32_t action, const char *names)
{
	char name[32];
	int r = 0;

	for (int length; r == 0 && sscanf(names, "%31s%n", name, &length) == 1; names += length) {
		int number = seccomp_syscall_resolve_name(name);

		if (number != __NR_SCMP_ERROR)
			r = seccomp_rule_add(filter, action, number, 0);
		if (r == -EDOM || r == -EEXIST)
			r = 0;
	}
	return r;
}

/* The kernel uses 32 bits of both: higher bits must not hide another number. */
static int allow_numbered(scmp_filter_ctx filter)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(ioctl_requests); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
				     SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, ioctl_requests[i]));
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(prctl_options); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
				     SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, (scmp_datum_t)prctl_options[i]));
	return r;
}

static int allow_reading(scmp_filter_ctx filter)
{
	const scmp_datum_t writing = O_ACCMODE | O_CREAT | O_TRUNC;
	int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
				 SCMP_A2(SCMP_CMP_MASKED_EQ, writing, O_RDONLY));

	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(open), 1,
				     SCMP_A1(SCMP_CMP_MASKED_EQ, writing, O_RDONLY));
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(bpf_commands); i++)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(bpf), 1,
				     SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)bpf_commands[i], 0));
	return r;
}

static int refuse_calls(scmp_filter_ctx filter, uint32_t action)
{
	static const unsigned typing[] = {TIOCSTI, TIOCLINUX, TIOCSETD, TIOCCONS, TIOCSCTTY};
	int r = add_calls(filter, action, calls_of_nobody);

	/* Operations that type into a terminal, paste, or take it over. The children's own lists have few
	 * ioctls. */
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(typing); i++)
		r = seccomp_rule_add(filter, action, SCMP_SYS(ioctl), 1,
				     SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, typing[i]));
	return r;
}

static int add_rules(scmp_filter_ctx filter, enum sandbox_profile profile)
{
	int r = add_calls(filter, SCMP_ACT_ALLOW, calls_of_all);

	if (r == 0)
		r = allow_numbered(filter);
	if (r < 0)
		return r;
	if (profile == SANDBOX_COLLECT)
		return allow_reading(filter);
	r = add_calls(filter, SCMP_ACT_ALLOW, calls_of_write);
	/* Signal 0 only asks whether a process exists. */
	if (r == 0)
		r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(kill), 1, SCMP_A1(SCMP_CMP_EQ, 0, 0));
	if (r == 0 && profile == SANDBOX_SERVER)
		r = add_calls(filter, SCMP_ACT_ALLOW, calls_of_server);
	return r;
}

static uint32_t forbidden_action(enum sandbox_mode mode)
{
	switch (mode) {
	case SANDBOX_LOG:
		return SCMP_ACT_LOG;
	case SANDBOX_KILL:
		return SCMP_ACT_KILL_PROCESS;
	case SANDBOX_OFF:
	case SANDBOX_ERRNO:
		break;
	}
	return SCMP_ACT_ERRNO(EPERM);
}

static unsigned n_filters;

unsigned sandbox_filters(void)
{
	return n_filters;
}

/* Asks with an address that cannot be read: only a kernel that takes filters looks at it. */
static bool has_filters(struct reason *why)
{
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL, 0, 0) == 0 || errno == EFAULT || errno == ENOMEM)
		return true;
	reason_set(why, 0, "%s",
		   errno == EPERM || errno == EACCES
			   ? "another seccomp filter (the container's or the unit's) refuses it"
			   : "this kernel has no seccomp filters (CONFIG_SECCOMP_FILTER)");
	return false;
}

/* 0 or a negative errno: the kernel's, or libseccomp's, which are not always -ENOMEM if memory is exhausted.
 */
static int install(enum sandbox_profile profile, uint32_t action)
{
	const bool priv = profile == SANDBOX_PRIV;
	scmp_filter_ctx filter = seccomp_init(priv ? SCMP_ACT_ALLOW : action);
	int r;

	if (!filter)
		return -ENOMEM;
	/* Report the kernel's own errors, which otherwise are all -ECANCELED. */
	r = seccomp_attr_set(filter, SCMP_FLTATR_API_SYSRAWRC, 1);
	if (r == 0)
		r = priv ? refuse_calls(filter, action) : add_rules(filter, profile);
	if (r == 0)
		r = seccomp_load(filter);
	seccomp_release(filter);
	return r;
}

int sandbox_enter(enum sandbox_profile profile, enum sandbox_mode mode, struct reason *why)
{
	int r;

	reason_clear(why);
	if (mode == SANDBOX_OFF)
		return 0;
#ifdef WATTRIBUTE_SANITIZED
	(void)profile, (void)install, (void)forbidden_action, (void)has_filters, (void)r;
	return reason_set(
		why, -EOPNOTSUPP,
		"a build with sanitizers makes additional system calls; no seccomp filter is installed");
#else
	if (!has_filters(why))
		return -EOPNOTSUPP;
	r = install(profile, forbidden_action(mode));
	if (r < 0)
		return reason_set(why, r == -EOPNOTSUPP ? -ECANCELED : r,
				  "cannot install the seccomp filter: %s%s", strerror(-r),
				  r == -ENOMEM ? "" : "; memory may be exhausted");
	n_filters++;
	return 0;
#endif
}
