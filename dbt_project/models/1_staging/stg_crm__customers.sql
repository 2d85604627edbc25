-- A row of the CRM export is an `identify`. The export is a full snapshot each time: a row equal to
-- its customer's latest earlier version says nothing new. One row per landed row.
with records as (
    {{ landed(source('crm', 'customers'), [
        'customer_id', 'email', 'phone', 'first_name', 'last_name', 'country', 'loyalty_tier',
        'birth_date', 'email_opt_in', 'updated_at',
    ]) }}
),

timed as (
    {{ with_times('records', {'updated_time': 'updated_at'}) }}
)

select
    {{ record_columns() }},
    customer_id as record_key,
    {{ dbt.hash('body') }} as record_hash,
    'identify' as type,
    nullif(updated_at, '') as occurred_text,
    coalesce(updated_time, landed_at) as occurred_at,
    updated_time is null and updated_at <> '' as occurred_is_impossible,
    landed_at as received_at,
    {{ identifiers({
        'user_id': 'customer_id', 'email': 'email', 'phone': 'phone',
    }) }} as identifiers,
    {{ object({
        'email': "nullif(email, '')",
        'phone': "nullif(phone, '')",
        'first_name': "nullif(first_name, '')",
        'last_name': "nullif(last_name, '')",
        'country': "nullif(country, '')",
        'loyalty_tier': "nullif(loyalty_tier, '')",
        'birth_date': "nullif(birth_date, '')",
    }) }} as traits,
    {{ consent("email_opt_in = 'yes'", "email_opt_in = 'no'", 'email_marketing') }} as consent,
    case when coalesce(customer_id, '') = '' then 'customer_id' end as missing_field,
    {{ unset([
        'message_id', 'event_name', 'properties', 'context', 'previous_id', 'unusable_field',
    ]) }}
from timed
