/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs that belong together (the repetitions of one command, the stored runs of one name), their figures from
 * recaps, and two or more such groups printed side by side. Pure except for the printing.
 */
#pragma once

#include "base/reason.h"
#include "compare/sample.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

enum compare_figure { COMPARE_ENERGY, COMPARE_DYNAMIC, COMPARE_SECONDS, COMPARE_WATTS, COMPARE_FIGURES };

/* The scopes cpu, dram and gpu together; NAN: unknown. */
struct compare_run {
	double figures[COMPARE_FIGURES]; /* J, J, s, W */
	double sd_j;                     /* the model's own error of the energy */
	double begin_ms;
	int exit_status; /* -1: unknown */
	bool is_brief;   /* shorter than a tick: its watts are derived from a longer measurement */
	bool is_estimated;
	bool is_partial; /* reports cover only a part of it, and so do its joules */
	bool is_unfound; /* no report of its container was found: its energy is unknown */
	bool is_outlier; /* in energy*/
};

struct compare_group {
	const char *name; /* as given: a command, the name of a run */
	struct compare_run *runs;
	size_t n_runs;
};

enum compare_format { COMPARE_TEXT, COMPARE_CSV, COMPARE_JSON, COMPARE_MARKDOWN };
/* NULL-terminated, in the enum's order. */
extern const char *const compare_format_names[];

/* "FORMAT" or "FORMAT:FILE", as --export takes it; the path "-" without a file. 0 or -EINVAL. */
int compare_parse_export(const char *text, enum compare_format *ret_format, const char **ret_path,
			 struct reason *why);
/*
 * Adds the figures of a recap, or of a phase of it ("warmup", "execution"; NULL: the whole run). 0, -ENOENT
 * if there is no such phase, or -ENOMEM.
 */
int compare_group_add(struct compare_group *group, const json_t *recap, const char *phase);
void compare_group_done(struct compare_group *group);
/* Summarises one figure. */
void compare_group_summarize(const struct compare_group *group, enum compare_figure figure,
			     struct sample *ret);
/* Prints the groups in a format, with the ratios of the first one to each. 0 or -EIO. */
int compare_print(FILE *out, enum compare_format format, struct compare_group *groups, size_t n_groups);
