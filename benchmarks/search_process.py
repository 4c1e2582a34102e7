"""python -m benchmarks.search_process FOLDER: ask the questions on stdin, print what each took.

It prints the seconds of the imports and of each question, as JSON.
"""

import json
import sys
import time


def main() -> None:
    """Ask."""
    folder, questions = sys.argv[1], json.load(sys.stdin)
    began = time.perf_counter()
    import anyio

    from khive_persist import Searcher, search

    async def answer() -> list[float]:
        ends = [time.perf_counter()]
        async with Searcher(folder) as searcher:
            for words in questions:
                result = await search(" ".join(words), searcher=searcher)
                if not result.matched or not result.shown:
                    raise RuntimeError(f"nothing for {words}")
                ends.append(time.perf_counter())
        return ends

    ends = anyio.run(answer)
    print(json.dumps([end - start for start, end in zip([began, *ends], ends, strict=False)]))


if __name__ == "__main__":
    main()
