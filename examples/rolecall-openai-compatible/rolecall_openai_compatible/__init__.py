"""The provider `openai-compatible`: chat completions of any endpoint, by its base URL."""

from collections.abc import Iterable

from rolecall import Cause, Provider, ProviderError, Request, Response, Settings, hookimpl

from .wire import Answer, body, error, events


class OpenAICompatible:
    """Calls the endpoint that its table in the settings names."""

    name = "openai-compatible"

    def __init__(self, settings: Settings) -> None:
        own = settings.provider(self.name)
        key = settings.variable("OPENAI_COMPATIBLE_API_KEY")
        self.model = own.model
        self._base = own.api_base.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    def missing(self) -> str | None:
        if self._base:
            return None
        return f"api_base is not set in [tool.rolecall.providers.{self.name}]"

    async def complete(self, request: Request) -> Response:
        import httpx  # here, as it would slow down every command

        if request.tools:
            raise ProviderError(Cause.INVALID_REQUEST, "this plugin offers its models no tools")
        url, answer = f"{self._base}/chat/completions", Answer(request.progress)
        patience = request.first_byte_timeout if request.stream else request.timeout
        try:
            async with httpx.AsyncClient(headers=self._headers, timeout=patience) as client:
                await request.progress.sending()
                async with client.stream("POST", url, json=body(request)) as reply:
                    if not reply.is_success:
                        raise error(reply.status_code, await reply.aread(), reply.headers)
                    if "event-stream" in reply.headers.get("content-type", ""):
                        async for data in events(reply.aiter_bytes()):
                            answer.add(data)
                    else:
                        answer.add(await reply.aread())
        except httpx.TimeoutException as late:
            raise ProviderError(Cause.TIMEOUT, f"no sign of life for {patience:g} s") from late
        except httpx.RequestError as failed:
            raise ProviderError(Cause.CONNECTION, f"{url}: {failed!r}") from failed
        return answer.response()


@hookimpl
def rolecall_providers(settings: Settings) -> Iterable[Provider]:
    return [OpenAICompatible(settings)]
