/* SPDX-License-Identifier: Apache-2.0 */
/* Places in modules: what they look like, and that they name the right file and offset. */
#include "arch/modules.h"

#include <stdio.h>
#include <unistd.h>

#include "test.h"

static int here(void)
{
    return 1;
}

static uintptr_t address_of_here(void)
{
    return (uintptr_t)here;
}

TEST(an_address_of_the_program_names_its_file_and_build_id)
{
    char place[AE__WHERE_BYTES], file[512] = "", id[64] = "", exe[512];
    unsigned long offset = 0;
    ssize_t length = readlink("/proc/self/exe", exe, sizeof exe - 1);

    REQUIRE(length > 0);
    exe[length] = 0;
    size_t said = ae__os_where(address_of_here(), place, sizeof place);
    EXPECT_EQ(said, strlen(place));
    EXPECT_EQ(sscanf(place, "%511s %63[0-9a-f-]+0x%lx", file, id, &offset), 3);
    EXPECT_STREQ(file, exe);
    EXPECT_GE(strlen(id), 16);
    /* in a position-independent program the offset is the address less that of its first byte */
    EXPECT_EQ((address_of_here() - offset) % (uintptr_t)sysconf(_SC_PAGESIZE), 0);
    EXPECT_LT(offset, 1u << 30);
}

TEST(an_address_in_a_library_names_the_library)
{
    char place[AE__WHERE_BYTES];

    /* data: a sanitizer's functions stand before those of libc */
    ae__os_where((uintptr_t)(void *)stdout, place, sizeof place);
    EXPECT_NOT_NULL(strstr(place, "libc"));
    EXPECT_NOT_NULL(strstr(place, "+0x"));
}

TEST(an_address_in_no_module_stays_a_number)
{
    char place[AE__WHERE_BYTES];

    ae__os_where(0x1234, place, sizeof place);
    EXPECT_STREQ(place, "0x1234");
}

TEST(a_list_that_was_read_once_says_the_same)
{
    struct ae__modules *modules = ae__modules_read();
    char one[AE__WHERE_BYTES], two[AE__WHERE_BYTES];
    char on_stack = 0;

    REQUIRE(modules);
    ae__os_where(address_of_here() + 1, one, sizeof one);
    ae__modules_where(modules, address_of_here() + 1, two, sizeof two);
    EXPECT_STREQ(one, two);
    EXPECT_TRUE(ae__modules_hold(modules, (uintptr_t)"text", 5));
    EXPECT_FALSE(ae__modules_hold(modules, (uintptr_t)&on_stack, 1));
    EXPECT_FALSE(ae__modules_hold(modules, address_of_here(), SIZE_MAX));
    ae__modules_free(modules);
    ae__modules_free(NULL);
}

TEST(a_place_that_does_not_fit_is_cut)
{
    char small[8], one[1];

    memset(small, 'x', sizeof small);
    EXPECT_EQ(ae__os_where(address_of_here(), small, sizeof small), 7);
    EXPECT_EQ(small[7], 0);
    EXPECT_EQ(ae__os_where(address_of_here(), one, sizeof one), 0);
    EXPECT_EQ(one[0], 0);
}
