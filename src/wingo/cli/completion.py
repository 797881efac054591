"""`wingo completion`: scripts that complete wingo's commands, flags and values, made from the parsers themselves.

The scripts know everything when they are made: a Tab never runs wingo.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import TYPE_CHECKING

import msgspec

from wingo.cli.exit_codes import OK

if TYPE_CHECKING:
    from wingo.host import Host

_DESCRIPTION = """\
Prints a script that completes wingo's commands, flags and values in a shell.
"""

_EPILOG = """\
to have it in every session:
  bash        wingo completion bash > ~/.local/share/bash-completion/completions/wingo
  zsh         wingo completion zsh > "${fpath[1]}/_wingo"
  fish        wingo completion fish > ~/.config/fish/completions/wingo.fish
  powershell  wingo completion powershell >> $PROFILE

Make it again after an update of wingo.
"""


class Suggest(Enum):
    """What an argument is completed with."""

    NOTHING = "nothing"
    WORDS = "words"
    FILES = "files"
    DIRECTORIES = "directories"
    PLACES = "places"


class Value(msgspec.Struct, frozen=True):
    """An argument's value.

    Attributes:
        suggest: what to complete it with.
        words: for `Suggest.WORDS`.
        listed: whether several may stand there with commas between them.
    """

    suggest: Suggest = Suggest.NOTHING
    words: tuple[str, ...] = ()
    listed: bool = False


class Flag(msgspec.Struct, frozen=True):
    """A flag.

    Attributes:
        names: `-t` and `--name`.
        value: None for a switch.
        help: its line.
        repeated: whether it may stand there several times.
    """

    names: tuple[str, ...]
    value: Value | None
    help: str
    repeated: bool = False


class Positional(msgspec.Struct, frozen=True):
    """An argument without a flag.

    Attributes:
        name: what the help calls it.
        many: whether it takes all that follow.
    """

    name: str
    value: Value
    many: bool = False


class CommandLine(msgspec.Struct, frozen=True):
    """What can be written after a command's name."""

    name: str
    help: str
    flags: tuple[Flag, ...]
    positionals: tuple[Positional, ...]


_PLATFORMS = (
    "all",
    "ltsc2019",
    "ltsc2022",
    "ltsc2025",
    "windows/amd64",
    "windows/arm64",
    "linux/amd64",
    "linux/arm64",
)
_BASES = ("nanoserver", "servercore", "hostprocess", "static", "scratch")
_PLACES = ("oci:", "oci-archive:", "docker-archive:", "files:")

