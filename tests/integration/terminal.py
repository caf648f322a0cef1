#!/usr/bin/env python3
"""Run a command on a terminal and print the screen that it leaves.

usage: terminal.py COLUMNS ROWS REGEX COMMAND...

The terminal is a pseudo terminal of that size; what a person would see is kept as lines, as far as
cairn writes for terminals: line feeds, carriage returns, wrapped lines, cursor up, erasing to the
end of the line or of the screen, colours. Exits with 3 when REGEX was never to be seen on a line
while the command ran, with 4 when there was a sequence that is not known here, else as the command.
"""
import codecs
import fcntl
import os
import pty
import re
import struct
import sys
import termios

SEQUENCE = re.compile(r"\033\[([0-9;?]*)([A-Za-z])")


class Screen:
    def __init__(self, columns, wanted):
        self.columns = columns
        self.wanted = wanted
        self.seen = False
        self.lines = [""]
        self.row = self.column = 0
        self.unknown = set()

    def put(self, c):
        if self.column == self.columns:
            self.feed()
            self.column = 0
        line = self.lines[self.row].ljust(self.column)
        self.lines[self.row] = line[: self.column] + c + line[self.column + 1 :]
        self.column += 1

    def feed(self):
        self.row += 1
        if self.row == len(self.lines):
            self.lines.append("")

    def look(self):
        """Before anything is taken away: what is read at once may hold several pictures."""
        self.seen = self.seen or any(self.wanted.search(line) for line in self.lines)

    def control(self, number, letter):
        n = int(number) if number.isdigit() else 0
        if letter in "AFJ":
            self.look()
        if letter in "AF":
            self.row = max(0, self.row - max(1, n))
            self.column = 0 if letter == "F" else self.column
        elif letter == "K":
            self.lines[self.row] = self.lines[self.row][: self.column]
        elif letter == "J":
            self.lines[self.row] = self.lines[self.row][: self.column]
            del self.lines[self.row + 1 :]
        elif letter == "G":
            self.column = max(0, n - 1)
        elif letter not in "mhl":
            self.unknown.add(number + letter)

    def write(self, text):
        """What is left over: the beginning of a sequence."""
        at = 0
        while at < len(text):
            c = text[at]
            if c == "\033":
                found = SEQUENCE.match(text, at)
                if not found:
                    if len(text) - at < 16:
                        return text[at:]
                    self.unknown.add(repr(text[at : at + 4]))
                    at += 1
                    continue
                self.control(*found.groups())
                at = found.end()
                continue
            if c == "\n":
                self.feed()
            elif c == "\r":
                self.column = 0
            else:
                self.put(c)
            at += 1
        self.look()
        return ""


def main():
    columns, rows, wanted, command = int(sys.argv[1]), int(sys.argv[2]), re.compile(sys.argv[3]), sys.argv[4:]
    pid, fd = pty.fork()
    if pid == 0:
        # The size has to be there before the command looks.
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.execvp(command[0], command)
    screen, decoder, rest = Screen(columns, wanted), codecs.getincrementaldecoder("utf-8")("replace"), ""
    while True:
        try:
            data = os.read(fd, 65536)
        except OSError:  # its last user has gone
            break
        if not data:
            break
        rest = screen.write(rest + decoder.decode(data))
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    print("\n".join(line.rstrip() for line in screen.lines))
    if screen.unknown:
        print("unknown:", *screen.unknown, file=sys.stderr)
        return 4
    return status if screen.seen else 3


sys.exit(main())
