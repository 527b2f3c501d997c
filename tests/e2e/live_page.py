#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# packages: chromium
"""The live page in a real browser: it draws, it complains of nothing, its two buttons show the
difference they are there to show. Screenshots go to the build directory. Without a Chromium it
says so and counts no case as passed: nothing was seen."""
import os
import sys

import browser
from program import BUILD, SCALE, WORKERS, Server, case, expect, run_cases

program = browser.find()
if not program:
    print("skip: no Chromium here (package chromium): the live page was not looked at")
    print("0 passed, 0 failed")
    sys.exit(0)

server = Server("demo", "-l", "127.0.0.1:0", "-w", "2")
page = browser.Browser(program)
DONE = "!document.getElementById('run-pool').disabled"


def text(name):
    return page.run(f"document.getElementById('{name}').textContent")


def number(name):
    value, unit = text(name).split(" ")
    return float(value) * {"µs": 0.001, "ms": 1, "s": 1000}[unit]


@case
def figures_arrive_and_are_drawn():
    page.look(1280, 800)
    page.open(f"http://127.0.0.1:{server.port}/-/")
    expect(page.wait("document.getElementById('dot')?.className === 'dot on'", 20 * SCALE), True)
    expect(page.wait("parseFloat(document.getElementById('requests').textContent) > 5",
                     20 * SCALE), True, text("requests"))
    driver = os.environ.get("AE_DRIVER") or "epoll"
    expect(page.wait(f"document.getElementById('driver').textContent === '{driver}'", 5), True)
    expect(page.run("document.querySelectorAll('#workers-cells i').length"), WORKERS)
    for name in ("p50", "p99", "syscalls", "tasks", "stacks", "total"):
        expect(page.wait(f"document.getElementById('{name}').textContent !== '–'", 10 * SCALE),
               True, name)
    drawn = """(() => {
        const c = document.getElementById('pings');
        const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        return d.some((v) => v !== 0); })()"""
    expect(page.run(drawn), True, "the chart has pixels")


@case
def the_buttons_show_the_difference():
    for kind in ("inline", "pool"):
        page.run(f"document.getElementById('run-{kind}').click()")
        expect(page.wait(DONE, 60 * SCALE), True, kind)
        page.wait("false", 1)
    felt = {kind: (number(kind + "-median"), number(kind + "-worst"))
            for kind in ("inline", "pool")}
    print("note: median and worst ping in ms: inline %.1f, %.1f; on the pool %.1f, %.1f"
          % (*felt["inline"], *felt["pool"]))
    expect(felt["pool"][0] < felt["inline"][0], True, "the pool's median is lower")


@case
def it_fits_one_screen_and_a_phone_in_both_schemes():
    for name, width, height, scale in (("desktop", 1280, 800, 1), ("phone", 390, 844, 2)):
        for dark in (False, True):
            page.look(width, height, dark, scale)
            page.wait("false", 0.5)
            page.screenshot(str(BUILD / f"live-{name}{'-dark' if dark else ''}.png"),
                            full=name == "phone")
            wide = page.run("document.documentElement.scrollWidth <= innerWidth")
            expect(wide, True, f"{name}: nothing hangs over")
            if name == "desktop":
                expect(page.run("document.documentElement.scrollHeight <= innerHeight"), True)


@case
def the_console_stays_empty():
    expect(page.complaints(), [])


@case
def the_server_ends_though_the_page_is_open():
    expect(server.end(), (0, "", ""))


try:
    with server:
        run_cases()
finally:
    page.close()
