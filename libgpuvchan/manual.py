#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the manual pages of section 3 from the doc comments of the public headers.

    manual.py -o FOLDER HEADER...    writes the pages, and a page that leads to it for each name on a page
    manual.py --list HEADER...       prints the names of these files

A doc comment stands before what it describes, or behind it as /**< ... */. In it, "@p name" is a parameter,
"@return" begins what is returned, up to the end of the paragraph, and all else is prose. A public function that has
no comment, that no page of PAGES takes, or a comment that names a function that is not there, is an error.
"""

import argparse
import os
import re
import sys
import textwrap
import time
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Page:
    """A page takes the names that begin with one of its prefixes; of several, the longest counts."""
    name: str
    line: str
    prefixes: tuple = ()
    see: tuple = ()
    intro: str = ""  # the header whose opening comment begins the page


PAGES = (
    Page("libgpuvchan", "GPU commands of guests over shared memory, the C library", intro="gpuvchan.h",
         see=("gpuvchan(7)", "gpuvchan-host(8)", "gpuvchan-run(1)", "gpuvchan-scanner(1)", "gpuvchan-protocol(5)")),
    Page("gpuvchan_version", "version of the library", ("gpuvchan_version",)),
    Page("gpuvchan_error", "what failed last, in words", ("gpuvchan_error",), ("gpuvchan_log(3)",)),
    Page("gpuvchan_log", "messages of the library, and of what is built on it", ("gpuvchan_log",),
         ("gpuvchan_error(3)",)),
    Page("gpuvchan_channel", "connect a guest process to a host", ("gpuvchan_channel",),
         ("gpuvchan_client(3)", "gpuvchan_error(3)", "gpuvchan(7)")),
    Page("gpuvchan_client", "a protocol, opened on a channel", ("gpuvchan_client",),
         ("gpuvchan_channel(3)", "gpuvchan_protocol(3)", "gpuvchan-scanner(1)")),
    Page("gpuvchan_lane", "a guest thread's way to the host", ("gpuvchan_lane",),
         ("gpuvchan_channel(3)", "gpuvchan_protocol(3)")),
    Page("gpuvchan_buffer", "memory that guest and host share, for bulk data", ("gpuvchan_buffer",),
         ("gpuvchan_arena(3)",)),
    Page("gpuvchan_arena", "places in shared memory, and copying to and from it", ("gpuvchan_arena",),
         ("gpuvchan_buffer(3)", "gpuvchan_session(3)")),
    Page("gpuvchan_completion", "numbers in shared memory that say how far work has come", ("gpuvchan_completion",),
         ("gpuvchan_session(3)",)),
    Page("gpuvchan_listener", "where a host accepts guests, and who they are", ("gpuvchan_listener", "gpuvchan_peer"),
         ("gpuvchan_session(3)", "gpuvchan-host(8)")),
    Page("gpuvchan_session", "a host's end of a channel", ("gpuvchan_session", "gpuvchan_keeping"),
         ("gpuvchan_listener(3)", "gpuvchan_plugin(3)", "gpuvchan-host(8)")),
    Page("gpuvchan_plugin", "the interface of plugins of the host",
         ("gpuvchan_plugin", "gpuvchan_request", "gpuvchan_dispatch", "gpuvchan_entry"),
         ("gpuvchan_session(3)", "gpuvchan_completion(3)", "gpuvchan_handles(3)", "gpuvchan_snapshot(3)",
          "gpuvchan-host(8)", "gpuvchan-scanner(1)", "gpuvchan-protocol(5)"), "plugin.h"),
    Page("gpuvchan_stats", "what a guest process has sent, and waited for", ("gpuvchan_stats",),
         ("gpuvchan_client(3)", "gpuvchan-run(1)", "gpuvchan(7)")),
    Page("gpuvchan_digest", "a cryptographic hash", ("gpuvchan_digest",), ("gpuvchan_plugin(3)",)),
    Page("gpuvchan_snapshot", "what a plugin leaves to its successor", ("gpuvchan_snapshot",),
         ("gpuvchan_plugin(3)",)),
    Page("gpuvchan_parse_size", "sizes as people write them", ("gpuvchan_parse_size",), ("gpuvchan_plugin(3)",)),
    Page("gpuvchan_protocol", "records: what generated stubs are made of",
         ("gpuvchan_protocol", "gpuvchan_record", "gpuvchan_reference", "gpuvchan_reserve", "gpuvchan_publish",
          "gpuvchan_call", "gpuvchan_post", "gpuvchan_stub", "gpuvchan_slot"),
         ("gpuvchan_client(3)", "gpuvchan_lane(3)", "gpuvchan-scanner(1)", "gpuvchan-protocol(5)"), "protocol.h"),
    Page("gpuvchan_handles", "tables of objects by the handles that guests choose", ("gpuvchan_handles",),
         ("gpuvchan_plugin(3)", "gpuvchan-protocol(5)")),
)

INTERNAL = {"gpuvchan_lane_front"}  # declared for inline functions alone
WIDTH = 72


class ManualError(Exception):
    pass


@dataclass
class Item:
    """Something that a header declares."""
    kind: str  # function, macro, type, opaque
    name: str
    header: str  # as users include it, in gpuvchan/
    where: str  # PATH:LINE
    section: str
    doc: str = ""
    code: str = ""  # without comments
    fields: list = field(default_factory=list)  # (names, doc)


# ---- Reading --------------------------------------------------------------------------------------

COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
SECTION = re.compile(r"/\* ---- (.*?) -+ \*/")
SKIPPED = re.compile(r"""/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.S)


