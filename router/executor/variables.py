"""Checking the variables of a request (GraphQL § 6.1.2) by closures compiled once per operation.

Values are checked, not changed: subgraphs get what the client sent and coerce it themselves. The
closures only say yes or no; what is wrong is then found out by graphql-core, in its words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, TypeAlias

from graphql import (
    GraphQLEnumType,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    GraphQLSchema,
    OperationDefinitionNode,
    VariableDefinitionNode,
    is_input_type,
    type_from_ast,
)
from graphql.execution import get_variable_values

from router.errors import RouterError
from router.executor.leaves import INT_MAX, INT_MIN

ERRORS_MAX: Final = 10

Check: TypeAlias = Callable[[Any], bool]


class BadVariables(RouterError):
    """Variables that do not fit the operation. `errors` are safe to show."""

    code: ClassVar[str] = "BAD_USER_INPUT"

    def __init__(self, errors: Sequence[GraphQLError]) -> None:
        self.errors = list(errors)
        super().__init__("; ".join(error.message for error in errors))


class Variables:
    """The variables of one operation."""

    def __init__(self, schema: GraphQLSchema, operation: OperationDefinitionNode) -> None:
        self._schema = schema
        self._nodes: Sequence[VariableDefinitionNode] = operation.variable_definitions or ()
        compiler = _Compiler()
        self._checks: list[tuple[str, bool, Check]] = []
        self._booleans: list[tuple[str, bool | None]] = []
        for node in self._nodes:
            name = node.variable.name.value
            kind = type_from_ast(schema, node.type)
            assert is_input_type(kind), "the operation is valid"
            required = isinstance(kind, GraphQLNonNull) and node.default_value is None
            self._checks.append((name, required, compiler.check(kind)))
            if _is_boolean(kind):
                default = getattr(node.default_value, "value", None)
                self._booleans.append((name, default if isinstance(default, bool) else None))

    def check(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The given values of the operation's variables, others dropped. Raises BadVariables."""
        values: dict[str, Any] = {}
        for name, required, fits in self._checks:
            if name in given:
                value = given[name]
                if not fits(value):
                    self._refuse(given)
                values[name] = value
            elif required:
                self._refuse(given)
        return values

    def conditions(self, values: Mapping[str, Any]) -> dict[str, bool]:
        """The Boolean variables, with defaults: what @skip and @include look at."""
        conditions: dict[str, bool] = {}
        for name, default in self._booleans:
            value = values.get(name, default)
            conditions[name] = value is True
        return conditions

    def _refuse(self, given: Mapping[str, Any]) -> None:
        result = get_variable_values(self._schema, self._nodes, dict(given), max_errors=ERRORS_MAX)
        if isinstance(result, list):
            raise BadVariables(result)
        # Only stricter than graphql-core where it lets pass what no subgraph would take.
        raise BadVariables([GraphQLError("A variable has a value that its type does not allow.")])


def _is_boolean(kind: GraphQLInputType) -> bool:
    if isinstance(kind, GraphQLNonNull):
        kind = kind.of_type
    return isinstance(kind, GraphQLScalarType) and kind.name == "Boolean"


class _Compiler:
    """Compiles checks; those of input objects once each, as they may refer to themselves."""

    def __init__(self) -> None:
        self._objects: dict[str, Check] = {}

    def check(self, kind: GraphQLInputType) -> Check:
        """A test of a value that was given (null included)."""
        if isinstance(kind, GraphQLNonNull):
            fits = self._present(kind.of_type)
            return lambda value: value is not None and fits(value)
        fits_or_null = self._present(kind)
        return lambda value: value is None or fits_or_null(value)

    def _present(self, kind: GraphQLInputType) -> Check:
        if isinstance(kind, GraphQLList):
            return self._list(kind)
        if isinstance(kind, GraphQLEnumType):
            names = frozenset(kind.values)
            return lambda value: type(value) is str and value in names
        if isinstance(kind, GraphQLInputObjectType):
            return self._object(kind)
        assert isinstance(kind, GraphQLScalarType)
        return _SCALARS.get(kind.name, _anything)

    def _list(self, kind: GraphQLList[Any]) -> Check:
        fits = self.check(kind.of_type)

        def check(value: Any) -> bool:
            if type(value) is list:
                return all(map(fits, value))
            return fits(value)  # a single value stands for a list of it

        return check

    def _object(self, kind: GraphQLInputObjectType) -> Check:
        known = self._objects.get(kind.name)
        if known is not None:
            return known
        fields: dict[str, Check] = {}
        required: list[str] = []
        one_of = kind.is_one_of

        def check(value: Any) -> bool:
            if type(value) is not dict:
                return False
            for name, item in value.items():
                fits = fields.get(name)
                if fits is None or not fits(item):
                    return False
            for name in required:
                if name not in value:
                    return False
            return not one_of or (len(value) == 1 and None not in value.values())

        self._objects[kind.name] = check
        for name, field in kind.fields.items():
            fields[name] = self.check(field.type)
            if isinstance(field.type, GraphQLNonNull) and not _has_default(field):
                required.append(name)
        return check


def _has_default(field: Any) -> bool:
    default = getattr(field, "default", None)
    if default is not None:
        return True
    ast_node = field.ast_node
    return ast_node is not None and ast_node.default_value is not None


def _anything(value: Any) -> bool:
    return True


def _int(value: Any) -> bool:
    if type(value) is float:
        return value.is_integer() and INT_MIN <= value <= INT_MAX
    return type(value) is int and INT_MIN <= value <= INT_MAX


def _float(value: Any) -> bool:
    return type(value) in (int, float)


def _string(value: Any) -> bool:
    return type(value) is str


def _boolean(value: Any) -> bool:
    return type(value) is bool


def _id(value: Any) -> bool:
    return type(value) in (str, int) or (type(value) is float and value.is_integer())


_SCALARS: Final[Mapping[str, Check]] = {
    "Int": _int,
    "Float": _float,
    "String": _string,
    "Boolean": _boolean,
    "ID": _id,
}
