"""A HistFactory workspace as a datacard of Combine with its histograms.

=============  ==========================================================================
`normsys`      ``lnN``, asymmetric where it is; a part of ``shape`` where the name has a shape
`histosys`     ``shape``: templates up and down, with the yield of a `normsys` of the same name
`lumi`         ``lnN``
`staterror`    ``autoMCStats`` with threshold 0, errors of the bins in the histograms
`normfactor`   ``rateParam``; the parameter of interest is Combine's ``r``
=============  ==========================================================================

`shapefactor` and `shapesys` have no counterpart of the same meaning, and are refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import hist
import numpy as np
from numpy.typing import NDArray

from fullchain.errors import InputError
from fullchain.inference import combine_card

Array = NDArray[np.float64]
Specification = Mapping[str, Any]
Parameters = Mapping[str, Mapping[str, Any]]

SUPPORTED = ("normsys", "histosys", "lumi", "staterror", "normfactor")


@dataclass(frozen=True)
class Column:
    """One process in one region, with its modifiers by type and name."""

    region: str
    process: str
    values: Array
    modifiers: dict[tuple[str, str], Any]

    def yields(self, name: str) -> tuple[Array, Array] | None:
        """Bins at plus and minus one standard deviation of a parameter; None: it does nothing."""
        shape = self.modifiers.get(("histosys", name))
        yields = self.modifiers.get(("normsys", name))
        if shape is None and yields is None:
            return None
        up, down = (
            (self.values, self.values)
            if shape is None
            else (np.array(shape["hi_data"]), np.array(shape["lo_data"]))
        )
        return (up, down) if yields is None else (up * yields["hi"], down * yields["lo"])

    def named(self, kind: str) -> list[str]:
        """Names of its modifiers of a type."""
        return [name for one, name in self.modifiers if one == kind]


def write_card(
    specification: Specification,
    edges: Mapping[str, Sequence[float]],
    shapes: str,
    groups: Mapping[str, str] | None = None,
) -> tuple[str, dict[str, hist.Hist]]:
    """Give the text of a datacard and its histograms by path.

    Parameters
    ----------
    specification
        pyhf workspace; its first measurement counts.
    edges
        Bin edges by region.
    shapes
        Name of the file that will hold the histograms.
    groups
        Group of each parameter.

    Raises
    ------
    InputError
        A modifier or a setting of the measurement cannot be written; it is named.
    """
    measurement = specification["measurements"][0]["config"]
    poi: str = measurement["poi"]
    columns = _columns(specification)
    regions = [one["name"] for one in specification["channels"]]
    parameters = {one["name"]: one for one in measurement["parameters"]}
    kinds: dict[str, set[str]] = {}
    for column in columns:
        for kind, name in column.modifiers:
            kinds.setdefault(name, set()).add(kind)
    _check_parameters(parameters, kinds, poi)
    identity = _identities(columns, poi)
    errors = _staterrors(columns, regions)
    about = {
        "poi": poi,
        "staterror": errors,
        "measurement": specification["measurements"][0]["name"],
        **{
            key: parameters[poi][key]
            for key in ("inits", "bounds")
            if key in parameters.get(poi, {})
        },
    }
    nuisances = [
        name for name, of in kinds.items() if of & {"normsys", "histosys", "lumi"} and name != poi
    ]
    lines = [
        "# Written by fullchain from a HistFactory workspace. Combine: arXiv:2404.06614.",
        combine_card.remark(about),
        *_caveats(kinds),
        f"imax {len(regions)} number of channels",
        f"jmax {len(identity) - 1} number of processes minus one",
        f"kmax {len(nuisances)} number of nuisance parameters",
        "-" * 20,
        f"shapes * * {shapes} $CHANNEL/$PROCESS $CHANNEL/$PROCESS_$SYSTEMATIC",
        "-" * 20,
        f"bin {' '.join(regions)}",
        f"observation {' '.join(['-1'] * len(regions))}",
        "-" * 20,
        f"bin {' '.join(one.region for one in columns)}",
        f"process {' '.join(one.process for one in columns)}",
        f"process {' '.join(str(identity[one.process]) for one in columns)}",
        f"rate {' '.join(['-1'] * len(columns))}",
        "-" * 20,
        *(_nuisance(name, kinds[name], columns, parameters) for name in nuisances),
        *_rate_parameters(columns, parameters, poi),
        *(f"{region} autoMCStats 0" for region in errors),
        *_groups(nuisances, groups or {}),
    ]
    return "\n".join(lines) + "\n", _histograms(specification, columns, edges, kinds)


def _caveats(kinds: Mapping[str, set[str]]) -> list[str]:
    used = set().union(*kinds.values())
    return [f"# {kind}: {text}" for kind, text in combine_card.CAVEATS.items() if kind in used]


def _columns(specification: Specification) -> list[Column]:
    columns = []
    for one in specification["channels"]:
        combine_card.check_name(one["name"], "the region")
        for sample in one["samples"]:
            where = f"datacard: region {one['name']}, sample {sample['name']}"
            combine_card.check_name(sample["name"], f"region {one['name']}: the sample")
            if sample["name"] == combine_card.DATA:
                raise InputError(f"{where}: this is Combine's name of the data; rename the sample")
            modifiers = {}
            for modifier in sample["modifiers"]:
                kind, name = modifier["type"], modifier["name"]
                combine_card.check_name(name, f"region {one['name']}, {sample['name']}: the {kind}")
                if kind not in SUPPORTED:
                    raise InputError(
                        f"{where}: the {kind} {name!r} has no counterpart in a datacard; leave it "
                        f"out, or write the model without it ({', '.join(SUPPORTED)} are supported)"
                    )
                modifiers[kind, name] = modifier["data"]
            column = Column(one["name"], sample["name"], np.array(sample["data"]), modifiers)
            for name in [*column.named("normsys"), *column.named("histosys")]:
                varied = column.yields(name)
                assert varied is not None
                if not min(float(side.sum()) for side in varied) > 0 < column.values.sum():
                    raise InputError(
                        f"{where}, {name}: a yield, nominal, up or down, is not positive; a "
                        "log-normal cannot hold it"
                    )
            columns.append(column)
    return columns


def _check_parameters(parameters: Parameters, kinds: Mapping[str, set[str]], poi: str) -> None:
    if "normfactor" not in kinds.get(poi, set()):
        raise InputError(
            f"datacard: the parameter of interest {poi!r} is no normfactor of a sample"
        )
    if poi != combine_card.STRENGTH and combine_card.STRENGTH in kinds:
        raise InputError(
            f"datacard: a parameter is called {combine_card.STRENGTH!r}, as Combine calls the "
            "signal strength; rename it"
        )
    for name, one in parameters.items():
        if name not in kinds:
            continue  # acts on nothing
        if one.get("fixed"):
            raise InputError(f"datacard: the parameter {name!r} is fixed; a datacard cannot say so")
        if "normfactor" in kinds[name]:
            continue
        default = {"inits": [0.0], "auxdata": [0.0], "sigmas": [1.0]}
        if "lumi" in kinds[name]:
            default = {"inits": [1.0], "auxdata": [1.0]}
        for key, value in one.items():
            if key in default and list(value) != default[key]:
                raise InputError(
                    f"datacard: the measurement sets {key} of {name!r} to {value}; a datacard has "
                    f"{default[key]}"
                )


def _identities(columns: Sequence[Column], poi: str) -> dict[str, int]:
    """Number of each process: signals from zero down, backgrounds from one up."""
    scaled: dict[str, set[bool]] = {}
    for one in columns:
        scaled.setdefault(one.process, set()).add(("normfactor", poi) in one.modifiers)
    for process, values in scaled.items():
        if len(values) > 1:
            raise InputError(
                f"datacard: sample {process}: {poi!r} scales it in some regions and not in others; "
                "a process is a signal in all of them or in none"
            )
    signals = [name for name, values in scaled.items() if values == {True}]
    backgrounds = [name for name in scaled if name not in signals]
    return {name: -place for place, name in enumerate(signals)} | {
        name: place for place, name in enumerate(backgrounds, start=1)
    }


def _staterrors(columns: Sequence[Column], regions: Sequence[str]) -> dict[str, str]:
    """Name of the staterror of each region that has one."""
    found = {}
    for region in regions:
        names = {n for one in columns if one.region == region for n in one.named("staterror")}
        if len(names) > 1:
            raise InputError(
                f"datacard: region {region} has the staterrors {', '.join(sorted(names))}; Combine "
                "has one parameter for each bin of a region"
            )
        if names:
            found[region] = names.pop()
    return found


def _nuisance(name: str, kinds: set[str], columns: Sequence[Column], parameters: Parameters) -> str:
    if "histosys" in kinds:
        return f"{name} shape " + " ".join("-" if c.yields(name) is None else "1" for c in columns)
    if kinds == {"lumi"}:
        size = repr(1.0 + parameters["lumi"]["sigmas"][0])
        return f"{name} lnN " + " ".join(size if c.named("lumi") else "-" for c in columns)
    return f"{name} lnN " + " ".join(
        _log_normal(c.modifiers.get(("normsys", name))) for c in columns
    )


def _log_normal(data: Mapping[str, float] | None) -> str:
    if data is None:
        return "-"
    up, down = float(data["hi"]), float(data["lo"])
    return repr(up) if abs(up * down - 1.0) < 1e-12 else f"{down!r}/{up!r}"


def _rate_parameters(columns: Sequence[Column], parameters: Parameters, poi: str) -> list[str]:
    lines = []
    for one in columns:
        for name in one.named("normfactor"):
            if name == poi:
                continue
            settings = parameters.get(name, {})
            low, high = settings.get("bounds", [[0.0, 10.0]])[0]
            init = settings.get("inits", [1.0])[0]
            lines.append(f"{name} rateParam {one.region} {one.process} {init!r} [{low!r},{high!r}]")
    return lines


def _groups(nuisances: Sequence[str], groups: Mapping[str, str]) -> list[str]:
    members: dict[str, list[str]] = {}
    for name in nuisances:
        if name in groups:
            members.setdefault(groups[name].replace(" ", "_"), []).append(name)
    return [f"{group} group = {' '.join(names)}" for group, names in members.items()]


def _histograms(
    specification: Specification,
    columns: Sequence[Column],
    edges: Mapping[str, Sequence[float]],
    kinds: Mapping[str, set[str]],
) -> dict[str, hist.Hist]:
    found = {}
    for one in specification["observations"]:
        path = f"{one['name']}/{combine_card.DATA}"
        found[path] = _histogram(np.array(one["data"]), edges[one["name"]], path)
    for column in columns:
        path, bins = f"{column.region}/{column.process}", edges[column.region]
        errors = [np.array(column.modifiers["staterror", n]) for n in column.named("staterror")]
        found[path] = _histogram(column.values, bins, path, *errors)
        for name in [n for n, of in kinds.items() if "histosys" in of]:
            sides = column.yields(name)
            if sides is not None:
                for side, values in zip(("Up", "Down"), sides, strict=True):
                    found[f"{path}_{name}{side}"] = _histogram(values, bins, f"{path}_{name}{side}")
    return found


def _histogram(
    values: Array, edges: Sequence[float], path: str, errors: Array | None = None
) -> hist.Hist:
    if np.any(values < 0):
        place = int(np.argmin(values))
        raise InputError(f"datacard: {path}: bin {place} holds {values[place]:g}, less than zero")
    made = hist.Hist(hist.axis.Variable(list(edges)), storage=hist.storage.Weight())
    view = made.view()
    view.value = values
    view.variance = 0.0 if errors is None else errors**2
    return made
