/* SPDX-License-Identifier: Apache-2.0 */
/* How many processors a cgroup leaves a process, on made-up cgroup trees of both versions.
 * Covers: src/arch/cpus_linux.c */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "arch/os.h"
#include "test.h"

static const char *root;

static void make_tree(void)
{
    root = test_folder();
}

/* With the folders on the way. */
static void put(const char *name, const char *text)
{
    char path[512];
    size_t length = (size_t)snprintf(path, sizeof path, "%s/%s", root, name);

    for (size_t i = strlen(root) + 1; i < length; i++) {
        if (path[i] != '/') continue;
        path[i] = 0;
        (void)mkdir(path, 0700);
        path[i] = '/';
    }
    FILE *file = fopen(path, "w");
    REQUIRE(file != NULL);
    REQUIRE(fputs(text, file) >= 0 && fclose(file) == 0);
}

TEST(no_cgroup_is_no_limit)
{
    make_tree();
    EXPECT_EQ(ae__os_cpu_quota(root), 0);
    put("proc/self/cgroup", "0::/\n");
    EXPECT_EQ(ae__os_cpu_quota(root), 0);
    put("proc/self/cgroup", "garbage\n\n::\n7:cpu\n");
    EXPECT_EQ(ae__os_cpu_quota(root), 0);
}

TEST(version_2_takes_the_tightest_on_the_way_to_the_root)
{
    make_tree();
    put("proc/self/cgroup", "0::/a/b\n");
    put("sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    EXPECT_EQ(ae__os_cpu_quota(root), 0);
    put("sys/fs/cgroup/a/cpu.max", "300000 100000\n");
    EXPECT_EQ(ae__os_cpu_quota(root), 3);
    put("sys/fs/cgroup/a/b/cpu.max", "250000 100000\n"); /* a part of a CPU is one thread */
    EXPECT_EQ(ae__os_cpu_quota(root), 3);
    put("sys/fs/cgroup/cpu.max", "200000 100000\n");
    EXPECT_EQ(ae__os_cpu_quota(root), 2);
    put("sys/fs/cgroup/a/b/cpu.max", "1000 100000\n");
    EXPECT_EQ(ae__os_cpu_quota(root), 1);
}

TEST(version_1_asks_the_cpu_controller_wherever_it_is_mounted)
{
    make_tree();
    put("proc/self/cgroup", "9:cpuset:/x\n4:cpu,cpuacct:/x\n0::/\n");
    put("sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "-1\n");
    put("sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(ae__os_cpu_quota(root), 0);
    put("sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "150000\n");
    EXPECT_EQ(ae__os_cpu_quota(root), 2);
    put("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "50000\n");
    put("sys/fs/cgroup/cpu/cpu.cfs_period_us", "50000\n");
    EXPECT_EQ(ae__os_cpu_quota(root), 1);
}

TEST(a_controller_whose_name_only_begins_like_cpu_says_nothing)
{
    make_tree();
    put("proc/self/cgroup", "3:cpuacct:/x\n2:cpuset,cpus:/x\n");
    put("sys/fs/cgroup/cpu/x/cpu.cfs_quota_us", "100000\n");
    put("sys/fs/cgroup/cpu/x/cpu.cfs_period_us", "100000\n");
    EXPECT_EQ(ae__os_cpu_quota(root), 0);
    put("proc/self/cgroup", "3:cpuacct,cpu:/x\n");
    EXPECT_EQ(ae__os_cpu_quota(root), 1);
}

TEST(a_group_whose_name_is_too_long_is_passed_over)
{
    char line[1400];

    make_tree();
    int length = snprintf(line, sizeof line, "0::/a/");
    memset(line + length, 'x', sizeof line - (size_t)length - 1);
    line[sizeof line - 1] = 0;
    put("proc/self/cgroup", line);
    put("sys/fs/cgroup/a/cpu.max", "100000 100000\n");
    EXPECT_EQ(ae__os_cpu_quota(root), 1);
}
