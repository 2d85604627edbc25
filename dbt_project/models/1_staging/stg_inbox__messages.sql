-- Whatever was dropped into CDP_HOME/inbox, in the Segment spec.
-- One row per message in a landed record.
{{ segment_messages(source('inbox', 'messages')) }}
