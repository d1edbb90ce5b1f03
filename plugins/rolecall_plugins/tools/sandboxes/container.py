"""Commands in a container of docker or podman, where the settings choose one."""

import os
import shutil
import uuid
from collections.abc import Sequence

from rolecall import CommandLimits, CommandResult, Settings

from .processes import run_limited

IMAGE = "docker.io/library/python:3-slim"


class Container:
    """Starts a container for each command, from the image that the settings name.

    It is never chosen by itself, since it needs an image.
    """

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self._chosen = settings.sandbox == name
        self._image = settings.sandbox_image or IMAGE
        self._environment = settings.environment

    def missing(self) -> str | None:
        if not self._chosen:
            return f'it is used where the setting says so: sandbox = "{self.name}"'
        if shutil.which(self.name, path=self._environment.get("PATH")) is None:
            return f"{self.name} is not installed"
        return None

    async def run(
        self, command: Sequence[str], folder: str, limits: CommandLimits
    ) -> CommandResult:
        name = f"rolecall-{uuid.uuid4().hex}"
        user = f"{os.getuid()}:{os.getgid()}" if hasattr(os, "getuid") else "1000:1000"
        arguments = [
            *(self.name, "run", "--rm", "--init", "--name", name),
            *("--network", "bridge" if limits.network else "none"),
            *("--memory", str(limits.memory), "--memory-swap", str(limits.memory)),
            *("--pids-limit", str(limits.processes)),
            *("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--read-only"),
            *("--tmpfs", f"/tmp:size={limits.disk}", "--env", "HOME=/tmp", "--user", user),
            *("--volume", f"{folder}:/workspace", "--workdir", "/workspace"),
            *(self._image, *command),
        ]
        kept = ("PATH", "HOME", "DOCKER_HOST", "XDG_RUNTIME_DIR")
        environment = {each: value for each in kept if (value := self._environment.get(each))}
        # A container outlives the client that started it.
        removal = (self.name, "rm", "--force", name)
        try:
            return await run_limited(arguments, folder, environment, limits, ending=removal)
        finally:
            await run_limited(removal, folder, environment, CommandLimits(seconds=30.0))