_BY_METAVAR = {
    "PLATFORM": Value(Suggest.WORDS, _PLATFORMS[1:]),
    "PLATFORM,…": Value(Suggest.WORDS, _PLATFORMS, listed=True),
    "BASE": Value(Suggest.WORDS, _BASES),
    "[PLATFORM=]BASE": Value(Suggest.WORDS, _BASES),
    "FILE": Value(Suggest.FILES),
    "SRC:DST[:ATTRIBUTES]": Value(Suggest.FILES),
    "TARGET": Value(Suggest.DIRECTORIES),
    "PLACE": Value(Suggest.PLACES),
    "FROM": Value(Suggest.PLACES),
    "TO": Value(Suggest.PLACES),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `wingo completion`."""
    parser.description = _DESCRIPTION
    parser.epilog = _EPILOG
    parser.add_argument("shell", choices=tuple(_SCRIPTS), help="for which shell")


def run(args: argparse.Namespace, host: Host) -> int:
    """Prints the script."""
    from wingo.cli.main import build_parser

    host.console.result(script(args.shell, build_parser()).rstrip("\n"))
    return OK


def script(shell: str, parser: argparse.ArgumentParser) -> str:
    """A shell's script for a parser with sub-commands.

    Args:
        shell: "bash", "zsh", "fish" or "powershell".
        parser: with every command's arguments.
    """
    commands = tuple(_commands(parser))
    own = CommandLine("", "", tuple(_flags(parser)), ())
    return _SCRIPTS[shell](own, commands)


def _commands(parser: argparse.ArgumentParser) -> Iterator[CommandLine]:
    for action in parser._actions:  # noqa: SLF001  (argparse has no public way to list them)
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}  # noqa: SLF001
            for name, command in action.choices.items():
                yield CommandLine(name, helps[name], tuple(_flags(command)), tuple(_positionals(command)))


def _flags(parser: argparse.ArgumentParser) -> Iterator[Flag]:
    for action in parser._actions:  # noqa: SLF001
        if action.option_strings:
            value = None if action.nargs == 0 else _value(action)
            repeated = isinstance(action, argparse._AppendAction)  # noqa: SLF001
            yield Flag(tuple(action.option_strings), value, (action.help or "").replace("%%", "%"), repeated)


def _positionals(parser: argparse.ArgumentParser) -> Iterator[Positional]:
    for action in parser._actions:  # noqa: SLF001
        if not action.option_strings:
            yield Positional(_metavar(action), _value(action), many=action.nargs in ("*", "+"))


def _value(action: argparse.Action) -> Value:
    if action.choices is not None:
        return Value(Suggest.WORDS, tuple(str(choice) for choice in action.choices))
    return _BY_METAVAR.get(_metavar(action), Value())


def _metavar(action: argparse.Action) -> str:
    return action.metavar if isinstance(action.metavar, str) else action.dest


# bash

_BASH = """\
# Completion of wingo for bash; made by `wingo completion bash`.

_wingo_take() {
    # Not mapfile: macOS comes with bash 3.2.
    local item
    while IFS= read -r item; do
        COMPREPLY+=("$item")
    done
}

_wingo_files() {
    compopt -o filenames 2>/dev/null
    _wingo_take < <(compgen "$1" -- "$cur")
}

_wingo_words() {
    _wingo_take < <(compgen -W "$1" -- "$cur")
}

_wingo_list() {
    local before=""
    [[ $cur == *,* ]] && before="${cur%,*},"
    _wingo_take < <(compgen -P "$before" -W "$1" -- "${cur##*,}")
}

_wingo_places() {
    # Bash takes "oci:out" for three words, unless it was told not to.
    if [[ $cur == *:* ]]; then
        compopt -o filenames 2>/dev/null
        _wingo_take < <(compgen -P "${cur%%:*}:" -f -- "${cur#*:}")
    else
        compopt -o nospace 2>/dev/null
        _wingo_words "@PLACES@"
    fi
}

_wingo() {
    local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}"
    local command="" flags valued word position=0 only=0 i
    COMPREPLY=()
    if [[ $cur == : || $prev == : ]]; then
        local kind="${COMP_WORDS[COMP_CWORD-2]}"
        [[ $cur == : ]] && kind="$prev" cur=""
        case "$kind:" in
            @PLACE_CASES@) _wingo_files -f ;;
        esac
        return
    fi
    if [[ $cur == "=" ]]; then
        cur=""
    elif [[ $prev == "=" ]]; then
        prev="${COMP_WORDS[COMP_CWORD-2]}"
    fi
    for ((i = 1; i < COMP_CWORD; i++)); do
        if [[ ${COMP_WORDS[i]} != -* ]]; then
            command="${COMP_WORDS[i]}"
            break
        fi
    done
    case "$command" in
@COMMANDS@
        *) return ;;
    esac
    for ((i++; i < COMP_CWORD; i++)); do
        word="${COMP_WORDS[i]}"
        if [[ $word == "=" || $word == : ]]; then
            ((i++))
        elif ((!only)) && [[ $word == -- ]]; then
            only=1
        elif ((!only)) && [[ $word == -* ]]; then
            [[ " $valued " == *" $word "* && ${COMP_WORDS[i + 1]} != "=" ]] && ((i++))
        else
            ((position++))
        fi
    done
    if ((!only)); then
        case "$command $prev" in
