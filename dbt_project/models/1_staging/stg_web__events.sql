-- Web and app events, as the Segment spec sends them. One row per message in a landed record.
{{ segment_messages(source('web', 'events')) }}
