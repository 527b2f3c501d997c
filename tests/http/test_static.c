/* SPDX-License-Identifier: Apache-2.0 */
/* The pure parts of the static file handler: preconditions (each combination against an oracle
 * written as RFC 9110 §13.2.2 reads), ranges, dates, paths, types. What needs a socket is in
 * tests/e2e/serve.py. */
#include "../../http/conditional.h"
#include "../../http/files.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>

#define ETAG "\"tag-1\""
#define MTIME 784111777 /* Sun, 06 Nov 1994 08:49:37 GMT */
#define NOW (MTIME + 1000000)
#define SAME "Sun, 06 Nov 1994 08:49:37 GMT"
#define OLDER "Sun, 06 Nov 1994 08:49:36 GMT"
#define NEWER "Sun, 06 Nov 1994 08:49:38 GMT"
#define FUTURE "Sun, 06 Nov 2094 08:49:37 GMT"

static const struct http_validators HAVE = { ETAG, MTIME, NOW };

/* ---- dates ---- */

TEST(all_three_forms_of_a_date_are_read)
{
    EXPECT_EQ(ae__http_date_parse("Sun, 06 Nov 1994 08:49:37 GMT", NOW), MTIME);
    EXPECT_EQ(ae__http_date_parse("Sunday, 06-Nov-94 08:49:37 GMT", NOW), MTIME);
    EXPECT_EQ(ae__http_date_parse("Sun Nov  6 08:49:37 1994", NOW), MTIME);
    EXPECT_EQ(ae__http_date_parse("Wed Nov 16 08:49:37 1994", NOW), MTIME + 10 * 86400);
    EXPECT_EQ(ae__http_date_parse("Thu, 01 Jan 1970 00:00:00 GMT", NOW), 0);
    EXPECT_EQ(ae__http_date_parse("Thu, 29 Feb 2024 23:59:60 GMT", NOW), 1709251200);
}

TEST(a_two_digit_year_is_at_most_fifty_years_ahead)
{
    int64_t in_2026 = 1795430000;

    EXPECT_EQ(ae__http_date_parse("Tuesday, 06-Nov-76 08:49:37 GMT", in_2026), 3371878177);
    EXPECT_EQ(ae__http_date_parse("Sunday, 06-Nov-77 08:49:37 GMT", in_2026), 247654177);
    EXPECT_EQ(ae__http_date_parse("Sunday, 06-Nov-94 08:49:37 GMT", in_2026), MTIME);
}

TEST(malformed_dates_are_no_dates)
{
    static const char *const BAD[] = {
        "", "0", "784111777", "Sun", "Sun,", "Sun, ", "Sun, 06 Nov 1994",
        "06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37", "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT ", "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT", "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT", "Sun, 00 Nov 1994 08:49:37 GMT",
        "Wed, 29 Feb 2023 08:49:37 GMT", "sun, 06 nov 1994 08:49:37 gmt",
        "Sun,06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sunday, 06-Nov-1994 08:49:37 GMT", "Sun Nov 06 08:49:37 94", "Sun Nov 6 08:49:37 1994",
        "Xyz, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov -994 08:49:37 GMT",
    };

    for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++) {
        if (!EXPECT_TRUE(ae__http_date_parse(BAD[i], NOW) == HTTP_NO_DATE)) test_note("%s", BAD[i]);
    }
}

TEST(a_date_that_is_written_is_read_back)
{
    char text[HTTP_DATE_BYTES];

    ae__http_date_format(MTIME, text);
    EXPECT_STREQ(text, SAME);
    for (int64_t when = 0; when < INT64_C(4102444800); when += 86399 * 7) {
        ae__http_date_format(when, text);
        if (!EXPECT_EQ(ae__http_date_parse(text, NOW), when)) return;
    }
}

/* ---- preconditions ---- */

/* What each field may hold, and what the standard says of it, worked out by hand. */
struct value {
    const char *text;
    bool holds; /* If-Match, If-None-Match: it matches. Dates: see each table */
    bool counts; /* false: absent, or to be ignored */
};

