/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growing arrays. Both macros evaluate `array` more than once, and are false if out of memory; the array is
 * then unchanged.
 */
#pragma once

#include <stdbool.h>
#include <stdlib.h>

/* For qsort(): ascending. */
static inline int array_compare_doubles(const void *left, const void *right)
{
	const double a = *(const double *)left, b = *(const double *)right;

	return (a > b) - (a < b);
}

/* Room for `n` elements, at least one. */
#define ARRAY_RESIZE(array, n)                                                                               \
	({                                                                                                   \
		void *resized_ = reallocarray((array), (n), sizeof(*(array)));                               \
		if (resized_)                                                                                \
			(array) = resized_;                                                                  \
		resized_ != NULL;                                                                            \
	})

/* Room for `needed` elements; `capacity` is the present size and at least doubles when it grows. */
#define ARRAY_RESERVE(array, capacity, needed)                                                               \
	({                                                                                                   \
		const size_t needed_ = (needed);                                                             \
		size_t room_ = (capacity);                                                                   \
		bool fits_ = needed_ <= room_;                                                               \
		room_ = needed_ > 2 * room_ ? needed_ + 16 : 2 * room_;                                      \
		if (!fits_ && (__typeof__(capacity))room_ >= needed_ && ARRAY_RESIZE((array), room_)) {      \
			(capacity) = (__typeof__(capacity))room_;                                            \
			fits_ = true;                                                                        \
		}                                                                                            \
		fits_;                                                                                       \
	})
