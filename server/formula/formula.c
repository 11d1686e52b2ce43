/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of formulas. Used when the server reads its configuration. Does not know what a formula computes.
 */
#include "formula/formula.h"

#include <errno.h>
#include <stddef.h>

#define FORMULA_ADDRESS(name) &formula_##name,
#define FORMULA_NAME(name)    #name,

const struct formula_ops *const formula_all[] = {FORMULA_LIST(FORMULA_ADDRESS) NULL};
const char *const formula_names[] = {FORMULA_LIST(FORMULA_NAME) NULL};

int formula_refuse(struct reason *why, const char *name, const char *reason)
{
	return reason_set(why, -EINVAL, "state of formula %s: %s", name, reason);
}
