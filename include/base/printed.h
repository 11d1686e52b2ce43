/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether everything that was printed to a stream was written: a full disk and a closed pipe are noticed only
 * when the buffer is flushed. Each program calls this for standard output at its end.
 */
#pragma once

#include <stdio.h>

/* 0, or a negative errno if something that was printed is not written (-EIO if the cause is unknown). */
int printed_flush(FILE *out);
/* The same, and closes it if it is not standard output. */
int printed_close(FILE *out);
