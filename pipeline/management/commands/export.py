"""`manage.py export`: answers as files, releases of everything, and whether a release is what was written."""

from __future__ import annotations

from argparse import SUPPRESS
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from pipeline import readers
from pipeline.management.base import BadArguments, SpineCommand, failed_if
from pipeline.management.help import add_verb
from pipeline.management.output_paths import file_to_write, folder_to_fill
from pipeline.models import data_kinds
from pipeline.readers import PARAMETERS, ReadersError, Result, written
from pipeline.readers.answers import FUNCTIONS
from pipeline.readers.parameters import SAMPLES, Parameter, parameters_of
from pipeline.readers.release import build, checked
from pipeline.readers.sizes import sizes_of
from pipeline.readers.written import AlreadyThere, Format, Written

RELEASE, VERIFY = "release", "verify"
STDOUT = "-"


class Command(SpineCommand):
    """Write what readers get to files."""

    help = (
        "Write a dataset to a file, a release of all of them as a Data Package of Parquet files, or check one. Exit code: "
        "0 written; 1 written, and partitions that were asked for are missing, or verify found a difference; 2 could not."
    )
    examples = (
        ("export rows --weeks 13 --symbol BRK.B --as-of 2026-11-18 --format parquet", "as they were known on that day"),
        ("export venues --tier ALL --venue-kind ATS --sort share_change_bp --top 10", "the ATSs that gained most"),
        ("export rows --describe", "the fields of a dataset: type, unit, meaning"),
        ("export release /data/otc --incremental", "everything; links what has not changed"),
    )
    more_help = "`export DATASET --help` lists what a dataset can be asked."

    def add_own_arguments(self, parser: CommandParser) -> None:
        """What to export, which rows of it, and in what form."""
        verbs = parser.add_subparsers(dest="what", required=True, metavar="WHAT", title="a dataset, release or verify")
        for name, dataset in readers.DATASETS.items():
            _add_dataset(add_verb(verbs, name, dataset.meaning), parameters_of(FUNCTIONS[name]))
        release = add_verb(verbs, RELEASE, "all datasets, as a Data Package of Parquet files")
        verify = add_verb(verbs, VERIFY, "that a release, or each in a folder, is what was written")
        for one in (release, verify):
            one.add_argument("folder", nargs="?", help="of releases (default: MARKETSPINE_RELEASES_DIR)")
        for name in ("as_of", "weeks"):
            _add_parameter(release, PARAMETERS[name])
        release.add_argument("--if-changed", action="store_true", help="leave one that was made from the same inputs")
        release.add_argument("--incremental", action="store_true", help="link files that the newest one has already")
        release.add_argument("--verify", action="store_true", help="check it once it is made")
        release.add_argument("--keep", type=int, metavar="N", help="remove those beyond the newest N")

    def mark(self) -> None:
        """Say on stderr that the data is invented: stdout may be the data."""
        if data_kinds.shows_samples():
            self.warn("SAMPLES: all of this is invented data, none of it is FINRA's.")

    def work(self, **options: Any) -> int:
        """Export; what cannot be asked is told with its kind."""
        try:
            if options["what"] == RELEASE:
                return self._release(options)
            return self._verify(options) if options["what"] == VERIFY else self._dataset(options)
        except ReadersError as error:
            raise BadArguments(f"{error.kind}: {error.detail}") from error
        except KeyboardInterrupt:
            raise BadArguments("stopped; nothing is left of what was not finished") from None
        except (AlreadyThere, build.NoRelease) as error:
            raise BadArguments(str(error)) from error

    def _dataset(self, options: dict[str, Any]) -> int:
        if options["folder"]:
            raise BadArguments(f"{options['folder']}: only release and verify take a folder; name a file with --out")
        if options["describe"]:
            return self._describe(options["what"])
        result = FUNCTIONS[options["what"]](**_asked(options))
        result = result.narrowed(options["fields"].split(",")) if options["fields"] else result
        if options["count_only"]:
            return self._count(result)
        for caveat in result.warnings:
            if caveat != SAMPLES:  # which is said already
                self.warn(f"{caveat.code}: {caveat.text}")
        self._tell(self._write(result, options), result)
        return failed_if(not result.meta.coverage.complete and not options["allow_incomplete"])

    def _describe(self, name: str) -> int:
        fields = readers.DATASETS[name].fields
        self.table(readers.DATASETS[name].meaning, ("field", "type", "unit", "null", "meaning"), map(_told, fields))
        if self.as_json:
            self.document({"dataset": name, "fields": [dict(zip(TOLD, _told(field), strict=True)) for field in fields]})
        return 0

    def _count(self, result: Result) -> int:
        sizes = asdict(sizes_of(result))
        self.line(
            f"{result.total:,} rows; about {', '.join(f'{size:,} bytes as {form}' for form, size in sizes.items())}"
        )
        if self.as_json:
            self.document({"rows": result.total, "estimated_bytes": sizes, "meta": result.meta.as_document()})
        return 0

    def _write(self, result: Result, options: Mapping[str, Any]) -> Written | None:
        form = Format(options["format"])
        if options["gzip"] and form is Format.PARQUET:
            raise BadArguments("--gzip: a Parquet file is compressed already")
        ending = f"{form.value}{'.gz' if options['gzip'] else ''}"
        out = data_kinds.file_name(f"{result.dataset.name}.{ending}") if options["out"] is None else options["out"]
        made = {"spreadsheet_safe": options["spreadsheet_safe"], "zipped": options["gzip"]}
        said = written.form_of(form, **made)
        if options["if_changed"] and out != STDOUT and (found := written.as_it_should_be(result, Path(out), said)):
            return found
        replace = options["force"] or options["if_changed"]
        if out != STDOUT:
            written.check_free(file_to_write("--out", out), replace=replace)
        encoded = written.encoded(result, form, **made)
        if out == STDOUT:
            self._to_stdout(encoded.content)
            return None
        return written.write(result, encoded, Path(out), replace=replace)

    def _to_stdout(self, content: bytes) -> None:
        if self.as_json:
            raise BadArguments("--json prints a document: it does not go with --out -")
        buffer = getattr(self.stdout, "buffer", None) or getattr(getattr(self.stdout, "_out", None), "buffer", None)
        if buffer is None:
            self.stdout.write(content.decode(), ending="")
        else:
            buffer.write(content)
            buffer.flush()

    def _tell(self, file: Written | None, result: Result) -> None:
        if file is None:
            return
        self.line(f"{file.path}: {file.rows:,} rows, {file.size:,} bytes{'' if file.changed else ', unchanged'}")
        if self.as_json:
            named = {"path": file.path, "rows": file.rows, "bytes": file.size, "sha256": file.sha256}
            self.document({**named, "changed": file.changed, "meta": result.meta.as_document()})

    def _release(self, options: dict[str, Any]) -> int:
        folder = folder_to_fill(_folder(options))
        asked = {name: options[name] for name in ("as_of", "weeks") if options[name] is not None}
        done = build.release(folder, asked, incremental=options["incremental"], if_changed=options["if_changed"])
        removed = build.remove_older(folder, options["keep"]) if options["keep"] else []
        self.line(f"{done.path}: {done.files:,} files, {done.linked:,} of them linked, {done.size:,} bytes")
        for path in removed:
            self.line(f"removed {path}")
        if self.as_json:
            counts = {"files": done.files, "linked": done.linked, "bytes": done.size}
            self.document({"release": done.name, "path": str(done.path), **counts, "removed": list(map(str, removed))})
        return self._check(done.path, as_json=False) if options["verify"] else 0

    def _verify(self, options: dict[str, Any]) -> int:
        return self._check(_folder(options), as_json=self.as_json)

    def _check(self, folder: Path, *, as_json: bool) -> int:
        findings = checked.verify(folder)
        for finding in findings.differences:
            self.line(finding)
        self.line(
            f"{findings.files:,} files of {findings.releases} release(s): {len(findings.differences)} differences"
        )
        if as_json:
            self.document({"files": findings.files, "differences": list(findings.differences)})
        return failed_if(bool(findings.differences))


