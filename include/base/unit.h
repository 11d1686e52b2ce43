/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Conversions from the units of clocks and of the kernel's files, for any number type.
 */
#pragma once

#define UNIT_S_OF_MS(ms)     ((double)(ms) / 1000)
#define UNIT_S_OF_NS(ns)     ((double)(ns)*1e-9)
#define UNIT_OF_MICRO(micro) ((double)(micro)*1e-6) /* uJ to J, uW to W */
