"""The versions that are served: new ones are taken up, old ones leave after their last request."""

from __future__ import annotations

import contextlib
import pathlib
import threading
from collections.abc import Iterator

import grpc
from absl import logging
from tensorflow_serving.apis.get_model_status_pb2 import ModelVersionStatus

from huse_tf.errors import UserError
from huse_tf.server.model_files import Stamp, stamp, version_folders
from huse_tf.server.refusals import Refused, invalid, not_found
from huse_tf.server.server_settings import ServerSettings
from huse_tf.server.version import Status, Version

State = ModelVersionStatus.State


class Models:
    """All versions of one model. `update` is for one thread, the rest for all.

    Args:
        settings: of the server.
    """

    def __init__(self, settings: ServerSettings) -> None:
        self._settings, self._labels = settings, settings.labels
        self._folder = pathlib.Path(settings.model)
        self._changed = threading.Condition()
        self._loaded: dict[int, Version] = {}
        self._current: int | None = None
        self._statuses: dict[int, Status] = {}
        self._refused: dict[int, Stamp] = {}

    @property
    def ready(self) -> bool:
        """Whether a version has answered its canary and is served."""
        return self._current is not None

    @property
    def current(self) -> int | None:
        """Number of the version that answers requests without a version."""
        return self._current

    @contextlib.contextmanager
    def version(
        self, name: str, number: int | None = None, label: str | None = None
    ) -> Iterator[Version]:
        """The version that a request asks for. It is not unloaded before the block ends.

        Args:
            name: of the model.
            number: of the version; None: the highest one that is served.
            label: of the version, in place of its number.

        Raises:
            Refused: there is no such model or version, or none is loaded yet.
        """
        with self._changed:
            found = self._loaded[self._wanted(name, number, label)]
            found.users += 1
        try:
            yield found
        finally:
            with self._changed:
                found.users -= 1
                self._changed.notify_all()

    def _wanted(self, name: str, number: int | None, label: str | None) -> int:
        self.check_name(name)
        if label is not None:
            if label not in self._labels:
                known = ", ".join(sorted(self._labels)) or "none"
                raise invalid(
                    f"Unrecognized servable version label: {label[:100]}. Labels of this server: {known}."
                )
            number = self._labels[label]
        if number is None:
            if self._current is None:
                raise Refused(
                    grpc.StatusCode.UNAVAILABLE, "No version is ready yet. Ask again later."
                )
            return self._current
        if number not in self._loaded:
            known = ", ".join(map(str, sorted(self._loaded))) or "none"
            raise not_found(
                f"Servable not found for request: Specific({name}, {number}). Loaded versions: {known}."
            )
        return number

    def check_name(self, name: str) -> None:
        """Raises Refused if another model is asked for."""
        if not name:
            raise invalid(f"The request names no model. Expected {self._settings.name!r}.")
        if name != self._settings.name:
            raise not_found(
                f"Servable not found for request: Latest({name[:100]}). This server has the model "
                f"{self._settings.name!r}."
            )

    def statuses(
        self, name: str, number: int | None = None, label: str | None = None
    ) -> dict[int, Status]:
        """The status of one version, or of all that the server has seen; raises Refused."""
        self.check_name(name)
        with self._changed:
            if label is not None:
                number = self._wanted(name, None, label)
            if number is None:
                return dict(sorted(self._statuses.items(), reverse=True))
            if number not in self._statuses:
                raise not_found(f"Could not find version {number} of model {name}.")
            return {number: self._statuses[number]}

    def refusals(self) -> dict[int, str]:
        """Why versions that lie in the folder are not served, by number."""
        with self._changed:
            return {number: self._statuses[number].error for number in self._refused}

    def update(self) -> None:
        """Takes up new versions, and lets go of those that are no longer wanted.

        The highest version that passes its canary becomes the current one, versions with labels stay beside
        it. Where nothing can be served, what is loaded stays.
        """
        folders = version_folders(self._folder)
        with self._changed:
            for number in [each for each in self._refused if each not in folders]:
                del self._refused[number], self._statuses[number]
        kept = {
            number
            for number in self._labels.values()
            if number in folders and self._available(number, folders[number])
        }
        best = next((n for n, path in folders.items() if self._available(n, path)), None)
        if best is None:
            return
        if best != self._current:
            logging.info("Version %d answers from now on.", best)
        self._current = best
        for number in sorted(set(self._loaded) - kept - {best}):
            self._retire(number)

    def _available(self, number: int, folder: pathlib.Path) -> bool:
        """Whether a version is loaded, after an attempt to load one that is new or has changed."""
        if number in self._loaded:
            return True
        now = stamp(folder)
        if self._refused.get(number) == now:
            return False
        with self._changed:
            self._statuses[number] = Status(State.LOADING)
        try:
            version = Version(number, folder, self._settings)
        except Exception as error:  # whatever is wrong with it, the server goes on
            logged = not isinstance(error, UserError)
            logging.error("Version %d is refused: %s", number, error, exc_info=logged)
            with self._changed:
                self._refused[number] = now
                told = str(error) if not logged else "It cannot be loaded."
                self._statuses[number] = Status(State.END, told)
            return False
        with self._changed:
            self._refused.pop(number, None)
            self._loaded[number] = version
            self._statuses[number] = Status(State.AVAILABLE)
        return True

    def _retire(self, number: int) -> None:
        """Unloads a version after its last request. Until then it can be asked by its number."""
        with self._changed:
            self._statuses[number] = Status(State.UNLOADING)
            done = self._changed.wait_for(
                lambda: not self._loaded[number].users, self._settings.timeout_seconds
            )
            if not done:  # a request that nobody waits for any more; the next look tries again
                return
            version = self._loaded.pop(number)
        version.close()
        with self._changed:
            self._statuses[number] = Status(State.END)
        logging.info("Version %d is unloaded.", number)

    def close(self) -> None:
        """Unloads everything. No request may run any more."""
        with self._changed:
            versions, self._loaded, self._current = list(self._loaded.values()), {}, None
        for version in versions:
            version.close()
