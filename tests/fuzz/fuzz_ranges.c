/* SPDX-License-Identifier: Apache-2.0 */
/* Range fields: what comes out lies in the file, in the stated number, and not twice. */
#include "../../http/conditional.h"
#include "fuzz.h"

#include <errno.h>

static void check(const struct http_range *ranges, int count, int64_t size)
{
    CHECK(count <= HTTP_RANGES_MAX);
    for (int i = 0; i < count; i++) {
        CHECK(ranges[i].first >= 0 && ranges[i].first <= ranges[i].last && ranges[i].last < size);
        for (int j = 0; j < i; j++) {
            CHECK(ranges[i].first > ranges[j].last + 1 || ranges[j].first > ranges[i].last + 1);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t sizes[] = { 0, 1, 10, 1000, INT64_C(1) << 40, INT64_MAX };
    char *field = copy_of(data, size);

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct http_range ranges[HTTP_RANGES_MAX];
        int count = ae__http_ranges(field, sizes[i], ranges);
        CHECK(count >= 0 || count == -ERANGE);
        if (count > 0) check(ranges, count, sizes[i]);
        if (sizes[i] == 0) CHECK(count <= 0);
    }
    free(field);
    return 0;
}