def comment_text(comment):
    """The text of a comment, its lines without the stars at their beginning."""
    body = re.sub(r"^/\*+<?|\*+/$", "", comment.strip())
    return textwrap.dedent("\n".join(re.sub(r"^\s*\* ?", "", line) if number else line.strip()
                                     for number, line in enumerate(body.split("\n")))).strip("\n ")


def uncomment(code):
    """Code without comments and without the lines that this leaves empty."""
    lines = (line.rstrip() for line in COMMENT.sub("", code).split("\n"))
    return "\n".join(line for line in lines if line)


def declaration_end(text, at):
    """The end of the declaration that begins there: behind its semicolon, or behind a function's body."""
    depth, function = 0, False
    while at < len(text):
        skipped = SKIPPED.match(text, at)
        if skipped:
            at = skipped.end()
            continue
        char = text[at]
        if char == "{":
            function = function or (depth == 0 and re.search(r"\)\s*$", COMMENT.sub("", text[:at])) is not None)
            depth += 1
        elif char in "([":
            depth += 1
        elif char in "})]":
            depth -= 1
            if char == "}" and depth == 0 and function:
                return at + 1
        elif char == ";" and depth == 0:
            return at + 1
        at += 1
    return at


def declared_name(declarator):
    """The name in a field, a parameter or a declarator, or None."""
    found = re.search(r"\(\*\s*(\w+)\)|(\w+)\s*(?:\[[^]]*\]|:\s*\w+)*\s*$", declarator.strip())
    return found and (found.group(1) or found.group(2))


def split_commas(text):
    parts, depth = [""], 0
    for char in text:
        depth += (char in "([{") - (char in ")]}")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [" ".join(part.split()) for part in parts]


def read_fields(body, enum):
    """The documented fields of a struct, or values of an enum: (names, doc)."""
    fields, before, code, at, depth = [], "", "", 0, 0
    names = ""

    def finish():
        nonlocal names, before, code
        if code.strip():
            first = re.split(r"=", code)[0] if enum else code
            names = ", ".join(filter(None, map(declared_name, split_commas(first))))
            if before:
                fields.append((names, before))
        before = code = ""

    while at < len(body):
        comment = COMMENT.match(body, at)
        if comment:
            if comment.group().startswith("/**<"):
                if enum:
                    finish()  # the last value has no comma
                fields.append((names, comment_text(comment.group())))
            elif comment.group().startswith("/**"):
                before = comment_text(comment.group())
            at = comment.end()
            continue
        depth += (body[at] == "(") - (body[at] == ")")
        if body[at] == (",;"[not enum]) and depth == 0:
            finish()
        elif body[at] in "{}":  # of a struct inside, whose fields count as the others
            code = ""
        else:
            code += body[at]
        at += 1
    finish()
    return fields


