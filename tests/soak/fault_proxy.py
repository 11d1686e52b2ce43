# SPDX-License-Identifier: Apache-2.0
"""A proxy between the daemons and a database. Knows nothing about the data that passes through it."""
import socket
import threading
import time


DELAYS_S = {"lag": 0.3, "slow": 0.7, "late": 5}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Proxy:
    """Between the daemons and a database: passes data on, refuses, resets, delays, or drops."""

    def __init__(self, port):
        self.target, self.mode, self.port, self.pairs = port, "pass", free_port(), []
        self.lock = threading.Lock()
        self.listener = None
        self.listen()

    def listen(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.listener.listen(50)
        threading.Thread(target=self.accept, args=(self.listener,), daemon=True).start()

    def accept(self, listener):
        while True:
            try:
                client = listener.accept()[0]
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                if listener.fileno() < 0:
                    return
                continue
            with self.lock:
                self.pairs.append((client, server))
            threading.Thread(target=self.pump, args=(client, server), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client), daemon=True).start()

    def pump(self, source, sink):
        try:
            while True:
                data = source.recv(65536)
                if not data or not self.passes(source, sink, data):
                    break
        except OSError:
            pass
        self.reset(source)
        self.reset(sink)

    def passes(self, source, sink, data):
        """Sends the data on, or the part that the fault leaves. False: the connection ends here."""
        while self.mode == "hole":
            time.sleep(0.05)
        time.sleep(DELAYS_S.get(self.mode, 0))
        cut = self.mode == "cut"
        sink.sendall(data[: len(data) // 2] if cut else data)
        return not cut

    @staticmethod
    def reset(connection):
        try:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.close()
        except OSError:
            pass

    def drop_all(self):
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for connection in pair:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                self.reset(connection)

    def refuse(self, seconds):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.drop_all()
        time.sleep(seconds)
        self.listen()
