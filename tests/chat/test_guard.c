/* SPDX-License-Identifier: Apache-2.0 */
/* Covers: chat/guard.c, its rules alone; tests/chat/security.py has them in a server. */
#include "guard.h"
#include "test.h"

static const struct guard LOCAL = { .names = { "chat.example.org" }, .names_count = 1 };
static const struct guard PUBLIC = { .any_address = true };

TEST(this_machine_and_given_names_are_hosts)
{
    static const char *const good[] = { "localhost", "LocalHost:1", "127.0.0.1", "127.255.0.9:80",
                                        "[::1]", "[::1]:8080", "a.localhost", "localhost.",
                                        "chat.example.org", "CHAT.example.org:443" };

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (!guard_host_ok(&LOCAL, good[i])) test_fail(__FILE__, __LINE__, "%s", good[i]);
    }
}

TEST(everything_else_is_no_host)
{
    static const char *const bad[] = { "", ".", ":80", "evil.example", "localhost.evil.example",
                                       "evillocalhost", "127.0.0.1.nip.io", "127.0.0.256", "127.1",
                                       "0127.0.0.1x", "1270.0.0.1", "[::1", "[::1]x", "[::2]",
                                       "localhost:80x", "localhost:80:80", "user@localhost",
                                       "10.0.0.1", "192.168.0.1", "[fe80::1]", ".localhost",
                                       "[localhost]", "[127.0.0.1]", "[:a.localhost]:80",
                                       "[::1.localhost]" };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (guard_host_ok(&LOCAL, bad[i])) test_fail(__FILE__, __LINE__, "%s", bad[i]);
    }
}

TEST(beyond_loopback_addresses_are_hosts_and_names_are_not)
{
    EXPECT_TRUE(guard_host_ok(&PUBLIC, "10.1.2.3:8080"));
    EXPECT_TRUE(guard_host_ok(&PUBLIC, "[2001:db8::1]:8080"));
    EXPECT_FALSE(guard_host_ok(&PUBLIC, "evil.example"));
    EXPECT_FALSE(guard_host_ok(&PUBLIC, "1.2.3.4.5"));
    EXPECT_FALSE(guard_host_ok(&PUBLIC, "0x7f.1"));
}

TEST(an_origin_is_the_pages_own_with_its_port)
{
    EXPECT_TRUE(guard_origin_ok("http://localhost:8080", "localhost:8080"));
    EXPECT_TRUE(guard_origin_ok("https://chat.example.org", "chat.example.org"));
    EXPECT_FALSE(guard_origin_ok("http://localhost:8081", "localhost:8080"));
    EXPECT_FALSE(guard_origin_ok("http://localhost", "localhost:8080"));
    EXPECT_FALSE(guard_origin_ok("localhost:8080", "localhost:8080"));
    EXPECT_FALSE(guard_origin_ok("null", "localhost"));
    EXPECT_FALSE(guard_origin_ok("http://", ""));
}

TEST(a_key_is_right_as_a_whole_or_wrong)
{
    EXPECT_TRUE(guard_key_ok("0123456789abcdef", "Bearer 0123456789abcdef"));
    EXPECT_TRUE(guard_key_ok("0123456789abcdef", "bearer 0123456789abcdef"));
    EXPECT_FALSE(guard_key_ok("0123456789abcdef", "Bearer 0123456789abcde"));
    EXPECT_FALSE(guard_key_ok("0123456789abcdef", "Bearer 0123456789abcdefg"));
    EXPECT_FALSE(guard_key_ok("0123456789abcdef", "Bearer  0123456789abcdef"));
    EXPECT_FALSE(guard_key_ok("0123456789abcdef", "Basic 0123456789abcdef"));
    EXPECT_FALSE(guard_key_ok("0123456789abcdef", NULL));
}

TEST(only_addresses_of_this_machine_need_no_key)
{
    EXPECT_TRUE(guard_is_loopback("127.0.0.1:8080"));
    EXPECT_TRUE(guard_is_loopback("[::1]:0"));
    EXPECT_TRUE(guard_is_loopback("unix:/tmp/x"));
    EXPECT_FALSE(guard_is_loopback(":8080"));
    EXPECT_FALSE(guard_is_loopback("0.0.0.0:8080"));
    EXPECT_FALSE(guard_is_loopback("192.0.2.1:8080"));
    EXPECT_FALSE(guard_is_loopback("127.example.org:80"));
}
