"""What a run may cost: each call's worst case is reserved before it is made."""

import asyncio
from collections import deque

from ..errors import BudgetReached, UsageError
from ..types.causes import Cause
from ..types.charge import charge
from ..types.messages import Request
from ..types.parts import size as parts_size
from ..usage import Usage
from .pricing import ResolvedRoute

BYTES_PER_TOKEN = 2  # of a prompt, at least


class Budget:
    """Keeps calls within an amount of US dollars; calls under way count as if they cost their most.

    most: None is no limit. spent: by the run's earlier processes.
    """

    def __init__(
        self, most: float | None, allow_unpriced: bool = False, spent: float = 0.0
    ) -> None:
        self._most = most
        self._allow_unpriced = allow_unpriced
        self._spent = spent
        self._reserved: list[float] = []
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def spent(self) -> float:
        """Return what all calls that ended count as, in US dollars."""
        return self._spent

    def check(self, target: ResolvedRoute) -> None:
        """Raise UsageError where a route's price is unknown, so that no budget could hold."""
        has_price = target.cost(Usage(input=1, output=1)) is not None
        if self._most is not None and not has_price and not self._allow_unpriced:
            raise UsageError(
                f"the price of {target} is unknown, so the budget cannot hold; set "
                f'[tool.rolecall.prices."{target.route.model or target}"], or allow_unpriced = true'
            )

    def has_room(self, target: ResolvedRoute, request: Request) -> bool:
        """Check whether the most that a call can cost could be reserved at once."""
        if self._most is None:
            return True
        worst = target.cost(worst_case(request)) or 0.0
        return self._spent + sum(self._reserved) + worst <= self._most

    async def reserve(self, target: ResolvedRoute, request: Request) -> float:
        """Reserve the most that a call can cost, once calls under way have left enough.

        Without a limit nothing is waited for. Raises BudgetReached where there is not enough
        however they end.
        """
        worst = target.cost(worst_case(request)) or 0.0
        if self._most is None:
            return worst
        self.check(target)
        while self._spent + sum(self._reserved) + worst > self._most:
            if not self._reserved:
                raise BudgetReached(
                    f"the budget of ${self._most:.2f} is reached: ${self._spent:.4f} is spent, "
                    f"and the next call may cost ${worst:.4f}",
                    self._spent + worst,
                )
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter
        self._reserved.append(worst)
        return worst

    def reconcile(
        self,
        reserved: float,
        cost: float | None,
        cause: Cause | None,
        *,
        has_begun: bool = False,
    ) -> None:
        """Replace what was reserved for a call by what it counts as now that it has ended.

        has_begun: as in `charge`.
        """
        self._spent += charge(cost, cause, reserved, has_begun=has_begun)
        self.release(reserved)

    def release(self, reserved: float) -> None:
        """Free what was reserved for a call, which was never sent or is reconciled."""
        if self._most is not None:
            self._reserved.remove(reserved)
        while self._waiting:
            # All of them: each may need another amount, and looks again whether it is there.
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)


def worst_case(request: Request, more: int = 0) -> Usage:
    """Count the most tokens that a call may use; `more` bytes come to its prompt."""
    texts = [request.system, *(message.text for message in request.messages)]
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    size += sum(parts_size(message.parts) for message in request.messages)
    size += sum(len(repr(tool)) for tool in request.tools)
    size += len(repr(request.schema)) if request.schema else 0
    return Usage(input=(size + more) // BYTES_PER_TOKEN + 1, output=request.max_output_tokens)
