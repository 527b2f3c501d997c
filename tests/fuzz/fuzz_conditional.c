/* SPDX-License-Identifier: Apache-2.0 */
/* Conditional requests and dates: lines are the fields' values; an empty one is absent. */
#include "../../http/conditional.h"
#include "fuzz.h"

static const char *take_field(struct input *in, char **owned)
{
    *owned = take_text(in);
    return *owned && **owned ? *owned : NULL;
}

static void check_date(const char *text)
{
    char out[HTTP_DATE_BYTES];
    int64_t when = ae__http_date_parse(text, 784111777);

    if (when == HTTP_NO_DATE || when < -INT64_C(62135596800) || when > INT64_C(253402300799))
        return;
    ae__http_date_format(when, out);
    CHECK(strlen(out) == HTTP_DATE_BYTES - 1);
    if (when >= 0) CHECK(ae__http_date_parse(out, 784111777) == when);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, data + size };
    const struct http_validators have = { "\"a-1\"", 784111777, 784111800 };
    char *owned[6];
    struct http_conditions asked = { .get_or_head = size % 2 == 0 };

    asked.if_match = take_field(&in, &owned[0]);
    asked.if_unmodified_since = take_field(&in, &owned[1]);
    asked.if_none_match = take_field(&in, &owned[2]);
    asked.if_modified_since = take_field(&in, &owned[3]);
    asked.range = take_field(&in, &owned[4]);
    asked.if_range = take_field(&in, &owned[5]);
    enum http_verdict verdict = ae__http_conditions(&asked, &have);
    if (verdict == HTTP_PARTIAL) CHECK(asked.range);
    if (verdict == HTTP_NOT_MODIFIED) CHECK(asked.if_none_match || asked.if_modified_since);
    if (verdict == HTTP_NOT_MODIFIED) CHECK(asked.get_or_head);
    if (!asked.if_match && !asked.if_unmodified_since && !asked.if_none_match) {
        CHECK(verdict != HTTP_PRECONDITION);
    }
    for (int i = 0; i < 6; i++) {
        if (owned[i]) check_date(owned[i]);
        free(owned[i]);
    }
    return 0;
}
