"""Is a statement one that an engine takes? As far as that can be told without the engine.

sqlglot parses the statement in the engine's dialect and writes it again. It reads far more than any engine takes, so what
counts is what it writes: a function, a type or a piece of syntax that it spells differently is foreign to the engine, unless
the vendor's documentation has it (SPELLED). A function must be on the engine's list (FUNCTIONS) or one that the build made
itself. Some rules of the engines that no parser knows follow after that.

What this cannot tell: whether types fit, whether a function means what we think, whether the plan is allowed.
"""

import re
from collections.abc import Iterator
from itertools import pairwise

import sqlglot
from sqlglot import exp
from sqlglot.dialects.dialect import Dialect
from sqlglot.errors import ErrorLevel, SqlglotError
from sqlglot.tokens import Token, TokenType

# What the vendor's documentation has and sqlglot writes otherwise: ours -> sqlglot's.
SPELLED: dict[str, dict[str, str]] = {
    "snowflake": {
        # Data types: documented synonyms of VARCHAR, FLOAT and TIMESTAMP_NTZ.
        "TEXT": "VARCHAR", "STRING": "VARCHAR", "DOUBLE PRECISION": "DOUBLE", "FLOAT": "DOUBLE", "TIMESTAMP_NTZ": "TIMESTAMPNTZ",
        # Functions: documented synonyms.
        "SUBSTR": "SUBSTRING", "POSITION": "CHARINDEX", "TIMESTAMPADD": "DATEADD", "TIMESTAMPDIFF": "DATEDIFF",
        "TRY_TO_DECIMAL": "TRY_TO_NUMBER",
        "EXTRACT": "DATE_PART",  # documented under both names
    },
    "bigquery": {
        # Data types: documented aliases of INT64 and BOOL.
        "BIGINT": "INT64", "BOOLEAN": "BOOL",
        # A function beside INSTR, with its arguments in this order.
        "STRPOS": "INSTR",
        # A documented alias.
        "OCTET_LENGTH": "BYTE_LENGTH",
    },
    "databricks": {
        "SUBSTR": "SUBSTRING", "POSITION": "LOCATE", "NAMED_STRUCT": "STRUCT",  # documented functions beside those
        "TIMESTAMPADD": "DATE_ADD",  # documented under both names, with a unit
        "RLIKE": "REGEXP_LIKE",  # an operator of the documentation
        "TIMESTAMP_NTZ": "TIMESTAMP_NTZ",
    },
}  # fmt: skip

# The functions that models may use on each engine, from the vendor's own lists of functions. One that is missing here is
# looked up there and added; sqlglot's own knowledge is wider than any engine (it lets BigQuery have CONCAT_WS).
_EVERYWHERE = """abs asin avg cast ceil chr coalesce concat cos count dense_rank exp extract first_value floor greatest lag
    last_value lead least length ln lower ltrim max md5 min mod nullif ntile octet_length percent_rank power rank regexp_replace replace right round
    row_number rpad rtrim sign sin sqrt substr substring sum translate trim upper"""
FUNCTIONS = {
    engine: set(f"{_EVERYWHERE} {names}".upper().split())
    for engine, names in {
        "snowflake": """array_construct_compact array_size array_to_string convert_timezone date_trunc datediff filter flatten get_path listagg
            parse_json position regexp_like timestampadd timestampdiff dateadd to_char to_json to_number to_variant transform try_parse_json
            try_to_decimal try_to_double try_to_timestamp_ntz try_to_timestamp_tz typeof""",
        "bigquery": """array_length array_to_string current_timestamp datetime_diff format_timestamp json_query json_query_array json_type
            json_value normalize parse_json regexp_contains safe_cast string_agg strpos timestamp timestamp_add timestamp_diff timestamp_micros
            timestamp_sub timestamp_trunc to_hex to_json_string unnest""",
        "databricks": """array array_join array_repeat array_sort collect_list concat_ws conv date_add date_format date_trunc explode filter from_json
            get_json_object json_array_length make_dt_interval map map_entries named_struct posexplode position raise_error
            schema_of_variant shiftrightunsigned size split timestampadd timestampdiff to_json transform try_cast try_parse_json try_variant_get
            zip_with convert_timezone exists rlike""",
    }.items()
}

# Words that cannot be a name without quotes, from each vendor's list of reserved words.
RESERVED = {
    "snowflake": """all alter and any as between by case cast check column connect constraint create cross current delete
        distinct drop else exists false following for from full grant group having ilike in increment inner insert intersect
        into is join lateral left like localtime localtimestamp minus natural not null of on or order qualify regexp revoke
        right rlike row rows sample select set some start table tablesample then to trigger true try_cast union unique update
        using values when whenever where with""",
    "bigquery": """all and any array as asc assert_rows_modified at between by case cast collate contains create cross cube
        current default define desc distinct else end enum escape except exclude exists extract false fetch following for from
        full group grouping groups hash having if ignore in inner intersect interval into is join lateral left like limit
        lookup merge natural new no not null nulls of on or order outer over partition preceding proto qualify range recursive
        respect right rollup rows select set some struct tablesample then to treat true unbounded union unnest using when where
        window with within""",
    "databricks": "anti cross except full inner intersect join lateral left minus natural on right semi union using",
}