@VALUES@
        esac
        if [[ $cur == -* ]]; then
            _wingo_words "$flags"
            return
        fi
    fi
    case "$command $position" in
@POSITIONALS@
    esac
}

complete -F _wingo wingo
"""


def _bash(own: CommandLine, commands: tuple[CommandLine, ...]) -> str:
    heads, values, positionals = [], [], []
    for command in (own, *commands):
        flags = " ".join(name for flag in command.flags for name in flag.names)
        valued = [name for flag in command.flags if flag.value is not None for name in flag.names]
        pattern = command.name or '""'
        heads += [f"        {pattern})", f'            flags="{flags}"', f'            valued="{" ".join(valued)}"']
        heads += ["            ;;"]
        for flag in command.flags:
            if flag.value is not None:
                names = "|".join(f'"{command.name} {name}"' for name in flag.names)
                call = _bash_call(flag.value)
                values.append(f"            {names}) {call + '; ' if call else ''}return ;;")
        for number, positional in enumerate(command.positionals):
            pattern = f'"{command.name} "*' if positional.many else f'"{command.name} {number}"'
            if call := _bash_call(positional.value):
                positionals.append(f"        {pattern}) {call} ;;")
    positionals.append(f'        " 0") _wingo_words "{" ".join(command.name for command in commands)}" ;;')
    return (
        _BASH.replace("@PLACES@", " ".join(_PLACES))
        .replace("@PLACE_CASES@", " | ".join(_PLACES))
        .replace("@COMMANDS@", "\n".join(heads))
        .replace("@VALUES@", "\n".join(values))
        .replace("@POSITIONALS@", "\n".join(positionals))
    )


def _bash_call(value: Value) -> str:
    words = " ".join(value.words)
    calls = {
        Suggest.NOTHING: "",
        Suggest.WORDS: f'{"_wingo_list" if value.listed else "_wingo_words"} "{words}"',
        Suggest.FILES: "_wingo_files -f",
        Suggest.DIRECTORIES: "_wingo_files -d",
        Suggest.PLACES: "_wingo_places",
    }
    return calls[value.suggest]


# zsh

_ZSH = """\
#compdef wingo
# Completion of wingo for zsh; made by `wingo completion zsh`.

_wingo_places() {
    if compset -P 1 '*:'; then
        _files
    else
        local -a places=(@PLACES@)
        compadd -S '' -a places
    fi
}

_wingo() {
    local curcontext="$curcontext" state line
    local -a commands=(
@COMMANDS@
    )
    _arguments -C \\
@OWN@
        '1:command:->command' \\
        '*::argument:->argument'
    case $state in
        command) _describe command commands ;;
        argument)
            case $words[1] in
@ARGUMENTS@
            esac
            ;;
    esac
}

if [[ $funcstack[1] == _wingo ]]; then
    _wingo "$@"
else
    compdef _wingo wingo