static const struct value IF_MATCH[] = {
    { NULL, false, false },         { "*", true, true },
    { ETAG, true, true },           { "W/" ETAG, false, true },
    { "\"other\"", false, true },   { "\"other\", " ETAG, true, true },
    { "W/" ETAG "," ETAG, true, true }, { "tag-1", false, true },
};
/* holds: not modified since */
static const struct value IF_UNMODIFIED[] = {
    { NULL, false, false }, { SAME, true, true },      { NEWER, true, true },
    { OLDER, false, true }, { "nonsense", true, false }, { FUTURE, true, true },
};
static const struct value IF_NONE_MATCH[] = {
    { NULL, false, false },         { "*", true, true },
    { ETAG, true, true },           { "W/" ETAG, true, true },
    { "\"other\"", false, true },   { "\"a,b\" , " ETAG, true, true },
    { "\"other\", W/\"x\"", false, true }, { "", false, true },
    { "\"tag-1", false, true },
};
/* holds: not modified since */
static const struct value IF_MODIFIED[] = {
    { NULL, false, false }, { SAME, true, true },         { NEWER, true, true },
    { OLDER, false, true }, { "nonsense", false, false }, { FUTURE, false, false },
};
/* holds: the range is of this representation */
static const struct value IF_RANGE[] = {
    { NULL, true, false },   { ETAG, true, true },   { "W/" ETAG, false, true },
    { "\"x\"", false, true }, { SAME, true, true },  { OLDER, false, true },
    { NEWER, false, true },  { "nonsense", false, true },
};

struct combination {
    const struct value *match, *unmodified, *none_match, *modified, *if_range;
    bool get_or_head, range;
};

static enum http_verdict oracle(const struct combination *c)
{
    if (c->match->text && !c->match->holds) return HTTP_PRECONDITION;
    if (!c->match->text && c->unmodified->counts && !c->unmodified->holds) return HTTP_PRECONDITION;
    if (c->none_match->text && c->none_match->holds) {
        return c->get_or_head ? HTTP_NOT_MODIFIED : HTTP_PRECONDITION;
    }
    if (!c->none_match->text && c->get_or_head && c->modified->counts && c->modified->holds) {
        return HTTP_NOT_MODIFIED;
    }
    return c->range && c->if_range->holds ? HTTP_PARTIAL : HTTP_WHOLE;
}

static bool check_combination(const struct combination *c)
{
    struct http_conditions asked = {
        .get_or_head = c->get_or_head,
        .if_match = c->match->text,
        .if_unmodified_since = c->unmodified->text,
        .if_none_match = c->none_match->text,
        .if_modified_since = c->modified->text,
        .range = c->range ? "bytes=0-1" : NULL,
        .if_range = c->if_range->text,
    };
    if (EXPECT_EQ(ae__http_conditions(&asked, &HAVE), oracle(c))) return true;
    test_note("IM %s, IUS %s, INM %s, IMS %s, IR %s, GET %d, Range %d", asked.if_match,
              asked.if_unmodified_since, asked.if_none_match, asked.if_modified_since,
              asked.if_range, c->get_or_head, c->range);
    return false;
}

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* The n-th of all combinations, by taking n apart in mixed radix. */
static struct combination combination_at(size_t n)
{
    struct combination c;

    c.match = &IF_MATCH[n % COUNT(IF_MATCH)];
    n /= COUNT(IF_MATCH);
    c.unmodified = &IF_UNMODIFIED[n % COUNT(IF_UNMODIFIED)];
    n /= COUNT(IF_UNMODIFIED);
    c.none_match = &IF_NONE_MATCH[n % COUNT(IF_NONE_MATCH)];
    n /= COUNT(IF_NONE_MATCH);
    c.modified = &IF_MODIFIED[n % COUNT(IF_MODIFIED)];
    n /= COUNT(IF_MODIFIED);
    c.if_range = &IF_RANGE[n % COUNT(IF_RANGE)];
    n /= COUNT(IF_RANGE);
    c.get_or_head = n & 1;
    c.range = n >> 1;
    return c;
}

TEST(every_combination_of_preconditions_follows_the_standard)
{
    size_t all = COUNT(IF_MATCH) * COUNT(IF_UNMODIFIED) * COUNT(IF_NONE_MATCH) *
                 COUNT(IF_MODIFIED) * COUNT(IF_RANGE) * 4;
    size_t wrong = 0;

    for (size_t n = 0; n < all && wrong < 5; n++) {
        struct combination c = combination_at(n);
        wrong += !check_combination(&c);
    }
    test_note("%zu combinations", all);
}

