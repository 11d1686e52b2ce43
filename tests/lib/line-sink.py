#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Listens on a port and writes every complete line received to a file, for tests of the socket output.

usage: line-sink.py PORT FILE
"""
import socketserver
import sys


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            if line.endswith(b"\n"):
                with open(sys.argv[2], "ab") as out:
                    out.write(line)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
