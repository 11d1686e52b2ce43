/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose turn it is to read: readers that want to wait in a row, few reads are under way at a time, and none
 * begins while writing lags. So memory is bounded by the reads under way and the writer's queue, however many
 * sensors there are and however much they have written meanwhile. Called by input.c.
 */
#include "input/input_private.h"

#define READS_MAX 4    /* more would not be faster: the store's process does one thing at a time */
#define PAUSE_S   0.05 /* while writing lags */

static void turn_pause_over(struct ev_loop *loop, ev_timer *timer, int events)
{
	(void)loop, (void)events;
	input_turn_go(timer->data);
}

void input_turn_init(struct input *input)
{
	input->waiting_last = &input->waiting;
	ev_init(&input->pause, turn_pause_over);
	input->pause.data = input;
}

void input_turn_stop(struct input *input)
{
	ev_timer_stop(input->loop, &input->pause);
}

void input_turn_ask(struct reader *reader)
{
	struct input *input = reader->input;

	reader->next_waiting = NULL;
	*input->waiting_last = reader;
	input->waiting_last = &reader->next_waiting;
	input_turn_go(input);
}

void input_turn_over(struct input *input)
{
	input->n_reading--;
}

void input_turn_go(struct input *input)
{
	struct reader *reader;

	while (!input->stopped && input->n_reading < READS_MAX && (reader = input->waiting)) {
		if (input->events.is_full(input->events.data)) {
			input->statistics.paused++;
			ev_timer_stop(input->loop, &input->pause);
			ev_timer_set(&input->pause, PAUSE_S, 0);
			ev_timer_start(input->loop, &input->pause);
			return;
		}
		input->waiting = reader->next_waiting;
		if (!input->waiting)
			input->waiting_last = &input->waiting;
		input->n_reading += reader_read(reader) == 0;
	}
}