TEST(a_file_without_a_date_is_compared_by_its_tag_alone)
{
    struct http_validators undated = { ETAG, HTTP_NO_DATE, NOW };
    struct http_conditions since = { .get_or_head = true, .if_modified_since = SAME };
    struct http_conditions unmodified = { .get_or_head = true, .if_unmodified_since = OLDER };
    struct http_conditions range = { .get_or_head = true, .range = "bytes=0-", .if_range = SAME };

    EXPECT_EQ(ae__http_conditions(&since, &undated), HTTP_WHOLE);
    EXPECT_EQ(ae__http_conditions(&unmodified, &undated), HTTP_WHOLE);
    EXPECT_EQ(ae__http_conditions(&range, &undated), HTTP_WHOLE);
}

/* ---- ranges ---- */

/* The ranges of a file of `size` bytes as "0-4,9-9", or "ignored" or "416". */
static const char *ranges_of(const char *field, int64_t size)
{
    static char text[1024];
    struct http_range ranges[HTTP_RANGES_MAX];
    int count = ae__http_ranges(field, size, ranges);
    int used = 0;

    if (count == -ERANGE) return "416";
    if (count == 0) return "ignored";
    REQUIRE(count > 0 && count <= HTTP_RANGES_MAX);
    for (int i = 0; i < count; i++) {
        REQUIRE(ranges[i].first >= 0 && ranges[i].first <= ranges[i].last);
        REQUIRE(ranges[i].last < size);
        used += snprintf(text + used, sizeof text - (size_t)used, "%s%lld-%lld", i ? "," : "",
                         (long long)ranges[i].first, (long long)ranges[i].last);
    }
    return text;
}

TEST(ranges_are_clipped_to_the_file)
{
    EXPECT_STREQ(ranges_of("bytes=0-4", 10), "0-4");
    EXPECT_STREQ(ranges_of("bytes=5-", 10), "5-9");
    EXPECT_STREQ(ranges_of("bytes=-3", 10), "7-9");
    EXPECT_STREQ(ranges_of("bytes=-30", 10), "0-9");
    EXPECT_STREQ(ranges_of("bytes=9-99", 10), "9-9");
    EXPECT_STREQ(ranges_of("BYTES=0-0", 10), "0-0");
    EXPECT_STREQ(ranges_of("bytes=3-99999999999999999999999", 10), "3-9");
    EXPECT_STREQ(ranges_of("bytes=-99999999999999999999999", 10), "0-9");
    EXPECT_STREQ(ranges_of("bytes=0-9223372036854775807", INT64_MAX), "0-9223372036854775806");
}

TEST(ranges_that_hold_nothing_are_not_satisfiable)
{
    EXPECT_STREQ(ranges_of("bytes=10-", 10), "416");
    EXPECT_STREQ(ranges_of("bytes=-0", 10), "416");
    EXPECT_STREQ(ranges_of("bytes=99999999999999999999999-", 10), "416");
    EXPECT_STREQ(ranges_of("bytes=10-11,20-", 10), "416");
    EXPECT_STREQ(ranges_of("bytes=10-11,0-1", 10), "0-1");
}

TEST(malformed_range_fields_are_ignored)
{
    static const char *const BAD[] = {
        "", "bytes", "bytes=", "bytes=,", "bytes 0-1", "bytes=-", "bytes=a-b", "bytes=1",
        "bytes=2-1",
        "bytes=0-1;", "bytes=0-1 2-3", "bytes=--1", "bytes=0--1", "bytes=+0-1", "bytes= 0 - 1",
        "lines=0-1", "bytes=0-1,x", "bytes=0x0-1", "bytes=1-0,2-3",
    };

    for (size_t i = 0; i < COUNT(BAD); i++) EXPECT_STREQ(ranges_of(BAD[i], 10), "ignored");
    EXPECT_STREQ(ranges_of("bytes=0-", 0), "ignored");
    EXPECT_STREQ(ranges_of("bytes=-1", 0), "ignored");
}

