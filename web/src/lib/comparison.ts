import { figure, percent, chance } from './numbers';
import type { Interval, MetricComparison as Compared } from './api-types';
import type { Figures, Finding } from './types';

export const metricName = (one: Compared): string => one.metric.name.replaceAll('_', ' ');

/** A value of a metric, without its unit; a mean of a share is a percentage. */
export const metricValue = (one: Compared, value: number | null): string =>
  one.metric.kind === 'share' ? percent(value) : figure(value);

export interface Distance extends Interval {
  name: string;
  value: number;
  finding: Finding;
}

/** A metric, and of more than two groups the two that have sessions enough. */
export function distanceName(one: Compared): string {
  const [first, second] = one.tested.map((place) => one.groups[place]?.name ?? '');
  return one.groups.length > 2 ? `${metricName(one)}: ${second} − ${first}` : metricName(one);
}

/** How far two groups are apart in standard deviations, of each metric that says so. */
export const effects = (metrics: readonly Compared[]): Distance[] =>
  metrics.flatMap((one) =>
    one.effect ? [{ name: distanceName(one), value: one.effect.g, finding: one.finding, ...one.effect.g_interval }] : [],
  );

/** The differences of shares, in points of a hundred. */
export const shareDifferences = (metrics: readonly Compared[]): Distance[] =>
  metrics.flatMap((one) => {
    if (!one.shares) return [];
    const { difference, interval } = one.shares;
    return [{
      name: distanceName(one), value: 100 * difference, finding: one.finding,
      low: 100 * interval.low, high: 100 * interval.high, level: interval.level,
    }];
  });

const TESTS: [keyof Compared, string, boolean][] = [
  ['welch', "Welch's t", true],
  ['shares', "Fisher's exact test", true],
  ['welch_anova', "Welch's analysis of variance", true],
  ['brown_forsythe_anova', "Brown and Forsythe's analysis of variance", false],
  ['paired_t', 'paired t', true],
  ['sign', 'sign test', false],
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
    return found ? [{ name, counts: counts || field === standIn(one), figures: written(found) }] : [];
  });
}

/** Which test counts in place of one that is not defined. */
function standIn(one: Compared): keyof Compared | null {
  if (one.brown_forsythe_anova && !one.welch_anova) return 'brown_forsythe_anova';
  return one.sign && !one.paired_t ? 'sign' : null;
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
