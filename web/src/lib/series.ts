import { instant } from './time.svelte';
import type { OverviewAnswer, OverviewStep as Bucket } from './api-types';
import type { Metric } from './types';

export const GROUPS = 6;
export const OTHERS = 'others';

/** The groups that get a colour of their own, the largest first; the rest are one. */
export function largest(groups: readonly { group: string | null; events: number; messages: number }[]): string[] {
  const sorted = [...groups].sort((a, b) => b.events + b.messages - (a.events + a.messages));
  const named = sorted.slice(0, GROUPS).map((one) => nameOf(one.group));
  return sorted.length > GROUPS ? [...named, OTHERS] : named;
}

/** Those that are shown: of models, what names none says nothing. */
export const named = <Item extends { group: string | null }>(by: OverviewAnswer['by'], items: Item[]): Item[] =>
  by === 'model' ? items.filter((one) => one.group !== null) : items;

export const nameOf = (group: string | null): string => group ?? 'unknown';

/**
 * Of each group, the points of one measure: [milliseconds, value], in order of time. All groups have
 * the same instants, 0 where one has nothing: bars are stacked by their place in the list.
 */
export function points(
  series: readonly Bucket[], names: readonly string[], metric: Metric,
): Map<string, [number, number][]> {
  const known = new Set(names);
  const sums = new Map<string, Map<number, number>>(names.map((name) => [name, new Map()]));
  for (const bucket of series) {
    const at = instant(bucket.at)?.getTime();
    const value = bucket[metric];
    if (at === undefined || value === null) continue;
    const name = known.has(nameOf(bucket.group)) ? nameOf(bucket.group) : OTHERS;
    const sum = sums.get(name);
    sum?.set(at, (sum.get(at) ?? 0) + value);
  }
  const times = [...new Set([...sums.values()].flatMap((sum) => [...sum.keys()]))].sort((a, b) => a - b);
  return new Map([...sums].map(([name, sum]) => [name, times.map((at) => [at, sum.get(at) ?? 0])]));
}