def read_declaration(item, code):
    """Fills in what @code declares; False if it is nothing of ours."""
    plain = uncomment(code).strip()
    plain = re.sub(r"\bGPUVCHAN_EXPORT\s+|\bGPUVCHAN_PRINTF\([^)]*\)|__attribute__\s*\(\(.*?\)\)", "", plain).strip()
    type_found = re.match(r"(struct|enum|union)\s+(\w+)\s*([{;])", plain)
    function = re.match(r"(?:static\s+inline\s+)?([\w\s*]*?[\s*])(\w+)\s*\(", plain)
    if plain.startswith("_Static_assert") or plain == ";":
        return False
    if plain.startswith("typedef"):
        item.kind, item.code = "type", plain
        found = re.search(r"(\w+)\s*\(", plain) or re.search(r"(\w+)\s*;$", plain)
        item.name = found.group(1)
    elif type_found and type_found.group(3) == ";":
        item.kind, item.name, item.code = "opaque", type_found.group(2), plain
    elif type_found:
        item.kind, item.name, item.code = "type", type_found.group(2), plain
        item.fields = read_fields(code[code.index("{") + 1:code.rindex("}")], type_found.group(1) == "enum")
    elif function:
        end = declaration_end(plain.split("{")[0].rstrip() + ";", 0) - 1
        item.kind, item.name = "function", function.group(2)
        item.code = " ".join(re.sub(r"^static\s+inline\s+", "", plain[:end].rstrip("; \n")).split()) + ";"
        item.code = item.code.replace("* gpuvchan_", "*gpuvchan_")
    else:
        raise ManualError(f"{item.where}: neither a function nor a type: {' '.join(plain.split())[:60]}")
    return True


def read_header(path):
    """The opening comment of a header, and what it declares."""
    with open(path, encoding="utf-8") as source:
        text = source.read()
    header = os.path.basename(path)
    items, at, doc, section, intro = [], 0, "", "", ""

    def item_at(at):
        return Item("", "", header, f"{path}:{text.count(chr(10), 0, at) + 1}", section, doc)

    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        comment = COMMENT.match(text, at)
        block = re.compile(r'extern "C" \{|\}').match(text, at)
        if comment:
            found = SECTION.match(comment.group())
            if found:
                section, doc = found.group(1), ""
            elif comment.group().startswith("/**"):
                doc = comment_text(comment.group())
            elif not intro and not items and comment.group().startswith("/*\n"):
                intro = comment_text(comment.group())
            at = comment.end()
            continue
        if text[at] == "#":
            end = re.compile(r"(?:\\\n|/\*.*?\*/|[^\n])*", re.S).match(text, at).end()
            define = re.match(r"#\s*define\s+(GPUVCHAN_\w+(?:\([\w, ]*\))?)(.*)", text[at:end], re.S)
            if define:
                item = item_at(at)
                item.kind, item.name = "macro", define.group(1).split("(")[0]
                item.code = define.group(1)
                value = uncomment(define.group(2)).strip()
                if "(" not in item.code:
                    item.code += " " + value
                if value:  # without one it guards the header
                    items.append(item)
                doc = ""
            at = end
            continue
        if block:
            at = block.end()
            continue
        end = declaration_end(text, at)
        item = item_at(at)
        if read_declaration(item, text[at:end]):
            items.append(item)
        doc, at = "", end
    return intro, items


def page_of(name):
    """The page that takes the name, or None."""
    name = name.lower()
    taken = [(len(prefix), page) for page in PAGES for prefix in page.prefixes
             if name == prefix or name.startswith(prefix + "_")]
    return max(taken, key=lambda pair: pair[0])[1] if taken else None


