/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The figures of score.h as a table for people and as JSON for scripts.
 */
#include "sim/score/score.h"

#include <inttypes.h>
#include <math.h>

static void print_errors(const struct score_errors *errors, const char *name, FILE *out)
{
	fprintf(out, "  %-22s %8" PRIu64 " %7.2f %9.3f %9.3f %9.3f %8.1f %8.1f %9.2f %9.2f\n", name,
		errors->rows, 100 * (double)errors->answered / (double)errors->rows, errors->full_mae,
		errors->dynamic_mae, errors->full_mae_all, 100 * errors->full_relative,
		100 * errors->dynamic_relative, errors->full_mean, errors->dynamic_mean);
}

void score_print_table(const struct score_result *result, const char *label, FILE *out)
{
	fprintf(out, "%s: %" PRIu64 " ticks; errors in W, each container-tick summed over sockets\n", label,
		result->ticks);
	for (unsigned s = 0; s < REPORT_SCOPES; s++) {
		const struct score_scope *scope = &result->scopes[s];

		if (!scope->errors.rows)
			continue;
		fprintf(out, "%s\n  %-22s %8s %7s %9s %9s %9s %8s %8s %9s %9s\n", report_scope_names[s],
			"containers", "rows", "cover %", "full MAE", "dyn MAE", "all rows", "full %", "dyn %",
			"true full", "true dyn");
		print_errors(&scope->errors, "all", out);
		for (unsigned i = 0; i < scope->n_kinds; i++)
			print_errors(&scope->kinds[i].errors, scope->kinds[i].name, out);
		fprintf(out,
			"  sum against rapl: mean %.3g W, worst %.3g W; delay %" PRIu64
			" ticks; phantom %.4f W",
			scope->sum_error_mean, scope->sum_error_max, scope->delay, scope->phantom_w);
		fprintf(out,
			"\n  prediction: %.3f W in the first %d ticks, %.3f W after; 90 %% intervals hold "
			"%.1f %% of container-ticks, %.1f %% of recaps",
			scope->foreseen.first_w, SCORE_FIRST_TICKS, scope->foreseen.after_w,
			100 * scope->errors.inside_90, 100 * scope->recaps_90);
		if (isnan(scope->twin_asymmetry_truth))
			fprintf(out, "\n");
		else
			fprintf(out, "; twins differ by %.1f %% (truly %.1f %%)\n",
				100 * scope->twin_asymmetry, 100 * scope->twin_asymmetry_truth);
	}
}

static void print_number(const char *key, double value, FILE *out)
{
	if (isfinite(value))
		fprintf(out, "\"%s\":%.8g,", key, value);
	else
		fprintf(out, "\"%s\":null,", key);
}

static void print_json_errors(const struct score_errors *errors, FILE *out)
{
	print_number("full_mae", errors->full_mae, out);
	print_number("dynamic_mae", errors->dynamic_mae, out);
	print_number("full_mae_all", errors->full_mae_all, out);
	print_number("full_bias", errors->full_bias, out);
	print_number("dynamic_bias", errors->dynamic_bias, out);
	print_number("full_mean", errors->full_mean, out);
	print_number("dynamic_mean", errors->dynamic_mean, out);
	print_number("full_relative", errors->full_relative, out);
	print_number("dynamic_relative", errors->dynamic_relative, out);
	print_number("inside_90", errors->inside_90, out);
	print_number("coverage", (double)errors->answered / (double)errors->rows, out);
	fprintf(out, "\"rows\":%" PRIu64, errors->rows);
}

static void print_foresight(const struct score_foresight *foreseen, FILE *out)
{
	print_number("predicted_first", foreseen->first_w, out);
	print_number("predicted_after", foreseen->after_w, out);
	print_number("predicted_beyond", foreseen->beyond, out);
	print_number("predicted_beyond_true", foreseen->beyond_true, out);
	fprintf(out, "\"predicted_first_ticks\":%" PRIu64 ",\"predicted_after_ticks\":%" PRIu64 ",",
		foreseen->first_ticks, foreseen->after_ticks);
	fprintf(out, "\"predicted_early\":[");
	for (unsigned i = 0; i < SCORE_FIRST_TICKS; i++) {
		fprintf(out, "%s", i ? "," : "");
		if (isfinite(foreseen->early_w[i]))
			fprintf(out, "%.5g", foreseen->early_w[i]);
		else
			fprintf(out, "null");
	}
	fprintf(out, "],");
}

/* The label as a JSON string; characters that would need an escape are omitted. */
static void print_label(const char *label, FILE *out)
{
	for (; *label; label++) {
		if (*label != '"' && *label != '\\' && (unsigned char)*label >= ' ')
			fputc(*label, out);
	}
}

void score_print_json(const struct score_result *result, const char *label, FILE *out)
{
	fprintf(out, "{\"label\":\"");
	print_label(label, out);
	fprintf(out, "\",\"ticks\":%" PRIu64, result->ticks);
	for (unsigned s = 0; s < REPORT_SCOPES; s++) {
		const struct score_scope *scope = &result->scopes[s];

		if (!scope->errors.rows)
			continue;
		fprintf(out, ",\"%s\":{", report_scope_names[s]);
		print_number("sum_error_mean", scope->sum_error_mean, out);
		print_number("sum_error_max", scope->sum_error_max, out);
		print_foresight(&scope->foreseen, out);
		print_number("recaps_90", scope->recaps_90, out);
		print_number("twin_asymmetry", scope->twin_asymmetry, out);
		print_number("twin_asymmetry_truth", scope->twin_asymmetry_truth, out);
		print_number("phantom_w", scope->phantom_w, out);
		fprintf(out, "\"delay\":%" PRIu64 ",", scope->delay);
		print_json_errors(&scope->errors, out);
		fprintf(out, ",\"kinds\":{");
		for (unsigned i = 0; i < scope->n_kinds; i++) {
			fprintf(out, "%s\"", i ? "," : "");
			print_label(scope->kinds[i].name, out);
			fprintf(out, "\":{");
			print_json_errors(&scope->kinds[i].errors, out);
			fprintf(out, "}");
		}
		fprintf(out, "}}");
	}
	fprintf(out, "}\n");
}
