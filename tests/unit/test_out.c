/* SPDX-License-Identifier: Apache-2.0 */
/* Buffered text: nothing is lost or twice at the seams of the buffer; the first error stays. */
#include "base/out.h"

#include <stdio.h>
#include <stdlib.h>

#include "test.h"

static char written[4 * AE__OUT_BYTES];
static size_t written_bytes;
static int writes, fail_with;

static int collect(void *context, const void *data, size_t size)
{
    EXPECT_PTR_EQ(context, written);
    writes++;
    if (fail_with) return fail_with;
    REQUIRE(size <= sizeof written - written_bytes);
    memcpy(written + written_bytes, data, size);
    written_bytes += size;
    return 0;
}

static struct ae__out out;

TEST(words_and_numbers_come_out_in_order)
{
    ae__out_init(&out, collect, written);
    ae__out_text(&out, "a ");
    ae__out_number(&out, 0);
    ae__out_bytes(&out, " bc", 2);
    ae__out_number(&out, UINT64_MAX);
    ae__out_text(&out, " ");
    ae__out_hex(&out, 0xdeadbeef0);
    ae__out_format(&out, " %s %d", "x", -1);
    EXPECT_EQ(writes, 0);
    EXPECT_EQ(ae__out_finish(&out), 0);
    EXPECT_EQ(writes, 1);
    written[written_bytes] = 0;
    EXPECT_STREQ(written, "a 0 b18446744073709551615 0xdeadbeef0 x -1");
}

TEST(more_than_the_buffer_holds_comes_out_whole)
{
    static char text[AE__OUT_BYTES + 1000];

    for (size_t i = 0; i < sizeof text; i++) text[i] = (char)('a' + i % 23);
    ae__out_init(&out, collect, written);
    ae__out_bytes(&out, text, 999);
    ae__out_bytes(&out, text + 999, sizeof text - 999);
    EXPECT_EQ(ae__out_finish(&out), 0);
    EXPECT_EQ(written_bytes, sizeof text);
    EXPECT_EQ(writes, 2);
    EXPECT_MEMEQ(written, text, sizeof text);
}

TEST(the_first_error_stays_and_ends_the_writing)
{
    ae__out_init(&out, collect, written);
    fail_with = -EPIPE;
    for (int i = 0; i < AE__OUT_BYTES; i++) ae__out_text(&out, "xyz");
    fail_with = -EIO;
    EXPECT_EQ(ae__out_finish(&out), -EPIPE);
    EXPECT_EQ(writes, 1);
}
