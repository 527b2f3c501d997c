/* SPDX-License-Identifier: Apache-2.0 */
/* Covers: src/driver/names.c */
#include "driver/names.h"
#include "io_test.h"

static void expect_round_trip(const char *text, const char *again)
{
    char buf[AE_ADDR_TEXT_MAX];
    ae_addr addr;

    if (!EXPECT_EQ(ae_addr_parse(text, &addr), 0)) return;
    ae_addr_format(&addr, buf, sizeof buf);
    EXPECT_STREQ(buf, again);
}

TEST(addresses_survive_a_round_trip)
{
    expect_round_trip("127.0.0.1:80", "127.0.0.1:80");
    expect_round_trip("0.0.0.0:0", "0.0.0.0:0");
    expect_round_trip("255.255.255.255:65535", "255.255.255.255:65535");
    expect_round_trip("[::1]:80", "[::1]:80");
    expect_round_trip("[2001:DB8:0:0:0:0:0:1]:443", "[2001:db8::1]:443");
    expect_round_trip(":8080", "[::]:8080");
    expect_round_trip("unix:/tmp/a.sock", "unix:/tmp/a.sock");
    expect_round_trip("unix:relative", "unix:relative");
    expect_round_trip("unix:@abstract", "unix:@abstract");
}

TEST(what_is_no_address_is_refused)
{
    static const char *const bad[] = {
        "",           "80",          "localhost:80", "127.0.0.1",      "127.0.0.1:",
        "1.2.3:80",   "1.2.3.256:1", "1.2.3.4:65536", "1.2.3.4:99999999", "1.2.3.4:-1",
        "1.2.3.4:+1", "1.2.3.4: 1",  "1.2.3.4:8o",   "[::1]",          "[::1]:",
        "[::1:80",    "::1]:80",     "[]:80",        "[:::]:80",       "[1.2.3.4]:80",
        "unix:",      "unix:@",      "[",            "]:1",            "[]",
    };
    ae_addr addr;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (ae_addr_parse(bad[i], &addr) != -EINVAL) test_fail(__FILE__, __LINE__, "%s", bad[i]);
    }
}

TEST(unix_path_of_full_length_fits_and_one_more_does_not)
{
    char text[5 + 108 + 1] = "unix:";
    char buf[AE_ADDR_TEXT_MAX];
    ae_addr addr;

    memset(text + 5, 'x', 107);
    EXPECT_EQ(ae_addr_parse(text, &addr), 0);
    ae_addr_format(&addr, buf, sizeof buf);
    EXPECT_STREQ(buf, text);
    text[5 + 107] = 'x';
    EXPECT_EQ(ae_addr_parse(text, &addr), -EINVAL);
}

TEST(format_never_overruns_its_buffer)
{
    char buf[8] = "1234567";
    ae_addr addr;

    EXPECT_EQ(ae_addr_parse("127.0.0.1:80", &addr), 0);
    ae_addr_format(&addr, buf, 4);
    EXPECT_STREQ(buf, "127");
    EXPECT_EQ(buf[4], '5');
    ae_addr_format(&addr, buf, 1);
    EXPECT_STREQ(buf, "");
}

TEST(port_is_read_of_both_families)
{
    ae_addr addr = { 0 };

    EXPECT_EQ(ae_addr_port(&addr), 0);
    EXPECT_EQ(ae_addr_parse("1.2.3.4:5678", &addr), 0);
    EXPECT_EQ(ae_addr_port(&addr), 5678);
    EXPECT_EQ(ae_addr_parse("[::1]:5679", &addr), 0);
    EXPECT_EQ(ae_addr_port(&addr), 5679);
    EXPECT_EQ(ae_addr_parse("unix:x", &addr), 0);
    EXPECT_EQ(ae_addr_port(&addr), 0);
}

TEST(an_empty_address_has_a_text)
{
    char buf[AE_ADDR_TEXT_MAX];
    ae_addr addr = { 0 };

    ae_addr_format(&addr, buf, sizeof buf);
    EXPECT_STREQ(buf, "?");
}

TEST(numeric_hosts_resolve_without_a_name_server)
{
    char buf[AE_ADDR_TEXT_MAX];
    ae_addr found[4];

    REQUIRE(ae__names_resolve("127.0.0.1", "81", found, 4) == 1);
    ae_addr_format(&found[0], buf, sizeof buf);
    EXPECT_STREQ(buf, "127.0.0.1:81");
    EXPECT_EQ(ae__names_resolve("127.0.0.1", "no-such-service", found, 4), -ENOENT);
}