_NO_FUNCTIONS = {"AS", "IN", "AND", "OR", "ON", "FROM", "SELECT", "VALUES", "USING", "OVER", "NOT", "JOIN", "WHEN", "THEN",
                 "ELSE", "WHERE", "HAVING", "UNION", "ALL", "BY", "EXISTS", "LATERAL", "WITH", "INTO", "TABLE", "DISTINCT",
                 "OPTIONS", "RETURNS", "EXCLUDE", "INSERT", "BETWEEN", "LIKE", "UNNEST", "INTERVAL", "GROUP"}  # fmt: skip
SIZED_TYPES = {"DECIMAL", "NUMERIC"}  # decimal(18, 9) calls nothing
_NO_TYPES = {TokenType.NULL, TokenType.UNION, TokenType.MAP, TokenType.OBJECT, TokenType.STRUCT, TokenType.FILE}
_SYNTAX = {TokenType.DCOLON: "::", TokenType.QUALIFY: "qualify", TokenType.RLIKE: "rlike", TokenType.ARROW: "->"}


def faults(sql: str, engine: str, own: frozenset[str] = frozenset()) -> list[str]:
    """What is wrong with a statement on an engine; `own`: functions that the build made, in capitals."""
    dialect = Dialect.get_or_raise(engine)
    sql = re.sub(r"(?<=[(,])%s(?=[,)])", "null", sql)  # what a seed's client fills in
    try:
        trees = [tree for tree in sqlglot.parse(sql, read=engine, error_level=ErrorLevel.RAISE) if tree is not None]
        written = ";\n".join(tree.sql(dialect=engine, unsupported_level=ErrorLevel.RAISE) for tree in trees)
        ours, theirs = dialect.tokenize(sql), dialect.tokenize(written)
    except SqlglotError as error:
        return [re.sub(r"\x1b\[\d+m", "", str(error))]
    found = []
    if any(tree.find(exp.Command) for tree in trees):
        found.append("sqlglot cannot parse the statement")
    for tree in trees:
        found.extend(_rules(tree, engine))
    functions = {word for word, is_function in _names(ours, dialect) if is_function}
    found.extend(
        f"{name} is none of its functions" for name in sorted(functions - FUNCTIONS[engine] - own - SIZED_TYPES)
    )
    spelled = {SPELLED[engine].get(word, word) for word, _ in _names(ours, dialect)}
    again = {word for word, _ in _names(theirs, dialect)}
    found.extend(f"{name} is not its spelling" for name in sorted(spelled - again))
    found.extend(f"{name} is spelled otherwise" for name in sorted(again - spelled - set(SPELLED[engine].values())))
    if engine != "snowflake":  # a doubled quote ends one text and begins another
        for before, after in pairwise(ours):
            if before.token_type == after.token_type == TokenType.STRING and before.end + 1 == after.start:
                found.append("a quote within a text is \\' on this engine")
    return found


def _names(tokens: list[Token], dialect: Dialect) -> Iterator[tuple[str, bool]]:
    """Functions (True), types and syntax (False) of a statement, as spelled."""
    types = set(dialect.parser_class.TYPE_TOKENS) - _NO_TYPES
    for place, token in enumerate(tokens):
        word = token.text.upper()
        before = tokens[place - 1] if place else None
        called = place + 1 < len(tokens) and tokens[place + 1].token_type == TokenType.L_PAREN
        if token.token_type in (TokenType.STRING, TokenType.NUMBER, TokenType.IDENTIFIER):
            continue
        if token.token_type in _SYNTAX:
            yield _SYNTAX[token.token_type].upper(), False
        elif before and before.token_type == TokenType.DOT:
            if called and tokens[place - 2].text.upper() in ("SAFE", "LANDING"):
                yield word, True
        elif token.token_type in types:
            yield word, called and before is not None and before.token_type != TokenType.ALIAS
        elif before and before.token_type in (TokenType.ALIAS, TokenType.INTO, TokenType.TABLE):
            continue
        elif called and re.fullmatch(r"[A-Z_][A-Z0-9_]*", word) and word not in _NO_FUNCTIONS:
            yield word, True


def _rules(tree: exp.Expression, engine: str) -> Iterator[str]:
    if tree.find(exp.Comprehension):
        yield "a list comprehension is DuckDB's"
    reserved = set(RESERVED[engine].split())
    for name in tree.find_all(exp.Identifier):
        if not name.quoted and name.name.lower() in reserved:
            yield f"{name.name} is a reserved word"
    if engine != "bigquery":
        return
    for digest in tree.find_all(exp.MD5Digest):
        if not isinstance(digest.parent, exp.Hex | exp.LowerHex):
            yield "md5 gives bytes: to_hex(md5(…))"
    for select in tree.find_all(exp.Select):
        if select.args.get("where") and not (select.args.get("from_") or select.args.get("from")):
            yield "where needs a from"
    for join in tree.find_all(exp.Join):
        condition = join.args.get("on")
        if condition is None:
            continue
        if condition.find(exp.Query):
            yield "a subquery in the condition of a join"
        equal = (
            (part for part in condition.flatten() if isinstance(part, exp.EQ))
            if isinstance(condition, exp.And)
            else [condition]
        )
        if join.side and not any(
            isinstance(part, exp.EQ) and part.this.find(exp.Column) and part.expression.find(exp.Column)
            for part in equal
        ):
            yield f"a {join.side.lower()} join needs an equality of both sides"
