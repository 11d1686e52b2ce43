/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A formula turns a tick into modelled watts; conserve.c then makes them add up to the measured power. Each
 * formula is one file with one const table; docs/energy-model.md explains them. Pure: no I/O, no clock, the
 * same input gives the same output. One instance serves one sensor.
 */
#pragma once

#include "tick/tick.h"
#include "base/reason.h"

#include <bson/bson.h>

/* Options of all formulas; each formula ignores those of others. */
struct formula_config {
	bool strict_reference;                   /* smartwatts: with its known defects */
	double cpu_tdp_w;                        /* smartwatts: 400 */
	double cpu_base_clock_mhz;               /* 100 */
	double cpu_base_freq_mhz;                /* 2100 */
	double interval_ms;                      /* sensor-reports-frequency: 1000 */
	double error_threshold_w[REPORT_SCOPES]; /* 2, 2 */
	unsigned learn_min_samples;              /* 10 */
	unsigned learn_history;                  /* 60 */
	unsigned learn_error_window;             /* 60 */
	int learn_error_mean;                    /* 0: the median */
};

struct formula_socket {
	bool valid; /* there is a measurement; else no rows for this socket and scope */
	double measured_w;
	double predicted_w;  /* made before this tick's energy was used; NAN: no model yet */
	double static_w;     /* modelled, 0..measured */
	double error_w;      /* recent mean absolute error of the prediction; NAN: unknown */
	double dynamic_sd_w; /* standard deviation of the dynamic power, where part_sd is given */
};

/*
 * Modelled power of one tick. Arrays are the formula's, valid until its next run.
 * dynamic_w[scope][socket * (n_targets + 1) + target]: W before conservation; the last one of a socket is
 * `system` (machine minus targets); NAN: no row. Where `final`, dynamic_w and fixed_w are the answer and are
 * not conserved.
 */
struct formula_result {
	struct formula_socket sockets[REPORT_SCOPES][TICK_SOCKETS_MAX];
	double *dynamic_w[REPORT_SCOPES];
	double *fixed_w[REPORT_SCOPES]; /* only where final */
	/* Standard deviation of dynamic_w / its sum over the socket, in this order; NULL or NAN: unknown. */
	double *part_sd[REPORT_SCOPES];
	bool final;
	bool calibrated; /* it began with priors learnt from known loads on this machine */
	char label[48];  /* written to metadata.formula */
};

/* State of a model for `/metrics` and the state line. */
struct formula_state {
	uint64_t samples;
	double error_w; /* NAN: unknown */
	char text[160];
};

struct formula_ops {
	const char *name;
	/* NULL if out of memory. */
	void *(*make)(const struct formula_config *config);
	/* 0 or -ENOMEM. Never fails on numbers: missing or absurd values are bridged. */
	int (*run)(void *formula, const struct tick *tick, struct formula_result *ret_result);
	/* Appends the model's state, version included; load refuses a state that it does not know (-EINVAL,
	 * reason). */
	int (*save)(const void *formula, bson_t *document);
	int (*load)(void *formula, const bson_t *document, struct reason *why);
	/* Takes a state saved by a model that learnt from known loads on this machine as priors, for an empty
	 * model and one that restarts later; it applies to ticks whose energy is `estimated` as that of the
	 * loads was. 0, -ENOMEM, or -EINVAL with a reason. NULL: no priors. */
	int (*calibrate)(void *formula, const bson_t *document, bool estimated, struct reason *why);
	void (*describe)(const void *formula, enum report_scope scope, unsigned socket,
			 struct formula_state *ret_state);
	void (*free)(void *formula);
};

/* Every formula, in the order of --help: a row here, and a file that defines formula_NAME. */
#define FORMULA_LIST(ROW)                                                                                    \
	ROW(pooled)                                                                                          \
	ROW(smartwatts)                                                                                      \
	ROW(share)

#define FORMULA_DECLARE(name) extern const struct formula_ops formula_##name;
FORMULA_LIST(FORMULA_DECLARE)
extern const struct formula_ops *const formula_all[]; /* NULL-terminated, as are the names */
extern const char *const formula_names[];
/* For a formula that cannot load a state: -EINVAL, with the reason. */
int formula_refuse(struct reason *why, const char *name, const char *reason);
