"""What litellm's vendors want beside a key, where they differ from most."""

from collections.abc import Mapping

from attrs import field, frozen


@frozen
class VendorFacts:
    """One vendor.

    keys: variables of its key, the first set one wins; by default `VENDOR_API_KEY`.
    needs_key: whether it cannot be called without. needs_base: whether it has no endpoint of its
        own.
    variables: parameter of litellm to the variables that it may stand in, for keys in parts.
    package, distribution: what must be installed beside litellm, and what pip calls it.
    known_as: the vendor in litellm's map, where that has another name.
    is_local: it runs on the user's own machine, for nothing.
    goes_past: litellm makes its calls over connections of its own.
    streams_no_tools: litellm loses something of a streamed turn with tool calls.
    short_ids: it takes ids of tool calls only with nine letters and digits.
    """

    keys: tuple[str, ...] = ()
    needs_key: bool = True
    needs_base: bool = False
    variables: Mapping[str, tuple[str, ...]] = field(factory=dict)
    package: str = ""
    distribution: str = ""
    known_as: str = ""
    is_local: bool = False
    goes_past: bool = False
    streams_no_tools: bool = False
    short_ids: bool = False


_AWS = {
    "aws_access_key_id": ("AWS_ACCESS_KEY_ID",),
    "aws_secret_access_key": ("AWS_SECRET_ACCESS_KEY",),
    "aws_session_token": ("AWS_SESSION_TOKEN",),
    "aws_region_name": ("AWS_REGION_NAME", "AWS_REGION", "AWS_DEFAULT_REGION"),
}
_VERTEX = {
    "vertex_credentials": ("GOOGLE_APPLICATION_CREDENTIALS",),
    "vertex_project": ("VERTEXAI_PROJECT", "GOOGLE_CLOUD_PROJECT"),
    "vertex_location": ("VERTEXAI_LOCATION", "GOOGLE_CLOUD_LOCATION"),
}
_OLLAMA = VendorFacts(needs_key=False, known_as="ollama", is_local=True, streams_no_tools=True)
FACTS: Mapping[str, VendorFacts] = {
    "azure": VendorFacts(needs_base=True, variables={"api_version": ("AZURE_API_VERSION",)}),
    "azure_ai": VendorFacts(needs_base=True),
    "bedrock": VendorFacts(
        keys=("AWS_BEARER_TOKEN_BEDROCK",),
        needs_key=False,
        variables=_AWS,
        package="boto3",
        distribution="rolecall[bedrock]",
        streams_no_tools=True,
    ),
    "vertex_ai": VendorFacts(
        needs_key=False,
        variables=_VERTEX,
        package="google.auth",
        distribution="rolecall[vertex]",
        goes_past=True,  # for its token
    ),
    "mistral": VendorFacts(short_ids=True),
    "ollama": _OLLAMA,
    "ollama_chat": _OLLAMA,
    "lm_studio": VendorFacts(needs_key=False, needs_base=True, is_local=True),
    "llamafile": VendorFacts(needs_key=False, is_local=True),
    "docker_model_runner": VendorFacts(needs_key=False, is_local=True),
    "hosted_vllm": VendorFacts(needs_key=False, needs_base=True),
    "litellm_proxy": VendorFacts(needs_base=True),
    "together_ai": VendorFacts(keys=("TOGETHERAI_API_KEY", "TOGETHER_API_KEY")),
    "fireworks_ai": VendorFacts(keys=("FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY")),
    "huggingface": VendorFacts(keys=("HF_TOKEN", "HUGGINGFACE_API_KEY")),
    "perplexity": VendorFacts(keys=("PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY")),
    "github": VendorFacts(keys=("GITHUB_API_KEY", "GITHUB_TOKEN")),
    "cohere": VendorFacts(known_as="cohere_chat", goes_past=True),
    "cohere_chat": VendorFacts(keys=("COHERE_API_KEY",), goes_past=True),
    "cloudflare": VendorFacts(goes_past=True),
    "replicate": VendorFacts(goes_past=True),
    "sagemaker": VendorFacts(
        needs_key=False,
        variables=_AWS,
        package="boto3",
        distribution="rolecall[bedrock]",
        goes_past=True,
    ),
}
