#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a program under the seccomp filter, capabilities and user of a systemd unit, without systemd.
usage: under_unit.py UNIT UID PROGRAM [ARGUMENT...]      (as root; systemd-analyze lists the calls of its sets)"""
import ctypes
import os
import subprocess
import sys

ERRNO_EPERM, KILL, ALLOW = 0x00050001, 0x80000000, 0x7FFF0000


def settings(unit, key):
    with open(unit, encoding='utf-8') as lines:
        return [line.split('=', 1)[1].split() for line in lines if line.startswith(key + '=')]


def members(name):
    """The calls of a set such as @system-service, including the sets that it names."""
    if not name.startswith('@'):
        return {name}
    text = subprocess.run(['systemd-analyze', '--no-pager', 'syscall-filter', name], capture_output=True, text=True, check=True).stdout
    words = [line.strip() for line in text.splitlines()[1:]]
    return set().union(*(members(word) for word in words if word and not word.startswith('#')))


def allowed(unit):
    calls = members('@default')
    for words in settings(unit, 'SystemCallFilter'):
        taken = words[0].startswith('~')
        names = set().union(*(members(word.lstrip('~')) for word in words))
        calls = calls - names if taken else calls | names
    return calls


def install(calls, otherwise):
    library = ctypes.CDLL('libseccomp.so.2')
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(otherwise)))
    for name in sorted(calls):
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:
            library.seccomp_rule_add(context, ctypes.c_uint32(ALLOW), number, 0)
    if library.seccomp_load(context) != 0:
        sys.exit('no filter can be installed')


def main():
    unit, uid, program = sys.argv[1], sys.argv[2], sys.argv[3:]
    if uid != 'now':  # first the user, by a program that may still change it
        names = [name[len('CAP_'):].lower() for words in settings(unit, 'AmbientCapabilities') for name in words]
        with open('/proc/self/status', encoding='ascii') as lines:
            bounding = int(next(line for line in lines if line.startswith('CapBnd')).split()[1], 16)
        here = [name for name in names if name != 'sys_resource' or bounding >> 24 & 1]
        plus = ','.join(['-all'] + ['+' + name for name in here])
        os.execvp('setpriv', ['setpriv', '--reuid', uid, '--regid', uid, '--clear-groups', '--inh-caps', plus, '--ambient-caps', plus,
                              '--bounding-set', plus, '--no-new-privs', '--', sys.executable, __file__, unit, 'now'] + program)
    install(allowed(unit), ERRNO_EPERM if settings(unit, 'SystemCallErrorNumber') else KILL)
    os.execv(program[0], program)


main()
