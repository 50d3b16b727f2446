"""The tables `make bench` prints."""

MEASURES = (
    ("init_ms", "cold init, ms"),
    ("first_ms", "first invocation, ms"),
    ("cold_cut_ms", "process start to the deny, ms"),
    ("warm_ms", "warm invocation, ms"),
    ("warm_cut_ms", "warm, event to the deny, ms"),
    ("init_cpu_ms", "CPU of the init, ms"),
    ("cold_cpu_ms", "CPU of init and first invocation, ms"),
    ("warm_cpu_ms", "CPU of a warm invocation, ms"),
    ("peak_mb", "peak memory, MB"),
    ("init_connections", "connections held after the init"),
    ("connections", "connections held after the first invocation"),
)
_MB = 1e6


def comparison(results):
    """Absolute numbers, then ratios with Tourniquet as 1."""
    subjects = results["subjects"]
    keys = list(subjects)
    rows = [["", *(subjects[key]["name"] for key in keys), *(f"{subjects[key]['name']} x" for key in keys[1:])]]
    for name, label in MEASURES:
        values = [subjects[key]["median"][name] for key in keys]
        ratios = [number(value / values[0]) if values[0] else "" for value in values[1:]]
        rows.append([label, *map(number, values), *ratios])
    values = [subjects[key]["median_plain_http"]["cold_cpu_ms"] for key in keys]
    ratios = [number(value / values[0]) for value in values[1:]]
    rows.append(["CPU of the two over plain HTTP, ms", *map(number, values), *ratios])
    for label, field in (
        ("package, MB", "package_bytes"),
        ("package with its AWS SDK, MB", "package_with_sdk_bytes"),
    ):
        values = [subjects[key][field] for key in keys]
        rows.append([label, *(number(v / _MB) for v in values), *(number(v / values[0]) for v in values[1:])])
    for label, field in (
        ("AWS calls", "calls"),
        ("dependent, to the deny", "to_the_cut"),
        ("dependent, in all", "in_all"),
    ):
        rows.append([label, *(str(subjects[key]["waves"][field]) for key in keys), *("" for _ in keys[1:])])
    return table(rows)


def same_calls(proof):
    if proof["identical"]:
        counts = ", ".join(f"{service} {count}" for service, count in proof["by_service"].items())
        return f"Same calls: the lab recorded {proof['decisions']} decisions for each of the two, identical ({counts})."
    lines = ["NOT THE SAME CALLS:"]
    for who in ("only_tourniquet", "only_boto3"):
        lines += [f"  {who}: {call}" for call in proof[who]]
    return "\n".join(lines)


def levers(rows):
    shipped = rows[0]["median"]
    columns = ("init_ms", "first_cut_ms", "cold_cpu_ms")
    heads = ("init, ms", "event to the deny, ms", "CPU init + first, ms")
    shown = [["lever", *heads, "CPU x"]]
    for row in rows:
        median = row["median"]
        ratio = number(median["cold_cpu_ms"] / shipped["cold_cpu_ms"])
        shown.append([row["lever"], *(number(median[name]) for name in columns), ratio])
    return table(shown)


def cost(costs, standing):
    kinds = list(costs)
    rows = [["dollars per 1,000 findings, list prices", *kinds]]
    for name in costs[kinds[0]]["dollars_per_1000_findings"]:
        rows.append([name, *(f"{costs[kind]['dollars_per_1000_findings'][name]:.4f}" for kind in kinds)])
    services = sorted({service for kind in kinds for service in costs[kind]["calls"]})
    rows.append(["calls per containment", *("" for _ in kinds)])
    rows += [[f"  {service}", *(str(costs[kind]["calls"].get(service, 0)) for kind in kinds)] for service in services]
    rows.append(["  kms, by S3 and SNS, at most", *(str(costs[kind]["kms_calls_of_s3_and_sns"]) for kind in kinds)])
    rows.append(["billed, ms, cold, the wait included", *(str(costs[kind]["billed_ms"]) for kind in kinds)])
    fixed = f"{standing['kms_keys']} KMS keys and {standing['alarms']} alarms"
    return f"{table(rows)}\nEvery month, findings or not: {fixed}, {standing['dollars_per_month']:.2f} dollars."


def number(value):
    """Three digits that say something; counts as they are."""
    if isinstance(value, int):
        return f"{value:,}"
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}" if value >= 0.1 else f"{value:.3f}"


def table(rows):
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:]))]
        lines.append("  ".join(cells).rstrip())
    return "\n".join([lines[0], "-" * (sum(widths) + 2 * len(widths) - 2), *lines[1:]])
