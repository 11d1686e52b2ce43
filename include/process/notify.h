/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Readiness and status for systemd (sd_notify's datagrams), without its library. The socket is opened once,
 * before privileges are dropped. Without NOTIFY_SOCKET, everything here does nothing and succeeds.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

struct notify {
	int socket;                    /* -1: not used */
	uint64_t watchdog_interval_ms; /* interval for notify_watchdog() (half of what systemd requires); 0:
					  no watchdog */
};

/* 0, or a negative errno: the address is invalid or nobody listens; the struct can be used nevertheless. */
int notify_init(struct notify *notify);
/* READY=1 with a status line. */
int notify_ready(struct notify *notify, const char *status);
/* Interval at which the process `of` has to send keep-alives: WATCHDOG_USEC applies to the process in
 * WATCHDOG_PID. 0: never. */
uint64_t notify_watchdog_ms(pid_t of);
/* STATUS=…; one line about what the daemon does. */
int notify_status(struct notify *notify, const char *format, ...) __attribute__((format(printf, 2, 3)));
int notify_watchdog(struct notify *notify);
int notify_stopping(struct notify *notify);
void notify_done(struct notify *notify);
