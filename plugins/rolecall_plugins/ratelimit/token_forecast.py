"""How many tokens a call will write: learned from what its agent wrote before."""

from rolecall import Call

SHARE = 8  # of its output budget: the first guess
NEWEST = 0.25  # share of the newest answer in the mean


class TokenForecast:
    """Expects of an agent the mean of its last answers; of a new one, that of all."""

    def __init__(self) -> None:
        self._means: dict[str, float] = {}

    def expect(self, call: Call) -> int:
        mean = self._means.get(call.agent, self._means.get(""))
        most = call.max_output_tokens
        if mean is None:
            return -(-most // SHARE)
        return min(round(mean), most) if most else round(mean)

    def learn(self, call: Call, output: int) -> None:
        for name in (call.agent, ""):
            mean = self._means.get(name, output)
            self._means[name] = mean + NEWEST * (output - mean)
