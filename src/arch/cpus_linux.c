/* SPDX-License-Identifier: Apache-2.0 */
/* How many processors this process may use: its affinity, and the tightest quota of the cgroups it
 * is in (cgroups(7): cpu.max of version 2, cpu.cfs_quota_us of version 1; both may be mounted).
 * Threads beyond the quota would only be throttled, all at once. */
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "arch/os.h"
#include "base/compiler.h"

#define PATH_BYTES 1024

static bool read_line(const char *path, char *line, size_t size)
{
    FILE *file = fopen(path, "re");

    if (!file) return false;
    bool got = fgets(line, (int)size, file) != NULL;
    fclose(file);
    return got;
}

/* In whole processors, rounded up; 0: no limit. */
static unsigned whole(long quota, long period)
{
    if (quota <= 0 || period <= 0) return 0;
    return (unsigned)((quota - 1) / period + 1);
}

static unsigned quota_v2(const char *folder)
{
    char path[PATH_BYTES + 32], line[64];
    long quota, period;

    snprintf(path, sizeof path, "%s/cpu.max", folder);
    if (!read_line(path, line, sizeof line)) return 0;
    if (sscanf(line, "%ld %ld", &quota, &period) != 2) return 0; /* "max 100000" */
    return whole(quota, period);
}

static unsigned quota_v1(const char *folder)
{
    char path[PATH_BYTES + 32], line[64];
    long quota, period;

    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
    if (!read_line(path, line, sizeof line) || sscanf(line, "%ld", &quota) != 1) return 0;
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    if (!read_line(path, line, sizeof line) || sscanf(line, "%ld", &period) != 1) return 0;
    return whole(quota, period);
}

static unsigned tighter(unsigned a, unsigned b)
{
    if (!a || !b) return a ? a : b;
    return a < b ? a : b;
}

/* The tightest on the way from `group` up to the root, which is all that a container may see. */
static unsigned tightest(const char *mount, char *group, unsigned (*quota)(const char *folder))
{
    char folder[PATH_BYTES];
    unsigned best = 0;

    for (char *end = group + strlen(group); end >= group; end--) {
        if (*end != '/' && *end != 0) continue;
        *end = 0;
        int length = snprintf(folder, sizeof folder, "%s%s", mount, group);
        if ((size_t)length < sizeof folder) best = tighter(best, quota(folder));
    }
    return best;
}

/* "cpu" among "cpu,cpuacct". */
static bool names_cpu(const char *controllers)
{
    for (const char *at = controllers; at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, "cpu", 3) == 0 && (at[3] == ',' || at[3] == 0)) return true;
    }
    return false;
}

/* One line of /proc/self/cgroup: `0::/group` (version 2) or `7:cpu,cpuacct:/group`. */
static unsigned quota_of_line(const char *root, char *line)
{
    char mount[256];

    line[strcspn(line, "\n")] = 0;
    char *controllers = strchr(line, ':');
    char *group = controllers ? strchr(controllers + 1, ':') : NULL;
    if (!group) return 0;
    *group++ = 0;
    controllers++;
    if (*controllers == 0) {
        snprintf(mount, sizeof mount, "%s/sys/fs/cgroup", root);
        return tightest(mount, group, quota_v2);
    }
    if (!names_cpu(controllers)) return 0;
    snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/cpu", root);
    return tightest(mount, group, quota_v1);
}

unsigned ae__os_cpu_quota(const char *root)
{
    char path[256], line[PATH_BYTES];
    unsigned best = 0;

    snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    while (fgets(line, sizeof line, file)) {
        best = tighter(best, quota_of_line(root, line));
    }
    fclose(file);
    return best;
}

unsigned ae__os_cpus(void)
{
    cpu_set_t set;
    unsigned count = 1;

    if (AE_UNLIKELY(ae__os_simulated)) return ae__os_simulated->cpus();
    unsigned quota = ae__os_cpu_quota("");

    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        count = (unsigned)CPU_COUNT(&set);
    } else {
        long online = sysconf(_SC_NPROCESSORS_ONLN);
        if (online > 0) count = (unsigned)online;
    }
    if (quota && quota < count) count = quota;
    return count ? count : 1;
}
