/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses from text, and back: what is accepted means the same after both. */
#include "aether/net.h"
#include "fuzz.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = copy_of(data, size), back[AE_ADDR_TEXT_MAX];
    ae_addr addr, again;

    int rc = ae_addr_parse(text, &addr);
    CHECK(rc == 0 || rc == -EINVAL);
    if (rc == 0) {
        CHECK(addr.length <= sizeof addr.storage);
        ae_addr_format(&addr, back, sizeof back);
        CHECK(strlen(back) < sizeof back);
        CHECK(ae_addr_parse(back, &again) == 0);
        CHECK(again.length == addr.length);
        CHECK(memcmp(again.storage, addr.storage, addr.length) == 0);
        CHECK(ae_addr_port(&again) == ae_addr_port(&addr));
        ae_addr_format(&addr, back, 5); /* too short: cut, never beyond */
        CHECK(strlen(back) < 5);
    }
    free(text);
    return 0;
}