fi
"""


def _zsh(own: CommandLine, commands: tuple[CommandLine, ...]) -> str:
    arguments = []
    for command in commands:
        specifications = [*_zsh_flags(command.flags), *_zsh_positionals(command.positionals)]
        lines = " \\\n".join(f"                        {item}" for item in specifications)
        arguments.append(f"                {command.name})\n                    _arguments -s -S \\\n{lines}")
        arguments.append("                    ;;")
    names = [f"        {_quoted(f'{command.name}:{command.help}')}" for command in commands]
    return (
        _ZSH.replace("@PLACES@", " ".join(_PLACES))
        .replace("@COMMANDS@", "\n".join(names))
        .replace("@OWN@", "\n".join(f"        {item} \\" for item in _zsh_flags(own.flags)))
        .replace("@ARGUMENTS@", "\n".join(arguments))
    )


def _zsh_flags(flags: Iterable[Flag]) -> Iterator[str]:
    for flag in flags:
        action = "" if flag.value is None else f":value:{_zsh_action(flag.value)}"
        for name in flag.names:
            once = "*" if flag.repeated else f"({' '.join(flag.names)})"
            equals = "=" if flag.value is not None and name.startswith("--") else ""
            yield _quoted(f"{once}{name}{equals}[{_zsh_text(flag.help)}]{action}")


def _zsh_positionals(positionals: Iterable[Positional]) -> Iterator[str]:
    for number, positional in enumerate(positionals, 1):
        place = "*" if positional.many else str(number)
        yield _quoted(f"{place}:{_zsh_text(positional.name)}:{_zsh_action(positional.value)}")


def _zsh_action(value: Value) -> str:
    words = " ".join(value.words)
    actions = {
        Suggest.NOTHING: " ",
        Suggest.WORDS: f"_values -s , value {words}" if value.listed else f"({words})",
        Suggest.FILES: "_files",
        Suggest.DIRECTORIES: "_files -/",
        Suggest.PLACES: "_wingo_places",
    }
    return actions[value.suggest]


def _zsh_text(text: str) -> str:
    for special in "\\[]:":
        text = text.replace(special, f"\\{special}")
    return text


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


# fish

_FISH = """\
# Completion of wingo for fish; made by `wingo completion fish`.

function __wingo_is --description 'whether the command is this one, with so many arguments before the cursor'
    set -l words (commandline -opc)
    set -e words[1]
    set -l command ''
    set -l count 0
    set -l skip 0
    for word in $words
        if test $skip = 1
            set skip 0
        else if string match -q -- '-*' $word
            # A flag's value is no argument.
            contains -- "$command $word" $__wingo_valued; and set skip 1
        else if test -z "$command"
            set command $word
        else
            set count (math $count + 1)
        end
    end
    test "$command" = "$argv[1]"; or return
    switch (count $argv)
        case 2
            test $count = $argv[2]
        case 3
            test $count -ge $argv[2]
    end
end

function __wingo_places
    set -l word (commandline -ct)
    if string match -q -- '*:*' $word
        set -l kind (string split -m 1 : -- $word)
        for path in (__fish_complete_path $kind[2])
            echo $kind[1]:$path
        end
    else
        printf '%s\\n' @PLACES@
    end
end

function __wingo_list
    set -l before (string match -r -- '.*,' (commandline -ct))
    printf "$before%s\\n" $argv
end

set -g __wingo_valued @VALUED@

complete -c wingo -e
complete -c wingo -f
"""


def _fish(own: CommandLine, commands: tuple[CommandLine, ...]) -> str:
    lines = [
        f"complete -c wingo -n '__wingo_is \"\"' -a {command.name} -d {_fish_text(command.help)}"
        for command in commands
    ]
    for command in (own, *commands):
        name = command.name or '""'
        for flag in command.flags:
            names = " ".join(f"-l {item[2:]}" if item.startswith("--") else f"-s {item[1:]}" for item in flag.names)
            value = "" if flag.value is None else f" {_fish_value(flag.value)}"
            lines.append(f"complete -c wingo -n '__wingo_is {name}' {names}{value} -d {_fish_text(flag.help)}")
        for number, positional in enumerate(command.positionals):
            if positional.value.suggest is Suggest.NOTHING:
                continue
            counts = f"{number} or-more" if positional.many else str(number)
            value = _fish_value(positional.value).removeprefix("-x ").removeprefix("-r ")
            lines.append(f"complete -c wingo -n '__wingo_is {name} {counts}' {value}")
    valued = [
        _fish_text(f"{command.name} {name}")
        for command in commands
        for flag in command.flags
        if flag.value is not None
        for name in flag.names
    ]
    head = _FISH.replace("@PLACES@", " ".join(_PLACES)).replace("@VALUED@", " ".join(valued))
    return head + "\n".join(lines) + "\n"


def _fish_value(value: Value) -> str:
    words = " ".join(value.words)
    values = {
        Suggest.NOTHING: "-x",
        Suggest.WORDS: f"-x -a {_fish_text(f'(__wingo_list {words})' if value.listed else words)}",
        Suggest.FILES: "-r -F",
        Suggest.DIRECTORIES: "-x -a '(__fish_complete_directories)'",
        Suggest.PLACES: "-x -a '(__wingo_places)'",
    }
    return values[value.suggest]


def _fish_text(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


# PowerShell

_POWERSHELL = """\
# Completion of wingo for PowerShell; made by `wingo completion powershell`.

