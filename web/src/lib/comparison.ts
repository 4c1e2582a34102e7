import { figure, percent, chance } from './numbers';
import type { Compared, Figures, Interval } from './types';

const ALPHA = 0.05;

export const metricName = (one: Compared): string => one.metric.name.replaceAll('_', ' ');

/** A value of a metric, without its unit; a mean of a share is a percentage. */
export const metricValue = (one: Compared, value: number | null): string =>
  one.metric.kind === 'share' ? percent(value) : figure(value);

export type Finding = 'difference' | 'perhaps chance' | 'none found' | 'not tested';

/** What a test says, with all metrics counted that were tested beside it. */
export function finding(one: Compared): Finding {
  if (one.p === null || one.p_holm === null) return 'not tested';
  if (one.p >= ALPHA) return 'none found';
  return one.p_holm < ALPHA ? 'difference' : 'perhaps chance';
}

export interface Distance extends Interval {
  name: string;
  value: number;
  finding: Finding;
}

/** How far two groups are apart in standard deviations, of each metric that says so. */
export const effects = (metrics: readonly Compared[]): Distance[] =>
  metrics.flatMap((one) =>
    one.effect ? [{ name: metricName(one), value: one.effect.g, finding: finding(one), ...one.effect.g_interval }] : [],
  );

/** The differences of shares, in points of a hundred. */
export const shareDifferences = (metrics: readonly Compared[]): Distance[] =>
  metrics.flatMap((one) => {
    if (!one.shares) return [];
    const { difference, interval } = one.shares;
    return [{
      name: metricName(one), value: 100 * difference, finding: finding(one),
      low: 100 * interval.low, high: 100 * interval.high, level: interval.level,
    }];
  });

const TESTS: [keyof Compared, string, boolean][] = [
  ['welch', "Welch's t", true],
  ['shares', "Fisher's exact test", true],
  ['welch_anova', "Welch's analysis of variance", true],
  ['paired_t', 'paired t', true],
  ['mann_whitney', 'Mann-Whitney U', false],
  ['wilcoxon', 'Wilcoxon signed-rank', false],
  ['effect', 'effect size', false],
  ['median_difference', 'difference of medians', false],
];
const SYMBOLS: Record<string, string> = {
  u: 'U', v: 'V', f: 'F', w: 'W', d_interval: 'interval of d', g_interval: 'interval of g',
};

/** Each test of a metric with all its figures; the one that counts stands first. */
export function tests(one: Compared): { name: string; counts: boolean; figures: string }[] {
  return TESTS.flatMap(([field, name, counts]) => {
    const found = one[field] as Figures | null;
    return found ? [{ name, counts, figures: written(found) }] : [];
  });
}

/** `t 4.006 · df 44.69 · p < 0.001` */
export function written(figures: Figures): string {
  return Object.entries(figures)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => {
      if (name === 'is_exact') return value ? 'p is exact' : 'p by the normal distribution';
      const label = SYMBOLS[name] ?? name.replaceAll('_', ' ');
      if (name === 'p') return `p ${chance(value as number)}`;
      if (typeof value === 'object' && value !== null) return `${percent(value.level)} ${label} ${between(value)}`;
      return `${label} ${figure(value as number)}`;
    })
    .join(' · ');
}

export const between = ({ low, high }: { low: number; high: number }): string => `${figure(low)} to ${figure(high)}`;
