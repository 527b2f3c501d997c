/* SPDX-License-Identifier: Apache-2.0 */
/* Static probes for perf, bpftrace, gdb and SystemTap: one nop each in the code, and a note in the
 * file that says where it is and where its arguments lie ("UserSpaceProbeImplementation" of the
 * SystemTap wiki, the format of <sys/sdt.h>). Nothing is computed for an argument: give what is at
 * hand. The probes of the provider `aether`:
 *
 *   spawn(task, fn, site)  resume(task)  park(worker)  unpark(worker)
 *   steal(thief, victim, tasks) */
#ifndef AE_ARCH_PROBE_H
#define AE_ARCH_PROBE_H

#include "base/compiler.h"

#if AE_WATCHED && (defined(__x86_64__) || defined(__aarch64__)) && defined(__ELF__)

#define AE_PROBE_(name, args, ...)                                                                 \
    __asm__ volatile("990:  nop\n"                                                                 \
                     ".pushsection .note.stapsdt,\"?\",\"note\"\n"                                 \
                     ".balign 4\n"                                                                 \
                     ".4byte 992f-991f, 994f-993f, 3\n"                                            \
                     "991: .asciz \"stapsdt\"\n"                                                   \
                     "992: .balign 4\n"                                                            \
                     "993: .8byte 990b, _.stapsdt.base, 0\n"                                       \
                     ".asciz \"aether\"\n"                                                         \
                     ".asciz \"" #name "\"\n"                                                      \
                     ".asciz \"" args "\"\n"                                                       \
                     "994: .balign 4\n"                                                            \
                     ".popsection\n"                                                               \
                     ".ifndef _.stapsdt.base\n"                                                    \
                     ".pushsection .stapsdt.base,\"aG\",\"progbits\",.stapsdt.base,comdat\n"       \
                     ".weak _.stapsdt.base\n"                                                      \
                     ".hidden _.stapsdt.base\n"                                                    \
                     "_.stapsdt.base: .space 1\n"                                                  \
                     ".size _.stapsdt.base, 1\n"                                                   \
                     ".popsection\n"                                                               \
                     ".endif\n"                                                                    \
                     :                                                                             \
                     : __VA_ARGS__)

#define AE_PROBE_ARG_(x) "nor"((unsigned long)(x))
#define AE_PROBE1(name, a) AE_PROBE_(name, "8@%0", AE_PROBE_ARG_(a))
#define AE_PROBE2(name, a, b) AE_PROBE_(name, "8@%0 8@%1", AE_PROBE_ARG_(a), AE_PROBE_ARG_(b))
#define AE_PROBE3(name, a, b, c)                                                                   \
    AE_PROBE_(name, "8@%0 8@%1 8@%2", AE_PROBE_ARG_(a), AE_PROBE_ARG_(b), AE_PROBE_ARG_(c))

#else

#define AE_PROBE1(name, a) ((void)(a))
#define AE_PROBE2(name, a, b) ((void)(a), (void)(b))
#define AE_PROBE3(name, a, b, c) ((void)(a), (void)(b), (void)(c))

#endif

#endif
