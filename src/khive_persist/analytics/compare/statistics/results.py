"""The results of the tests. They need no scipy: a server without it describes them, too."""

from typing import NamedTuple

from khive_persist.analytics.compare.statistics.interval import Interval


class Normality(NamedTuple):
    """The Shapiro-Wilk test (Royston 1995, Appl. Stat. 44, AS R94).

    Attributes:
        w: Near 1 where the values lie as normal ones do.
        p: Small where normal values hardly ever give so low a w.
    """

    w: float
    p: float


class Spread(NamedTuple):
    """Brown and Forsythe's test that spreads are one (1974, J. Amer. Stat. Assoc. 69)."""

    f: float
    p: float


class Description(NamedTuple):
    """One sample.

    Attributes:
        n: The number of its values.
        mean: None for none.
        sd: The standard deviation, with n - 1 below; None under two values.
        median: The mean of the two in the middle where n is even; None for none.
        q1: The lower quartile, as R's type 7 and numpy have it; None for none.
        q3: The upper one.
        minimum: None for none.
        maximum: None for none.
        outliers: The number of values beyond the whiskers of `boxplot`.
    """

    n: int
    mean: float | None
    sd: float | None
    median: float | None
    q1: float | None
    q3: float | None
    minimum: float | None
    maximum: float | None
    outliers: int


class Effect(NamedTuple):
    """A standardised difference of the second sample from the first.

    Attributes:
        d: Cohen's: the difference of the means by the pooled standard deviation.
        d_interval: Exact where both samples are normal with one spread.
        g: Hedges': d without its bias in small samples.
        g_interval: The ends of that of d, corrected alike.
    """

    d: float
    d_interval: Interval
    g: float
    g_interval: Interval


class Welch(NamedTuple):
    """Welch's t test, which asks for no equal spread (Welch 1947, Biometrika 34).

    Attributes:
        t: Above 0 where the second sample has the larger mean.
        df: By Satterthwaite; no whole number.
        p: Two-sided.
        difference: The second mean less the first.
        interval: The interval of that difference.
    """

    t: float
    df: float
    p: float
    difference: float
    interval: Interval


class MannWhitney(NamedTuple):
    """The Mann-Whitney U test (Mann and Whitney 1947, Ann. Math. Stat. 18).

    Attributes:
        u: Of the second sample: in how many of all pairs its value is the larger; a tie is a half.
        p: Two-sided; exact for small samples without ties, else normal with the corrections for
            ties and continuity, as R's `wilcox.test` has it.
        superiority: u by the number of pairs: how often a value of the second sample is the larger.
        is_exact: Whether p is exact.
    """

    u: float
    p: float
    superiority: float
    is_exact: bool


class MedianDifference(NamedTuple):
    """The second median less the first.

    Attributes:
        difference: The difference.
        interval: None where the resamples are all alike, as where half of a sample is one value.
    """

    difference: float
    interval: Interval | None


class WelchAnova(NamedTuple):
    """Welch's test that all means are one (Welch 1951, Biometrika 38); no equal spread is asked.

    Attributes:
        f: The statistic.
        df_between: The number of samples less one.
        df_within: By Welch; no whole number.
        p: The probability of an F as large.
    """

    f: float
    df_between: int
    df_within: float
    p: float


class BrownForsytheAnova(NamedTuple):
    """Brown and Forsythe's test that all means are one (1974, Technometrics 16).

    It asks for no equal spread, and takes samples without any.

    Attributes:
        f: The statistic, F*.
        df_between: The number of samples less one.
        df_within: By Satterthwaite; no whole number.
        p: The probability of an F as large.
    """

    f: float
    df_between: int
    df_within: float
    p: float


class Pair(NamedTuple):
    """Two of several samples (Games and Howell 1976, J. Educ. Stat. 1).

    Attributes:
        first: The index of one sample.
        second: And of the other.
        difference: The second mean less the first.
        interval: Simultaneous with those of all other pairs.
        t: The difference by its standard error.
        df: By Satterthwaite.
        p: Adjusted for all pairs, by the studentised range.
    """

    first: int
    second: int
    difference: float
    interval: Interval
    t: float
    df: float
    p: float


class PairedT(NamedTuple):
    """The paired t test (Student 1908).

    Attributes:
        t: Above 0 where the second values are the larger on average.
        df: Pairs less one.
        p: Two-sided.
        difference: The mean of second less first.
        interval: The interval of that mean.
        d: The mean by the standard deviation of the differences (Cohen's d_z).
    """

    t: float
    df: int
    p: float
    difference: float
    interval: Interval
    d: float


class Wilcoxon(NamedTuple):
    """Wilcoxon's signed-rank test (Wilcoxon 1945, Biometrics Bulletin 1).

    Attributes:
        v: The sum of the ranks of the pairs whose second value is the larger.
        p: Two-sided; exact below 50 pairs without ties and zeros, else normal with the corrections
            for ties and continuity, as R's `wilcox.test` has it.
        pairs: Those that differ, which alone count.
        is_exact: Whether p is exact.
    """

    v: float
    p: float
    pairs: int
    is_exact: bool


class Sign(NamedTuple):
    """The sign test (Arbuthnott 1710), which asks for nothing but that the pairs are independent.

    Attributes:
        higher: The number of pairs with the larger value second.
        lower: The number with it first; pairs that are equal count nowhere.
        p: Two-sided and exact, as R's `binom.test` has it.
        difference: The mean of second less first, over all pairs.
    """

    higher: int
    lower: int
    p: float
    difference: float


class ProportionDifference(NamedTuple):
    """The second share less the first.

    Attributes:
        difference: The difference.
        interval: Newcombe 1998, "Interval estimation for the difference between independent
            proportions", Stat. Med. 17, method 10: from Wilson's intervals of both.
        p: Fisher's exact test, two-sided: all tables that are no likelier than this one.
        odds_ratio: The odds ratio of the sample; None where a cell of the table is 0.
    """

    difference: float
    interval: Interval
    p: float
    odds_ratio: float | None
