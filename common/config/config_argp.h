/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between config_argp.c and config_argp_error.c: why getopt refused a command line. Nobody else includes
 * this.
 */
#pragma once

#include "config/config_private.h"
#include "base/reason.h"

struct argp_option;

bool config_row_has_argument(const struct config_row *row);
/* `next`: index in argv of what getopt would have read next. Always returns -EINVAL with a reason. */
int config_explain_refusal(const struct argp_option *options, int argc, char *argv[], int next,
			   struct reason *why);
