"""What ``[clearing.policy]`` may say: the parameters of a liquidation policy with their bounds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StrictBool,
    model_serializer,
)

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Share = Annotated[Number, Field(ge=0, le=1)]
Part = Annotated[Number, Field(gt=0, le=1)]
Multiple = Annotated[Number, Field(ge=0, le=1000)]
Seconds = Annotated[Number, Field(ge=0, le=1e9)]
Amount = Annotated[Number, Field(ge=0, le=1e15)]


class PolicyParameters(BaseModel):
    """Parameters that a scenario changes; the others are as the named policy has them.

    A dump holds only what was given. The defaults shown are those of the policy ``full``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    size: Literal["full", "target", "step", "close_factor"] = Field(
        "full", description="how much one action closes: everything; what restores target_ratio; step_fraction of "
        "large positions, then the rest; close_fraction while health lasts"
    )  # fmt: skip
    outlet: Literal["bids_then_book", "book", "liquidators", "auction", "backstop"] = Field(
        "bids_then_book", description="where positions go"
    )
    target_ratio: Annotated[Number, Field(ge=1, le=1000)] = Field(
        1.5, description="target: equity over maintenance that is restored"
    )
    step_fraction: Part = Field(0.2, description="step: share of a large position that the first action closes")
    step_above: Amount = Field(0.0, description="step: value above which a position is large, account currency")
    close_fraction: Part = Field(0.5, description="close_factor: share that one action closes")
    close_health: Share = Field(
        0.95, description="close_factor: equity over maintenance at or below which one action closes everything"
    )
    cooldown_seconds: Seconds = Field(
        0.0, description="between two actions on one account; shorter than a step: as many actions as fit into it"
    )
    flow_lots_per_second: Annotated[Number, Field(ge=0, le=1e12)] = Field(
        0.0, description="most liquidated lots per second and contract, 0 for no cap"
    )
    flow_window_seconds: Seconds = Field(
        0.0, description="window over which the cap counts, and may be used at once; at least a step"
    )
    bonus: Share = Field(0.0, description="discount at which liquidators, or the backstop, take positions over")
    bonus_slope: Multiple = Field(0.0, description="added to the bonus per unit of 1 - equity / maintenance")
    bonus_most: Share = Field(1.0, description="largest bonus")
    protocol_share: Share = Field(0.0, description="share of the bonus that goes to the insurance fund")
    backstop_ratio: Share = Field(
        0.0, description="equity over maintenance below which the backstop takes the whole account, 0 for never"
    )
    hedge_first: StrictBool = Field(False, description="hedge net delta before legs are closed")
    futures_first: StrictBool = Field(False, description="close perpetuals and futures before options")
    bankruptcy_adjustment: Multiple = Field(1.0, description="slope of the fillable price")
    spread_to_maintenance: Multiple = Field(1.5, description="largest distance of the fillable price, maintenances")
    auction: Literal["none", "clip", "share"] = Field(
        "none", description="a falling price (clip) or a falling share of the account's value (share)"
    )
    auction_start: Annotated[Number, Field(gt=0, le=1000)] = Field(
        1.0, description="start price over the mark (clip), start factor of the account's value (share)"
    )
    auction_step_seconds: Seconds = Field(0.0, description="clip: between two cuts, 0 for a straight line to zero")
    auction_cut: Share = Field(0.99, description="clip: factor of the price per cut")
    auction_tail_seconds: Annotated[Number, Field(gt=0, le=1e9)] = Field(
        8_400.0, description="clip: until the auction must be reset"
    )
    auction_cusp: Share = Field(0.4, description="clip: share of the start price below which it must be reset")
    auction_tip: Amount = Field(0.0, description="clip: paid to who starts or resets it, account currency")
    auction_chip: Share = Field(0.0, description="clip: share of the auctioned value paid to who starts or resets it")
    auction_fast_end: Share = Field(0.7, description="share: factor at the end of the fast leg")
    auction_fast_seconds: Seconds = Field(900.0, description="share: length of the fast leg")
    auction_slow_seconds: Seconds = Field(43_200.0, description="share: length of the slow leg, which ends at zero")
    auction_buffer: Multiple = Field(0.15, description="share: part of the shortfall restored beyond maintenance")
    auction_insolvent_seconds: Seconds = Field(
        3_600.0, description="share: over which the payment to the taker of an insolvent account grows"
    )
    auction_fee: Share = Field(0.1, description="share: part of the cash bid paid to the insurance fund")

    @model_serializer(mode="wrap")
    def _given(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        dump: dict[str, Any] = handler(self)
        return {key: value for key, value in dump.items() if key in self.model_fields_set}
