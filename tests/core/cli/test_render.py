"""Tables, drawn and plain."""

from rich.console import Console

from rolecall.cli.render import drawn, grid, plain

TABLE = grid(
    "2 things",
    "thing~ cost_$>",
    [("a", "1"), ("b " * 150, "12"), ("one\nother", "3")],
    ("all", "16"),
)


def shown(width: int) -> str:
    console = Console(width=width)
    with console.capture() as captured:
        console.print(drawn(TABLE))
    return captured.get()


def test_a_plain_table_has_a_line_for_each_row_however_long() -> None:
    title, heading, first, long, lines, total = plain(TABLE).splitlines()
    assert (title, heading.split(), first.split()) == (
        "2 things",
        ["thing", "cost", "$"],
        ["a", "1"],
    )
    assert long.count("b") == 150
    assert lines.startswith("one, other ")
    assert total.split() == ["all", "16"]


def test_a_plain_table_is_aligned() -> None:
    ends = {len(line) for line in plain(TABLE).splitlines()[1:]}
    assert len(ends) == 1


def test_a_drawn_table_wraps_what_may_and_keeps_to_the_width() -> None:
    lines = shown(60).splitlines()
    assert all(len(line) <= 60 for line in lines)
    assert sum(line.count("b") for line in lines) == 150


def test_a_drawn_table_says_the_same() -> None:
    assert {"thing", "cost $", "a", "12", "all", "16"} <= {
        cell.strip() for line in shown(400).splitlines() for cell in line.split("  ")
    }


def test_an_empty_table_is_its_heading() -> None:
    assert plain(grid("nothing", "a b>", ())) == "nothing\na  b"