def check(items, sources):
    """What an author has to know, all of it at once."""
    wrong = []
    known = set(re.findall(r"\b(gpuvchan_\w+)\s*\(", COMMENT.sub("", sources)))
    for item in items:
        if item.kind == "function" and not item.name.startswith("gpuvchan_"):
            wrong.append(f"{item.where}: {item.name}: a public function begins with gpuvchan_")
        elif item.kind == "function" and not item.doc:
            wrong.append(f"{item.where}: {item.name}() has no doc comment")
        elif item.kind in ("function", "type") and not page_of(item.name):
            wrong.append(f"{item.where}: no manual page takes {item.name}: add its prefix to PAGES in manual.py")
        for text in [item.doc] + [doc for _, doc in item.fields]:
            wrong += [f"{item.where}: the comment of {item.name} names {name}(), which is not there"
                      for name in re.findall(r"\b(gpuvchan_\w+)\(\)", text) if name not in known]
            wrong += [f"{item.where}: the comment of {item.name} has {tag}, which is neither @p nor @return"
                      for tag in re.findall(r"@\w+", text) if tag not in ("@p", "@return")]
    if wrong:
        raise ManualError("\n".join(wrong))


# ---- Writing --------------------------------------------------------------------------------------

def escape(text):
    """Text that roff shows as it is."""
    for char, name in (("\\", r"\e"), ("^", r"\(ha"), ("~", r"\(ti"), ("`", r"\(ga")):
        text = text.replace(char, name)
    return "".join(char if ord(char) < 128 else f"\\[u{ord(char):04X}]" for char in text)


def literal(text):
    """Code: as escape(), and with the characters of ASCII that roff would embellish."""
    return escape(text).replace("-", r"\-").replace("'", r"\(aq")


def guard(line):
    return "\\&" + line if line[:1] in (".", "'") else line


def prose(text):
    """A paragraph: lines of roff."""
    text = escape(" ".join(text.split()))
    text = re.sub(r"(^|[\s(=])-(?=[\w.])", r"\1\-", text)
    text = re.sub(r"@p (\w+)", r"\\fI\1\\fP", text)
    text = re.sub(r"(?<![\w/])(gpuvchan_\w+\(\))", r"\\fB\%\1\\fP", text)
    text = re.sub(r"(\\-E[A-Z0-9]+)\b", r"\\fB\1\\fP", text)
    return [guard(line) for line in textwrap.wrap(text, 78, break_long_words=False, break_on_hyphens=False)]


def paragraphs(text):
    """Paragraphs of a comment, as (is it code?, text)."""
    result = []
    for block in re.split(r"\n\s*\n", text):
        code = all(line.startswith("    ") for line in block.split("\n"))
        if code and result and result[-1][0]:
            result[-1] = (True, result[-1][1] + "\n\n" + block)
        elif block.strip():
            result.append((code, block))
    return result


def example(code):
    lines = textwrap.dedent(code).split("\n")
    return [".PP", ".RS 4", ".EX"] + [guard(literal(line)) for line in lines] + [".EE", ".RE"]


def described(text, between=".PP"):
    """A comment without what @return says."""
    lines = []
    for code, block in paragraphs(text):
        block = block if code else re.split(r"@return\b", block)[0].strip()
        if code:
            lines += example(block)
        elif block:
            lines += ([between] if lines else []) + prose(block)
    return lines


def returned(text):
    return " ".join(found.group(1).strip() for _, block in paragraphs(text)
                    for found in [re.search(r"@return\b(.*)", block, re.S)] if found)


def wrapped(code, indent):
    """One line of code in lines that a terminal has room for, broken behind commas and the opening bracket."""
    lines = [""]
    for part in re.split(r"(?<=,) ", code):
        if len(part) > WIDTH and not lines[-1] and "(" in part:
            lines = [part[:part.rindex("(") + 1]]
            part = part[len(lines[0]):]
        if lines[-1] and len(lines[-1]) + 1 + len(part) > WIDTH:
            lines.append(indent + part)
        else:
            lines[-1] += (" " if lines[-1].strip()[-1:] not in ("", "(") else "") + part
    return lines


