/* SPDX-License-Identifier: Apache-2.0 */
/* What is written into a listing: nothing of a file's name can end an attribute, open a tag, or
 * leave its place in a URL; and decoding the URL gives the name again. */
#include "../../http/escape.h"
#include "../../http/files.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_text html = { 0 }, url = { 0 };
    char *name = copy_of(data, size);

    ae__http_text_add(&html, "", 0);
    ae__http_text_add_html(&html, name);
    ae__http_text_add_url(&url, name);
    if (html.data) CHECK(strcspn(html.data, "<>\"'") == html.length);
    if (url.data) {
        CHECK(strcspn(url.data, "<>\"'/?# ") == url.length);
        CHECK(ae__http_unescape(url.data, url.length, false) == strlen(name));
        CHECK(strcmp(url.data, name) == 0);
    }
    CHECK(ae__http_mime_type(name) != NULL);
    ae__http_text_free(&html);
    ae__http_text_free(&url);
    free(name);
    return 0;
}
