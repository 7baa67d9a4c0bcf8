"""A session of the kiln tool on a pseudo-terminal, as the tests of sessions and their bench drive it."""

import os
import pty
import re
import select
import time

LIMIT = 40  # seconds that anything may take, on a machine that does other things


class Terminal:
    """A session on a terminal of its own."""

    def __init__(self, command, environment, folder="."):
        self.pid, self.end = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            os.execve(command[0], command, environment)
        self.text = ""
        self.seen = 0

    def read(self):
        ready, _, _ = select.select([self.end], [], [], 1)
        if ready:
            try:
                self.text += os.read(self.end, 65536).decode()
            except OSError:
                return False
        return True

    def expect(self, pattern):
        """Waits for the pattern in what was not looked at yet; what came before it and the match."""
        limit = time.monotonic() + LIMIT
        while not (found := re.compile(pattern, re.S).search(self.text, self.seen)):
            if not self.read() or time.monotonic() > limit:
                raise AssertionError(f"no {pattern!r} in:\n{self.text[self.seen:]}")
        before = self.text[self.seen:found.start()]
        self.seen = found.end()
        return before + found.group()

    def type(self, text):
        os.write(self.end, text.encode())

    def ask(self, line):
        """What the session says to a line."""
        self.type(line + "\r")
        self.expect(r"\r?\n")
        return self.expect("kiln> ").replace("\r", "")

    def ask_to_leave(self):
        time.sleep(0.5)  # libedit takes the terminal over just after its prompt; until then a key is lost
        self.type("\x04")
        return self.status()

    def status(self):
        """Of the session, once it has ended; what it says meanwhile has to be read."""
        limit = time.monotonic() + LIMIT
        while True:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended == self.pid:
                return os.waitstatus_to_exitcode(status)
            if time.monotonic() > limit:
                raise AssertionError(f"the session does not end:\n{self.text[self.seen:]}")
            if not self.read():
                time.sleep(0.05)


def check(text, *parts):
    for part in parts:
        if part not in text:
            raise AssertionError(f"no {part!r} in:\n{text}")