TEST(overlapping_and_touching_ranges_become_one)
{
    EXPECT_STREQ(ranges_of("bytes=0-1,2-3", 10), "0-3");
    EXPECT_STREQ(ranges_of("bytes=0-1,3-4", 10), "0-1,3-4");
    EXPECT_STREQ(ranges_of("bytes=8-9,0-1", 10), "8-9,0-1");
    EXPECT_STREQ(ranges_of("bytes=0-1,8-9,0-8", 10), "0-9");
    EXPECT_STREQ(ranges_of("bytes=6-7,0-1,3-4,2-2", 20), "6-7,0-4");
    EXPECT_STREQ(ranges_of("bytes=0-0, ,\t-1,", 10), "0-0,9-9");
}

TEST(more_than_the_file_twice_is_refused)
{
    EXPECT_STREQ(ranges_of("bytes=0-,0-", 10), "0-9");
    EXPECT_STREQ(ranges_of("bytes=0-,0-,0-0", 10), "416");
    EXPECT_STREQ(ranges_of("bytes=0-,0-,0-", INT64_C(1) << 60), "416");
}

static void many_ranges(char *out, size_t size, int count)
{
    int used = snprintf(out, size, "bytes=0-0");

    for (int i = 1; i < count; i++) {
        used += snprintf(out + used, size - (size_t)used, ",%d-%d", i * 3, i * 3);
    }
}

TEST(more_than_sixteen_ranges_are_ignored)
{
    char field[256];

    many_ranges(field, sizeof field, 16);
    EXPECT_STREQ(ranges_of(field, 1000),
                 "0-0,3-3,6-6,9-9,12-12,15-15,18-18,21-21,24-24,27-27,30-30,33-33,36-36,39-39,"
                 "42-42,45-45");
    many_ranges(field, sizeof field, 17);
    EXPECT_STREQ(ranges_of(field, 1000), "ignored");
}

/* For small files: against a bitmap, over all pairs and many triples of positions. */
TEST(joined_ranges_cover_exactly_the_bytes_that_were_asked)
{
    unsigned seed = 1;

    for (int round = 0; round < 20000; round++) {
        char field[128];
        int used = snprintf(field, sizeof field, "bytes="), specs = 1 + rand_r(&seed) % 5;
        unsigned asked = 0, given = 0;
        struct http_range ranges[HTTP_RANGES_MAX];

        for (int i = 0; i < specs; i++) {
            int first = rand_r(&seed) % 20, last = first + rand_r(&seed) % 4;
            used += snprintf(field + used, sizeof field - (size_t)used, "%s%d-%d", i ? "," : "",
                             first, last);
            for (int b = first; b <= last && b < 20; b++) asked |= 1u << b;
        }
        int count = ae__http_ranges(field, 20, ranges);
        for (int i = 0; i < count; i++) {
            for (int64_t b = ranges[i].first; b <= ranges[i].last; b++) {
                REQUIRE(!(given & 1u << b)); /* no byte twice */
                given |= 1u << b;
            }
        }
        if (!EXPECT_EQ(given, asked)) test_note("%s", field);
    }
}

/* ---- paths ---- */

static const char *decoded(const char *raw)
{
    static char out[HTTP_PATH_BYTES];
    int rc = ae__http_path_decode(raw, out);

    return rc == -EINVAL ? "EINVAL" : rc == -ENOENT ? "ENOENT" : rc < 0 ? "other" : out;
}

TEST(paths_are_decoded_once_per_segment)
{
    EXPECT_STREQ(decoded(""), ".");
    EXPECT_STREQ(decoded("a"), "a");
    EXPECT_STREQ(decoded("a/"), "a");
    EXPECT_STREQ(decoded("a/b%20c.html"), "a/b c.html");
    EXPECT_STREQ(decoded("%61%2Fb"), "EINVAL");
    EXPECT_STREQ(decoded("a%252fb"), "a%2fb");
    EXPECT_STREQ(decoded("caf%C3%A9"), "caf\xc3\xa9");
    EXPECT_STREQ(decoded("a..b/c."), "a..b/c.");
    EXPECT_STREQ(decoded("a+b"), "a+b");
    EXPECT_STREQ(decoded("a\\..\\b"), "a\\..\\b");
}

