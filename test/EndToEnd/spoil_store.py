"""Changes one byte in the middle of every entry of a store. usage: spoil_store.py STORE"""
import sys
from pathlib import Path

for entry in Path(sys.argv[1]).glob("*.results"):
    contents = bytearray(entry.read_bytes())
    contents[len(contents) // 2] ^= 1
    entry.write_bytes(contents)
