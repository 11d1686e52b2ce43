/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libbson of the driver's 1.x and 2.x alike: the calls that 2.x deprecates have their new names here, and 1.x
 * gets them as the old ones. To be included instead of <bson/bson.h> where such a call is made.
 */
#pragma once

#include <bson/bson.h>

#ifndef BSON_APPEND_ARRAY_UNSAFE_BEGIN
#define BSON_APPEND_ARRAY_UNSAFE_BEGIN BSON_APPEND_ARRAY_BEGIN
#define bson_append_array_unsafe_begin bson_append_array_begin
#endif
