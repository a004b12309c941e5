"""`lonja compose` and `lonja check`, as they are called from a shell."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from lonja.cli import main
from router.composition.federation_spec import federation_directives

LINK = (
    'extend schema @link(url: "https://specs.apollo.dev/federation/v2.5", import: ['
    + ", ".join(f'"@{name}"' for name in federation_directives((2, 5)))
    + "])\n"
)
PRODUCTS = LINK + 'type Query { product: Product }\ntype Product @key(fields: "id") { id: ID! }\n'
STOCK = LINK + 'type Product @key(fields: "id") { id: ID! inStock(at: String): Int }\n'


def project(folder: Path, **schemas: str) -> Path:
    """A folder with a supergraph.yaml and a file for each subgraph."""
    lines = ["federation_version: =2.5.0", "subgraphs:"]
    for name, sdl in schemas.items():
        (folder / f"{name}.graphql").write_text(sdl)
        lines += [f"  {name}:", f"    routing_url: http://{name}.test/graphql"]
        lines += ["    schema:", f"      file: ./{name}.graphql"]
    path = folder / "supergraph.yaml"
    path.write_text("\n".join(lines) + "\n")
    return path


def run(*arguments: str | Path, exit_code: int = 0) -> tuple[str, str]:
    """Standard output and error of `lonja ARGUMENTS`."""
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == exit_code, result.output
    return result.stdout, result.stderr


def test_prints_the_supergraph(tmp_path: Path) -> None:
    out, err = run("compose", "--config", project(tmp_path, products=PRODUCTS, stock=STOCK))
    assert 'STOCK @join__graph(name: "stock", url: "http://stock.test/graphql")' in out
    assert err == ""


def test_writes_the_supergraph_to_a_file(tmp_path: Path) -> None:
    target = tmp_path / "supergraph.graphql"
    config = project(tmp_path, products=PRODUCTS, stock=STOCK)
    out, _ = run("compose", "--config", config, "-o", target)
    assert out == ""
    assert "join__Graph" in target.read_text()


def test_json_of_success(tmp_path: Path) -> None:
    config = project(tmp_path, products=PRODUCTS, stock=STOCK)
    answer = json.loads(run("compose", "--config", config, "--json")[0])
    assert list(answer) == ["ok", "supergraph", "errors", "hints"]
    assert answer["ok"] is True
    assert answer["errors"] == []


def test_all_errors_are_reported_as_json(tmp_path: Path) -> None:
    broken = LINK + (
        "type Query { other: Int stock: Shop }\n"
        'type Shop @key(fields: "no") { id: ID! }\ntype Till @key(fields: "") { id: ID! }\n'
    )
    config = project(tmp_path, products=PRODUCTS, stock=broken)
    answer = json.loads(run("compose", "--config", config, "--json", exit_code=1)[0])
    assert answer["ok"] is False
    assert answer["supergraph"] is None
    assert [error["code"] for error in answer["errors"]] == ["KEY_INVALID_FIELDS"] * 2
    assert answer["errors"][0]["subgraphs"] == ["stock"]
    assert answer["errors"][0]["coordinates"] == ["Shop"]


def test_a_syntax_error_has_file_line_and_column(tmp_path: Path) -> None:
    config = project(tmp_path, products=PRODUCTS, stock="type Query {\n  a: \n}\n")
    _, err = run("compose", "--config", config, exit_code=1)
    assert "error INVALID_GRAPHQL: [stock] Syntax Error" in err
    assert f"at {tmp_path / 'stock.graphql'}:3:1" in err
    answer = json.loads(run("compose", "--config", config, "--json", exit_code=1)[0])
    place = answer["errors"][0]["places"][0]
    assert (Path(place["file"]).name, place["line"], place["column"]) == ("stock.graphql", 3, 1)


def test_subgraphs_as_json(tmp_path: Path) -> None:
    path = tmp_path / "subgraphs.json"
    path.write_text(json.dumps([{"name": "products", "url": "http://p.test", "sdl": PRODUCTS}]))
    assert "PRODUCTS" in run("compose", "--subgraphs", path)[0]


def test_a_contract_hides_what_is_tagged(tmp_path: Path) -> None:
    stock = STOCK.replace("): Int", '): Int @tag(name: "internal")')
    config = project(tmp_path, products=PRODUCTS, stock=stock)
    assert "@inaccessible" not in run("compose", "--config", config)[0]
    out, _ = run("compose", "--config", config, "--exclude-tag", "internal")
    assert '@tag(name: "internal") @inaccessible' in out


def test_two_subgraphs_of_one_name(tmp_path: Path) -> None:
    path = tmp_path / "subgraphs.json"
    entry = {"name": "products", "url": "http://p.test", "sdl": PRODUCTS}
    path.write_text(json.dumps([entry, entry]))
    answer = json.loads(run("compose", "--subgraphs", path, "--json", exit_code=1)[0])
    assert [error["code"] for error in answer["errors"]] == ["INVALID_SUBGRAPH_NAME"]


@pytest.mark.parametrize(
    "text",
    ["subgraphs: 3", "subgraphs: {a: {schema: {file: missing.graphql}}}", "a: [", ""],
    ids=["no mapping", "no file", "no YAML", "empty"],
)
def test_a_bad_config_is_wrong_usage(tmp_path: Path, text: str) -> None:
    path = tmp_path / "supergraph.yaml"
    path.write_text(text)
    _, err = run("compose", "--config", path, exit_code=2)
    assert "Error:" in err


def test_needs_one_source() -> None:
    run("compose", exit_code=2)
    run("compose", "--config", "a", "--subgraphs", "b", exit_code=2)


def test_check_lists_breaking_and_dangerous_changes(tmp_path: Path) -> None:
    old = tmp_path / "old.graphql"
    run("compose", "--config", project(tmp_path, products=PRODUCTS, stock=STOCK), "-o", old)
    changed = STOCK.replace("inStock(at: String): Int", "stock(at: String): Int")
    more = PRODUCTS.replace("product: Product", "product(id: ID): Product")
    config = project(tmp_path, products=more, stock=changed)
    out, _ = run("check", "--config", config, "--against", old, exit_code=1)
    assert "breaking FIELD_REMOVED: Field Product.inStock" in out
    assert "dangerous OPTIONAL_ARG_ADDED" in out
    answer = json.loads(
        run("check", "--config", config, "--against", old, "--json", exit_code=1)[0]
    )
    assert answer["ok"] is False
    assert [one["kind"] for one in answer["breaking"]] == ["FIELD_REMOVED"]
    assert [one["kind"] for one in answer["dangerous"]] == ["OPTIONAL_ARG_ADDED"]


def test_check_of_the_same_is_well(tmp_path: Path) -> None:
    old = tmp_path / "old.graphql"
    config = project(tmp_path, products=PRODUCTS, stock=STOCK)
    run("compose", "--config", config, "-o", old)
    assert "0 breaking, 0 dangerous" in run("check", "--config", config, "--against", old)[0]


def test_check_against_what_is_no_supergraph(tmp_path: Path) -> None:
    config = project(tmp_path, products=PRODUCTS)
    run("check", "--config", config, "--against", tmp_path / "products.graphql", exit_code=2)
    run("check", "--config", config, "--against", tmp_path / "missing", exit_code=2)
