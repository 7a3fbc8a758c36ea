"""The test environment's own promises: a fault here would show as a strange failure elsewhere."""

from tests.system.engine import Engine


def test_top_shows_the_sleep_of_a_container(engine: Engine, busybox_image: str) -> None:
    """The Engine's `top` tells the argument of a sleep, by which acme-mailcow's state is read."""
    name = engine.run_cli("run", "--detach", busybox_image, "sh", "-c", "sleep 1d & wait")
    assert "sleep 1d" in engine.run_cli("top", name)
    engine.run_cli("rm", "--force", name)


def test_programs_of_this_machine_run_in_the_host_image(engine: Engine, host_image: str) -> None:
    """A real unbound or nginx can stand in mailcow's network without an image of its own."""
    output = engine.run_cli("run", "--rm", "-v", "/usr:/usr:ro", host_image, "unbound", "-V")
    assert output.startswith("Version ")


def test_python_base_needs_no_index(engine: Engine, python_image: str) -> None:
    """The base image carries the wheels that the sidecar needs, and pip takes them from there."""
    command = ("pip", "download", "-q", "--dest", "/tmp", "aiohttp")
    assert engine.run_cli("run", "--rm", "--network", "none", python_image, *command) == ""
