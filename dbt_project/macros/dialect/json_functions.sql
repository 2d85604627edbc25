{# What Snowflake and BigQuery cannot say about JSON in SQL, in the JavaScript that both of them run: functions in the schema of
   landed tables, made before each build. Texts are taken apart as they are spelled, so that long numbers keep their digits.
   tests/engines/test_dialects.py runs them against what DuckDB gives. No `;`, or a client would cut the statement there. #}

{% macro json_javascript(result) -%}
{% raw %}
function compact(text) {
    JSON.parse(text)  // throws where it is no JSON
    var out = '', quoted = false, at = 0
    while (at < text.length) {
        var c = text[at]
        if (quoted && c === '\\') { out += c + text[at + 1]
            at += 2
            continue }
        if (c === '"') { quoted = !quoted }
        if (quoted || ' \t\n\r'.indexOf(c) < 0) { out += c }
        at += 1
    }
    return out
}
function parts(text) {
    var found = [], depth = 0, quoted = false, from = 1, at = 1
    while (at < text.length) {
        var c = text[at]
        if (quoted) { if (c === '\\') { at += 1 } else if (c === '"') { quoted = false } }
        else if (c === '"') { quoted = true }
        else if (c === '[' || c === '{') { depth += 1 }
        else if (depth > 0 && (c === ']' || c === '}')) { depth -= 1 }
        else if (depth === 0 && (c === ',' || at === text.length - 1)) {
            if (at > from) { found.push(text.slice(from, at)) }
            from = at + 1
        }
        at += 1
    }
    return found
}
function members(text) {  // key, its spelling, value as spelled; of repeated keys the first
    var seen = new Set()
    return parts(text).map(function (part) {
        var end = 1
        while (part[end] !== '"') { end += part[end] === '\\' ? 2 : 1 }
        var name = part.slice(0, end + 1)
        return [JSON.parse(name), name, part.slice(end + 2)]
    }).filter(function (member) { return !seen.has(member[0]) && seen.add(member[0]) })
}
function plain(value) {  // a value as text, null where it is null or missing
    return value === undefined || value === 'null' ? null : value[0] === '"' ? JSON.parse(value) : value
}
function word(value) {  // a text or a number as text, a whole number without a fraction
    if (value === undefined || value === 'null' || '[{tf'.indexOf(value[0]) >= 0) { return null }
    if (value[0] === '"') { return JSON.parse(value) }
    var number = Number(value)
    return /[.eE]/.test(value) && Number.isInteger(number) && Math.abs(number) < 1e21 ? String(BigInt(number)) : value
}
function patched(base, patch) {  // RFC 7396
    if (patch[0] !== '{') { return patch }
    var mine = base[0] === '{' ? members(base) : [], theirs = members(patch), held = new Map()
    mine.forEach(function (member) { held.set(member[0], member[2]) })
    var laid = new Set(theirs.map(function (member) { return member[0] }))
    var kept = mine.filter(function (member) { return !laid.has(member[0]) })
    var set = theirs.filter(function (member) { return member[2] !== 'null' }).map(function (member) {
        return [member[0], member[1], patched(held.has(member[0]) ? held.get(member[0]) : '', member[2])]
    })
    return '{' + kept.concat(set).map(function (member) { return member[1] + ':' + member[2] }).join(',') + '}'
}
function merged(base, patch) {
    if (base === null || patch === null) { return null }
    var lower = compact(base), upper = compact(patch)
    return lower[0] === '{' && upper[0] === '{' ? patched(lower, upper) : upper
}
function externals(given) {
    var found = []
    try { var text = given === null ? '' : compact(given) } catch (error) { return null }
    if (text[0] !== '[') { return null }
    parts(text).filter(function (part) { return part[0] === '{' }).forEach(function (part) {
        var held = new Map(members(part).map(function (member) { return [member[0], member[2]] }))
        var type = word(held.get('type')) || '', id = word(held.get('id')) || '', of = plain(held.get('collection'))
        if (/[^ \t\r\n\f]/.test(type) && /[^ \t\r\n\f]/.test(id) && (of === undefined || of === null || of === 'users')) {
            found.push('{"type":' + JSON.stringify(type) + ',"value":' + JSON.stringify(id) + '}')
        }
    })
    return found.length ? found.join(',') : null
}
function unreadable(given) {
    if (given === null) { return 'false' }
    return String(given[0] !== '[' || parts(compact(given)).some(function (part) {
        if (part[0] !== '{') { return true }
        var held = new Map(members(part).map(function (member) { return [member[0], member[2]] }))
        return held.has('id') && '[{tf'.indexOf(held.get('id')[0]) >= 0
    }))
}
function consents(given, regulation) {
    var found = []
    try { var text = given === null ? '' : compact(given) } catch (error) { return null }
    if (text[0] !== '{') { return null }
    members(text).forEach(function (member) {
        var answer = plain(member[2])
        if (answer === 'true' || answer === 'false') {
            found.push('{"regulation":' + JSON.stringify(regulation) + ',"purpose":' + JSON.stringify(member[0])
                + ',"state":"' + (answer === 'true' ? 'granted' : 'denied') + '"}')
        }
    })
    return found.length ? '[' + found.join(',') + ']' : null
}
function entries(given) {
    var text = given === null ? '' : compact(given)
    return (text[0] === '{' ? members(text) : []).map(function (member) {
        return {entry_key: member[0], entry_value: member[2]}
    })
}
{% endraw %}
return {{ result }}
{%- endmacro %}

{# name: (arguments, result) of each. #}
{% macro json_functions() -%}
    {{ return({
        'json_merge': (['base', 'patch'], 'merged(base, patch)'),
        'external_identifiers': (['given'], 'externals(given)'),
        'unreadable_externals': (['given'], 'unreadable(given)'),
        'consents': (['given', 'regulation'], 'consents(given, regulation)'),
        'composed': (['given'], "given === null ? null : given.normalize('NFC')"),
    }) }}
{%- endmacro %}

{# The name of a function of ours; in full, because a view may call it. #}
{% macro landing_function(name) -%}
    {{ return(api.Relation.create(database=target.database, schema='landing') | string ~ '.' ~ name) }}
{%- endmacro %}

{# Landed tables are filled by `cdp load` (a part of every `cdp run`). Nothing is made where they are missing. #}
{% macro require_loaded_landing() -%}
    {% for node in graph.sources.values() %}
        {% if not adapter.get_relation(target.database, node.schema, node.identifier) %}
            {% do exceptions.raise_compiler_error(
                'The table ' ~ node.schema ~ '.' ~ node.identifier ~ ' is not in ' ~ target.database
                ~ ' yet. What landed is brought there by `cdp load` (a part of `cdp run`): run that first.'
            ) %}
        {% endif %}
    {% endfor %}
{%- endmacro %}
