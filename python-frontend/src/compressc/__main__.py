"""python -m compressc: what is useful without writing Python."""
import argparse
import itertools
import sys
from collections.abc import Sequence

from .calibration import CHAT_TEMPLATE, read_rows, write_calibration


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m compressc", description="Helps the program compressc.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    calibration = commands.add_parser(
        "calibration", help="write texts as a file for `compressc --calibration`",
        description="Writes the texts of files, in their order, as the lines of JSON that `compressc "
        "--calibration` reads.",
        epilog="example: python -m compressc calibration chats.jsonl -o calibration.jsonl --field messages "
        "--template '<{role}> {content}'")
    calibration.add_argument("input", nargs="+", metavar="INPUT",
                             help=".txt or .md (a row for each paragraph), .json (a list of objects), .jsonl, each "
                             "gzipped too (.gz), or .parquet (needs pyarrow)")
    calibration.add_argument("-o", "--output", required=True, metavar="FILE", help="the file to write")
    calibration.add_argument("--field", default="text", metavar="NAME",
                             help="what holds the text: a string, or a list of messages with role and content "
                             "(default: text)")
    calibration.add_argument("--template", default=CHAT_TEMPLATE, metavar="TEXT",
                             help=f"how a message becomes a line (default: {CHAT_TEMPLATE!r})")
    options = parser.parse_args(arguments)
    try:
        rows = itertools.chain.from_iterable(
            read_rows(path, field=options.field, template=options.template) for path in options.input)
        count = write_calibration(rows, options.output)
    except (OSError, RuntimeError, ValueError) as failure:
        print(f"compressc: error: {failure}", file=sys.stderr)
        return 1
    print(f"{options.output}: {count} rows")
    return 0


if __name__ == "__main__":
    sys.exit(main())
