#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fake GPUs of the kernel's DRM drivers as files: sysfs with meters, /proc/PID/fdinfo of processes that use them.
usage: drm.py DIR: below DIR/sys and DIR/proc, described by DIR/gpus, which is reread 20 times a second, until terminated.
Lines: "gpu DRIVER ADDRESS WATTS [hwmonN] [cap W] [gone] [suspended] [reset]", then "process PID FD CLIENT ENGINE BUSY
CGROUP" on the GPU before it, BUSY being a fraction of its time (xe: of its cycles). A GPU's energy is its power times the time.
If the machine stalls, the counters do as well: each stall is a line of DIR/drm-gaps."""
import os
import shutil
import sys
import time

top = sys.argv[1]
state = {}  # address or (address, client): a counter
made = {}   # address: its hwmon folder
before = time.monotonic()


def put(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path + ".new", "w") as file:
        file.write(text)
    os.rename(path + ".new", path)


def put_gpu(index, words, seconds):
    driver, address, watts = words[0], words[1], float(words[2])
    options = words[3:]
    device = f"{top}/sys/devices/pci0000:00/{address}"
    hwmon = f"{device}/hwmon/" + next((o for o in options if o.startswith("hwmon")), f"hwmon{index}")
    link = f"{top}/sys/class/drm/card{index}"
    if made.get(address) not in (None, hwmon) or "gone" in options:
        shutil.rmtree(f"{device}/hwmon", ignore_errors=True)
    if "reset" in options:
        state[address] = 0
    state[address] = state.get(address, 0) + watts * seconds
    put(f"{device}/power/runtime_status", "suspended\n" if "suspended" in options else "active\n")
    if not os.path.lexists(link + "/device"):
        os.makedirs(link, exist_ok=True)
        os.symlink(f"../../../devices/pci0000:00/{address}", link + "/device")
    if "gone" in options:
        return address
    put(f"{hwmon}/name", driver + "\n")
    if driver == "amdgpu":
        put(f"{hwmon}/power1_average", f"{int(watts * 1e6)}\n")
        if "cap" in options:
            put(f"{hwmon}/power1_cap", options[options.index("cap") + 1] + "000000\n")
    else:
        put(f"{hwmon}/energy1_input", f"{int(state[address] * 1e6)}\n")
    made[address] = hwmon
    return address


def put_process(driver, address, words, seconds):
    pid, fd, client, engine, busy, cgroup = words
    key = (address, client)
    state[key] = state.get(key, 0) + float(busy) * seconds
    text = f"pos:\t0\nflags:\t02100002\nmnt_id:\t26\ndrm-driver:\t{driver}\ndrm-pdev:\t{address}\ndrm-client-id:\t{client}\n"
    if driver == "xe":
        total = state[("total", address)]
        text += f"drm-cycles-{engine}:\t{int(state[key] * 19.2e6)}\ndrm-total-cycles-{engine}:\t{int(total * 19.2e6)}\n"
    else:
        text += f"drm-engine-{engine}:\t{int(state[key] * 1e9)} ns\n"
    text += f"drm-engine-capacity-{engine}:\t2\ndrm-memory-vram:\t2048 KiB\n"
    put(f"{top}/proc/{pid}/cgroup", f"0::{cgroup}\n")
    put(f"{top}/proc/{pid}/fdinfo/{fd}", text)
    put(f"{top}/proc/{pid}/fdinfo/0", "pos:\t0\nflags:\t0100000\n")


while True:
    now = time.monotonic()
    seconds, before = now - before, now
    if seconds > 0.25:
        with open(f"{top}/drm-gaps", "a") as gaps:
            gaps.write(f"{seconds:.3f}\n")
    index, driver, address = -1, "", ""
    try:
        lines = open(f"{top}/gpus").read().split("\n")
    except OSError:
        lines = []
    for line in lines:
        words = line.split()
        if words[:1] == ["gpu"]:
            index += 1
            driver = words[1]
            address = put_gpu(index, words[1:], seconds)
            state[("total", address)] = state.get(("total", address), 1) + seconds
        elif words[:1] == ["process"]:
            put_process(driver, address, words[1:], seconds)
    open(f"{top}/drm-ready", "w").close()
    time.sleep(0.05)
