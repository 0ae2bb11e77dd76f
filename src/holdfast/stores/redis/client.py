"""Commands on somebody's Redis client: sent once where twice would be wrong, their failures told as Holdfast's."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ... import redact
from ...errors import AuthError, ConfigError, HoldfastError, Indeterminate, StoreError, Throttled, Timeout
from ...recipes import stayed_behind

Value = TypeVar("Value")
_PATIENCE = 60.0
_CONNECT = 10.0


def connect(address: str, database: str) -> Any:
    """A client for the server at this address, user and password included; nothing is contacted yet."""
    try:
        import redis
    except ImportError as error:
        raise ConfigError("redis:// needs the module 'redis': pip install 'holdfast[redis]'") from error
    try:
        return redis.Redis.from_url(
            f"{address}/{database}", socket_connect_timeout=_CONNECT, socket_timeout=_PATIENCE, socket_keepalive=True
        )
    except ValueError as error:
        raise ConfigError(f"{redact.url(address)}/{database}: {redact.text(str(error))}") from None


class Commands:
    """The scripts and commands of one store, by one client."""

    def __init__(self, client: Any, store: str) -> None:
        self._client = client
        self.store = store
        self.dropped = False  # whether a pickle left the user and password behind

    @property
    def client(self) -> Any:
        """The client; AuthError where it would now be another user than before."""
        if self.dropped:
            raise AuthError(
                f"{stayed_behind('its user and password')}: make the store anew with them where it is used",
                store=self.store,
            )
        return self._client

    def again(self, key: str | None, doing: str, call: Callable[[Any], Value]) -> Value:
        """What the call returns, which the client may repeat when a connection breaks."""
        import redis

        try:
            return call(self.client)
        except redis.RedisError as error:
            raise self.failure(error, key, doing) from error

    def script(self, script: str, key: str, doing: str, keys: Sequence[bytes], *arguments: Any) -> Any:
        """The answer of a script that may run twice."""
        import redis

        known = digest(script)

        def run(client: Any) -> Any:
            try:
                return client.evalsha(known, len(keys), *keys, *arguments)
            except redis.exceptions.NoScriptError:
                return client.eval(script, len(keys), *keys, *arguments)

        return self.again(key, doing, run)

    def script_once(self, script: str, key: str, doing: str, keys: Sequence[bytes], *arguments: Any) -> Any:
        """The answer of a script that is sent at most once; Indeterminate if it was sent and the answer is lost."""
        import redis

        pool = self.client.connection_pool
        try:
            connection = pool.get_connection()
        except redis.RedisError as error:  # nothing was sent
            raise self.failure(error, key, doing) from error
        try:
            try:
                return _ask(connection, "EVALSHA", digest(script), len(keys), *keys, *arguments)
            except redis.exceptions.NoScriptError:
                return _ask(connection, "EVAL", script, len(keys), *keys, *arguments)
        except (redis.ConnectionError, redis.TimeoutError) as error:
            connection.disconnect()
            # A server that answers with such an error (loading, busy, no permission) has done nothing.
            if isinstance(error, redis.AuthenticationError | redis.BusyLoadingError):
                raise self.failure(error, key, doing) from error
            message = f"{doing}: the answer was lost ({redact.text(str(error))}); it may have been done or not: read it"
            raise Indeterminate(message, key=key, store=self.store, cause=error) from error
        except redis.RedisError as error:
            raise self.failure(error, key, doing) from error
        except BaseException:
            connection.disconnect()  # an answer may still be on its way
            raise
        finally:
            pool.release(connection)

    def failure(self, error: Exception, key: str | None, doing: str) -> HoldfastError:
        """The typed error for what the client raised."""
        import redis

        message = f"{doing}: {redact.text(str(error))}"
        context: dict[str, Any] = {"key": key, "store": self.store, "cause": error}
        if isinstance(error, redis.AuthenticationError | redis.exceptions.NoPermissionError):
            return AuthError(f"{message}; check the user and password", **context)
        if message.partition(": ")[2].startswith(("NOAUTH", "WRONGPASS")):
            return AuthError(f"{message}; check the user and password", **context)
        if isinstance(error, redis.BusyLoadingError):
            return Throttled(f"{message}; try again later", **context)
        if isinstance(error, redis.TimeoutError):
            return Timeout(f"{message}; try again later", **context)
        if isinstance(error, redis.ConnectionError):
            return StoreError(f"{message}; is the server running?", retryable=True, **context)
        if isinstance(error, redis.exceptions.OutOfMemoryError):
            return StoreError(f"{message}; the old value is untouched, give the server more memory", **context)
        return StoreError(message, **context)


def _ask(connection: Any, *command: Any) -> Any:
    connection.send_command(*command)
    return connection.read_response()


def digest(script: str) -> str:
    """The name by which the server knows a script that it has run before."""
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()