def prototype(item):
    """A function's or a macro's synopsis: bold, with the parameters' names in italics."""
    code = item.code
    at = code.index(item.name) + len(item.name)
    parameters = code[code.index("(", at) + 1:code.rindex(")")]
    names = {declared_name(part) for part in split_commas(parameters) if item.kind == "macro" or " " in part}
    lines = []
    for number, line in enumerate(wrapped(code, " " * 8)):
        start = code.index("(", at) if number == 0 else 0
        head, rest = line[:start], literal(line[start:])
        for name in filter(None, names):
            rest = re.sub(rf"(?<=[\s*(]){name}(?=[,)\[])", rf"\\fI{name}\\fB", rest)
        lines.append(f"\\fB{literal(head)}{rest}\\fP".replace("\\fB\\fP", ""))
    return lines


def synopsis(items):
    """Includes and prototypes, header by header."""
    lines = [".SH SYNOPSIS", ".nf"]
    for number, header in enumerate(dict.fromkeys(item.header for item in items)):
        shown = [item for item in items if item.header == header and is_callable(item)]
        lines += ([".PP"] if number else []) + [f"\\fB#include <gpuvchan/{header}>\\fP"]
        for item in shown:
            lines += [".PP"] + prototype(item)
    command = literal("cc program.c $(pkg-config --cflags --libs gpuvchan)")
    return lines + [".PP", f"Compile and link with \\fI{command}\\fP", ".fi"]


def is_callable(item):
    return item.kind == "function" or (item.kind == "macro" and "(" in item.code.split()[0])


def functions(items):
    """Entries, below the headers' own section titles where there are several."""
    lines = []
    groups = list(dict.fromkeys((item.header, item.section) for item in items))
    for number, (header, section) in enumerate(groups):
        if len(groups) > 1 and (section or number):
            lines.append(f".SS {escape(section or header)}")
        for item in items:
            if (item.header, item.section) == (header, section):
                lines += [".TP", f"\\fB{item.name}\\fP()"] + described(item.doc, ".IP")
    return lines


def code_lines(code):
    for line in code.split("\n"):
        indent = len(line) - len(line.lstrip())
        yield from wrapped(line, " " * (indent + 4))


def types(items):
    lines = []
    for item in items:
        title = re.match(r"(struct|enum|union) \w+", item.code)
        lines += [f".SS {title.group() if title else item.name}"] + described(item.doc)
        lines += ([".PP"] if item.doc else []) + [".EX"]
        lines += [guard(literal(line)) for line in code_lines(item.code)] + [".EE"]
        for names, doc in item.fields:
            lines += [".TP", "\\fI" + literal(names) + "\\fP"] + described(doc, ".IP")
    return lines


def constants(items):
    lines = [".EX"] + [literal(f"#define {item.code}") for item in items] + [".EE"]
    for item in items:
        if item.doc:
            lines += [".TP", f"\\fB{item.name}\\fP"] + described(item.doc, ".IP")
    return lines


def about(intro, word):
    """The paragraph of a header's opening comment that begins with @word, without it."""
    for code, block in paragraphs(intro):
        if not code and block.startswith(word + ": "):
            text = block[len(word) + 2:]
            return prose(text[0].upper() + text[1:])
    return []


def reference(name):
    found = re.fullmatch(r"(.*)\((\d)\)", name)
    return f"\\fB\\%{literal(found.group(1))}\\fP({found.group(2)})"


def see_also(page, items):
    text = "\n".join(item.doc + "".join(doc for _, doc in item.fields) for item in items)
    pages = {page_of(name) for name in re.findall(r"\b(gpuvchan_\w+)\(\)", text)} - {None, page}
    names = {f"{other.name}(3)" for other in pages} | set(page.see)
    if page.name != "libgpuvchan":
        names.add("libgpuvchan(3)")
    ordered = sorted(names, key=lambda name: (name[-2], name))
    return [".SH SEE ALSO"] + [reference(name) + ("," if name != ordered[-1] else "") for name in ordered]


