"""Margin that grows with the square root of a position: what it costs to get out of a large one."""

import numpy as np

import margin


@margin.register("square_root")
class SquareRoot(margin.Rule):
    """Fixed rates plus an impact charge of ``impact`` times the square root of the lots held."""

    class Params(margin.Rule.Params):
        impact: float = 0.001

    def requirement(self, portfolio, risk):
        lots = portfolio.worst_lots()
        own_loss = (portfolio.loss_buy + portfolio.loss_sell).sum(axis=1)
        worst = (self.params.initial + self.params.impact * np.sqrt(lots)) * portfolio.value(lots)
        held = np.abs(portfolio.lots)
        keep = (self.params.maintenance + self.params.impact * np.sqrt(held)) * portfolio.value(held)
        initial = np.ceil(worst.sum(axis=1)).astype(np.int64) + own_loss
        return margin.Requirement(initial=initial, maintenance=np.ceil(keep.sum(axis=1)).astype(np.int64))