TEST(paths_that_try_to_leave_are_refused)
{
    static const char *const BAD[] = {
        "..", "../x", "a/../b", "a/..", ".", "./a", "a/./b", "%2e%2e/x", "%2E./x", ".%2e", "a/%2e",
        "a%2f..%2fb", "..%2fb", "%00", "a%00.html", "%", "%2", "%zz", "a%2", "%2g", "a/%2e%2e/b",
    };

    for (size_t i = 0; i < COUNT(BAD); i++) EXPECT_STREQ(decoded(BAD[i]), "EINVAL");
}

TEST(hidden_and_empty_segments_do_not_exist)
{
    static const char *const HIDDEN[] = { ".git", ".git/config", "a/.env", "%2egit/config", "...",
                                          "..a", "/", "//", "/etc/passwd", "a//b", "a//" };

    for (size_t i = 0; i < COUNT(HIDDEN); i++) EXPECT_STREQ(decoded(HIDDEN[i]), "ENOENT");
}

TEST(long_paths_are_refused_not_cut)
{
    char *raw = malloc(3 * HTTP_PATH_BYTES);
    char out[HTTP_PATH_BYTES];

    for (size_t length = HTTP_PATH_BYTES - 8; length < HTTP_PATH_BYTES + 8; length++) {
        memset(raw, 'a', length);
        raw[length] = '\0';
        int rc = ae__http_path_decode(raw, out);
        EXPECT_TRUE(rc == -ENAMETOOLONG || (rc == 0 && strlen(out) == length));
        raw[length - 1] = '/';
        rc = ae__http_path_decode(raw, out);
        EXPECT_TRUE(rc == -ENAMETOOLONG || (rc == 0 && strlen(out) == length - 1));
    }
    free(raw);
}

/* ---- types and escaping ---- */

TEST(types_come_from_the_ending)
{
    EXPECT_STREQ(ae__http_mime_type("a/index.html"), "text/html; charset=utf-8");
    EXPECT_STREQ(ae__http_mime_type("A.JPG"), "image/jpeg");
    EXPECT_STREQ(ae__http_mime_type("x.tar.gz"), "application/gzip");
    EXPECT_STREQ(ae__http_mime_type("dir.d/README"), "text/plain; charset=utf-8");
    EXPECT_STREQ(ae__http_mime_type("dir.html/x"), "application/octet-stream");
    EXPECT_STREQ(ae__http_mime_type("x.unknown"), "application/octet-stream");
    EXPECT_STREQ(ae__http_mime_type("x."), "application/octet-stream");
    EXPECT_STREQ(ae__http_mime_type("7.7z"), "application/x-7z-compressed");
    EXPECT_STREQ(ae__http_mime_type("z.zst"), "application/zstd");
}

TEST(every_ending_of_the_table_is_found)
{
    static const char *const ENDINGS[] = {
        "aac", "apng", "atom", "avif", "bmp", "br", "bz2", "c", "conf", "cpp", "css", "csv", "eot",
        "epub", "flac", "gif", "gz", "h", "htm", "html", "ico", "ics", "ini", "jpeg", "jpg", "js",
        "json", "jsonld", "jxl", "log", "m4a", "map", "md", "mjs", "mov", "mp3", "mp4", "mpeg",
        "oga", "ogg", "ogv", "opus", "otf", "pdf", "png", "py", "rs", "rss", "rtf", "sh", "svg",
        "tar", "tif", "tiff", "toml", "ts", "ttf", "txt", "vtt", "wasm", "wav", "weba", "webm",
        "webmanifest", "webp", "woff", "woff2", "xhtml", "xml", "xz", "yaml", "yml", "zip", "zst",
    };
    char name[32];

    for (size_t i = 0; i < COUNT(ENDINGS); i++) {
        snprintf(name, sizeof name, "f.%s", ENDINGS[i]);
        EXPECT_TRUE(strcmp(ae__http_mime_type(name), "application/octet-stream") != 0);
    }
}

TEST(what_is_shown_is_escaped)
{
    struct http_text text = { 0 };

    ae__http_text_add_html(&text, "<a href=\"x\">'&'</a>");
    EXPECT_STREQ(text.data, "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
    ae__http_text_free(&text);
    ae__http_text_add_url(&text, "a b/\"<>&?#%:'\n\xc3\xa9.~");
    EXPECT_STREQ(text.data, "a%20b%2F%22%3C%3E%26%3F%23%25%3A%27%0A%C3%A9.~");
    ae__http_text_free(&text);
}
