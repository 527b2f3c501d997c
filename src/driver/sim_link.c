/* SPDX-License-Identifier: Apache-2.0 */
/* What the simulated network is like: nodes by address and name, the time a segment travels, what
 * is cut, what is lost, and which call fails. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aether/time.h"
#include "base/assert.h"
#include "base/mem.h"
#include "driver/sim_net.h"

static const ae_sim_link common = { .latency_ns = 100 * AE_US, .jitter_ns = 400 * AE_US };
static const ae_sim_link inside = { .latency_ns = 5 * AE_US, .jitter_ns = 40 * AE_US };

/* ---- nodes ---- */

ae_sim_node *ae__sim_node_at(uint32_t address)
{
    for (ae_sim_node *node = ae__sim->nodes; node; node = node->next) {
        if (node->address == address) return node;
    }
    return NULL;
}

ae_sim_node *ae__sim_node_named(const char *name)
{
    for (ae_sim_node *node = ae__sim->nodes; node; node = node->next) {
        if (strcmp(node->name, name) == 0) return node;
    }
    return NULL;
}

int ae__sim_resolve(const char *host, const char *port, ae_addr *out)
{
    ae_sim_node *node = ae__sim_node_named(host);
    bool own = strcmp(host, "localhost") == 0;
    char *end;

    unsigned long number = strtoul(port, &end, 10);
    if (!node && !own) return -ENOENT;
    if (end == port || *end || number > UINT16_MAX) return -ENOENT;
    ae__sim_addr_write(out, own ? 0x7f000001 : node->address, (uint16_t)number);
    return 1;
}

ae_sim_node *ae__sim_node_make(const char *name, uint32_t address)
{
    ae_sim_node **end = &ae__sim->nodes;
    ae_sim_node *node;

    if (ae__sim_node_at(address) || !(node = ae__mem_zalloc(sizeof *node))) return NULL;
    snprintf(node->name, sizeof node->name, "%s", name);
    node->address = address;
    node->index = ae__sim->nodes_count++;
    while (*end) {
        end = &(*end)->next;
    }
    *end = node;
    return node;
}

void ae__sim_nodes_end(void)
{
    ae_sim_node *node;

    while ((node = ae__sim->nodes)) {
        ae__sim->nodes = node->next;
        while (node->paths) {
            struct ae__sim_path *path = node->paths;
            node->paths = path->next;
            ae__mem_free(path);
        }
        while (node->runtimes) { /* of a process that was killed */
            struct ae__sim_runtime *place = node->runtimes;
            node->runtimes = place->next;
            ae__mem_free(place);
        }
        ae__mem_free(node);
    }
}

/* ---- links ---- */

static bool matches(const ae_sim_node *rule, const ae_sim_node *node)
{
    return !rule || rule == node;
}

static bool applies(const struct ae__sim_rule *rule, const ae_sim_node *from,
                    const ae_sim_node *to)
{
    return matches(rule->from, from) && matches(rule->to, to);
}

static const ae_sim_link *link_of(const ae_sim_node *from, const ae_sim_node *to)
{
    if (from == to) return &inside;
    for (const struct ae__sim_rule *rule = ae__sim->rules; rule; rule = rule->next) {
        if (!rule->cut && applies(rule, from, to)) return &rule->link;
    }
    return &common;
}

int64_t ae__sim_travel_ns(const ae_sim_node *from, const ae_sim_node *to)
{
    const ae_sim_link *link = link_of(from, to);
    int64_t share = ae__sim_below(AE__SIM_NETWORK, 1024);

    return link->latency_ns + link->jitter_ns / 1024 * share;
}

bool ae__sim_is_cut(const ae_sim_node *from, const ae_sim_node *to)
{
    if (from == to) return false;
    if (from->dark || to->dark) return true;
    for (const struct ae__sim_rule *rule = ae__sim->rules; rule; rule = rule->next) {
        if (rule->cut && applies(rule, from, to)) return true;
    }
    return false;
}

bool ae__sim_loses(const ae_sim_node *from, const ae_sim_node *to)
{
    return ae__sim_chance(AE__SIM_NETWORK, link_of(from, to)->loss_ppm);
}

bool ae__sim_faulty(void)
{
    return ae__sim_chance(AE__SIM_NETWORK, ae__sim->faults_ppm);
}

bool ae__sim_is_cached(void)
{
    return ae__sim_chance(AE__SIM_NETWORK, 750000);
}

static void add_rule(const struct ae__sim_rule *given)
{
    struct ae__sim_rule *rule = ae__mem_alloc(sizeof *rule);

    if (!rule) ae__fatal("no memory for the simulation's network");
    *rule = *given;
    rule->next = ae__sim->rules;
    ae__sim->rules = rule;
}

/* All rules, or those that cut. */
static void drop_rules(bool all)
{
    struct ae__sim_rule **at = &ae__sim->rules, *rule;

    while ((rule = *at)) {
        if (all || rule->cut) {
            *at = rule->next;
            ae__mem_free(rule);
        } else {
            at = &rule->next;
        }
    }
}

void ae__sim_links_clear(void)
{
    for (ae_sim_node *node = ae__sim->nodes; node; node = node->next) {
        node->dark = false;
    }
    ae__sim->faults_ppm = 0;
    drop_rules(true);
}

/* ---- for users ---- */

void ae_sim_link_set(ae_sim_node *a, ae_sim_node *b, const ae_sim_link *link)
{
    struct ae__sim_rule rule = { .from = a, .to = b, .link = *link };

    AE_ASSERT(ae__sim && link->latency_ns >= 0 && link->jitter_ns >= 0);
    AE_ASSERT(link->loss_ppm < 1000000);
    if (link->latency_ns == 0 && link->jitter_ns == 0 && link->loss_ppm == 0) rule.link = common;
    add_rule(&rule);
    rule.from = b;
    rule.to = a;
    add_rule(&rule);
}

void ae_sim_cut(ae_sim_node *from, ae_sim_node *to)
{
    AE_ASSERT(ae__sim);
    ae__sim_step("cut", from ? from->name : "all", to ? to->index : UINT32_MAX);
    add_rule(&(struct ae__sim_rule){ .from = from, .to = to, .cut = true });
}

void ae_sim_heal(void)
{
    AE_ASSERT(ae__sim);
    ae__sim_step("heal", "all", 0);
    drop_rules(false);
}

void ae_sim_faults(uint32_t ppm)
{
    AE_ASSERT(ae__sim && ppm < 1000000);
    ae__sim->faults_ppm = ppm;
}
