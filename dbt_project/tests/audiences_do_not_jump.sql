-- An audience that grows or shrinks by a large part within a day has other people in it than a
-- marketer thinks: a source that failed, a condition that was changed. A row here is a jump of the
-- last build; it warns. Audiences write their sizes after this check: `cdp run` asks it once more.
{{ config(severity='warn') }}

{{ audience_jumps(ref('sizes')) }}
