#!/usr/bin/env python3
"""Finishes the man pages that swift-argument-parser's generate-manual has made.

    Packaging/manual.py FROM TO VERSION

A page is named as Debian's are (token-service-keys-rotate), a command with subcommands lists them, and the exit status is
this program's.
"""

import pathlib
import re
import sys
import textwrap

EXIT_STATUS = """\
.Bl -tag -width 6n
.It 0
Done.
.It 1
The operation failed; one line on standard error says what, and how to mend it.
.It 64
Wrong usage.
.It 69
The database can't be reached.
.It 78
Bad configuration.
.El"""


def finished(text, page, summaries, version):
    subcommands = [name for name in summaries if re.fullmatch(re.escape(page) + r"-.*", name)
                   and summaries[name][0].count(" ") == summaries[page][0].count(" ") + 1]
    if subcommands:
        listed = ["The subcommands, each with a page of its own:", ".Bl -tag -width 6n"]
        for name in subcommands:
            listed += [f".It Xr {name} 1", summaries[name][1] + "."]
        text = text.replace(".Sh DESCRIPTION\n", ".Sh DESCRIPTION\n" + "\n".join(listed + [".El", ".Pp"]) + "\n")
        text = text.replace(".El\n.Pp\n.Bl", ".El\n.Bl")
        others = [".Xr token-service 1"] if page != "token-service" else []
    else:
        others = [f".Xr {page.rpartition('-')[0]} 1"] if summaries.get(page.rpartition("-")[0]) else []
    text = re.sub(r'\n\.Sh "SEE ALSO"\n.*|\n\.Sh AUTHORS?\n*$', "", text, flags=re.S)
    text = text.replace(".Ex -std", EXIT_STATUS)
    text = text.replace("\n.Os\n", f'\n.Os "token-service {version}"\n').replace("." + page, "-" + page)
    text = re.sub(r"^\.Dt .*$", f".Dt {page.upper()} 1", text, flags=re.M)
    # A name without spaces in NAME, so that whatis and apropos find it; the command as it is typed elsewhere.
    text = re.sub(r"^\.Nm .*\n\.Nd .*$", f".Nm {page}\n.Nd {summaries[page][1]}", text, flags=re.M)
    text = text.replace(".Sh SYNOPSIS\n.Nm\n", f'.Sh SYNOPSIS\n.Nm "{summaries[page][0]}"\n')
    text = re.sub(r"\n\.Pp\n(?=\.(It|El))", "\n", text)
    lines = []
    for line in text.strip().splitlines():
        if line.startswith((".", "'")):
            lines.append(line)
        elif line.strip():
            for sentence in re.split(r"(?<=\.) (?=[A-Z(])", line):
                wrapped = textwrap.wrap(sentence, 78, break_long_words=False, break_on_hyphens=False)
                lines += [r"\&" + part if part.startswith((".", "'")) else part for part in wrapped]
        else:
            lines.append(".Pp")
    return "\n".join(lines + ([".Sh SEE ALSO"] + others if others else [])) + "\n"


def main():
    source, target, version = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    pages = {path.name[:-2].replace(".", "-"): path.read_text() for path in sorted(source.glob("*.1"))
             if path.name != "token-service.help.1"}
    summaries = {page: (re.search(r'^\.Nm "?(.*?)"?$', text, re.M)[1],
                        re.search(r'^\.Nd "?(.*?)\.?"?$', text, re.M)[1]) for page, text in pages.items()}
    for page, text in pages.items():
        (target / (page + ".1")).write_text(finished(text, page, summaries, version))


if __name__ == "__main__":
    main()
