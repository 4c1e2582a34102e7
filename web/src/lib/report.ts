import { compact, count, money, NONE } from './numbers';
import { instant } from './time.svelte';
import type { PeriodTotal as ReportTotal } from './api-types';

const DAY = 86_400_000;

const NAMES: Record<string, string> = {
  verdict_success: 'Judged a success', verdict_partial: 'Judged partial', verdict_failure: 'Judged a failure',
};

export const totalName = ({ name }: ReportTotal): string =>
  NAMES[name] ?? `${name[0]?.toUpperCase()}${name.slice(1).replaceAll('_', ' ')}`;

export function totalValue({ name, unit }: ReportTotal, value: number | null): string {
  if (unit === 'USD') return money(value);
  if (name.endsWith('_rate')) return value === null ? NONE : `${(100 * value).toFixed(1)}%`;
  return value !== null && value >= 1_000_000 ? compact(value) : count(value);
}

/** How much more or less it is, as a sign and in words: ▲, `22% more`, `than`; nothing where that is not known. */
export function changeOf({ change }: ReportTotal): { sign: string; words: string; link: string } | undefined {
  if (change === null) return undefined;
  const size = count(Math.abs(100 * change));
  if (size === '0') return { sign: '=', words: 'about the same', link: 'as' };
  return { sign: change > 0 ? '▲' : '▼', words: `${size}% ${change > 0 ? 'more' : 'less'}`, link: 'than' };
}

/** The day of an instant of the server's, in UTC, so many days later. */
export function dayOf(at: string, later = 0): string {
  const found = instant(at);
  return found ? new Date(found.getTime() + later * DAY).toISOString().slice(0, 10) : '';
}