def _add_dataset(parser: CommandParser, own: Mapping[str, Parameter]) -> None:
    """A dataset's own parameters, and how it is written. Those of others are taken, too: the readers say what is meant."""
    for name, parameter in PARAMETERS.items():
        _add_parameter(parser, parameter, is_listed=name in own)
    parser.add_argument("folder", nargs="?", help=SUPPRESS)  # to say that it takes none
    parser.add_argument("--format", choices=[form.value for form in Format], default=Format.CSV.value)
    parser.add_argument("--out", help="the file, or - for stdout (default: {dataset}.{format} in this folder)")
    parser.add_argument("--fields", help="some columns, with commas")
    parser.add_argument("--gzip", action="store_true", help="compress CSV or NDJSON")
    parser.add_argument("--if-changed", action="store_true", help="leave a file that was made from the same inputs")
    parser.add_argument("--force", action="store_true", help="replace a file that is there")
    parser.add_argument("--count-only", action="store_true", help="say how many rows there are, and write nothing")
    parser.add_argument("--describe", action="store_true", help="print the fields, and write nothing")
    parser.add_argument("--allow-incomplete", action="store_true", help="exit 0 where partitions are missing")
    parser.add_argument("--spreadsheet-safe", action="store_true", help="put ' before what a spreadsheet would compute")


def _add_parameter(parser: CommandParser, parameter: Parameter, *, is_listed: bool = True) -> None:
    name = parameter.name
    names = [f"--{name.replace('_', '-')}", *(["--week"] if name == "week_ending" else [])]
    told = f"{parameter.meaning}: {', '.join(parameter.choices)}" if parameter.choices else parameter.meaning
    metavar = parameter.example or parameter.type.value.upper()
    parser.add_argument(*names, dest=name, metavar=metavar, help=told.replace("%", "%%") if is_listed else SUPPRESS)


TOLD = ("field", "type", "unit", "null", "meaning")


def _told(field: readers.Field) -> tuple[str, ...]:
    return field.name, str(field.type), field.unit, field.null or "never", field.meaning


def _asked(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in PARAMETERS if options[name] is not None}


def _folder(options: Mapping[str, Any]) -> Path:
    folder = options["folder"] or settings.MARKETSPINE_RELEASES_DIR
    if not folder:
        raise BadArguments("name a folder, or set MARKETSPINE_RELEASES_DIR")
    return Path(folder)
