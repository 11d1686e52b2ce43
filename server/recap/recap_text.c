/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A recap as text, which tester.sh prints at the end of a run. Pure.
 */
#include "recap/recap_bson.h"
#include "base/cleanup.h"
#include "base/text.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct text {
	char *at;
	size_t size;
	size_t length;
};

static void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void text_add(struct text *text, const char *format, ...)
{
	size_t left = text->length < text->size ? text->size - text->length : 0;
	va_list arguments;
	int n;

	va_start(arguments, format);
	n = vsnprintf(left ? text->at + text->length : NULL, left, format, arguments);
	va_end(arguments);
	if (n > 0)
		text->length += (size_t)n;
}

static void text_add_number(struct text *text, double value)
{
	if (isfinite(value))
		text_add(text, " %10.*f", value < 99999.95 ? 3 : 1, value);
	else
		text_add(text, " %10s", "-");
}

static void text_add_error(struct text *text, double value)
{
	const char *small = text_small_error(value);

	if (small)
		text_add(text, " %10s", small);
	else
		text_add_number(text, value);
}

/* "~" marks a mean over less than a tick. */
static void text_add_watts(struct text *text, double value, bool brief)
{
	char number[32];

	(void)snprintf(number, sizeof(number), "%s%.3f", brief ? "~" : "", value);
	text_add(text, " %10s", isfinite(value) ? number : "-");
}

static void text_add_row(struct text *text, const struct recap *recap, enum report_scope scope,
			 enum recap_phase phase)
{
	static const char *const phase_names[RECAP_PHASES] = {"whole run", "warm-up", "execution"};
	const struct recap_sum *sum = &recap->target[scope][phase];
	const char *name = report_scope_names[scope];
	/* A long name takes the blanks beside it. */
	const int beyond = strlen(name) > 5 ? (int)strlen(name) - 5 : 0;

	text_add(text, "%-10s %-5s %*.3f", phase_names[phase], name, 8 - beyond,
		 recap_phase_s(&recap->window, phase));
	text_add_number(text, sum->samples ? sum->total_j : recap->machine[scope][phase].samples ? 0 : NAN);
	text_add_error(text, recap_sd_j(sum, scope));
	text_add_number(text, sum->dynamic_j);
	text_add_watts(text, recap_mean_w(recap, sum, phase), recap_is_brief(recap, phase));
	text_add_number(text,
			recap->machine[scope][phase].samples ? recap->machine[scope][phase].total_j : NAN);
	text_add(text, "\n");
}

/* Adds what was run, if the request contains it. */
static void text_add_request(struct text *text, const struct recap_request *request)
{
	char value[1024];
	static const struct {
		const char *field, *words;
	} known[] = {
		{"image", "image"}, {"command", "command"}, {"exit_status", "exit status"}, {"cpus", "CPUs"}};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++) {
		for (unsigned n = 0; n < request->n_extras; n++) {
			if (strcmp(request->extras[n].name, known[i].field) == 0)
				text_add(text, "%s: %s\n", known[i].words,
					 text_copy_plain(request->extras[n].value, value, sizeof(value)));
		}
	}
}

static void text_add_brief(struct text *text, const struct recap *recap)
{
	for (unsigned phase = 0; phase < RECAP_PHASES; phase++) {
		if (!recap_is_brief(recap, (enum recap_phase)phase))
			continue;
		text_add(text, "note: ~ marks watts over less than one reading (%.3f s); use the joules\n",
			 recap_tick_s(recap, (enum recap_phase)phase));
		return;
	}
}

size_t recap_text(const struct recap_request *request, const struct recap *recap, char *ret, size_t size)
{
	static const enum recap_phase order[RECAP_PHASES] = {RECAP_WARMUP, RECAP_EXECUTION, RECAP_WHOLE};
	struct text text = {ret, size, 0};
	double coverage = recap_coverage(recap);
	char warning[RECAP_WARNING_SIZE], name[512], machine[512];

	text_add(&text, "energy of %s on %s\n",
		 text_copy_plain(request->name[0] ? request->name : request->id, name, sizeof(name)),
		 text_copy_plain(request->machine, machine, sizeof(machine)));
	text_add(&text, "%-10s %-5s %8s %10s %10s %10s %10s %10s\n", "phase", "scope", "seconds", "joules",
		 "+- J", "dynamic J", "mean W", "machine J");
	for (unsigned scope = 0; scope < REPORT_SCOPES_ALL; scope++) {
		if (scope != REPORT_SCOPE_CPU && !recap->machine[scope][RECAP_WHOLE].samples)
			continue;
		/* In a run without markers, the execution is the whole run. */
		for (unsigned i = recap_phase_s(&recap->window, RECAP_WARMUP) > 0 ? 0 : RECAP_PHASES - 1;
		     i < RECAP_PHASES; i++)
			text_add_row(&text, recap, (enum report_scope)scope, order[i]);
	}
	text_add_request(&text, request);
	if (recap->formula)
		text_add(&text, "formula: %s\n", recap->formula);
	text_add_brief(&text, recap);
	if (coverage < 0.995)
		text_add(&text, "note: reports cover only %.0f %% of the run\n", coverage * 100);
	if (recap->estimated)
		text_add(&text, "note: this machine has no energy counter; watts are estimated from its "
				"utilization\n");
	if (recap_warning(recap, request->machine, warning, sizeof(warning)))
		text_add(&text, "note: %s\n", warning);
	return text.length;
}
