/* SPDX-License-Identifier: Apache-2.0 */
/* The request head: what it says of a whole input agrees with what it says of any prefix. */
#include "../../http/h1.h"
#include "fuzz.h"

static const struct h1_limits limits = { 512, 1024, 20, 256, 64 };

static ssize_t parse(struct h1_head *head, const uint8_t *bytes, size_t size)
{
    char *copy = copy_of(bytes, size);
    ssize_t rc = ae__h1_head_parse(head, &limits, copy, size);

    CHECK(rc <= (ssize_t)size);
    CHECK(rc >= 0 || head->reason);
    free(copy);
    return rc;
}

static void check_span(struct h1_span span, size_t size)
{
    CHECK(span.at <= size && span.length <= size - span.at);
}

static void check_head(const struct h1_head *head, const uint8_t *bytes, size_t size)
{
    char *copy = copy_of(bytes, size);

    check_span(head->method, size);
    check_span(head->target, size);
    check_span(head->path, size);
    check_span(head->query, size);
    check_span(head->authority, size);
    check_span(head->host, size);
    CHECK(head->field_count <= limits.fields);
    for (unsigned i = 0; i < head->field_count; i++) {
        check_span(head->fields[i].name, size);
        check_span(head->fields[i].value, size);
        CHECK(ae__h1_token_ok(copy + head->fields[i].name.at, head->fields[i].name.length));
    }
    ae__h1_head_terminate(head, copy);
    CHECK(strlen(copy + head->method.at) == head->method.length);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct h1_head whole, part;
    ssize_t rc = parse(&whole, data, size);

    if (rc > 0) check_head(&whole, data, (size_t)rc);
    for (size_t cut = 0; cut < size; cut += 1 + size / 40) {
        ssize_t before = parse(&part, data, cut);
        if (before < 0) CHECK(before == rc);
        if (before > 0) CHECK(before == rc);
        if (before == 0 && rc > 0) CHECK(cut < (size_t)rc);
    }
    return 0;
}
