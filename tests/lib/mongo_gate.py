#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A proxy for a server of MongoDB's protocol that emulates authorization: a command that the role does not allow is answered
as by MongoDB (code 13), everything else passes. The roles are those on a page of the documentation (db.createRole).

usage: mongo_gate.py TARGET_PORT PAGE FOLDER ROLE...    writes for each role FOLDER/ROLE.port, where it listens, and FOLDER/ROLE.log:
"allowed" or "refused", the command, the action, the collection
"""
import json
import re
import socket
import socketserver
import struct
import sys
import threading

FREE = {"hello", "isMaster", "ismaster", "ping", "endSessions", "killCursors", "buildInfo", "getMore", "saslStart", "saslContinue"}
ACTIONS = {
    "find": ["find"], "aggregate": ["find"], "count": ["find"], "distinct": ["find"],
    "insert": ["insert"], "update": ["update"], "delete": ["remove"], "findAndModify": ["find", "update"],
    "createIndexes": ["createIndex"], "dropIndexes": ["dropIndex"], "listIndexes": ["listIndexes"],
    "listCollections": ["listCollections"], "create": ["createCollection"], "drop": ["dropCollection"],
    "dropDatabase": ["dropDatabase"], "collMod": ["collMod"], "collStats": ["collStats"], "dbStats": ["dbStats"],
}
SIZES = {0x01: 8, 0x07: 12, 0x08: 1, 0x09: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8, 0x13: 16, 0xFF: 0, 0x7F: 0}


def elements(document):
    """Name and value of each top-level element: strings as text, all others as bytes."""
    at = 4
    while document[at]:
        kind = document[at]
        end = document.index(0, at + 1)
        name = document[at + 1:end].decode()
        at = end + 1
        if kind == 0x02:
            size = 4 + struct.unpack_from("<i", document, at)[0]
            value = document[at + 4:at + size - 1].decode()
        else:
            if kind in (0x03, 0x04):
                size = struct.unpack_from("<i", document, at)[0]
            elif kind == 0x05:
                size = 5 + struct.unpack_from("<i", document, at)[0]
            else:
                size = SIZES[kind]
            value = document[at:at + size]
        yield name, value
        at += size


def command_of(message):
    """(command, database, collection, creates documents) of an OP_MSG, or None."""
    at, body = 20, None
    end = len(message) - (4 if struct.unpack_from("<I", message, 16)[0] & 1 else 0)
    while at < end:
        size = struct.unpack_from("<i", message, at + 1)[0]
        if message[at] == 0:
            body = list(elements(message[at + 1:at + 1 + size]))
        at += 1 + size
    if not body:
        return None
    name, collection = body[0]
    database = dict(body).get("$db", "")
    return name, database, collection if isinstance(collection, str) else "", b"\x08upsert\x00\x01" in message


def role_of(page, role):
    for text in re.findall(r"db\.createRole\((\{.*?\})\)", open(page).read(), re.S):
        found = json.loads(text)
        if found["role"] == role:
            return found["privileges"]
    sys.exit("%s has no role %s" % (page, role))


def refusal(request, code, name, text):
    message, name = text.encode(), name.encode() + b"\x00"
    body = b"\x01ok\x00" + struct.pack("<d", 0) + b"\x02errmsg\x00" + struct.pack("<i", len(message) + 1) + message + b"\x00" \
        + b"\x10code\x00" + struct.pack("<i", code) + b"\x02codeName\x00" + struct.pack("<i", len(name)) + name + b"\x00"
    body = struct.pack("<i", 4 + len(body)) + body
    return struct.pack("<iiiiI", 21 + len(body), 0, request, 2013, 0) + b"\x00" + body


def receive(stream):
    head = stream.read(4)
    if len(head) < 4:
        return None
    rest = stream.read(struct.unpack("<i", head)[0] - 4)
    return head + rest


class Gate(socketserver.BaseRequestHandler):
    def needed(self, command):
        """The missing actions, and all that are needed."""
        name, database, collection, makes = command
        wanted = ACTIONS.get(name, [name]) + (["insert"] if name == "update" and makes else [])
        granted = {action for privilege in self.server.role for action in privilege["actions"]
                   if privilege["resource"]["db"] == database and privilege["resource"]["collection"] in ("", collection)}
        return [action for action in wanted if action not in granted], wanted

    def judge(self, message):
        command = command_of(message) if struct.unpack_from("<i", message, 12)[0] == 2013 else None
        if not command or command[0] in FREE:
            return None
        missing, wanted = self.needed(command)
        for action in missing or wanted:
            with self.server.lock, open(self.server.log, "a") as log:
                log.write("%s %s %s %s\n" % ("refused" if missing else "allowed", command[0], action, command[2] or "-"))
        if missing:
            return 13, "Unauthorized", \
                "not authorized on %s to execute command { %s: \"%s\" }" % (command[1], command[0], command[2])
        return self.conflict(command, message)

    def conflict(self, command, message):
        """MongoDB refuses an existing index with another expiry; the server behind the gate may not."""
        indexes, key = self.server.indexes, command[2]
        if command[0] == "dropIndexes":
            indexes.pop(key, None)
        elif command[0] == "createIndexes" and b"\x02name\x00\x0c\x00\x00\x00timestamp_1\x00" in message:
            found = re.search(rb"\x12expireAfterSeconds\x00(.{8})", message, re.S)
            age = found.group(1) if found else b""
            if indexes.setdefault(key, age) != age:
                return 85, "IndexOptionsConflict", "an index of this name exists with different options: timestamp_1"
        return None

    def handle(self):
        try:
            self.serve()
        except OSError:
            pass  # one side is gone; the closed connection tells the other

    def serve(self):
        with socket.create_connection(("127.0.0.1", self.server.target)) as target:
            client, database = self.request.makefile("rb"), target.makefile("rb")
            while True:
                message = receive(client)
                if not message:
                    return
                no = self.judge(message)
                if no:
                    self.request.sendall(refusal(struct.unpack_from("<i", message, 4)[0], *no))
                    continue
                target.sendall(message)
                answer = receive(database)
                if not answer:
                    return
                self.request.sendall(answer)


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


def main():
    target, page, folder = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    indexes, lock = {}, threading.Lock()
    for role in sys.argv[4:]:
        server = Server(("127.0.0.1", 0), Gate)
        server.target, server.role, server.indexes, server.lock = target, role_of(page, role), indexes, lock
        server.log = "%s/%s.log" % (folder, role)
        open(server.log, "w").close()
        with open("%s/%s.port" % (folder, role), "w") as out:
            out.write("%d\n" % server.server_address[1])
        threading.Thread(target=server.serve_forever).start()


if __name__ == "__main__":
    main()
