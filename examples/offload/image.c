/* SPDX-License-Identifier: Apache-2.0 */
/* A server that blurs four megapixels: /inline on its worker, /offloaded by ae_par_for. */
#include <aether/aether.h>
#include <aether/http.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
enum { SIDE = 2048, RADIUS = 8, SPAN = 2 * RADIUS + 1 };

typedef uint8_t line[SIDE];
struct blur {
    line *across, *both; /* blurred along the lines, and then down the columns */
};
static line picture[SIDE];
/* [work] */
static int clamp(int i)
{
    return i < 0 ? 0 : i >= SIDE ? SIDE - 1 : i;
}

static int blur_across(void *arg, size_t begin, size_t end)
{
    for (size_t y = begin; y < end; y++) {
        int sum = 0;
        for (int x = -RADIUS; x < RADIUS; x++) sum += picture[y][clamp(x)];
        for (int x = 0; x < SIDE; x++) {
            sum += picture[y][clamp(x + RADIUS)];
            ((struct blur *)arg)->across[y][x] = (uint8_t)(sum / SPAN);
            sum -= picture[y][clamp(x - RADIUS)];
        }
    }
    return 0;
}

static int blur_down(void *arg, size_t begin, size_t end)
{
    const struct blur *b = arg;
    for (size_t y = begin; y < end; y++) {
        uint16_t sums[SIDE] = { 0 };
        for (int d = -RADIUS; d <= RADIUS; d++) {
            const uint8_t *from = b->across[clamp((int)y + d)];
            for (int x = 0; x < SIDE; x++) sums[x] = (uint16_t)(sums[x] + from[x]);
        }
        for (int x = 0; x < SIDE; x++) b->both[y][x] = (uint8_t)(sums[x] / SPAN);
    }
    return 0;
}

static int blur(struct blur *b, bool in_place)
{
    if (in_place) return blur_across(b, 0, SIDE) + blur_down(b, 0, SIDE);
    int rc = ae_par_for(0, SIDE, blur_across, b); /* on all cores, while this task waits */
    return rc < 0 ? rc : ae_par_for(0, SIDE, blur_down, b);
}
/* [end] */

static int answer(ae_http *h)
{
    struct blur b = { malloc(sizeof(picture)), malloc(sizeof(picture)) };
    int rc = b.across && b.both ? 0 : -ENOMEM;
    if (rc == 0) rc = blur(&b, strcmp(ae_http_path(h), "/inline") == 0);
    if (rc == 0) rc = ae_http_respond(h, 200, "application/octet-stream", b.both[SIDE / 2], SIDE);
    free(b.across);
    free(b.both);
    return rc;
}
static int plaintext(ae_http *h)
{
    return ae_http_text(h, 200, "Hello, World!");
}
int main(int argc, char **argv)
{
    ae_http_server *server;
    for (int i = 0; i < SIDE * SIDE; i++) picture[i / SIDE][i % SIDE] = (uint8_t)(i * 7 ^ i >> 9);
    if (ae_http_server_create(NULL, &server) < 0) return 1;
    ae_http_route(server, "GET /plaintext", plaintext, NULL);
    ae_http_route(server, "GET /inline", answer, NULL);
    ae_http_route(server, "GET /offloaded", answer, NULL);
    return ae_http_run(server, argc > 1 ? argv[1] : "127.0.0.1:8080") < 0;
}
