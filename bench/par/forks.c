/* SPDX-License-Identifier: Apache-2.0 */
/* fork-join: the cost of a join, by the Fibonacci tree in which there is nothing else. */
#include "par.h"

enum { FIB = 35 };

#define JOINS 14930351.0 /* of fib(35): as many as calls with n >= 2 */
#define RESULT 9227465

struct fib {
    long n, result;
};

static struct fib root;

static int fib(void *arg)
{
    struct fib *f = arg;

    if (f->n < 2) {
        f->result = f->n;
        return 0;
    }
    struct fib a = { f->n - 1, 0 }, b = { f->n - 2, 0 };
    int rc = ae_par_join(fib, &a, fib, &b);
    f->result = a.result + b.result;
    return rc;
}

static __attribute__((noinline)) long fib_serial(long n)
{
    return n < 2 ? n : fib_serial(n - 1) + fib_serial(n - 2);
}

static int run_fib(void)
{
    root.n = FIB;
    return fib(&root);
}

static void run_serial(void)
{
    root.result = fib_serial(FIB);
}

static void verify(void)
{
    par_check(root.result == RESULT, "fib is wrong");
}

const struct par_bench par_forks[] = {
    { "fork-join", JOINS, NULL, run_fib, run_serial, verify },
    { NULL, 0, NULL, NULL, NULL, NULL },
};