Register-ArgumentCompleter -Native -CommandName wingo -ScriptBlock {
    param($wordToComplete, $commandAst, $cursorPosition)
    $commands = [ordered]@{
@COMMANDS@
    }
    $flags = @{
@FLAGS@
    }
    $values = @{
@VALUES@
    }
    $words = @($commandAst.CommandElements | Where-Object { $_.Extent.EndOffset -lt $cursorPosition } |
        ForEach-Object { $_.ToString() })
    $command = ''
    $position = 0
    $previous = ''
    foreach ($word in ($words | Select-Object -Skip 1)) {
        if ($previous -and $values.ContainsKey("$command $previous")) { $previous = ''; continue }
        $previous = ''
        if ($word.StartsWith('-')) { $previous = $word }
        elseif (-not $command) { $command = $word }
        else { $position++ }
    }
    if ($previous -and $values.ContainsKey("$command $previous")) { $offered = $values["$command $previous"] }
    elseif ($wordToComplete.StartsWith('-')) { $offered = $flags[$command] }
    elseif (-not $command) { $offered = $commands }
    elseif ($values.ContainsKey("$command $position")) { $offered = $values["$command $position"] }
    else { $offered = $values["$command *"] }
    # With nothing to offer, PowerShell offers files.
    if ($null -eq $offered) { return }
    $before = ''
    if ($wordToComplete.Contains(',')) { $before = $wordToComplete.Substring(0, $wordToComplete.LastIndexOf(',') + 1) }
    $rest = $wordToComplete.Substring($before.Length)
    foreach ($item in $offered.GetEnumerator()) {
        if ($item.Key.StartsWith($rest)) {
            [System.Management.Automation.CompletionResult]::new($before + $item.Key, $item.Key, 'ParameterValue', $item.Value)
        }
    }
}
"""


def _powershell(own: CommandLine, commands: tuple[CommandLine, ...]) -> str:
    flags, values = [], []
    for command in (own, *commands):
        offered = [(name, flag.help) for flag in command.flags for name in flag.names]
        flags.append(f"        {_ps_text(command.name)} = {_ps_table(offered)}")
        for flag in command.flags:
            if flag.value is not None:
                values += [_ps_value(f"{command.name} {name}", flag.value) for name in flag.names]
        for number, positional in enumerate(command.positionals):
            values.append(_ps_value(f"{command.name} {'*' if positional.many else number}", positional.value))
    names = [f"        {_ps_text(command.name)} = {_ps_text(command.help)}" for command in commands]
    return (
        _POWERSHELL.replace("@COMMANDS@", "\n".join(names))
        .replace("@FLAGS@", "\n".join(flags))
        .replace("@VALUES@", "\n".join(values))
    )


def _ps_value(key: str, value: Value) -> str:
    words = _PLACES if value.suggest is Suggest.PLACES else value.words
    table = _ps_table([(word, word) for word in words]) if words else "$null"
    return f"        {_ps_text(key)} = {table}"


def _ps_table(items: Iterable[tuple[str, str]]) -> str:
    return "[ordered]@{ " + "; ".join(f"{_ps_text(name)} = {_ps_text(text)}" for name, text in items) + " }"


def _ps_text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


_SCRIPTS: dict[str, Callable[[CommandLine, tuple[CommandLine, ...]], str]] = {
    "bash": _bash,
    "zsh": _zsh,
    "fish": _fish,
    "powershell": _powershell,
}
