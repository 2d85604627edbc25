"""dbt's warm processes: those that get no command end, however many there are."""

import threading
from contextlib import suppress

from cdp_orchestration.project.dbt_process import dbt_processes


def test_processes_that_get_no_command_end_with_the_block() -> None:
    """A process holds what was open when it was forked: another one's end, say, which then never closes for that one."""

    def waited() -> None:
        with suppress(KeyError), dbt_processes(3) as processes:
            waiting.extend(processes)
            raise KeyError  # a mistake in between

    waiting: list[object] = []
    thread = threading.Thread(target=waited, daemon=True)
    thread.start()
    thread.join(60)
    hangs = thread.is_alive()
    for process in waiting:
        process.send_signal(9)  # type: ignore[attr-defined]
    assert not hangs, "a process waits for a command that cannot come"
    assert [process.returncode for process in waiting] == [0, 0, 0]  # type: ignore[attr-defined]