def write_page(page, items, intros, version, date):
    calls = [item for item in items if is_callable(item)]
    names = list(dict.fromkeys([page.name] + [item.name for item in calls]))
    lines = ['.\\" SPDX-License-Identifier: MIT', '.\\" Written by manual.py from the headers; do not edit.',
             f'.TH {page.name} 3 "{date}" "libgpuvchan {version}" "Library functions"', ".ad l", ".SH NAME"]
    lines += [f"\\%{name}," for name in names[:-1]] + [f"\\%{names[-1]} \\- {escape(page.line)}"]
    lines += synopsis(items) if items else [".SH SYNOPSIS", ".nf"] + [
        f"\\fB#include <gpuvchan/{header}>\\fP" for header in intros] + [".fi"]
    lines.append(".SH DESCRIPTION")
    if page.intro:
        lines += described(intros[page.intro])
    for item in items:
        if item.kind == "opaque" and item.doc:
            lines += described(item.doc)
    lines += functions(calls)
    if not items:
        lines += [".SH PAGES"]
        for other in PAGES:
            if other is not page:
                lines += [".TP", reference(other.name + "(3)"), escape(other.line)]
    for title, kind, write in (("TYPES", "type", types), ("CONSTANTS", "macro", constants)):
        shown = [item for item in items if item.kind == kind and item not in calls]
        lines += [f".SH {title}"] + write(shown) if shown else []
    results = [(item.name, returned(item.doc)) for item in calls]
    if any(text for _, text in results):
        lines.append(".SH RETURN VALUE")
        for name, text in results:
            lines += [".TP", f"\\fB{name}\\fP()"] + prose(text) if text else []
    main = intros["gpuvchan.h"] if "gpuvchan.h" in intros and not page.intro else ""
    if any(item.code.startswith("int ") for item in calls) and about(main, "Errors"):
        lines += [".SH ERRORS"] + about(main, "Errors")
    on_channels = any(re.search(r"struct gpuvchan_(channel|lane)\b", item.code) for item in calls)
    if on_channels and about(main, "Threads"):
        lines += [".SH THREADS"] + about(main, "Threads")
    return "\n".join(lines + see_also(page, items)) + "\n"


# ---- The command line -----------------------------------------------------------------------------

def manual(paths):
    """The files: their contents by their names."""
    intros, items, sources, files = {}, [], "", {}
    for path in paths:
        with open(path, encoding="utf-8") as source:
            sources += source.read()
        intro, found = read_header(path)
        intros[os.path.basename(path)] = intro
        items += [item for item in found if item.name not in INTERNAL]
    check(items, sources)
    newest = max(int(os.stat(path).st_mtime) for path in paths)
    date = time.strftime("%Y-%m-%d", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", newest))))
    version = re.search(r'#define GPUVCHAN_VERSION "([^"]*)"', sources)
    for page in PAGES:
        own = [item for item in items if page_of(item.name) is page and (item.kind != "opaque" or item.doc)]
        if not own and page.intro not in intros:
            continue
        files[page.name + ".3"] = write_page(page, own, intros, version.group(1) if version else "", date)
        for item in own:
            if item.kind != "macro" or is_callable(item):
                files.setdefault(item.name + ".3", f".so man3/{page.name}.3\n")
    return files


def main():
    parser = argparse.ArgumentParser(description="Writes manual pages from the public headers.")
    parser.add_argument("-o", dest="folder", help="folder that they are written to")
    parser.add_argument("--list", action="store_true", help="print the names of the files")
    parser.add_argument("headers", nargs="+", metavar="HEADER")
    options = parser.parse_args()
    if not options.folder and not options.list:
        parser.error("neither -o nor --list is given")
    try:
        files = manual(options.headers)
        if options.list:
            print("\n".join(sorted(files)))
        if options.folder:
            os.makedirs(options.folder, exist_ok=True)
            for name, text in files.items():
                with open(os.path.join(options.folder, name), "w", encoding="utf-8") as out:
                    out.write(text)
    except (ManualError, OSError, UnicodeDecodeError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
