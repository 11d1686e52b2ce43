/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wattribute-score: compares power reports with the truth of a simulated machine. For accuracy work; it is
 * built with `make build/wattribute-score` and is not installed.
 */
#include "sim/score/score.h"

int main(int argc, char *argv[])
{
	return score_main(argc, argv);
}
