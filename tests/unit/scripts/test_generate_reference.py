import argparse
import ast

from scripts.generate_reference import cli_page, command_parsers, describe


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="wingo")
    commands = top.add_subparsers()
    build = commands.add_parser("build", description="Builds.", epilog="examples:\n  wingo build .")
    build.add_argument("targets", nargs="*", metavar="TARGET", help="what")
    build.add_argument("-t", "--name", metavar="NAME", help="a|b at 100%%")
    build.add_argument("--hidden", help=argparse.SUPPRESS)
    inner = commands.add_parser("base").add_subparsers()
    inner.add_parser("list")
    return top


def test_commands_are_found_with_those_below_them():
    assert list(dict(command_parsers(parser()))) == ["build", "base", "base list"]


def test_a_page_has_usage_arguments_and_examples():
    page = cli_page("build", dict(command_parsers(parser()))["build"])
    assert "wingo build [options] [TARGET …]" in page
    assert "| `-t`, `--name NAME` | a\\|b at 100% |" in page
    assert "wingo build ." in page
    assert "hidden" not in page


def test_public_names_with_a_docstring_are_described_and_private_ones_are_not():
    source = '''
class Thing(Base):
    """A thing.

    More of it.
    """

    def act(self, x: int | str) -> str:
        """Acts."""

    def _hidden(self): ...


def _private():
    """No."""
'''
    text = "".join(entry for node in ast.parse(source).body for entry in describe(node))
    assert "| `class Thing` | A thing. |" in text
    assert "| `Thing.act(x: int | str) → str` | Acts. |".replace("int |", "int \\|") in text
    assert "hidden" not in text
    assert "private" not in text
