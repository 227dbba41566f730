"""`python -m bench.small`: the small job on several engines, fed from one topic, in one table.

python -m bench.small [--events 500000] [--runs 3] [--only wafa,ceiling]
"""

from __future__ import annotations

import argparse

from bench.small import compare


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=compare.EVENTS, help="records that wait in the topic")
    parser.add_argument("--runs", type=int, default=compare.RUNS, help="how often each engine works them off")
    parser.add_argument("--only", default=",".join(compare.NAMES), help="rows, separated by commas")
    parser.add_argument("--seconds", type=float, default=compare.SECONDS_MAX, help="a slower run is ended and counts")
    given = parser.parse_args()
    names = given.only.split(",")
    if unknown := set(names) - set(compare.NAMES):
        parser.error(f"no such rows: {', '.join(sorted(unknown))}; there are {', '.join(compare.NAMES)}")
    table = compare.compare(given.events, given.runs, names, seconds_max=given.seconds)
    compare.show(table)
    print(f"Written: {compare.write(table)}")


if __name__ == "__main__":
    main()
